"""HMAC (FIPS 198-1) of the library `cryptography`."""

from __future__ import annotations

import secrets
from collections.abc import Mapping

from cryptography.hazmat.primitives import hashes, hmac

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import Abilities, Form, KeyInvalid, Material, PublicKey
from ketgate_server.signing.providers.cryptography_keys import Held, expect

_HASHES: dict[str, hashes.HashAlgorithm] = {
    "HMAC_SHA256": hashes.SHA256(),
    "HMAC_SHA384": hashes.SHA384(),
    "HMAC_SHA512": hashes.SHA512(),
}


class HmacKey(Held[hmac.HMAC]):
    """A key: what the library has hashed of it, so that the key itself is not kept."""

    def compute(self, message: bytes) -> bytes:
        state = self.held().copy()
        state.update(message)
        return state.finalize()


class Hmac:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        can = Abilities(deterministic=True, forms=frozenset({Form.RAW}))
        return dict.fromkeys(_HASHES, can)

    def generate(self, algorithm: Algorithm) -> Material:
        return Material(algorithm, Form.RAW, secrets.token_bytes(algorithm.private_bytes))

    def public_key(self, material: Material) -> bytes:
        self.open_private(material)
        return b""

    def open_private(self, material: Material) -> HmacKey:
        algorithm = material.algorithm
        content = expect(material, Form.RAW, algorithm.private_bytes)
        return HmacKey(hmac.HMAC(content, _HASHES[algorithm.id]))

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> PublicKey:  # noqa: ARG002
        raise KeyInvalid(f"{algorithm} has no public keys")
