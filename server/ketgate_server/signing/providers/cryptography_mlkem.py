"""ML-KEM-768 and ML-KEM-1024 (FIPS 203) of the library `cryptography`, from seeds d || z."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cryptography.exceptions import InternalError
from cryptography.hazmat.primitives.asymmetric import mlkem

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.provider import Abilities, Form, Material, OperationFailed
from ketgate_server.signing.providers.cryptography_keys import Held, expect, read_key

PrivateKey = mlkem.MLKEM768PrivateKey | mlkem.MLKEM1024PrivateKey
PublicKey = mlkem.MLKEM768PublicKey | mlkem.MLKEM1024PublicKey


class _Kind(NamedTuple):
    generate: Callable[[], PrivateKey]
    private: Callable[[bytes], PrivateKey]
    public: Callable[[bytes], PublicKey]


_KINDS: dict[str, _Kind] = {
    "ML_KEM_768": _Kind(
        mlkem.MLKEM768PrivateKey.generate,
        mlkem.MLKEM768PrivateKey.from_seed_bytes,
        mlkem.MLKEM768PublicKey.from_public_bytes,
    ),
    "ML_KEM_1024": _Kind(
        mlkem.MLKEM1024PrivateKey.generate,
        mlkem.MLKEM1024PrivateKey.from_seed_bytes,
        mlkem.MLKEM1024PublicKey.from_public_bytes,
    ),
}


class MlKemDecapsulationKey(Held[PrivateKey]):
    """A private key."""

    def __init__(self, key: PrivateKey) -> None:
        super().__init__(key)
        self.public_key = key.public_key().public_bytes_raw()

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """Raises ValueError for a ciphertext of another length."""
        key = self.held()
        try:
            return key.decapsulate(ciphertext)
        except InternalError as failure:
            raise OperationFailed("cryptography failed to decapsulate") from failure


class MlKemEncapsulationKey:
    """A public key."""

    def __init__(self, key: PublicKey) -> None:
        self._key = key

    def encapsulate(self) -> tuple[bytes, bytes]:
        return self._key.encapsulate()


class MlKem:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        return {name: Abilities() for name in _KINDS}

    def generate(self, algorithm: Algorithm) -> Material:
        key = _KINDS[algorithm.id].generate()
        return Material(algorithm, Form.SEED, key.private_bytes_raw())

    def public_key(self, material: Material) -> bytes:
        return self._private(material).public_key().public_bytes_raw()

    def open_private(self, material: Material) -> MlKemDecapsulationKey:
        return MlKemDecapsulationKey(self._private(material))

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> MlKemEncapsulationKey:
        read = _KINDS[algorithm.id].public
        return MlKemEncapsulationKey(
            read_key(f"a public key of {algorithm}", read, public_key, algorithm.public_key_bytes)
        )

    def _private(self, material: Material) -> PrivateKey:
        algorithm = material.algorithm
        seed = expect(material, Form.SEED, algorithm.private_bytes)
        return read_key(f"a seed of {algorithm}", _KINDS[algorithm.id].private, seed, 0)
