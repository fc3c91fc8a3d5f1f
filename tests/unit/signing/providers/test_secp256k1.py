"""secp256k1 as chains want it: against a published transaction, and points added the slow way."""

import hashlib
from typing import cast

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.signing.algorithms import SECP256K1
from ketgate_server.signing.provider import Form, Input, Material, Options, SigningKey, VerifyingKey
from ketgate_server.signing.providers.cryptography_ecdsa import write_pkcs8
from ketgate_server.signing.providers.cryptography_secp256k1 import N, P, recovery_id

from .subjects import provider

DIGEST = Options(Input.DIGEST)
Affine = tuple[int, int]
G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)


def key_of(secret: int) -> tuple[SigningKey, VerifyingKey]:
    content = write_pkcs8(ec.derive_private_key(secret, ec.SECP256K1()))
    subject = provider("cryptography")
    private = cast(SigningKey, subject.open_private(Material(SECP256K1, Form.PKCS8, content)))
    return private, cast(VerifyingKey, subject.open_public(SECP256K1, private.public_key))


def test_the_transaction_of_eip_155() -> None:
    """Its example: the key of 0x46 repeated, signed as RFC 6979 has it."""
    private, public = key_of(int("46" * 32, 16))
    digest = bytes.fromhex("daf5a779ae972f972197303d7b574746c7ef83eadac0f2791ad23db92e4c8e53")
    signature = private.sign(digest, Options(Input.DIGEST, deterministic=True))
    assert signature.hex() == (
        "28ef61340bd939bc2195fe537567866003e1a15d3c71ff63e1590620aa636276"
        "67cbe9d8997f761aecb703304b3800ccf555c9f3dc64214b297fb1966a3b6d83"
        "00"
    )
    assert public.verify(signature, digest, DIGEST)


def slow_add(a: Affine | None, b: Affine | None) -> Affine | None:
    if a is None or b is None:
        return a or b
    if a[0] == b[0] and (a[1] + b[1]) % P == 0:
        return None
    top, bottom = (3 * a[0] * a[0], 2 * a[1]) if a == b else (b[1] - a[1], b[0] - a[0])
    slope = top * pow(bottom, -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def slow_times(factor: int, point: Affine) -> Affine | None:
    total: Affine | None = None
    addend: Affine | None = point
    while factor:
        if factor & 1:
            total = slow_add(total, addend)
        addend = slow_add(addend, addend)
        factor >>= 1
    return total


@settings(max_examples=20)
@given(secret=st.integers(1, N - 1), message=st.binary(max_size=50))
def test_the_recovery_id_recovers_the_public_key(secret: int, message: bytes) -> None:
    private, public = key_of(secret)
    signature = private.sign(message, Options())
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    assert s <= N // 2
    assert public.verify(signature, message, Options())
    assert public.verify(signature[:64], message, Options())
    x = r + N * (signature[64] >> 1)
    y = pow(x**3 + 7, (P + 1) // 4, P)
    point = (x, y if y & 1 == signature[64] & 1 else P - y)
    hasher = hashlib.sha256(message).digest()
    inverse = pow(r, -1, N)
    recovered = slow_add(
        slow_times(s * inverse % N, point),
        slow_times(-int.from_bytes(hasher) * inverse % N, G),
    )
    assert recovered is not None
    assert b"\x04" + recovered[0].to_bytes(32) + recovered[1].to_bytes(32) == private.public_key


def test_an_x_above_the_order_has_a_recovery_id_of_two_or_three() -> None:
    """Too rare to meet: made from a point with such an x, and the key that it makes hold."""
    x = N + 1
    while pow(pow(x**3 + 7, (P + 1) // 4, P), 2, P) != (x**3 + 7) % P:
        x += 1
    y = pow(x**3 + 7, (P + 1) // 4, P)
    r, s, digest = x - N, 12345, 67890
    inverse = pow(r, -1, N)
    key = slow_add(slow_times(s * inverse % N, (x, y)), slow_times(-digest * inverse % N, G))
    assert key is not None
    numbers = ec.EllipticCurvePublicNumbers(*key, ec.SECP256K1())
    assert recovery_id(r, s, digest, numbers.public_key()) == 2 + (y & 1)
    subject = provider("cryptography")
    raw = b"\x04" + key[0].to_bytes(32) + key[1].to_bytes(32)
    public = cast(VerifyingKey, subject.open_public(SECP256K1, raw))
    signature = r.to_bytes(32) + s.to_bytes(32) + bytes([2 + (y & 1)])
    assert public.verify(signature, digest.to_bytes(32), DIGEST)
    for other in (0, 1, 3 - (y & 1)):
        wrong = signature[:64] + bytes([other])
        assert not public.verify(wrong, digest.to_bytes(32), DIGEST)


@pytest.mark.parametrize("nonce", [1, N - 1, 2, N - 2])
def test_points_that_meet_the_shift(nonce: int) -> None:
    """Nobody draws such a nonce; whoever makes one up gets the right answer too."""
    point = slow_times(nonce, G)
    assert point is not None
    secret, digest, r = 99, 1234, point[0] % N
    s = (digest + r * secret) * pow(nonce, -1, N) % N
    odd = point[1] & 1
    if s > N // 2:
        s, odd = N - s, 1 - odd
    _, public = key_of(secret)
    for last in range(4):
        signature = r.to_bytes(32) + s.to_bytes(32) + bytes([last])
        assert public.verify(signature, digest.to_bytes(32), DIGEST) is (last == odd)


def test_a_digest_of_zeros() -> None:
    private, public = key_of(7)
    assert public.verify(private.sign(bytes(32), DIGEST), bytes(32), DIGEST)


@pytest.mark.parametrize("wrong", [1, 2, 3, 27, 28, 255])
def test_another_recovery_id_does_not_hold(wrong: int) -> None:
    private, public = key_of(42)
    signature = private.sign(b"m", Options(deterministic=True))
    other = signature[64] ^ wrong if wrong < 4 else wrong
    assert not public.verify(signature[:64] + bytes([other]), b"m", Options())


def test_the_higher_s_and_der_do_not_hold() -> None:
    private, public = key_of(42)
    signature = private.sign(b"m", Options())
    r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
    high = r.to_bytes(32) + (N - s).to_bytes(32)
    assert not public.verify(high, b"m", Options())
    assert not public.verify(high + bytes([signature[64] ^ 1]), b"m", Options())
    assert not public.verify(utils.encode_dss_signature(r, s), b"m", Options())
    for r_, s_ in ((0, s), (r, 0), (N, s), (r, N), (2**256 - 1, 1)):
        assert not public.verify(r_.to_bytes(32) + s_.to_bytes(32), b"m", Options())
