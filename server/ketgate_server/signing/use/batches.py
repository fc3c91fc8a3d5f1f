"""Many signatures with one key, made or verified on all cores. What is wrong with one item is an answer for
that item; in columns, as what Python does for each item is done one after the other."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from ketgate_server.admission import Admission, Slot
from ketgate_server.errors import FieldError, KetgateError, LimitError, Reason
from ketgate_server.rpc.call import Call
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.keys.record import KeyRecord
from ketgate_server.signing.provider import Input, Options
from ketgate_server.signing.use import options as check
from ketgate_server.signing.use.signatures import How, Signatures, Signed, wrong_length
from ketgate_server.signing.use.uses import Asked
from ketgate_server.signing.use.verdicts import Failure, Found

QUICK_ITEMS_MAX = 256
"""Batches up to this take milliseconds, and do not wait behind larger ones."""

TIME_LIMIT_S = 600.0
"""Of one batch, its wait for a slot included: others wait for its processors meanwhile."""


@dataclass
class Columns:
    """The items of a batch."""

    contents: list[bytes]
    options: list[Options]
    signatures: list[bytes] = field(default_factory=list)
    """To verify."""
    refusals: dict[int, KetgateError] = field(default_factory=dict)
    """Of items that are wrong, by their places."""

    def alike(self) -> Options | None:
        """The options of all items, where they are the same object."""
        first = self.options[0]
        return first if all(one is first for one in self.options) else None


Result = Signed | KetgateError
SignAnswer = Callable[[list[Result]], bytes]


class Batches:
    """Threads share it."""

    def __init__(self, signatures: Signatures, slots: Admission, threads: int) -> None:
        """slots: how many run and wait. threads: for one batch."""
        self._signatures = signatures
        self._slots = slots
        self._threads = threads

    def sign(
        self, asked: Asked, name: str, columns: Columns, how: How, answer: SignAnswer
    ) -> bytes:
        """The reply, from answer(), which is given for each item its signature, or why there is none; or that of
        the same request before. Raises KetgateError."""
        known = self._signatures.known(asked, name)
        if known is not None:
            return known
        end_s = time.monotonic() + TIME_LIMIT_S
        slot = self._slot(asked.call, len(columns.contents), end_s)
        try:
            return self._signatures.current(
                lambda: self._sign(asked, name, columns, how, answer, end_s)
            )
        finally:
            slot.release()

    def _sign(
        self,
        asked: Asked,
        name: str,
        columns: Columns,
        how: How,
        answer: SignAnswer,
        end_s: float,
    ) -> bytes:
        generation = self._signatures.generation
        key, version = self._signatures.signer(asked.call, name, how)
        refusals = _wrong_items(key.algorithm, columns) | self._denied(key, columns)
        refusals |= columns.refusals
        doing = [i for i in range(len(columns.contents)) if i not in refusals]
        self._signatures.take(key, max(1, len(doing)), asked)
        contents = _at(columns.contents, doing)
        options = _at(columns.options, doing)
        made, signer = self._signatures.sign_all(
            key,
            version,
            contents,
            options,
            _most_demanding(options, how.options),
            self._threads,
            stop_of(asked.call, end_s),
        )
        if len(made) < len(contents):
            raise unfinished(asked.call)
        digests = [hashlib.sha256(content).digest() for content in contents]
        text = signer.provider_text
        results: list[Result] = [
            Signed(signature, digest, version, text)
            for signature, digest in zip(made, digests, strict=True)
        ]
        for i in sorted(refusals):
            results.insert(i, refusals[i])
        facts = {
            "items": str(len(columns.contents)),
            "signed": str(len(doing)),
            "content_sha256s_sha256": hashlib.sha256(b"".join(digests)).hexdigest(),
            "provider": text,
        }
        reply = self._signatures.write(asked, generation, version.name, answer(results), facts)
        self._signatures.count("sign", key.algorithm, signer.provider.name, len(doing))
        return reply

    def verify(
        self,
        call: Call,
        algorithm: Algorithm,
        keys: Sequence[tuple[str, bytes]],
        columns: Columns,
        options: Options,
        key: KeyRecord | None = None,
    ) -> list[Found | KetgateError]:
        """Whether each item's signature is one of these keys: (name of the version or "", public key, raw), the
        newest first. key: of the store, whose policy may not allow a context."""
        end_s = time.monotonic() + TIME_LIMIT_S
        slot = self._slot(call, len(columns.contents), end_s)
        try:
            return self._verify(call, algorithm, keys, columns, options, key, end_s)
        finally:
            slot.release()

    def _verify(
        self,
        call: Call,
        algorithm: Algorithm,
        keys: Sequence[tuple[str, bytes]],
        columns: Columns,
        options: Options,
        key: KeyRecord | None,
        end_s: float,
    ) -> list[Found | KetgateError]:
        newest = keys[0][0]
        known: dict[int, Found | KetgateError] = {**_wrong_items(algorithm, columns)}
        if key is not None:
            denied = Found(Failure.CONTEXT, algorithm, newest)
            known |= dict.fromkeys(self._denied(key, columns), denied)
        known |= columns.refusals
        if {len(one) for one in columns.signatures} != {algorithm.output_bytes_max}:
            short = Found(Failure.LENGTH, algorithm, newest)
            for i, signature in enumerate(columns.signatures):
                if i not in known and wrong_length(algorithm, signature):
                    known[i] = short
        results: list[Found | KetgateError | None] = [
            known.get(i) for i in range(len(columns.contents))
        ]
        left = [i for i, result in enumerate(results) if result is None]
        for name, public_key in keys:
            if not left:
                break
            ways = _at(columns.options, left)
            opened = self._signatures.verifying_key(
                algorithm, public_key, _most_demanding(ways, options)
            )
            valid = opened.key.verify_many(
                _at(columns.signatures, left),
                _at(columns.contents, left),
                ways,
                self._threads,
                stop_of(call, end_s),
            )
            if None in valid:
                raise unfinished(call)
            self._signatures.count("verify", algorithm, opened.provider.name, len(left))
            right = Found(None, algorithm, name, opened.provider_text)
            wrong = Found(Failure.MISMATCH, algorithm, name, opened.provider_text)
            for i, holds in zip(left, valid, strict=True):
                if holds or results[i] is None:
                    results[i] = right if holds else wrong
            left = [i for i, holds in zip(left, valid, strict=True) if not holds]
        return [result for result in results if result is not None]

    def _denied(self, key: KeyRecord, columns: Columns) -> dict[int, KetgateError]:
        """Items with contexts that the key's policy does not allow."""
        denied: dict[int, KetgateError] = {}
        if not key.policy.contexts:
            return denied
        for i, options in enumerate(columns.options):
            try:
                self._signatures.check_context(key, options, f"items[{i}]")
            except KetgateError as error:
                denied[i] = error
        return denied

    def _slot(self, call: Call, items: int, end_s: float) -> Slot:
        until_s = min(time.monotonic() + call.remaining_s(), end_s)
        return self._slots.enter(until_s, lambda: call.cancelled, quick=items <= QUICK_ITEMS_MAX)


def stop_of(call: Call, end_s: float) -> Callable[[], bool]:
    """Whether to leave the rest undone. end_s: of time.monotonic()."""
    return lambda: call.cancelled or time.monotonic() > end_s


def unfinished(call: Call) -> KetgateError:
    """The refusal of a batch that was left undone."""
    if call.cancelled:
        return KetgateError(Reason.CANCELLED, "cancelled before all items were done")
    return KetgateError(
        Reason.DEADLINE_EXCEEDED,
        f"the items take more than {TIME_LIMIT_S:.0f} s together; send fewer at once, or name the version",
    )


def check_batch_size(count: int, items_max: int) -> None:
    if count == 0:
        raise FieldError("items", expected="at least one item", given="none")
    if count > items_max:
        raise LimitError("signing.batch_items_max", allowed=items_max, given=count, field="items")


def _at(column: list, places: list[int]) -> list:  # type: ignore[type-arg]
    return column if len(places) == len(column) else [column[i] for i in places]


def _wrong_items(algorithm: Algorithm, columns: Columns) -> dict[int, KetgateError]:
    """Items whose content or context the algorithm cannot take."""
    wrong: dict[int, KetgateError] = {}
    same = columns.alike()
    if same is not None and same.input is Input.MESSAGE and not same.context:
        return wrong
    for i, (content, options) in enumerate(zip(columns.contents, columns.options, strict=True)):
        if i in columns.refusals:
            continue
        try:
            if options.context:
                check.check_item_context(algorithm, options, f"items[{i}].context")
            check.check_content(algorithm, options, content, f"items[{i}].message")
        except KetgateError as error:
            wrong[i] = error
    return wrong


def _most_demanding(ways: Sequence[Options], options: Options) -> Options:
    """Options that ask for all that any of the items does: one provider does them all."""
    context = next((one.context for one in ways if one.context), b"")
    return Options(options.input, context, options.prehash, options.deterministic)
