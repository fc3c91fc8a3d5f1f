"""The seam between the service and what does the cryptography: a library or a token.

A provider makes private keys and hands them over as Material, which is what is stored (encrypted), and opens
Material to a key that is ready for use. Every provider opens the same Material of an algorithm, so that a
key made by one can be used by another: seeds where the standard has them (ML-DSA 32 bytes, ML-KEM d || z, 64),
never a form of the library's own. A token's Material only names the key in the token.

Opened keys may be used by several threads at once. They check nothing of who may use them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Protocol

from ketgate_server.signing.algorithms import Algorithm

Stop = Callable[[], bool]
"""Whether to stop; asked before the first item and then between items, but not between any two of them: a
few times a second is enough."""


class Form(StrEnum):
    """How private key material is written."""

    SEED = "seed"
    """Seed of the standard's key generation: ML-DSA, ML-KEM, HPKE, Ed25519."""
    RAW = "raw"
    """The standard's private key: SLH-DSA, Falcon, HMAC; composites as their draft writes them."""
    EXPANDED = "expanded"
    """ML-DSA or ML-KEM private key in the standard's own encoding, imported without its seed."""
    PKCS8 = "pkcs8"
    """PKCS #8 in DER: ECDSA."""
    TOKEN = "token"  # noqa: S105
    """The identifier of a key that never leaves its token."""


@dataclass(frozen=True, repr=False)
class Material:
    """A private key as it is stored. Never in a log: it has no text."""

    algorithm: Algorithm
    form: Form
    content: bytes
    public: bytes = b""
    """The public key, raw, where it does not follow from content (Falcon, tokens); else empty."""

    def __repr__(self) -> str:
        return f"Material({self.algorithm.id}, {self.form}, {len(self.content)} bytes)"


class Input(StrEnum):
    """What is given to be signed; names as the contract's SigningInput."""

    MESSAGE = "MESSAGE"
    MU = "MU"
    DIGEST = "DIGEST"


@dataclass(frozen=True, slots=True)
class Options:
    """How to sign. What an algorithm cannot do was refused before."""

    input: Input = Input.MESSAGE
    context: bytes = b""
    prehash: str = ""
    deterministic: bool = False


@dataclass(frozen=True, slots=True)
class Abilities:
    """What a provider can do with an algorithm."""

    generate: bool = True
    private: bool = True
    """Sign, decapsulate, open."""
    public: bool = True
    """Verify, encapsulate, seal."""
    inputs: frozenset[Input] = frozenset({Input.MESSAGE})
    contexts: bool = False
    prehash: bool = False
    deterministic: bool = False
    forms: frozenset[Form] = frozenset({Form.SEED})
    """Material that it opens."""
    rank: int = 0
    """Higher is faster: the choice where the policy leaves it open."""

    def can_sign(self, options: Options) -> bool:
        """Whether it can sign and verify in this way."""
        return (
            (options.input in self.inputs or (options.input is Input.DIGEST and self.prehash))
            and (self.contexts or not options.context)
            and (self.prehash or not options.prehash)
            and (self.deterministic or not options.deterministic)
        )


class KeyInvalid(ValueError):  # noqa: N818 - a state of the key
    """A key that is none: wrong length, not on the curve, parts that do not belong together. The message
    never shows key material."""


class OperationFailed(RuntimeError):  # noqa: N818
    """The library or the token failed, not the caller. The message never shows key material."""


class SigningKey(Protocol):
    """A private key that signs."""

    public_key: bytes
    """Raw."""

    def sign(self, content: bytes, options: Options) -> bytes:
        """content: what options.input says. Raises OperationFailed."""

    def sign_many(
        self, contents: Sequence[bytes], options: Sequence[Options], threads: int, stop: Stop
    ) -> list[bytes | None]:
        """Signatures in order, on at most so many threads, without the GIL where the library gives it
        up; None for those that stop() left undone. Raises OperationFailed."""

    def close(self) -> None:
        """Forget the key: memory is overwritten where the language lets us."""


class VerifyingKey(Protocol):
    """A public key that verifies."""

    def verify(self, signature: bytes, content: bytes, options: Options) -> bool:
        """Whether it holds. Any bytes, of any length, get an answer: it never raises for them."""

    def verify_many(
        self,
        signatures: Sequence[bytes],
        contents: Sequence[bytes],
        options: Sequence[Options],
        threads: int,
        stop: Stop,
    ) -> list[bool | None]:
        """In order; None for those that stop() left undone."""


class DecapsulationKey(Protocol):
    """A private key of a KEM."""

    public_key: bytes

    def decapsulate(self, ciphertext: bytes) -> bytes:
        """The shared secret; of a wrong ciphertext of the right length, one that matches nothing. ciphertext:
        of the algorithm's length."""

    def close(self) -> None: ...


class EncapsulationKey(Protocol):
    """A public key of a KEM."""

    def encapsulate(self) -> tuple[bytes, bytes]:
        """(shared secret, ciphertext)."""


class OpeningKey(Protocol):
    """A private key of HPKE."""

    public_key: bytes

    def open(self, ciphertext: bytes, info: bytes, associated_data: bytes) -> bytes | None:
        """The plaintext; None for anything that was not sealed to this key in this way. ciphertext: the
        encapsulated key, then what was encrypted."""

    def close(self) -> None: ...


class SealingKey(Protocol):
    """A public key of HPKE."""

    def seal(self, plaintext: bytes, info: bytes, associated_data: bytes) -> bytes: ...


class MacKey(Protocol):
    """A key for codes."""

    def compute(self, message: bytes) -> bytes: ...

    def close(self) -> None: ...


PrivateKey = SigningKey | DecapsulationKey | OpeningKey | MacKey
PublicKey = VerifyingKey | EncapsulationKey | SealingKey


class Part(Protocol):
    """What a provider does, or does of a family of algorithms."""

    def abilities(self) -> Mapping[str, Abilities]:
        """By Algorithm.id; what it does not have is not there."""

    def generate(self, algorithm: Algorithm) -> Material:
        """A new private key. Raises OperationFailed."""

    def public_key(self, material: Material) -> bytes:
        """The public key, raw; empty for MACs. Raises KeyInvalid."""

    def open_private(self, material: Material) -> PrivateKey:
        """A key of the kind that its algorithm's purpose names. Raises KeyInvalid, OperationFailed."""

    def open_public(self, algorithm: Algorithm, public_key: bytes) -> PublicKey:
        """public_key: raw; for RSA SubjectPublicKeyInfo in DER. Raises KeyInvalid."""


class Provider(Part, Protocol):
    """A library or a token. Made once for a server; threads share it."""

    name: str
    """ "cryptography", "liboqs", "pkcs11", or "liboqs+cryptography" for composites of both."""
    version: str
    """Of what does the work, for example "0.13.0"."""


@dataclass(frozen=True)
class Providers:
    """The providers of a server, the operator's favourite first."""

    all: Sequence[Provider] = field(default_factory=tuple)
    ordered: bool = False
    """Whether the operator named their order."""

    def of(self, algorithm: Algorithm) -> list[Provider]:
        """Those that have it, the best first: the fastest, unless the operator named an order."""
        found = [provider for provider in self.all if algorithm.id in provider.abilities()]
        if self.ordered:
            return found
        return sorted(found, key=lambda provider: -provider.abilities()[algorithm.id].rank)

    def named(self, name: str) -> Provider | None:
        return next((provider for provider in self.all if provider.name == name), None)

    def to_generate(self, algorithm: Algorithm) -> Provider | None:
        """The best that makes keys of it."""
        return next((p for p in self.of(algorithm) if p.abilities()[algorithm.id].generate), None)

    def to_sign(self, material: Material, options: Options) -> Provider | None:
        """The best that opens this material and signs in this way."""
        for provider in self.of(material.algorithm):
            can = provider.abilities()[material.algorithm.id]
            if can.private and material.form in can.forms and can.can_sign(options):
                return provider
        return None

    def to_verify(self, algorithm: Algorithm, options: Options) -> Provider | None:
        """The best that verifies in this way; deterministic does not matter."""
        for provider in self.of(algorithm):
            can = provider.abilities()[algorithm.id]
            if can.public and can.can_sign(
                Options(options.input, options.context, options.prehash)
            ):
                return provider
        return None
