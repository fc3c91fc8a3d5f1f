"""ECDSA on secp256k1 as chains want it: r || s || recovery id, with the lower s (BIP 62, EIP-2).

The recovery id tells which of the points with this r was the signature's; it is found again from the signature
and the public key, so that the library's nonces stay its own.
"""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ketgate_server.signing.algorithms import SECP256K1, Algorithm
from ketgate_server.signing.provider import Abilities, Input, Material, Options
from ketgate_server.signing.providers import cryptography_ecdsa as ecdsa
from ketgate_server.signing.providers.cryptography_keys import Signing, Verifying

_KIND = ecdsa.Kind(ec.SECP256K1(), hashes.SHA256())

P = 2**256 - 2**32 - 977
N = 0xFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141
_G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)

Point = tuple[int, int] | None
"""Affine; None: the point at infinity. Public points only: none of this takes constant time."""


def _add(a: Point, b: Point) -> Point:
    if a is None or b is None:
        return a or b
    if a[0] == b[0]:
        if (a[1] + b[1]) % P == 0:
            return None
        slope = 3 * a[0] * a[0] * pow(2 * a[1], -1, P)
    else:
        slope = (b[1] - a[1]) * pow(b[0] - a[0], -1, P)
    x = (slope * slope - a[0] - b[0]) % P
    return x, (slope * (a[0] - x) - a[1]) % P


def _times(factor: int, point: Point) -> Point:
    total: Point = None
    while factor:
        if factor & 1:
            total = _add(total, point)
        point = _add(point, point)
        factor >>= 1
    return total


def _library_times(factor: int, point: ec.EllipticCurvePublicKey) -> tuple[Point, Point]:
    """The two points of which one is factor * point: the library's exchange of keys tells x alone.

    It takes a fifth of a millisecond, and _times about ten.
    """
    shared = ec.derive_private_key(factor, _KIND.curve).exchange(ec.ECDH(), point)
    x = int.from_bytes(shared)
    y = pow(x * x * x + 7, (P + 1) // 4, P)
    return (x, y), (x, P - y)


def _library_base(factor: int) -> Point:
    numbers = ec.derive_private_key(factor, _KIND.curve).public_key().public_numbers()
    return numbers.x, numbers.y


def recovery_id(r: int, s: int, digest: int, key: ec.EllipticCurvePublicKey) -> int | None:
    """0 to 3, of a signature that holds: 1 for an odd y of its point, 2 where its x is not below the order.

    None where it does not hold.
    """
    inverse = pow(s, -1, N)
    base, other = digest * inverse % N, r * inverse % N
    if base:
        left = _library_base(base)
        sums = [_add(left, right) for right in _library_times(other, key)]
    else:  # A digest of zeros leaves the sign open.
        numbers = key.public_numbers()
        sums = [_times(other, (numbers.x, numbers.y))]
    for point in sums:
        if point is not None and point[0] % N == r:
            return (point[1] & 1) | (2 if point[0] >= N else 0)
    return None


def _digest(content: bytes, options: Options) -> bytes:
    """Raises ValueError for a digest of the wrong size."""
    if options.input is not Input.DIGEST:
        hasher = hashes.Hash(hashes.SHA256())
        hasher.update(content)
        return hasher.finalize()
    if len(content) != 32:
        raise ValueError(f"a digest is 32 bytes; given {len(content)}")
    return content


class Secp256k1SigningKey(Signing[ec.EllipticCurvePrivateKey]):
    """A private key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey) -> None:
        self._public = key.public_key()
        super().__init__(key, ecdsa.write_point(self._public))

    def make(self, key: ec.EllipticCurvePrivateKey, content: bytes, options: Options) -> bytes:
        digest = _digest(content, options)
        by_digest = Options(Input.DIGEST, deterministic=options.deterministic)
        r, s = utils.decode_dss_signature(key.sign(digest, _KIND.scheme(by_digest)))
        s = min(s, N - s)
        recovery = recovery_id(r, s, int.from_bytes(digest), self._public)
        assert recovery is not None, "the library's own signature holds"
        return r.to_bytes(32) + s.to_bytes(32) + bytes([recovery])


class Secp256k1VerifyingKey(Verifying):
    """A public key. Takes signatures with and without their recovery id, which must be the right one."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key

    def check(self, signature: bytes, content: bytes, options: Options) -> None:
        if len(signature) not in (64, 65):
            raise InvalidSignature
        r, s = int.from_bytes(signature[:32]), int.from_bytes(signature[32:64])
        if not (0 < r < N and 0 < s <= N // 2):
            raise InvalidSignature
        digest = _digest(content, options)
        self._key.verify(
            utils.encode_dss_signature(r, s), digest, _KIND.scheme(Options(Input.DIGEST))
        )
        if len(signature) == 65:
            right = recovery_id(r, s, int.from_bytes(digest), self._key)
            if signature[64] != right:
                raise InvalidSignature


class Secp256k1:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        return {SECP256K1.id: ecdsa.ABILITIES}

    def generate(self, algorithm: Algorithm) -> Material:
        return ecdsa.generate(algorithm, _KIND)

    def public_key(self, material: Material) -> bytes:
        return ecdsa.write_point(ecdsa.open_private(material, _KIND).public_key())

    def open_private(self, material: Material) -> Secp256k1SigningKey:
        return Secp256k1SigningKey(ecdsa.open_private(material, _KIND))

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> Secp256k1VerifyingKey:
        return Secp256k1VerifyingKey(ecdsa.open_public(algorithm, _KIND, public_key))
