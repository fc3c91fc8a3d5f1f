"""Operations that wait, run together.

A batch that fails as a whole is taken apart: an operation that failed after it wrote is repeated
alone, the others again together. So an error reaches its own caller only.

Those who waited wake each other, in a chain: were all woken at once, they would fight for the
interpreter's lock (measured with 64 callers: 4.2 switches of context an operation against 2.3, and
a third of the longest waits).
"""

import copy
import logging
import os
import threading
from collections.abc import Callable, Sequence
from typing import Any

from ketgate_server.store.base import StoreFull, StoreUnavailable
from ketgate_server.store.transaction import WriteTransaction

_log = logging.getLogger(__name__)


class Pending:
    """An operation, and the thread that waits for it, or the function that is told."""

    __slots__ = (
        "batched",
        "behind",
        "error",
        "gate",
        "in_chain",
        "item",
        "operation",
        "result",
        "then",
    )

    def __init__(self, gate: Any, then: "Callable[[Pending], None] | None" = None) -> None:
        self.gate = gate
        """A lock, held until there is an outcome; None if no thread waits."""
        self.then = then
        self.in_chain = _wakes_others()
        """Whether it wakes another."""
        self.behind: Pending | None = None
        """Whom it wakes."""
        self.operation: Callable[..., Any] | None = None
        self.item: Any = None
        self.batched = False
        self.result: Any = None
        self.error: BaseException | None = None

    def outcome(self) -> Any:
        """To be asked once. Raises the operation's error."""
        result, error = self.result, self.error
        self.result = self.error = self.operation = self.item = None
        if error is None:
            return result
        try:
            raise error
        finally:
            del error  # or the traceback and this frame would keep each other


def _wakes_others() -> bool:
    """Not the main thread, as a signal may end its wait; and not a thread that yields to others, as
    on a busy machine all behind it would wait with it."""
    if threading.current_thread() is threading.main_thread():
        return False
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    return own <= os.getpriority(os.PRIO_PROCESS, os.getpid())


def run_batch(transaction: WriteTransaction, batch: Sequence[Pending]) -> list[Pending]:
    """Run operations, together as far as they let each other. All have ended when it returns, and
    the threads that wait are awake; returns those of whose end a function is to be told."""
    told: list[Pending] = []
    parts = [batch]
    while parts:
        part = parts.pop()
        try:
            again = _commit_together(transaction, part)
        except BaseException as error:  # a fault of the store; nobody must wait for ever
            transaction.rollback()
            again = _fail(part, error)
        if again:
            parts += again
            continue
        for callback in transaction.callbacks:
            try:
                callback()
            except Exception:
                _log.exception("a callback of a commit failed")
        told += _wake(part)
    return told


def _wake(part: Sequence[Pending]) -> list[Pending]:
    first: Pending | None = None
    for pending in reversed(part):
        if pending.then is not None:
            continue
        if pending.gate is None:
            if pending.error is not None:
                _log.error("an operation that nobody waits for failed", exc_info=pending.error)
        elif pending.in_chain:
            pending.behind, first = first, pending
        else:
            pending.gate.release()
    if first is not None:
        first.gate.release()
    return [pending for pending in part if pending.then is not None]


def _commit_together(transaction: WriteTransaction, part: Sequence[Pending]) -> list[list[Pending]]:
    """Give each its result or its error, or nothing to any: then what to try instead."""
    try:
        transaction.begin()
    except Exception as error:
        cause = _cause(transaction, error)
        transaction.rollback()
        return _fail(part, cause or error)
    for group in _groups(part):
        writes, callbacks = transaction.writes, len(transaction.callbacks)
        try:
            _run_group(transaction, group)
            if not transaction.intact:
                raise RuntimeError("an operation caught an error of the database and went on")
        except Exception as error:
            cause = _cause(transaction, error)
            if (
                cause is not None
                or transaction.writes != writes
                or len(group) > 1
                or not transaction.intact
            ):
                transaction.rollback()
                return _apart(part, group, error, cause)
            group[0].error = error  # alone, and it changed nothing
            while len(transaction.callbacks) > callbacks:
                transaction.callbacks.popitem()
    try:
        transaction.commit()
    except Exception as error:
        cause = _cause(transaction, error, committing=True)
        transaction.rollback()
        if len(part) == 1 or (cause is not None and not isinstance(cause, StoreFull)):
            return _fail(part, cause or error)
        return [list(part[: len(part) // 2]), list(part[len(part) // 2 :])]
    return []


def _groups(part: Sequence[Pending]) -> list[list[Pending]]:
    """What is run at once: an operation, or all items of one batch operation."""
    groups: list[list[Pending]] = []
    batches: dict[Callable[..., Any] | None, list[Pending]] = {}
    for pending in part:
        if not pending.batched:
            groups.append([pending])
        elif pending.operation in batches:
            batches[pending.operation].append(pending)
        else:
            batches[pending.operation] = [pending]
            groups.append(batches[pending.operation])
    return groups


def _run_group(transaction: WriteTransaction, group: list[Pending]) -> None:
    operation = group[0].operation
    assert operation is not None
    if not group[0].batched:
        group[0].error, group[0].result = None, operation(transaction)
        return
    results = operation(transaction, [pending.item for pending in group])
    if len(results) != len(group):
        raise RuntimeError(f"{operation} returned {len(results)} results for {len(group)} items")
    for pending, result in zip(group, results, strict=True):
        if isinstance(result, Exception):
            pending.error, pending.result = result, None
        else:
            pending.error, pending.result = None, result


def _apart(
    part: Sequence[Pending],
    group: list[Pending],
    error: Exception,
    cause: StoreUnavailable | None,
) -> list[list[Pending]]:
    """What to try instead of a part, one group of which failed."""
    if len(part) == 1 or (cause is not None and not isinstance(cause, StoreFull)):
        return _fail(part, cause or error)
    failed = {id(pending) for pending in group}
    rest = [pending for pending in part if id(pending) not in failed]
    half = len(group) // 2
    return [some for some in (group[:half], group[half:], rest) if some]


def _cause(
    transaction: WriteTransaction, error: Exception, *, committing: bool = False
) -> StoreUnavailable | None:
    if isinstance(error, StoreUnavailable):
        return error
    return transaction.unavailable(error, committing=committing)


def _fail(part: Sequence[Pending], error: BaseException) -> list[list[Pending]]:
    for number, pending in enumerate(part):
        # Each its own: threads that raise one exception would write into each other's traceback.
        pending.result, pending.error = None, copy.copy(error) if number else error
    return []
