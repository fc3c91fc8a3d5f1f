"""Encapsulating, sealing and codes, with keys of the store or with public keys from a request."""

from __future__ import annotations

import hmac
from dataclasses import dataclass
from typing import TypeVar, cast

from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.rpc.call import Call
from ketgate_server.signing.algorithms import Algorithm, Purpose
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.record import Use as KeyUse
from ketgate_server.signing.metrics import SigningMetrics
from ketgate_server.signing.provider import (
    DecapsulationKey,
    EncapsulationKey,
    KeyInvalid,
    MacKey,
    OpeningKey,
    PublicKey,
    SealingKey,
)
from ketgate_server.signing.use.current import CurrentKeys
from ketgate_server.signing.use.options import check_purpose
from ketgate_server.signing.use.ring import Opened, Ring
from ketgate_server.signing.use.signatures import Signatures
from ketgate_server.signing.use.uses import Asked, Use, UseLog
from ketgate_server.signing.use.verdicts import Failure, Found

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Done:
    """What an operation gave, and what did it."""

    output: bytes
    algorithm: Algorithm
    version: str = ""
    provider: str = ""
    secret: bytes = b""
    """The shared secret, of encapsulating."""


class Encryption:
    """Threads share it."""

    def __init__(
        self,
        access: Access,
        current: CurrentKeys,
        ring: Ring,
        log: UseLog,
        signatures: Signatures,
        metrics: SigningMetrics | None = None,
    ) -> None:
        self._count = (metrics or SigningMetrics()).count
        self._access = access
        self._current = current
        self._ring = ring
        self._log = log
        self._again = signatures.current

    def encapsulate(self, call: Call, name: str) -> Done:
        """For a key of the store."""
        algorithm, public_key, version = self._recipient(call, name, Purpose.ENCAPSULATE)
        return self.encapsulate_to(algorithm, public_key, version)

    def encapsulate_to(self, algorithm: Algorithm, public_key: bytes, version: str = "") -> Done:
        """For a public key, raw."""
        opened = cast(Opened[EncapsulationKey], self._public(algorithm, public_key))
        secret, ciphertext = opened.do(lambda key: key.encapsulate())
        self._count("encapsulate", algorithm, opened.provider.name)
        return Done(ciphertext, algorithm, version, opened.provider_text, secret)

    def seal(
        self, call: Call, name: str, plaintext: bytes, info: bytes, associated_data: bytes
    ) -> Done:
        """For a key of the store."""
        algorithm, public_key, version = self._recipient(call, name, Purpose.SEAL)
        return self.seal_to(algorithm, public_key, plaintext, info, associated_data, version)

    def seal_to(
        self,
        algorithm: Algorithm,
        public_key: bytes,
        plaintext: bytes,
        info: bytes,
        associated_data: bytes,
        version: str = "",
    ) -> Done:
        """For a public key, raw."""
        opened = cast(Opened[SealingKey], self._public(algorithm, public_key))
        ciphertext = opened.do(lambda key: key.seal(plaintext, info, associated_data))
        self._count("seal", algorithm, opened.provider.name)
        return Done(ciphertext, algorithm, version, opened.provider_text)

    def decapsulate(self, asked: Asked, name: str, ciphertext: bytes) -> Done:
        """The shared secret. Raises FieldError for a ciphertext of another length."""

        def work() -> Done:
            generation = self._current.generation
            key, version = self._access.find(asked.call.identity, name, KeyUse.DECRYPT)
            check_purpose(key.algorithm, Purpose.ENCAPSULATE, "key")
            size = key.algorithm.output_bytes_max
            if len(ciphertext) != size:
                raise FieldError(
                    "ciphertext",
                    expected=f"{size} bytes, as {key.algorithm.name} has",
                    given=ciphertext,
                )
            self._access.take(key, 1, asked.taken)
            opened = cast(Opened[DecapsulationKey], self._ring.private(key, version))
            secret = opened.do(lambda key: key.decapsulate(ciphertext))
            self._write(asked, generation, version.name, opened.provider_text)
            self._count("decapsulate", key.algorithm, opened.provider.name)
            return Done(secret, key.algorithm, version.name, opened.provider_text)

        return self._again(work)

    def open(self, asked: Asked, name: str, ciphertext: bytes, info: bytes, data: bytes) -> Done:
        """The plaintext, by whichever usable version it was sealed to. Raises CIPHERTEXT_INVALID."""

        def work() -> Done:
            generation = self._current.generation
            key, versions = self._access.find_all(asked.call.identity, name, KeyUse.DECRYPT)
            check_purpose(key.algorithm, Purpose.SEAL, "key")
            self._access.take(key, 1, asked.taken)
            for version in versions:
                opened = cast(Opened[OpeningKey], self._ring.private(key, version))
                plaintext = opened.do(lambda key: key.open(ciphertext, info, data))
                if plaintext is not None:
                    self._write(asked, generation, version.name, opened.provider_text)
                    self._count("open", key.algorithm, opened.provider.name)
                    return Done(plaintext, key.algorithm, version.name, opened.provider_text)
            raise KetgateError(
                Reason.CIPHERTEXT_INVALID,
                f"ciphertext: it was not sealed to {key.name} with this info and associated_data, or was changed",
                field="ciphertext",
            )

        return self._again(work)

    def compute_mac(self, asked: Asked, name: str, message: bytes) -> Done:
        def work() -> Done:
            generation = self._current.generation
            key, version = self._access.find(asked.call.identity, name, KeyUse.MAC)
            check_purpose(key.algorithm, Purpose.MAC, "key")
            self._access.take(key, 1, asked.taken)
            opened = cast(Opened[MacKey], self._ring.private(key, version))
            code = opened.do(lambda key: key.compute(message))
            self._write(asked, generation, version.name, opened.provider_text)
            self._count("mac", key.algorithm, opened.provider.name)
            return Done(code, key.algorithm, version.name, opened.provider_text)

        return self._again(work)

    def verify_mac(self, call: Call, name: str, message: bytes, code: bytes) -> Found:
        """In constant time for a code of the right length, of whichever usable version."""
        self._current.refresh()
        key, versions = self._access.find_all(call.identity, name, KeyUse.VERIFY)
        check_purpose(key.algorithm, Purpose.MAC, "key")
        self._access.take(key)
        if len(code) != key.algorithm.output_bytes_max:
            return Found(Failure.LENGTH, key.algorithm, versions[0].name)
        found = Found(Failure.MISMATCH, key.algorithm, versions[0].name)
        for version in versions:
            opened = cast(Opened[MacKey], self._ring.private(key, version))
            if hmac.compare_digest(opened.do(lambda key: key.compute(message)), code):
                return Found(None, key.algorithm, version.name, opened.provider_text)
        return found

    def _recipient(self, call: Call, name: str, purpose: Purpose) -> tuple[Algorithm, bytes, str]:
        self._current.refresh()
        key, version = self._access.find(call.identity, name, KeyUse.ENCRYPT)
        check_purpose(key.algorithm, purpose, "key")
        self._access.take(key)
        return key.algorithm, version.public_key, version.name

    def _public(self, algorithm: Algorithm, public_key: bytes) -> Opened[PublicKey]:
        try:
            return self._ring.public(algorithm, public_key)
        except KeyInvalid as error:
            raise FieldError(
                "public_key",
                expected=f"a public key of {algorithm.name}",
                given=public_key,
                hint=str(error),
            ) from error

    def _write(self, asked: Asked, generation: int, version: str, provider: str) -> None:
        facts = {"provider": provider}
        self._log.write(Use(asked, generation, version, b"", kept=False, facts=facts))
