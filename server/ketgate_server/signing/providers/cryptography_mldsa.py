"""ML-DSA (FIPS 204) of the library `cryptography`: from seeds, always hedged; pre-hashes by way of mu."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import NamedTuple

from cryptography.hazmat.primitives.asymmetric import mldsa

from ketgate_server.signing import messages
from ketgate_server.signing.algorithms import MU_BYTES, Algorithm
from ketgate_server.signing.provider import Abilities, Form, Input, Material, Options
from ketgate_server.signing.providers.cryptography_keys import Signing, Verifying, expect, read_key

PrivateKey = mldsa.MLDSA44PrivateKey | mldsa.MLDSA65PrivateKey | mldsa.MLDSA87PrivateKey
PublicKey = mldsa.MLDSA44PublicKey | mldsa.MLDSA65PublicKey | mldsa.MLDSA87PublicKey


class _Kind(NamedTuple):
    generate: Callable[[], PrivateKey]
    private: Callable[[bytes], PrivateKey]
    public: Callable[[bytes], PublicKey]


_KINDS: dict[str, _Kind] = {
    "ML_DSA_44": _Kind(
        mldsa.MLDSA44PrivateKey.generate,
        mldsa.MLDSA44PrivateKey.from_seed_bytes,
        mldsa.MLDSA44PublicKey.from_public_bytes,
    ),
    "ML_DSA_65": _Kind(
        mldsa.MLDSA65PrivateKey.generate,
        mldsa.MLDSA65PrivateKey.from_seed_bytes,
        mldsa.MLDSA65PublicKey.from_public_bytes,
    ),
    "ML_DSA_87": _Kind(
        mldsa.MLDSA87PrivateKey.generate,
        mldsa.MLDSA87PrivateKey.from_seed_bytes,
        mldsa.MLDSA87PublicKey.from_public_bytes,
    ),
}

# The library opens seeds only: private keys that were imported expanded are for other providers.
_ABILITIES = Abilities(
    inputs=frozenset({Input.MESSAGE, Input.MU}),
    contexts=True,
    prehash=True,
    deterministic=False,
    forms=frozenset({Form.SEED}),
)


def _mu(public_key: bytes, content: bytes, options: Options) -> bytes | None:
    """mu where it is that which is signed, None where it is the message. Raises ValueError for a mu or
    digest of the wrong size."""
    if options.prehash:
        if options.input is not Input.DIGEST:
            hasher = messages.prehash(options.prehash)
            hasher.update(content)
            content = hasher.digest()
        return messages.prehashed_mu(public_key, options.prehash, content, options.context)
    if options.input is Input.MU:
        if len(content) != MU_BYTES:
            raise ValueError(f"mu is {MU_BYTES} bytes; given {len(content)}")
        return content
    return None


class MlDsaSigningKey(Signing[PrivateKey]):
    """A private key."""

    def make(self, key: PrivateKey, content: bytes, options: Options) -> bytes:
        if options.deterministic:
            raise ValueError("cryptography signs with randomness only")
        mu = _mu(self.public_key, content, options)
        return key.sign(content, options.context) if mu is None else key.sign_mu(mu)


class MlDsaVerifyingKey(Verifying):
    """A public key."""

    def __init__(self, key: PublicKey, raw: bytes) -> None:
        self._key = key
        self._raw = raw

    def check(self, signature: bytes, content: bytes, options: Options) -> None:
        mu = _mu(self._raw, content, options)
        if mu is None:
            self._key.verify(signature, content, options.context)
        else:
            self._key.verify_mu(signature, mu)


class MlDsa:
    """The part."""

    def abilities(self) -> Mapping[str, Abilities]:
        return dict.fromkeys(_KINDS, _ABILITIES)

    def generate(self, algorithm: Algorithm) -> Material:
        key = _KINDS[algorithm.id].generate()
        return Material(algorithm, Form.SEED, key.private_bytes_raw())

    def public_key(self, material: Material) -> bytes:
        return self._private(material).public_key().public_bytes_raw()

    def open_private(self, material: Material) -> MlDsaSigningKey:
        key = self._private(material)
        return MlDsaSigningKey(key, key.public_key().public_bytes_raw())

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> MlDsaVerifyingKey:
        read = _KINDS[algorithm.id].public
        return MlDsaVerifyingKey(
            read_key(f"a public key of {algorithm}", read, public_key, algorithm.public_key_bytes),
            public_key,
        )

    def _private(self, material: Material) -> PrivateKey:
        algorithm = material.algorithm
        seed = expect(material, Form.SEED, algorithm.private_bytes)
        return read_key(f"a seed of {algorithm}", _KINDS[algorithm.id].private, seed, 0)
