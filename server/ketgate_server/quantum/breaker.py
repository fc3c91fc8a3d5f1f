"""A rest for what failed often: closed, open, half open."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, replace

REST_FACTOR_MAX = 20.0


@dataclass(frozen=True)
class Rest:
    """An open breaker."""

    until_s: float
    """In the breaker's clock."""
    cause: str
    remaining_s: float = 0.0


class Breaker:
    """Of one back end. After failures_max failures in a row it rests; then one try is let through,
    and its success closes the breaker, while its failure doubles the rest."""

    def __init__(self, failures_max: int, rest_s: float, clock: Callable[[], float]) -> None:
        self._failures_max = failures_max
        self._first_rest_s = rest_s
        self._clock = clock
        self._lock = threading.Lock()
        self._failures = 0
        self._rest_s = rest_s
        self._rest: Rest | None = None
        self._trying_since_s: float | None = None

    @property
    def rest(self) -> Rest | None:
        """The rest that it has now; None: it may be tried."""
        with self._lock:
            rest = self._rest
            if rest is None:
                return None
            remaining_s = rest.until_s - self._clock()
            if remaining_s > 0.0 or self._is_tried():
                return replace(rest, remaining_s=max(0.0, remaining_s))
            return None

    def begin(self) -> bool:
        """Whether it may be tried now; a True is to be followed by succeeded, failed or
        abandoned."""
        with self._lock:
            if self._rest is None:
                return True
            if self._clock() < self._rest.until_s or self._is_tried():
                return False
            self._trying_since_s = self._clock()
            return True

    def succeeded(self) -> None:
        if self._failures or self._rest is not None:
            with self._lock:
                self._failures, self._rest, self._trying_since_s = 0, None, None
                self._rest_s = self._first_rest_s

    def failed(self, cause: str) -> None:
        """cause: in words, without secrets."""
        with self._lock:
            self._failures += 1
            was_half_open, self._trying_since_s = self._trying_since_s is not None, None
            if was_half_open:
                longest_s = REST_FACTOR_MAX * self._first_rest_s
                self._rest_s = min(2.0 * self._rest_s, longest_s)
            elif self._failures < self._failures_max or self._rest is not None:
                return
            self._rest = Rest(self._clock() + self._rest_s, cause)

    def abandoned(self) -> None:
        """It was neither: the caller went away, or asked for what it cannot do."""
        if self._trying_since_s is not None:
            with self._lock:
                self._trying_since_s = None

    def _is_tried(self) -> bool:
        """A try that nobody ended is forgotten after a rest."""
        since_s = self._trying_since_s
        return since_s is not None and self._clock() < since_s + self._rest_s
