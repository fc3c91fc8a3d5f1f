"""Signing and verifying with keys of the store: who may, how, on which cores, and what is written down."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.rpc.call import Call
from ketgate_server.signing.algorithms import SECP256K1, Algorithm, Purpose
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.names import key_of, read_key_or_version
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.record import Use as KeyUse
from ketgate_server.signing.keys.veil import veiled
from ketgate_server.signing.metrics import SigningMetrics
from ketgate_server.signing.provider import (
    Input,
    KeyInvalid,
    Options,
    SigningKey,
    Stop,
    VerifyingKey,
)
from ketgate_server.signing.use import options as check
from ketgate_server.signing.use import wrapped
from ketgate_server.signing.use.current import CurrentKeys
from ketgate_server.signing.use.options import Format
from ketgate_server.signing.use.ring import Opened, Ring
from ketgate_server.signing.use.uses import Asked, Stale, Use, UseLog
from ketgate_server.signing.use.verdicts import Failure, Found

T = TypeVar("T")
STALE_TRIES = 10


@dataclass(frozen=True, slots=True)
class Signed:
    """A signature, and what made it."""

    signature: bytes
    content_sha256: bytes
    version: VersionRecord
    provider: str
    format: Format = Format.RAW


@dataclass(frozen=True, slots=True)
class How:
    """How to sign all of a call."""

    options: Options
    format: Format = Format.RAW
    path: str = "options"


class Signatures:
    """Threads share it."""

    def __init__(
        self,
        access: Access,
        current: CurrentKeys,
        ring: Ring,
        log: UseLog,
        metrics: SigningMetrics | None = None,
    ) -> None:
        self._count = (metrics or SigningMetrics()).count
        self._access = access
        self._current = current
        self._ring = ring
        self._log = log

    def sign(
        self, asked: Asked, name: str, content: bytes, how: How, answer: Callable[[Signed], bytes]
    ) -> bytes:
        """The reply, from answer(), or that of the same request before. Raises KetgateError."""
        known = self.known(asked, name)
        if known is not None:
            return known
        return self.current(lambda: self._sign(asked, name, content, how, answer))

    def _sign(
        self, asked: Asked, name: str, content: bytes, how: How, answer: Callable[[Signed], bytes]
    ) -> bytes:
        generation = self._current.generation
        key, version = self.signer(asked.call, name, how)
        check.check_content(key.algorithm, how.options, content, "message")
        self.check_context(key, how.options, how.path)
        self.take(key, 1, asked)
        opened = self._private(key, version, how.options)
        wrapping = wrapped.of(how.format, key.algorithm, version, content)
        raw = opened.do(lambda k: k.sign(wrapping.to_sign, how.options))
        digest = hashlib.sha256(content).digest()
        signed = Signed(wrapping.finish(raw), digest, version, opened.provider_text, how.format)
        facts = {"content_sha256": digest.hex(), "provider": opened.provider_text}
        use = Use(asked, generation, version.name, answer(signed), facts=facts)
        reply = self._log.write(use)
        self._count("sign", key.algorithm, opened.provider.name)
        return reply

    def signer(self, call: Call, name: str, how: How) -> tuple[KeyRecord, VersionRecord]:
        """The key that is to sign, and that it can in this way."""
        field = how.path.removesuffix("options") + "key"
        key, version = self._access.find(call.identity, name, KeyUse.SIGN, field)
        check.check_purpose(key.algorithm, Purpose.SIGN, field)
        check.check(key.algorithm, how.options, how.format, how.path)
        return key, version

    def verifiers(
        self, call: Call, name: str, field: str = "key"
    ) -> tuple[KeyRecord, list[VersionRecord]]:
        """The versions that may have signed, the newest first."""
        self._current.refresh()
        key, versions = self._access.find_all(call.identity, name, KeyUse.VERIFY, field)
        check.check_purpose(key.algorithm, Purpose.SIGN, field)
        return key, versions

    def verify(self, call: Call, name: str, signature: bytes, content: bytes, how: How) -> Found:
        """Whether a signature is one of a key of the store."""
        key, versions = self.verifiers(call, name)
        check.check(key.algorithm, how.options, how.format, how.path)
        check.check_content(key.algorithm, how.options, content, "message")
        self._access.take(key)
        if self.denies_context(key, how.options):
            return Found(Failure.CONTEXT, key.algorithm, versions[0].name)
        read = wrapped.read(how.format, key.algorithm, signature, content)
        if isinstance(read, Found):
            return read
        if read.version.startswith(f"{key.name}/versions/"):
            versions = [version for version in versions if version.name == read.version]
            if not versions:
                return Found(Failure.VERSION, key.algorithm)
        found = [
            self.check_with(key.algorithm, version.public_key, read, how.options, version.name)
            for version in versions[:1]
        ]
        for version in versions[1:]:
            if found[-1].valid or found[-1].failure is not Failure.MISMATCH:
                break
            found.append(
                self.check_with(key.algorithm, version.public_key, read, how.options, version.name)
            )
        if not found[-1].valid:
            return found[0]  # of the newest version
        return found[-1]

    def verify_given(
        self, algorithm: Algorithm, public_key: bytes, signature: bytes, content: bytes, how: How
    ) -> Found:
        """Whether a signature is one of a public key, raw."""
        check.check(algorithm, how.options, how.format, how.path)
        check.check_content(algorithm, how.options, content, "message")
        read = wrapped.read(how.format, algorithm, signature, content)
        if isinstance(read, Found):
            return read
        return self.check_with(algorithm, public_key, read, how.options, "")

    def check_with(
        self,
        algorithm: Algorithm,
        public_key: bytes,
        read: wrapped.Read,
        options: Options,
        version: str,
    ) -> Found:
        """Whether a signature is one of this public key."""
        opened = self.verifying_key(algorithm, public_key, options)
        if wrong_length(algorithm, read.signature):
            return Found(Failure.LENGTH, algorithm, version, opened.provider_text)
        valid = opened.key.verify(read.signature, read.signed, options)
        self._count("verify", algorithm, opened.provider.name)
        return Found(None if valid else Failure.MISMATCH, algorithm, version, opened.provider_text)

    def verifying_key(
        self, algorithm: Algorithm, public_key: bytes, options: Options
    ) -> Opened[VerifyingKey]:
        """Raises FieldError for a key that is none."""
        try:
            opened = self._ring.public(algorithm, public_key, options)
        except KeyInvalid as error:
            raise FieldError(
                "public_key",
                expected=f"a public key of {algorithm.name}",
                given=public_key,
                hint=str(error),
            ) from error
        return cast(Opened[VerifyingKey], opened)

    @property
    def generation(self) -> int:
        return self._current.generation

    def known(self, asked: Asked, name: str) -> bytes | None:
        """The reply of the same request before, for who may use the key now; the version need not be usable any
        more, as nothing is signed."""
        try:
            known = self._log.known(asked)
        except KetgateError:
            self._check_may_sign(asked, name)  # who may not is told of no other request
            raise
        if known is not None:
            self._check_may_sign(asked, name)
        return known

    def _check_may_sign(self, asked: Asked, name: str) -> None:
        key_id, _ = read_key_or_version(name)
        self._current.refresh()
        self._access.find_key(asked.call.identity, key_id, KeyUse.SIGN, "key", name=name)

    def veiled(self, call: Call, error: KetgateError) -> KetgateError:
        """A refusal, without the name of a key that the caller may not know of."""

        def may_know(resource: str) -> bool:
            key_id = key_of(resource)
            return key_id is not None and self._access.may_know(call.identity, key_id)

        return veiled(error, may_know)

    def take(self, key: KeyRecord, uses: int, asked: Asked | None = None) -> None:
        """Count uses: of a request that is done anew, once."""
        self._access.take(key, uses, None if asked is None else asked.taken)

    def check_context(self, key: KeyRecord, options: Options, path: str) -> None:
        """Raises POLICY_DENIED. path: of what holds the context in the request."""
        if not self.denies_context(key, options):
            return
        if options.input is Input.MU:
            raise KetgateError(
                Reason.POLICY_DENIED,
                f"{path}.input: the policy of {key.name} allows {len(key.policy.contexts)} contexts, and which one "
                "a mu is of cannot be told; send the message, in pieces if it is large",
                field=f"{path}.input",
                metadata={"key": key.name, "rule": "contexts"},
            )
        self._access.check_context(key, options.context, f"{path}.context")

    def denies_context(self, key: KeyRecord, options: Options) -> bool:
        """Whether the key's policy does not allow the context, or there is no telling."""
        allowed = key.policy.contexts
        return bool(allowed) and (options.input is Input.MU or options.context not in allowed)

    def current(self, work: Callable[[], T]) -> T:
        """What work gives with keys as they are now. It is done again when they were changed amid it, also when
        what was read of them before made it fail."""
        for _ in range(STALE_TRIES):
            before = self._current.generation
            try:
                return work()
            except Stale:
                self._current.refresh()
            except KetgateError:
                if self._current.refresh() == before:
                    raise
        raise KetgateError(
            Reason.SERVER_BUSY, "keys are being changed all the time; try again", retry_after_s=1.0
        )

    def write_signed(
        self, asked: Asked, generation: int, signed: Signed, reply: bytes, **facts: str
    ) -> bytes:
        """Write down what was signed outside of sign(). Raises Stale."""
        facts |= {"content_sha256": signed.content_sha256.hex(), "provider": signed.provider}
        return self._log.write(Use(asked, generation, signed.version.name, reply, facts=facts))

    def sign_with(
        self, key: KeyRecord, version: VersionRecord, content: bytes, options: Options
    ) -> tuple[bytes, str]:
        """(raw signature, provider); the caller has checked everything, and writes it down."""
        opened = self._private(key, version, options)
        signature = opened.do(lambda k: k.sign(content, options))
        self._count("sign", key.algorithm, opened.provider.name)
        return signature, opened.provider_text

    def sign_all(
        self,
        key: KeyRecord,
        version: VersionRecord,
        contents: Sequence[bytes],
        options: Sequence[Options],
        most: Options,
        threads: int,
        stop: Stop,
    ) -> tuple[list[bytes], Opened[SigningKey]]:
        """Raw signatures in order, fewer when stop() says so, and what made them; the caller has checked everything,
        and writes it down. most: what any of the options asks for."""
        opened = self._private(key, version, most)
        made = opened.do(lambda k: k.sign_many(contents, options, threads, stop))
        return [signature for signature in made if signature is not None], opened

    def write(
        self, asked: Asked, generation: int, version: str, reply: bytes, facts: dict[str, str]
    ) -> bytes:
        """Write down a use. Raises Stale."""
        return self._log.write(Use(asked, generation, version, reply, facts=facts))

    def count(self, operation: str, algorithm: Algorithm, provider: str, number: int) -> None:
        self._count(operation, algorithm, provider, number)

    def _private(
        self, key: KeyRecord, version: VersionRecord, options: Options
    ) -> Opened[SigningKey]:
        return cast(Opened[SigningKey], self._ring.private(key, version, options))


def wrong_length(algorithm: Algorithm, signature: bytes) -> bool:
    """Whether no signature of the algorithm can have this length."""
    size = len(signature)
    if algorithm.output_bytes_fixed:
        # Of secp256k1 the recovery id may be left out.
        return size != algorithm.output_bytes_max and not (algorithm is SECP256K1 and size == 64)
    return not 0 < size <= algorithm.output_bytes_max
