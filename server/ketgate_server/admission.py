"""How many pieces of work run and wait at once.

Waiting counts against the work's own limit. What is known to take a few milliseconds has lanes of
its own, so that it never waits behind heavy work.
"""

import threading
import time
from collections.abc import Callable

from ketgate_server.errors import KetgateError, Reason

RETRY_AFTER_S = 1.0
QUICK_LANES = 4


class Slot:
    """The right to run; given back once, by whoever is last."""

    def __init__(self, release: Callable[[], None], queued_s: float) -> None:
        self.queued_s = queued_s
        self._release: Callable[[], None] | None = release
        self._lock = threading.Lock()

    def release(self) -> None:
        with self._lock:
            release, self._release = self._release, None
        if release is not None:
            release()


class Admission:
    """A bounded number of slots and a bounded line before them, first come first served."""

    def __init__(self, running_max: int, queued_max: int, what: str = "solves") -> None:
        """what: the pieces of work, as a refusal names them."""
        self._what = what
        self._running_max = running_max
        self._queued_max = queued_max
        self._changed = threading.Condition()
        self._running = 0
        self._quick = 0
        self._line: list[object] = []
        self._patient = 0
        """Those in the line that are not counted."""

    @property
    def running(self) -> int:
        return self._running

    def enter(
        self,
        deadline_s: float,
        is_cancelled: Callable[[], bool],
        *,
        quick: bool = False,
        patient: bool = False,
    ) -> Slot:
        """Wait for a slot until deadline_s (time.monotonic()); SERVER_BUSY if none comes free or
        the line is full. patient: one of a number that is bounded elsewhere, so it may wait even if
        the line is full, and does not make it so."""
        started = time.monotonic()
        with self._changed:
            if quick and self._quick < QUICK_LANES:
                self._quick += 1
                return Slot(self._leave_quick, 0.0)
            if self._running < self._running_max and not self._line:
                self._running += 1
                return Slot(self._leave, 0.0)
            waiting = len(self._line) - self._patient
            if not patient and waiting >= self._queued_max:
                raise busy(f"{self._running} {self._what} are running and {waiting} are waiting")
            place = object()
            self._line.append(place)
            self._patient += patient
            try:
                self._wait(place, deadline_s, is_cancelled)
                self._running += 1
            finally:
                self._line.remove(place)
                self._patient -= patient
                self._changed.notify_all()
        return Slot(self._leave, time.monotonic() - started)

    def wake(self) -> None:
        """Let those who wait look again whether they were cancelled."""
        with self._changed:
            self._changed.notify_all()

    def _wait(self, place: object, deadline_s: float, is_cancelled: Callable[[], bool]) -> None:
        while not (self._line[0] is place and self._running < self._running_max):
            remaining = deadline_s - time.monotonic()
            if is_cancelled():
                raise KetgateError(Reason.CANCELLED, "cancelled while waiting for a free slot")
            if remaining <= 0.0:
                raise busy("no slot came free within the time limit")
            self._changed.wait(min(remaining, threading.TIMEOUT_MAX))

    def _leave(self) -> None:
        with self._changed:
            self._running -= 1
            self._changed.notify_all()

    def _leave_quick(self) -> None:
        with self._changed:
            self._quick -= 1
            self._changed.notify_all()


def busy(what: str) -> KetgateError:
    return KetgateError(Reason.SERVER_BUSY, f"{what}; try again later", retry_after_s=RETRY_AFTER_S)
