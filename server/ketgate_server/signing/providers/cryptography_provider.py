"""The provider that is always there: the library `cryptography`, with what its OpenSSL can.

Not here: Falcon, SLH-DSA and ML-KEM-512, which it does not have, deterministic ML-DSA, and ML-DSA private keys
without their seed.
"""

from __future__ import annotations

from collections.abc import Mapping

import cryptography

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import Abilities, Material, Part, PrivateKey, PublicKey
from ketgate_server.signing.providers.composite import Composites
from ketgate_server.signing.providers.cryptography_ecdsa import Ecdsa
from ketgate_server.signing.providers.cryptography_ed25519 import Ed25519
from ketgate_server.signing.providers.cryptography_hmac import Hmac
from ketgate_server.signing.providers.cryptography_hpke import Hpke
from ketgate_server.signing.providers.cryptography_mldsa import MlDsa
from ketgate_server.signing.providers.cryptography_mlkem import MlKem
from ketgate_server.signing.providers.cryptography_rsa import RsaPss
from ketgate_server.signing.providers.cryptography_secp256k1 import Secp256k1


class CryptographyProvider:
    """A Provider."""

    name = "cryptography"
    version = cryptography.__version__

    def __init__(self) -> None:
        self._parts: dict[str, Part] = {}
        self._abilities: dict[str, Abilities] = {}
        for part in (MlDsa(), MlKem(), Ed25519(), Ecdsa(), Secp256k1(), RsaPss(), Hpke(), Hmac()):
            self._add(part)
        self._add(Composites(self, self))

    def _add(self, part: Part) -> None:
        self._parts.update(dict.fromkeys(part.abilities(), part))
        self._abilities.update(part.abilities())

    def abilities(self) -> Mapping[str, Abilities]:
        return self._abilities

    def generate(self, algorithm: Algorithm) -> Material:
        return self._parts[algorithm.id].generate(algorithm)

    def public_key(self, material: Material) -> bytes:
        return self._parts[material.algorithm.id].public_key(material)

    def open_private(self, material: Material) -> PrivateKey:
        return self._parts[material.algorithm.id].open_private(material)

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> PublicKey:
        return self._parts[algorithm.id].open_public(algorithm, public_key)
