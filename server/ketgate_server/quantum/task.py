"""What a run sees of its caller: implements base.Task.

A caller who goes away calls back by himself. That the time is over is told by one thread for all
runs, and only to those who asked to be called.
"""

from __future__ import annotations

import heapq
import threading
import time
from collections.abc import Callable
from itertools import count

DROPPED_MIN = 64
WAIT_S_MAX = 3600.0


class RunTask:
    """One run. deadline_s: time.monotonic(), or infinity."""

    def __init__(
        self,
        deadline_s: float,
        is_cancelled: Callable[[], bool] = lambda: False,
        on_cancel: Callable[[Callable[[], None]], None] = lambda _: None,
    ) -> None:
        self.deadline_s = deadline_s
        self._is_cancelled = is_cancelled
        self._on_cancel = on_cancel
        self._lock = threading.Lock()
        self._callbacks: list[Callable[[], None]] = []
        self._watched = False
        self._alarm: Alarm | None = None

    @property
    def cancelled(self) -> bool:
        """Whether the caller went away."""
        return self._is_cancelled()

    @property
    def stopped(self) -> bool:
        return self._is_cancelled() or time.monotonic() >= self.deadline_s

    def remaining_s(self) -> float:
        return self.deadline_s - time.monotonic()

    def on_stop(self, callback: Callable[[], None]) -> None:
        if self.stopped:
            callback()
            return
        with self._lock:
            self._callbacks.append(callback)
            first, self._watched = not self._watched, True
        if first:
            self._on_cancel(self._stop)
            if self.deadline_s < float("inf"):
                self._alarm = _alarms.set(self.deadline_s, self._stop)

    def finish(self) -> None:
        """The run is over: nobody is called any more."""
        with self._lock:
            self._callbacks, alarm = [], self._alarm
        if alarm is not None:
            _alarms.drop(alarm)

    def _stop(self) -> None:
        with self._lock:
            callbacks, self._callbacks = self._callbacks, []
        for callback in callbacks:
            callback()


class Alarm:
    """Something to call at a time."""

    __slots__ = ("callback", "number", "time_s")

    def __init__(self, time_s: float, number: int, callback: Callable[[], None] | None) -> None:
        self.time_s = time_s
        self.number = number
        self.callback = callback

    def __lt__(self, other: Alarm) -> bool:
        return (self.time_s, self.number) < (other.time_s, other.number)


class Alarms:
    """Calls back at given times, from a thread of its own that begins with the first alarm."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._alarms: list[Alarm] = []
        self._dropped = 0
        self._numbers = count()
        self._thread: threading.Thread | None = None

    def set(self, time_s: float, callback: Callable[[], None]) -> Alarm:
        """callback must be quick."""
        with self._changed:
            alarm = Alarm(time_s, next(self._numbers), callback)
            heapq.heappush(self._alarms, alarm)
            if self._thread is None:
                self._thread = threading.Thread(target=self._ring, name="alarms", daemon=True)
                self._thread.start()
            elif self._alarms[0] is alarm:
                self._changed.notify()
            return alarm

    def drop(self, alarm: Alarm) -> None:
        """Most alarms never ring: those are cleared away once they are more than the others."""
        with self._changed:
            if alarm.callback is None:
                return
            alarm.callback = None
            self._dropped += 1
            if 2 * self._dropped > len(self._alarms) + DROPPED_MIN:
                self._alarms = [one for one in self._alarms if one.callback is not None]
                heapq.heapify(self._alarms)
                self._dropped = 0

    def _ring(self) -> None:
        while True:
            with self._changed:
                while not self._alarms or self._alarms[0].time_s > time.monotonic():
                    wait_s = WAIT_S_MAX
                    if self._alarms:
                        wait_s = max(0.0, self._alarms[0].time_s - time.monotonic())
                    self._changed.wait(min(wait_s, WAIT_S_MAX))
                alarm = heapq.heappop(self._alarms)
                callback, alarm.callback = alarm.callback, None
                self._dropped -= callback is None
            if callback is not None:
                callback()


_alarms = Alarms()
