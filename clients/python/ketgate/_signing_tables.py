"""Batches out of lists and DataFrames, in pieces that a server takes, and the results in the same shape."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace
from typing import Any, Generic, TypeVar

from ketgate._errors import InvalidArgument, LimitExceeded, RateExceeded
from ketgate._signing_arguments import content_bytes
from ketgate._signing_types import ItemError, Signature, Verdict

T = TypeVar("T")
R = TypeVar("R")

ITEMS_MAX = 1_000
_ITEM = re.compile(r"items\[(\d+)\]")
BYTES_MAX = 8 << 20
"""Of one call; a server takes more, and others wait meanwhile."""


class Pieces(Generic[T, R]):
    """Items, call by call, and what came of them."""

    def __init__(self, items: Sequence[T], sizes: Sequence[int]) -> None:
        self._items = items
        self._sizes = sizes
        self._items_max = ITEMS_MAX
        self.results: list[R] = []

    def __iter__(self) -> Iterator[Sequence[T]]:
        """The next ones without results, until there are none."""
        while len(self.results) < len(self._items):
            yield self._items[len(self.results) : self._end()]

    def add(self, found: Sequence[R]) -> None:
        """What came of the piece; items that were refused are named by their place in the whole."""
        begin = len(self.results)
        self.results += [
            replace(
                one, message=_ITEM.sub(lambda at: f"items[{begin + int(at[1])}]", one.message, 1)
            )
            if isinstance(one, ItemError)
            else one
            for one in found
        ]

    def _end(self) -> int:
        begin = end = len(self.results)
        size = 0
        while end < min(len(self._items), begin + self._items_max):
            size += self._sizes[end]
            if end > begin and size > BYTES_MAX:
                break
            end += 1
        return end

    def after(self, error: LimitExceeded | RateExceeded) -> None:
        """Make smaller pieces, where this one was too large for the server or for the key's policy; raises the
        error where that is not why."""
        count = self._end() - len(self.results)
        if isinstance(error, RateExceeded):
            most = error.burst if error.retry_after_s is None else count
        else:
            most = count // 2 if error.limit == "signing.batch_items_max" else count
        if not 0 < most < count:
            raise error
        self._items_max = most


class SignTable:
    """What is to be signed: a sequence of messages, or a DataFrame with a column "message" and, if it likes,
    "context"."""

    def __init__(self, messages: Any) -> None:
        self._frame = messages if _is_frame(messages) else None
        contents = _column(messages, "message")
        contexts = _column(messages, "context", optional=True) or [None] * len(contents)
        self.items = [
            (
                content_bytes(message, f"messages[{i}]"),
                None if _is_missing(context) else content_bytes(context, f"context[{i}]"),
            )
            for i, (message, context) in enumerate(zip(contents, contexts, strict=True))
        ]
        self.pieces: Pieces[tuple[bytes, bytes | None], Signature | ItemError] = Pieces(
            self.items, [len(message) for message, _ in self.items]
        )

    def result(self) -> Any:
        found = self.pieces.results
        if self._frame is None:
            return found
        return self._frame.assign(
            signature=[one.signature if isinstance(one, Signature) else None for one in found],
            key_version=[one.key_version if isinstance(one, Signature) else "" for one in found],
            error=[one.message if isinstance(one, ItemError) else "" for one in found],
        )


class VerifyTable:
    """What is to be verified: signatures and messages in order, or a DataFrame with columns "message", "signature"
    and, if it likes, "context"."""

    def __init__(self, signatures: Any, messages: Any) -> None:
        self._frame = signatures if _is_frame(signatures) else None
        if self._frame is not None and messages is not None:
            raise InvalidArgument(
                "messages: expected none beside a DataFrame, whose column it is", field="messages"
            )
        if self._frame is None and messages is None:
            raise InvalidArgument("messages: expected one for each signature", field="messages")
        contents = _column(messages if self._frame is None else self._frame, "message")
        given = _column(signatures, "signature")
        contexts = _column(signatures, "context", optional=True) or [None] * len(given)
        if len(given) != len(contents):
            raise InvalidArgument(
                f"messages: expected {len(given)}, one for each signature, given {len(contents)}",
                field="messages",
            )
        self.items = [
            (
                _signature_bytes(signature, i),
                content_bytes(message, f"messages[{i}]"),
                None if _is_missing(context) else content_bytes(context, f"context[{i}]"),
            )
            for i, (signature, message, context) in enumerate(
                zip(given, contents, contexts, strict=True)
            )
        ]
        self.pieces: Pieces[tuple[bytes, bytes, bytes | None], Verdict | ItemError] = Pieces(
            self.items, [len(signature) + len(message) for signature, message, _ in self.items]
        )

    def result(self) -> Any:
        found = self.pieces.results
        if self._frame is None:
            return found
        return self._frame.assign(
            valid=[bool(one) for one in found],
            failure=[one.failure if isinstance(one, Verdict) else one.message for one in found],
        )


def _is_frame(given: Any) -> bool:
    return hasattr(given, "columns") and hasattr(given, "assign")


def _column(given: Any, name: str, *, optional: bool = False) -> list[Any]:
    """Of a DataFrame the column, of anything else its items; a column that may be missing is then empty."""
    if not _is_frame(given):
        if optional:
            return []
        is_one = isinstance(given, (str, bytes, bytearray, memoryview))
        if is_one or isinstance(given, (Mapping, Set)) or not isinstance(given, Iterable):
            raise InvalidArgument(
                f"{name}s: expected a list, an array or a DataFrame, "
                f"given {f'one {name}' if is_one else type(given).__name__}",
                field=f"{name}s",
            )
        return list(given)
    if name in given.columns:
        return list(given[name])
    if optional:
        return []
    raise InvalidArgument(
        f"messages: expected a DataFrame with a column {name!r}, given the columns "
        f"{', '.join(map(str, given.columns))}"[:300],
        field="messages",
    )


def _signature_bytes(given: Any, i: int) -> bytes:
    """Nothing where there is no signature, as for an item that could not be signed: it does not hold."""
    if _is_missing(given) or isinstance(given, ItemError):
        return b""
    return content_bytes(given, f"signatures[{i}]")


def _is_missing(value: Any) -> bool:
    """None, or what a DataFrame has for it."""
    if value is None or (isinstance(value, float) and value != value):
        return True
    pandas = sys.modules.get("pandas")  # whoever gives one has imported it
    return pandas is not None and value is pandas.NA
