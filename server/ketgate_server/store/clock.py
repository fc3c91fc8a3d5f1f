"""The store's clock where the database has none: it never goes back, neither while it runs nor from
one run to the next."""

import time
from collections.abc import Callable

_BOOT_CLOCK = getattr(
    time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC
)  # counts a suspended machine too


def steady_source() -> Callable[[], int]:
    """Microseconds since 1970: the wall clock as it is now, and from then on what has passed. Steps
    of the wall clock are not followed, as a step forward would end every lease."""
    start_ns = time.time_ns() - time.clock_gettime_ns(_BOOT_CLOCK)
    return lambda: (start_ns + time.clock_gettime_ns(_BOOT_CLOCK)) // 1000


STEP_US = 1_000_000
"""A clock that is behind what was stored by more than that was set back."""


class Clock:
    """A source of microseconds, put forward where it is behind what was already stored.

    >>> readings = iter([5, 5, 7])
    >>> clock = Clock(lambda: next(readings))
    >>> clock.put_forward(100)
    >>> clock.now_us(), clock.now_us()
    (100, 102)
    """

    def __init__(self, source: Callable[[], int] | None = None) -> None:
        self._source = source or steady_source()
        self._ahead_us = 0
        self._follows = False

    def now_us(self) -> int:
        return self._source() + self._ahead_us

    def follow(self, database_us: int, stored_us: int) -> None:
        """Go on from the clock of a database, or from stored_us if it is behind that. Where it was
        set back, time passes on by the own source from then on: it would stand still until that
        clock had caught up, and with it every lease."""
        if database_us >= stored_us - STEP_US or not self._follows:
            self._ahead_us = max(database_us, stored_us) - self._source()
            self._follows = True
        else:
            self.put_forward(stored_us)

    def put_forward(self, stored_us: int) -> None:
        """Go on from stored_us if the clock is behind it: time passes on from there, and does not
        stand still until the source has caught up."""
        self._ahead_us += max(0, stored_us - self.now_us())
