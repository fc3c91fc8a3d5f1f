"""The one thread that writes. It takes all that waits, runs it in one transaction, makes that
durable with one sync to disk, and wakes who waited."""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from ketgate_server.store.base import StoreUnavailable
from ketgate_server.store.batch import Pending, run_batch
from ketgate_server.store.transaction import WriteTransaction

QUEUE_MAX = 4096
"""Operations that wait; a caller beyond waits for room."""

BATCH_MAX = 1024
"""Operations of one transaction."""

ROOM_TIMEOUT_S = 5.0
"""How long a caller waits for room."""

_log = logging.getLogger(__name__)


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
                ends = not batch and self._closed
                sleeps = not batch and not ends
                # From here on a caller may take the flag back and ring the bell.
                self._asleep = sleeps
            if ends:
                break
            if sleeps:
                self._bell.acquire()
            else:
                self._run(batch)
        self._transaction.close()

    def _run(self, batch: list[Pending]) -> None:
        started_s = time.monotonic()
        run_batch(self._transaction, batch)
        if self.observe is not None:
            try:
                self.observe(len(batch), time.monotonic() - started_s)
            except Exception:  # the writer must not end because of whoever looks on
                _log.exception("an observer of the store failed")
