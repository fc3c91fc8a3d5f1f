"""RSASSA-PSS with SHA-256 (RFC 8017) of the library `cryptography`: verification with imported public keys."""

from __future__ import annotations

from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from ketgate_server.signing.algorithms import RSA_PSS, Algorithm
from ketgate_server.signing.formats import spki
from ketgate_server.signing.provider import (
    Abilities,
    KeyInvalid,
    Material,
    OperationFailed,
    Options,
    PrivateKey,
)
from ketgate_server.signing.providers.cryptography_keys import Verifying, read_key

_PADDING = padding.PSS(mgf=padding.MGF1(hashes.SHA256()), salt_length=32)


class RsaVerifyingKey(Verifying):
    """A public key."""

    def __init__(self, key: rsa.RSAPublicKey) -> None:
        self._key = key

    def check(self, signature: bytes, content: bytes, options: Options) -> None:  # noqa: ARG002
        self._key.verify(signature, content, _PADDING, hashes.SHA256())


class RsaPss:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        return {RSA_PSS.id: Abilities(generate=False, private=False, forms=frozenset())}

    def generate(self, algorithm: Algorithm) -> Material:
        raise OperationFailed(f"{algorithm} keys are only imported, to verify")

    def public_key(self, material: Material) -> bytes:
        raise KeyInvalid(f"{material.algorithm} has no private keys here")

    def open_private(self, material: Material) -> PrivateKey:
        raise KeyInvalid(f"{material.algorithm} has no private keys here")

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> RsaVerifyingKey:
        """public_key: SubjectPublicKeyInfo in DER, of the sizes that spki.read() takes."""
        spki.read(public_key, RSA_PSS)
        what = f"a public key of {algorithm}"
        key = read_key(what, serialization.load_der_public_key, public_key, 0)
        assert isinstance(key, rsa.RSAPublicKey), "else it had been refused"
        return RsaVerifyingKey(key)
