"""HPKE (RFC 9180, base mode) with MLKEM768-X25519 of draft-ietf-hpke-pq, by the library `cryptography`.

A private key is a seed of 32 bytes, which SHAKE-256 expands to d || z of ML-KEM-768 and X25519's scalar
(draft-irtf-cfrg-concrete-hybrid-kems; the same as X-Wing). A public key is ML-KEM's, then X25519's.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping
from typing import cast

from cryptography.exceptions import InternalError, InvalidTag
from cryptography.hazmat.bindings._rust import openssl as library
from cryptography.hazmat.primitives import hpke
from cryptography.hazmat.primitives.asymmetric import mlkem, x25519

from ketgate_server.signing.algorithms import HPKE, Algorithm
from ketgate_server.signing.provider import (
    Abilities,
    Form,
    KeyInvalid,
    Material,
    OperationFailed,
)
from ketgate_server.signing.providers.cryptography_keys import Held, expect, read_key

_ML_KEM_PUBLIC_BYTES = 1184
_SUITE = hpke.Suite(hpke.KEM.MLKEM768_X25519, hpke.KDF.HKDF_SHA256, hpke.AEAD.AES_256_GCM)
# With associated data the library has them for its tests only, so that a later one may be without; ours hold them to
# the draft's vectors.
_encrypt = getattr(library.hpke, "_encrypt_with_aad", None)
_decrypt = getattr(library.hpke, "_decrypt_with_aad", None)


class HpkeOpeningKey(Held[hpke.MLKEM768X25519PrivateKey]):
    """A private key."""

    def __init__(self, key: hpke.MLKEM768X25519PrivateKey, public_key: bytes) -> None:
        super().__init__(key)
        self.public_key = public_key

    def open(self, ciphertext: bytes, info: bytes, associated_data: bytes) -> bytes | None:
        key = self.held()
        assert _decrypt is not None
        try:
            return cast(bytes, _decrypt(_SUITE, ciphertext, key, info, associated_data))
        except (InvalidTag, ValueError, InternalError):
            return None


class HpkeSealingKey:
    """A public key."""

    def __init__(self, key: hpke.MLKEM768X25519PublicKey) -> None:
        self._key = key

    def seal(self, plaintext: bytes, info: bytes, associated_data: bytes) -> bytes:
        assert _encrypt is not None
        try:
            return cast(bytes, _encrypt(_SUITE, plaintext, self._key, info, associated_data))
        except InternalError as failure:
            raise OperationFailed("cryptography failed to seal") from failure


class Hpke:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        return {HPKE.id: Abilities()} if _encrypt and _decrypt else {}

    def generate(self, algorithm: Algorithm) -> Material:
        return Material(algorithm, Form.SEED, secrets.token_bytes(32))

    def public_key(self, material: Material) -> bytes:
        return self.open_private(material).public_key

    def open_private(self, material: Material) -> HpkeOpeningKey:
        expanded = hashlib.shake_256(expect(material, Form.SEED, 32)).digest(96)
        quantum = mlkem.MLKEM768PrivateKey.from_seed_bytes(expanded[:64])
        classical = x25519.X25519PrivateKey.from_private_bytes(expanded[64:])
        public = quantum.public_key().public_bytes_raw() + classical.public_key().public_bytes_raw()
        return HpkeOpeningKey(hpke.MLKEM768X25519PrivateKey(quantum, classical), public)

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> HpkeSealingKey:
        key = read_key(f"a public key of {algorithm}", _read, public_key, HPKE.public_key_bytes)
        return HpkeSealingKey(key)


def _read(content: bytes) -> hpke.MLKEM768X25519PublicKey:
    quantum = mlkem.MLKEM768PublicKey.from_public_bytes(content[:_ML_KEM_PUBLIC_BYTES])
    classical = x25519.X25519PublicKey.from_public_bytes(content[_ML_KEM_PUBLIC_BYTES:])
    try:
        # Points of small order give no secret: the library refuses them, but only when it seals.
        x25519.X25519PrivateKey.generate().exchange(classical)
    except ValueError:
        raise KeyInvalid("a public key of X25519 of small order") from None
    return hpke.MLKEM768X25519PublicKey(quantum, classical)
