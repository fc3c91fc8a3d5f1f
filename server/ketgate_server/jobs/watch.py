"""A watch and a long poll, as the calls that hold them see them: a position, a filter, and sleep.

Neither has a queue: what is to be told lies in the tail of the tenant or in the store.
"""

import threading
from collections.abc import Callable, Iterator
from typing import Protocol

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.convert_watch import position
from ketgate_server.jobs.tail import Change

WRITE_LIMIT_S = 30.0
"""How long a message may wait for its reader. Twice that, and the call is broken off."""


class Board(Protocol):
    """Where both read: the hub."""

    clock: Callable[[], float]

    def check(self) -> None:
        """Raises DRAINING."""

    def read(self, watcher: "Watcher") -> tuple[bytes, bool]:
        """See Hub.read."""

    def forget_watcher(self, watcher: "Watcher") -> None: ...

    def forget_waiter(self, waiter: "Waiter") -> None: ...


class Sleeper:
    """A call that waits to be told of changes."""

    def __init__(self, board: Board, tenant: str) -> None:
        self._board = board
        self.tenant = tenant
        self.asleep = False
        self._gate = threading.Event()

    def wake(self) -> None:
        """End the wait that runs, or the next one; from any thread."""
        self._gate.set()

    def _sleep(self, timeout_s: float) -> None:
        self._gate.wait(timeout_s)
        self._gate.clear()
        self.asleep = False


class Waiter(Sleeper):
    """A long poll for the end of one job."""

    def __init__(self, board: Board, tenant: str, job: str) -> None:
        super().__init__(board, tenant)
        self.job = job
        self.asleep = True

    def wait(self, timeout_s: float) -> None:
        """Return when the job may be over, or after timeout_s. Raises DRAINING."""
        self._board.check()
        self._sleep(timeout_s)
        self.asleep = True
        self._board.check()

    def close(self) -> None:
        self._board.forget_waiter(self)


class Watcher(Sleeper):
    """One watch: its filter, and how far it is."""

    def __init__(
        self,
        board: Board,
        tenant: str,
        position: int,
        jobs: frozenset[str],
        states_only: bool,
        break_off: Callable[[], None],
    ) -> None:
        super().__init__(board, tenant)
        self.position = position
        """First revision that it was not sent."""
        self.jobs = jobs
        self.states_only = states_only
        self.break_off = break_off
        self.writing_since_s: float | None = None

    def wants(self, change: Change) -> bool:
        if self.jobs and change.job not in self.jobs:
            return False
        return not (self.states_only and change.is_progress)

    def messages(self, heartbeat_s: float, stopped: Callable[[], bool]) -> Iterator[bytes]:
        """Bytes of WatchJobsResponse, the first at once, until stopped() after a wake-up.

        Raises REVISION_COMPACTED, WATCH_TOO_SLOW and DRAINING.
        """
        is_due = True
        last_s = self._board.clock()
        while not stopped():
            self._board.check()
            content, behind = self._board.read(self)
            if content or is_due:
                self.writing_since_s = self._board.clock()
                yield content + position(self.position)
                last_s = self._board.clock()
                self._check_written(last_s)
            if not behind:
                self._sleep(max(0.0, last_s + heartbeat_s - self._board.clock()))
            is_due = self._board.clock() - last_s >= heartbeat_s

    def close(self) -> None:
        self._board.forget_watcher(self)

    def _check_written(self, now_s: float) -> None:
        since_s, self.writing_since_s = self.writing_since_s, None
        if since_s is not None and now_s - since_s > WRITE_LIMIT_S:
            raise KetgateError(
                Reason.WATCH_TOO_SLOW,
                f"a message waited {now_s - since_s:.0f} s to be read, longer than the "
                f"{WRITE_LIMIT_S:.0f} s that the server holds one; resume at {self.position}",
                metadata={"next_revision": str(self.position)},
            )
