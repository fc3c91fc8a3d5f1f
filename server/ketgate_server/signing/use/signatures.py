"""Signing and verifying with keys of the store: who may, how, on which cores, and what is written down."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeVar, cast

from ketgate_server.admission import Admission
from ketgate_server.errors import FieldError, KetgateError, LimitError, Reason
from ketgate_server.rpc.call import Call
from ketgate_server.signing.algorithms import SECP256K1, Algorithm, Purpose
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.names import read_key_or_version
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.record import Use as KeyUse
from ketgate_server.signing.metrics import SigningMetrics
from ketgate_server.signing.provider import (
    Input,
    KeyInvalid,
    OperationFailed,
    Options,
    SigningKey,
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
QUICK_ITEMS_MAX = 256
"""Batches up to this take milliseconds, and do not wait behind larger ones."""

BATCH_TIME_LIMIT_S = 3_600.0
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
class Item:
    """One message of a batch, and its options; or why it is refused."""

    content: bytes
    options: Options
    refusal: KetgateError | None = None
    signature: bytes = b""
    """To verify."""


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
        *,
        batches: Admission,
        threads: int,
        metrics: SigningMetrics | None = None,
    ) -> None:
        """batches: how many run and wait. threads: for one batch."""
        self._count = (metrics or SigningMetrics()).count
        self._access = access
        self._current = current
        self._ring = ring
        self._log = log
        self._batches = batches
        self._threads = threads

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
        self._access.check_context(key, how.options.context, f"{how.path}.context")
        self._access.take(key)
        opened = self._ring.private(key, version, how.options)
        wrapping = wrapped.of(how.format, key.algorithm, version, content)
        raw = self._done(opened, lambda k: k.sign(wrapping.to_sign, how.options))
        digest = hashlib.sha256(content).digest()
        signed = Signed(wrapping.finish(raw), digest, version, opened.provider_text, how.format)
        facts = {"content_sha256": digest.hex(), "provider": opened.provider_text}
        use = Use(asked, generation, version.name, answer(signed), facts=facts)
        reply = self._log.write(use)
        self._count("sign", key.algorithm, opened.provider.name)
        return reply

    def sign_many(
        self,
        asked: Asked,
        name: str,
        items: Sequence[Item],
        how: How,
        answer: Callable[[list[Signed | KetgateError]], bytes],
    ) -> bytes:
        """As sign, for a batch: for each item its signature, or why there is none."""
        known = self.known(asked, name)
        if known is not None:
            return known
        with_slot = self.slot(asked.call, len(items))
        try:
            return self.current(lambda: self._sign_many(asked, name, items, how, answer))
        finally:
            with_slot.release()

    def _sign_many(
        self,
        asked: Asked,
        name: str,
        items: Sequence[Item],
        how: How,
        answer: Callable[[list[Signed | KetgateError]], bytes],
    ) -> bytes:
        generation = self._current.generation
        key, version = self.signer(asked.call, name, how)
        checked = [self._checked(key, item, f"items[{i}]") for i, item in enumerate(items)]
        doing = [i for i, refusal in enumerate(checked) if refusal is None]
        self._access.take(key, max(1, len(doing)))
        opened = self._ring.private(key, version, _most_demanding(items, doing, how.options))
        text = opened.provider_text
        contents = [items[i].content for i in doing]
        signatures = self._done(
            opened,
            lambda k: k.sign_many(
                contents,
                [items[i].options for i in doing],
                self._threads,
                lambda: asked.call.cancelled,
            ),
        )
        results: list[Signed | KetgateError | None] = list(checked)
        of_all = hashlib.sha256()
        for i, content, signature in zip(doing, contents, signatures, strict=True):
            if signature is None:
                raise KetgateError(Reason.CANCELLED, "cancelled before all items were signed")
            digest = hashlib.sha256(content).digest()
            of_all.update(digest)
            results[i] = Signed(signature, digest, version, text)
        facts = {
            "items": str(len(items)),
            "signed": str(len(doing)),
            "content_sha256s_sha256": of_all.hexdigest(),
            "provider": text,
        }
        reply = answer([result for result in results if result is not None])
        reply = self._log.write(Use(asked, generation, version.name, reply, facts=facts))
        self._count("sign", key.algorithm, opened.provider.name, len(doing))
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
        if _context_denied(key, how.options.context):
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

    def verify_many(
        self,
        call: Call,
        algorithm: Algorithm,
        keys: Sequence[tuple[str, bytes]],
        items: Sequence[Item],
        options: Options,
    ) -> list[Found | KetgateError]:
        """Whether each item's signature is one of these keys: (name of the version or "", public key, raw), the
        newest first."""
        with_slot = self.slot(call, len(items))
        try:
            return self._verify_many(call, algorithm, keys, items, options)
        finally:
            with_slot.release()

    def _verify_many(
        self,
        call: Call,
        algorithm: Algorithm,
        keys: Sequence[tuple[str, bytes]],
        items: Sequence[Item],
        options: Options,
    ) -> list[Found | KetgateError]:
        results: list[Found | KetgateError | None] = []
        for i, item in enumerate(items):
            refusal = item.refusal or _wrong_item(algorithm, item, f"items[{i}]")
            short = refusal is None and wrong_length(algorithm, item.signature)
            results.append(Found(Failure.LENGTH, algorithm, keys[0][0]) if short else refusal)
        left = [i for i, result in enumerate(results) if result is None]
        for name, public_key in keys:
            if not left:
                break
            opened = self.verifying_key(
                algorithm, public_key, _most_demanding(items, left, options)
            )
            valid = opened.key.verify_many(
                [items[i].signature for i in left],
                [items[i].content for i in left],
                [items[i].options for i in left],
                self._threads,
                lambda: call.cancelled,
            )
            if any(one is None for one in valid):
                raise KetgateError(Reason.CANCELLED, "cancelled before all items were verified")
            self._count("verify", algorithm, opened.provider.name, len(left))
            right = Found(None, algorithm, name, opened.provider_text)
            wrong = Found(Failure.MISMATCH, algorithm, name, opened.provider_text)
            for i, holds in zip(left, valid, strict=True):
                if holds or results[i] is None:
                    results[i] = right if holds else wrong
            left = [i for i, holds in zip(left, valid, strict=True) if not holds]
        return [result for result in results if result is not None]

    @property
    def generation(self) -> int:
        return self._current.generation

    def known(self, asked: Asked, name: str) -> bytes | None:
        """The reply of the same request before, for who may use the key now; the version need not be usable any
        more, as nothing is signed."""
        known = self._log.known(asked)
        if known is not None:
            key_id, _ = read_key_or_version(name)
            self._current.refresh()
            self._access.find_key(asked.call.identity, key_id, KeyUse.SIGN, "key", name=name)
        return known

    def take(self, key: KeyRecord, uses: int) -> None:
        self._access.take(key, uses)

    def check_context(self, key: KeyRecord, context: bytes, field: str) -> None:
        self._access.check_context(key, context, field)

    def denies_context(self, key: KeyRecord, context: bytes) -> bool:
        return _context_denied(key, context)

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
        opened = self._ring.private(key, version, options)
        signature = self._done(opened, lambda k: k.sign(content, options))
        self._count("sign", key.algorithm, opened.provider.name)
        return signature, opened.provider_text

    def slot(self, call: Call, items: int):  # type: ignore[no-untyped-def]
        """A slot for a batch, when one is free."""
        limit_s = min(call.remaining_s(), BATCH_TIME_LIMIT_S)
        return self._batches.enter(
            time.monotonic() + limit_s, lambda: call.cancelled, quick=items <= QUICK_ITEMS_MAX
        )

    def _checked(self, key: KeyRecord, item: Item, path: str) -> KetgateError | None:
        if item.refusal is not None:
            return item.refusal
        if _context_denied(key, item.options.context):
            try:
                self._access.check_context(key, item.options.context, f"{path}.context")
            except KetgateError as error:
                return error
        return _wrong_item(key.algorithm, item, path)

    def _done(self, opened: Opened, work: Callable[[SigningKey], T]) -> T:  # type: ignore[type-arg]
        try:
            return work(opened.key)
        except OperationFailed as error:
            raise KetgateError(
                Reason.PROVIDER_FAILED, f"{opened.provider_text} failed: {error}", retry_after_s=1.0
            ) from error


def check_batch_size(count: int, items_max: int) -> None:
    if count == 0:
        raise FieldError("items", expected="at least one item", given="none")
    if count > items_max:
        raise LimitError("signing.batch_items_max", allowed=items_max, given=count, field="items")


def wrong_length(algorithm: Algorithm, signature: bytes) -> bool:
    """Whether no signature of the algorithm can have this length."""
    size = len(signature)
    if algorithm.output_bytes_fixed:
        # Of secp256k1 the recovery id may be left out.
        return size != algorithm.output_bytes_max and not (algorithm is SECP256K1 and size == 64)
    return not 0 < size <= algorithm.output_bytes_max


def _context_denied(key: KeyRecord, context: bytes) -> bool:
    return bool(key.policy.contexts) and context not in key.policy.contexts


def _wrong_item(algorithm: Algorithm, item: Item, path: str) -> KetgateError | None:
    if item.options.input is Input.MESSAGE and not item.options.context:
        return None
    try:
        if item.options.context:
            check.check_context_size(algorithm, item.options.context, f"{path}.context")
        check.check_content(algorithm, item.options, item.content, f"{path}.message")
    except KetgateError as error:
        return error
    return None


def _most_demanding(items: Sequence[Item], doing: Sequence[int], options: Options) -> Options:
    """Options that ask for all that any of the items does: one provider does them all."""
    context = next((items[i].options.context for i in doing if items[i].options.context), b"")
    return Options(options.input, context, options.prehash, options.deterministic)
