"""ECDSA on P-256 and P-384 (FIPS 186-5) of the library `cryptography`: DER, PKCS #8 keys."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import Abilities, Form, Input, KeyInvalid, Material, Options
from ketgate_server.signing.providers.cryptography_keys import Signing, Verifying, expect, read_key


class Kind(NamedTuple):
    """A curve with the hash that its signatures take."""

    curve: ec.EllipticCurve
    hash: hashes.HashAlgorithm

    def scheme(self, options: Options) -> ec.ECDSA:
        taken = utils.Prehashed(self.hash) if options.input is Input.DIGEST else self.hash
        return ec.ECDSA(taken, deterministic_signing=options.deterministic)


KINDS = {
    "ECDSA_P256_SHA256": Kind(ec.SECP256R1(), hashes.SHA256()),
    "ECDSA_P384_SHA384": Kind(ec.SECP384R1(), hashes.SHA384()),
}

ABILITIES = Abilities(
    inputs=frozenset({Input.MESSAGE, Input.DIGEST}),
    deterministic=True,
    forms=frozenset({Form.PKCS8}),
)


def generate(algorithm: Algorithm, kind: Kind) -> Material:
    """A new key."""
    return Material(algorithm, Form.PKCS8, write_pkcs8(ec.generate_private_key(kind.curve)))


def write_pkcs8(key: ec.EllipticCurvePrivateKey) -> bytes:
    """PKCS #8 in DER."""
    return key.private_bytes(
        serialization.Encoding.DER,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )


def open_private(material: Material, kind: Kind) -> ec.EllipticCurvePrivateKey:
    """Raises KeyInvalid for a key of another kind or curve too."""
    content = expect(material, Form.PKCS8)
    what = f"a private key of {material.algorithm}"
    key = read_key(
        what, lambda content: serialization.load_der_private_key(content, None), content, 0
    )
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != kind.curve.name:
        raise KeyInvalid(f"{what}: a key of another kind")
    return key


def open_public(algorithm: Algorithm, kind: Kind, point: bytes) -> ec.EllipticCurvePublicKey:
    """Of an uncompressed point. Raises KeyInvalid, for what is not on the curve too."""
    return read_key(
        f"a public key of {algorithm}",
        lambda point: ec.EllipticCurvePublicKey.from_encoded_point(kind.curve, point),
        point,
        algorithm.public_key_bytes,
    )


def write_point(key: ec.EllipticCurvePublicKey) -> bytes:
    """The uncompressed point."""
    return key.public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )


class EcdsaSigningKey(Signing[ec.EllipticCurvePrivateKey]):
    """A private key."""

    def __init__(self, key: ec.EllipticCurvePrivateKey, kind: Kind) -> None:
        super().__init__(key, write_point(key.public_key()))
        self._kind = kind

    def make(self, key: ec.EllipticCurvePrivateKey, content: bytes, options: Options) -> bytes:
        return key.sign(content, self._kind.scheme(options))


class EcdsaVerifyingKey(Verifying):
    """A public key."""

    def __init__(self, key: ec.EllipticCurvePublicKey, kind: Kind) -> None:
        self._key = key
        self._kind = kind

    def check(self, signature: bytes, content: bytes, options: Options) -> None:
        self._key.verify(signature, content, self._kind.scheme(options))


class Ecdsa:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        return dict.fromkeys(KINDS, ABILITIES)

    def generate(self, algorithm: Algorithm) -> Material:
        return generate(algorithm, KINDS[algorithm.id])

    def public_key(self, material: Material) -> bytes:
        key = open_private(material, KINDS[material.algorithm.id])
        return write_point(key.public_key())

    def open_private(self, material: Material) -> EcdsaSigningKey:
        kind = KINDS[material.algorithm.id]
        return EcdsaSigningKey(open_private(material, kind), kind)

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> EcdsaVerifyingKey:
        kind = KINDS[algorithm.id]
        return EcdsaVerifyingKey(open_public(algorithm, kind, public_key), kind)
