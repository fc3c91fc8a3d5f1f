"""Private keys in a token: ECDSA and Ed25519, named by the identifier that they have there."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, utils

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import Input, KeyInvalid, OperationFailed, Options, Stop
from ketgate_server.signing.providers import many
from ketgate_server.signing.providers.pkcs11_token import Token, TokenSession

ID_BYTES = 16
_OCTET_STRING = 0x04
_LONG_LENGTH = 0x80


@dataclass(frozen=True)
class Kind:
    """How a token knows an algorithm."""

    curve: str
    """Object identifier."""
    key_type: str
    """Name of pkcs11.KeyType."""
    generate: str
    sign: str
    """Names of pkcs11.Mechanism."""
    point_bytes: int
    hash: str = ""
    """Of the message, that ECDSA signs; empty: the token is given the message itself."""
    nist: tuple[ec.EllipticCurve, hashes.HashAlgorithm] | None = None
    """Curve and hash of ECDSA, for `cryptography`."""


KINDS = {
    "ECDSA_P256_SHA256": Kind(
        "1.2.840.10045.3.1.7",
        "EC",
        "EC_KEY_PAIR_GEN",
        "ECDSA",
        65,
        "sha256",
        (ec.SECP256R1(), hashes.SHA256()),
    ),
    "ECDSA_P384_SHA384": Kind(
        "1.3.132.0.34",
        "EC",
        "EC_KEY_PAIR_GEN",
        "ECDSA",
        97,
        "sha384",
        (ec.SECP384R1(), hashes.SHA384()),
    ),
    "ED25519": Kind("1.3.101.112", "EC_EDWARDS", "EC_EDWARDS_KEY_PAIR_GEN", "EDDSA", 32),
}


def read_point(value: bytes, kind: Kind) -> bytes:
    """The raw public key of CKA_EC_POINT: an OCTET STRING in DER, or, with some tokens, what is in it."""
    if len(value) == kind.point_bytes:
        return value
    if len(value) == kind.point_bytes + 2 and value[0] == _OCTET_STRING and value[1] < _LONG_LENGTH:
        return value[2:]
    raise OperationFailed(f"the token's public key has {len(value)} bytes, and no known form")


class TokenSigningKey:
    """A private key that signs in its token."""

    def __init__(
        self, token: Token, algorithm: Algorithm, key_id: bytes, public_key: bytes
    ) -> None:
        """Signs something first: a key that is not there, or not the one of this public key, is told
        here. Raises KeyInvalid, OperationFailed."""
        import pkcs11

        self.public_key = public_key
        self._token = token
        self._kind = KINDS[algorithm.id]
        self._mechanism = pkcs11.Mechanism[self._kind.sign]
        self._failed: type[Exception] = pkcs11.PKCS11Error
        self._id = key_id
        self._check()

    def sign(self, content: bytes, options: Options) -> bytes:
        """Raises OperationFailed."""
        kind = self._kind
        if kind.hash and options.input is Input.MESSAGE:
            content = hashlib.new(kind.hash, content).digest()

        def operation(session: TokenSession) -> bytes:
            key = session.keys.get(self._id)
            if key is None:
                key = session.keys[self._id] = find(session, self._id)
            return bytes(key.sign(content, mechanism=self._mechanism))

        try:
            made = self._token.run(operation)
        except self._failed as error:
            raise OperationFailed(
                f"the token did not sign: {str(error) or type(error).__name__}"
            ) from None
        if not kind.hash:
            return made
        half = len(made) // 2
        return utils.encode_dss_signature(
            int.from_bytes(made[:half], "big"), int.from_bytes(made[half:], "big")
        )

    def sign_many(
        self, contents: Sequence[bytes], options: Sequence[Options], threads: int, stop: Stop
    ) -> list[bytes | None]:
        """Raises OperationFailed."""
        return many.each(len(contents), lambda i: self.sign(contents[i], options[i]), threads, stop)

    def close(self) -> None:
        """The key is the token's to keep."""

    def _check(self) -> None:
        probe = os.urandom(32)
        made = self.sign(probe, Options())
        try:
            if self._kind.nist is None:
                ed25519.Ed25519PublicKey.from_public_bytes(self.public_key).verify(made, probe)
            else:
                curve, hash_algorithm = self._kind.nist
                point = ec.EllipticCurvePublicKey.from_encoded_point(curve, self.public_key)
                point.verify(made, probe, ec.ECDSA(hash_algorithm))
        except (InvalidSignature, ValueError):
            raise KeyInvalid("the token has another key of this identifier") from None


def find(session: TokenSession, key_id: bytes) -> Any:
    """The object of a private key. Raises OperationFailed."""
    import pkcs11

    try:
        return session.session.get_key(object_class=pkcs11.ObjectClass.PRIVATE_KEY, id=key_id)
    except (pkcs11.NoSuchKey, pkcs11.MultipleObjectsReturned):
        session.check_login()
        raise OperationFailed(
            f"the token does not have exactly one key of the identifier {key_id.hex()}: is it the token "
            "that the key was made in?"
        ) from None
