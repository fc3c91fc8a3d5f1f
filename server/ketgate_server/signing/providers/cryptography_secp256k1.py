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
N = _KIND.curve.group_order
_G = (
    0x79BE667EF9DCBBAC55A06295CE870B07029BFCDB2DCE28D959F2815B16F81798,
    0x483ADA7726A3C4655DA4FBFC0E1108A8FD17B448A68554199C47D08FFB10D4B8,
)
_G2 = (
    0xC6047F9441ED7D6D3045406E95C07CD85C778E4B8CEF3CA7ABAC09B95C709EE5,
    0x1AE168FEA63DC339A3C58419466CEAEEF7F632653266D0E1236431A950CFE52A,
)
"""Twice _G."""


def recovery_id(r: int, s: int, digest: int, key: ec.EllipticCurvePublicKey) -> int:
    """0 to 3, of a signature that holds: 1 for an odd y of its point, 2 where its x is not below the order."""
    # But once in 2^128, an x at or above the order leaves no r that is so small.
    ids = range(4) if r < P - N else range(2)
    for candidate in ids[:-1]:
        if _has_id(candidate, r, s, digest, key):
            return candidate
    return ids[-1]


def _has_id(candidate: int, r: int, s: int, digest: int, key: ec.EllipticCurvePublicKey) -> bool:
    """Whether a signature that holds has this recovery id.

    Verification compares only x. But when R = aG + bQ is the point, then R + G = (a + 1)G + bQ, whose x tells R from
    -R: the library verifies a signature made up for that point.
    """
    x = r + N * (candidate >> 1)
    y = pow(x * x * x + 7, (P + 1) // 4, P)
    if x >= P or (y * y - x * x * x - 7) % P:
        return False
    if y & 1 != candidate & 1:
        y = P - y
    times, by = (1, _G) if x != _G[0] else (2, _G2)
    slope = (by[1] - y) * pow(by[0] - x, -1, P)
    other_r = (slope * slope - x - by[0]) % P % N
    other_s = other_r * s * pow(r, -1, N) % N
    other_digest = (digest * pow(s, -1, N) + times) * other_s % N
    try:
        key.verify(
            utils.encode_dss_signature(other_r, other_s),
            other_digest.to_bytes(32),
            _KIND.scheme(Options(Input.DIGEST)),
        )
    except InvalidSignature:
        return False
    return True


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
        if len(signature) == 65 and (
            signature[64] > 3 or not _has_id(signature[64], r, s, int.from_bytes(digest), self._key)
        ):
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
