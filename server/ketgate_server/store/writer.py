"""The one thread that writes. It takes all that waits, runs it in one transaction, makes that
durable with one sync to disk, and wakes who waited.

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
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from ketgate_server.store.base import StoreFull, StoreUnavailable
from ketgate_server.store.transaction import WriteTransaction

QUEUE_MAX = 4096
"""Operations that wait; a caller beyond waits for room."""

BATCH_MAX = 1024
"""Operations of one transaction."""

ROOM_TIMEOUT_S = 5.0
"""How long a caller waits for room."""

_log = logging.getLogger(__name__)


class Pending:
    """An operation, and the thread that waits for it."""

    __slots__ = ("batched", "behind", "error", "gate", "in_chain", "item", "operation", "result")

    def __init__(self, gate: Any) -> None:
        self.gate = gate
        """A lock, held until there is an outcome; None if nobody waits."""
        self.in_chain = _wakes_others()
        """Whether it wakes another."""
        self.behind: Pending | None = None
        """Whom it wakes."""
        self.operation: Callable[..., Any] | None = None
        self.item: Any = None
        self.batched = False
        self.result: Any = None
        self.error: BaseException | None = None


def _wakes_others() -> bool:
    """Not the main thread, as a signal may end its wait; and not a thread that yields to others, as
    on a busy machine all behind it would wait with it."""
    if threading.current_thread() is threading.main_thread():
        return False
    own = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    return own <= os.getpriority(os.PRIO_PROCESS, os.getpid())


class _Waiter(threading.local):
    """A thread's own Pending, used again for each of its operations."""

    pending: Pending | None = None


class Writer:
    """Runs operations for any number of threads."""

    def __init__(self, transaction: WriteTransaction, name: str) -> None:
        self._transaction = transaction
        self._queue: deque[Pending] = deque()
        self._waiter = _Waiter()
        self._guard = threading.Lock()
        self._room = threading.Condition(self._guard)
        self._bell = threading.Lock()
        self._bell.acquire()
        self._asleep = False
        self._closed = False
        self.observe: Callable[[int, float], None] | None = None
        """Told of every batch: its operations, and the seconds until they were durable."""
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    @property
    def has_room(self) -> bool:
        return len(self._queue) < QUEUE_MAX // 2

    def run(self, operation: Callable[..., Any], item: Any, *, batched: bool) -> Any:
        """Run an operation with the others that wait; its result, once it is durable."""
        waiter = self._waiter
        pending = waiter.pending
        if pending is None:
            if threading.current_thread() is self._thread:
                raise RuntimeError("an operation or a callback must not wait for another operation")
            pending = Pending(threading.Lock())
            pending.gate.acquire()
        waiter.pending = None  # not to be used again if the wait is interrupted
        pending.operation, pending.item, pending.batched = operation, item, batched
        self._put(pending, ROOM_TIMEOUT_S)
        pending.gate.acquire()
        behind = pending.behind
        if behind is not None:
            behind.gate.release()
            pending.behind = None
        result, error = pending.result, pending.error
        pending.result = pending.error = pending.operation = pending.item = None
        waiter.pending = pending
        if error is None:
            return result
        try:
            raise error
        finally:
            del error  # or the traceback and this frame would keep each other

    def submit(self, operation: Callable[..., Any]) -> None:
        """Run an operation soon. Raises StoreUnavailable, at once, where the queue is full."""
        pending = Pending(None)
        pending.operation = operation
        self._put(pending, 0.0)

    def close(self) -> None:
        """Do what waits, then end. Operations from now on are refused."""
        with self._guard:
            self._closed = True
            self._room.notify_all()
            self._wake()
        self._thread.join()

    def _put(self, pending: Pending, timeout_s: float) -> None:
        with self._guard:
            if self._closed or len(self._queue) >= QUEUE_MAX:
                self._wait_for_room(timeout_s)
            self._queue.append(pending)
            self._wake()

    def _wait_for_room(self, timeout_s: float) -> None:
        end_s = time.monotonic() + timeout_s
        while not self._closed and len(self._queue) >= QUEUE_MAX:
            left_s = end_s - time.monotonic()
            if left_s <= 0:
                raise StoreUnavailable(
                    f"{len(self._queue)} operations wait for the store already, and there was no "
                    f"room within {timeout_s:g} s; the disk or the database may be slow"
                )
            self._room.wait(left_s)
        if self._closed:
            raise StoreUnavailable("the store is closed: the server is stopping")

    def _wake(self) -> None:
        if self._asleep:
            self._asleep = False
            self._bell.release()

    def _work(self) -> None:
        queue = self._queue
        while True:
            with self._guard:
                full = len(queue) >= QUEUE_MAX
                batch = [queue.popleft() for _ in range(min(len(queue), BATCH_MAX))]
                if full:
                    self._room.notify_all()
                self._asleep = not batch and not self._closed
            if batch:
                started_s = time.monotonic()
                run_batch(self._transaction, batch)
                if self.observe is not None:
                    self.observe(len(batch), time.monotonic() - started_s)
            elif self._asleep:
                self._bell.acquire()
            else:
                break
        self._transaction.close()


def run_batch(transaction: WriteTransaction, batch: Sequence[Pending]) -> None:
    """Run operations, together as far as they let each other. All have ended when it returns."""
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
        _wake(part)


def _wake(part: Sequence[Pending]) -> None:
    first: Pending | None = None
    for pending in reversed(part):
        if pending.gate is None:
            if pending.error is not None:
                _log.error("an operation that nobody waits for failed", exc_info=pending.error)
        elif pending.in_chain:
            pending.behind, first = first, pending
        else:
            pending.gate.release()
    if first is not None:
        first.gate.release()


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
