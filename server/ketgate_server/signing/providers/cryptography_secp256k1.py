"""ECDSA on secp256k1 as chains want it: r || s || recovery id, with the lower s (BIP 62, EIP-2).

The recovery id tells which of the points with this r was the signature's; it is found again from the signature
and the public key, so that the library's nonces stay its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ketgate_server.signing.algorithms import SECP256K1, Algorithm
from ketgate_server.signing.provider import Abilities, Input, Material, Options
from ketgate_server.signing.providers import cryptography_ecdsa as ecdsa
from ketgate_server.signing.providers.cryptography_keys import Signing, Verifying
from ketgate_server.signing.providers.secp256k1_points import BASE, Comb, N, sum_of_multiples

_KIND = ecdsa.Kind(ec.SECP256K1(), hashes.SHA256())


def recovery_id(r: int, s: int, digest: int, key: Comb) -> int | None:
    """0 to 3, of a signature that holds: 1 for an odd y of its point, 2 where its x is not below the order.

    None where it does not hold.
    """
    inverse = pow(s, -1, N)
    point = sum_of_multiples(BASE, digest * inverse % N, key, r * inverse % N)
    if point is None or point[0] % N != r:
        return None
    return (point[1] & 1) | (2 if point[0] >= N else 0)


def _comb(key: ec.EllipticCurvePublicKey) -> Comb:
    numbers = key.public_numbers()
    return Comb((numbers.x, numbers.y))


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
        super().__init__(key, ecdsa.write_point(key.public_key()))
        self._comb = _comb(key.public_key())

    def make(self, key: ec.EllipticCurvePrivateKey, content: bytes, options: Options) -> bytes:
        digest = _digest(content, options)
        by_digest = Options(Input.DIGEST, deterministic=options.deterministic)
        r, s = utils.decode_dss_signature(key.sign(digest, _KIND.scheme(by_digest)))
        s = min(s, N - s)
        recovery = recovery_id(r, s, int.from_bytes(digest), self._comb)
        assert recovery is not None, "the library's own signature holds"
        return r.to_bytes(32) + s.to_bytes(32) + bytes([recovery])


class Secp256k1VerifyingKey(Verifying):
    """A public key. Takes signatures with and without their recovery id, which must be the right one."""

    def __init__(self, key: ec.EllipticCurvePublicKey) -> None:
        self._key = key
        self._comb = cache(lambda: _comb(key))

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
            right = recovery_id(r, s, int.from_bytes(digest), self._comb())
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
