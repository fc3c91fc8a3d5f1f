"""Who writes, one thread at a time. It takes all that waits, runs it in one transaction, makes that
durable with one sync to disk, and wakes who waited.

A caller who finds nobody writing does so itself, with its own operation: two changes of thread less,
which are most of what a small operation takes. What came meanwhile is the writer's own thread's, so
that no caller works for others without end.
"""

import logging
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
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


class _Own(threading.local):
    """What a thread has of its own."""

    pending: Pending | None = None
    """Used again for each operation that it waits for."""
    telling = False
    """Whether it tells of ends: what is begun from there is left to others, or it would never come
    to the end of this."""


class Writer:
    """Runs operations for any number of threads."""

    def __init__(self, transaction: WriteTransaction, name: str) -> None:
        self._transaction = transaction
        self._queue: deque[Pending] = deque()
        self._own = _Own()
        self._guard = threading.Lock()
        self._room = threading.Condition(self._guard)
        self._bell = threading.Lock()
        self._bell.acquire()
        self._busy = False
        """Somebody writes, or the writer's thread was called to."""
        self._writing: int | None = None
        """The thread that does."""
        self._closed = False
        self.observe: Callable[[int, float], None] | None = None
        """Told of every batch: its operations, and the seconds until they were durable."""
        self._told: SimpleQueue[list[Pending] | None] = SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()
        self._teller = threading.Thread(target=self._tell_all, name=f"{name}-teller", daemon=True)
        self._teller.start()

    @property
    def has_room(self) -> bool:
        return len(self._queue) < QUEUE_MAX // 2

    def run(self, operation: Callable[..., Any], item: Any, *, batched: bool) -> Any:
        """Run an operation with the others that wait; its result, once it is durable."""
        if self._writing == threading.get_ident():
            raise RuntimeError("an operation or a callback must not wait for another operation")
        own = self._own
        pending = own.pending
        if pending is None:
            pending = Pending(threading.Lock())
            pending.gate.acquire()
        own.pending = None  # not to be used again if the wait is interrupted
        pending.operation, pending.item, pending.batched = operation, item, batched
        if pending.in_chain and self._claim():
            self._run_own(pending)
        else:
            self._put(pending, ROOM_TIMEOUT_S)
        pending.gate.acquire()
        behind = pending.behind
        if behind is not None:
            behind.gate.release()
            pending.behind = None
        own.pending = pending
        return pending.outcome()

    def begin(
        self,
        operation: Callable[..., Any],
        item: Any,
        then: Callable[[Pending], None],
        *,
        batched: bool,
    ) -> None:
        """As run, without waiting: then is told, on this thread or another. It may not take long,
        as others are told after it."""
        pending = Pending(None, then)
        pending.operation, pending.item, pending.batched = operation, item, batched
        if pending.in_chain and not self._own.telling and self._claim():
            self._tell(self._run_own(pending))
        else:
            self._put(pending, ROOM_TIMEOUT_S)

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
            if not self._busy:
                self._busy = True
                self._bell.release()
        self._thread.join()
        self._teller.join()

    def _claim(self) -> bool:
        """Become the one who writes, if nobody does and nothing waits."""
        if self._busy:  # asked again below; here it spares the lock
            return False
        with self._guard:
            if self._busy or self._closed:
                return False
            self._busy = True
            return True

    def _run_own(self, pending: Pending) -> list[Pending]:
        try:
            return self._run([pending])
        finally:  # whatever befell this thread, others write after it
            with self._guard:
                if self._queue or self._closed:
                    self._bell.release()
                else:
                    self._busy = False

    def _put(self, pending: Pending, timeout_s: float) -> None:
        with self._guard:
            if self._closed or len(self._queue) >= QUEUE_MAX:
                self._wait_for_room(timeout_s)
            self._queue.append(pending)
            if not self._busy:
                self._busy = True
                self._bell.release()

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

    def _work(self) -> None:
        queue = self._queue
        ended = False
        while not ended:
            self._bell.acquire()
            over = False
            while not over:
                with self._guard:
                    full = len(queue) >= QUEUE_MAX
                    batch = [queue.popleft() for _ in range(min(len(queue), BATCH_MAX))]
                    if full:
                        self._room.notify_all()
                    if not batch:
                        # Decided here: what comes once nobody writes is not to be left behind.
                        over, ended = True, self._closed
                        self._busy = ended
                if batch:
                    told = self._run(batch)
                    if told:
                        self._told.put(told)
        self._transaction.close()
        self._told.put(None)

    def _run(self, batch: list[Pending]) -> list[Pending]:
        self._writing = threading.get_ident()
        started_s = time.monotonic()
        try:
            told = run_batch(self._transaction, batch)
            if self.observe is not None:
                try:
                    self.observe(len(batch), time.monotonic() - started_s)
                except Exception:  # the writer must not end because of whoever looks on
                    _log.exception("an observer of the store failed")
            return told
        finally:
            self._writing = None

    def _tell_all(self) -> None:
        """Of a batch's ends, while the next one is written."""
        while (batch := self._told.get()) is not None:
            self._tell(batch)

    def _tell(self, ended: list[Pending]) -> None:
        self._own.telling = True
        for pending in ended:
            assert pending.then is not None
            try:
                pending.then(pending)
            except Exception:
                _log.exception("what an operation's end was told to failed")
        self._own.telling = False
