"""Memory that all runs of this server may take together: a run waits until what it needs is free.

First come, first served, so that a large run is not passed for ever by small ones. What needs little
does not ask: as many of those as may run at once fit beside.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from ketgate_server.admission import busy
from ketgate_server.errors import KetgateError, Reason

LITTLE_BYTES = 16 << 20


class Share:
    """Memory of one run; given back once."""

    def __init__(self, give_back: Callable[[], None] | None, queued_s: float = 0.0) -> None:
        self.queued_s = queued_s
        self._give_back = give_back
        self._lock = threading.Lock()

    def release(self) -> None:
        with self._lock:
            give_back, self._give_back = self._give_back, None
        if give_back is not None:
            give_back()


class Memory:
    """Bytes, and those who wait for some. Threads share it."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._changed = threading.Condition()
        self._taken = 0
        self._line: list[object] = []

    @property
    def taken(self) -> int:
        return self._taken

    def take(
        self,
        count: int,
        deadline_s: float,
        is_cancelled: Callable[[], bool],
        on_cancel: Callable[[Callable[[], None]], None],
    ) -> Share:
        """Wait for count bytes, not more than there are in all, until deadline_s
        (time.monotonic()). Raises SERVER_BUSY, CANCELLED."""
        if count <= LITTLE_BYTES:
            return Share(None)
        started_s = time.monotonic()
        with self._changed:
            if not self._line and self._taken + count <= self._bytes_max:
                self._taken += count
                return self._share(count, 0.0)
        on_cancel(self._wake)  # outside of the lock: it may be called at once
        place = object()
        with self._changed:
            self._line.append(place)
            try:
                self._wait(place, count, deadline_s, is_cancelled)
                self._taken += count
            finally:
                self._line.remove(place)
                self._changed.notify_all()
        return self._share(count, time.monotonic() - started_s)

    def _wait(
        self, place: object, count: int, deadline_s: float, is_cancelled: Callable[[], bool]
    ) -> None:
        while self._line[0] is not place or self._taken + count > self._bytes_max:
            if is_cancelled():
                raise KetgateError(Reason.CANCELLED, "cancelled while waiting for memory")
            remaining_s = deadline_s - time.monotonic()
            if remaining_s <= 0.0:
                raise busy(
                    f"the run needs {count >> 20} MiB of memory, and of {self._bytes_max >> 20} MiB "
                    f"other runs have {self._taken >> 20} MiB"
                )
            self._changed.wait(min(remaining_s, threading.TIMEOUT_MAX))

    def _share(self, count: int, queued_s: float) -> Share:
        return Share(lambda: self._give_back(count), queued_s)

    def _give_back(self, count: int) -> None:
        with self._changed:
            self._taken -= count
            self._changed.notify_all()

    def _wake(self) -> None:
        with self._changed:
            self._changed.notify_all()
