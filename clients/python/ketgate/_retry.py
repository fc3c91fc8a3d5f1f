"""When a call that failed is worth trying again: the server was busy, stopping, or not to be
reached.
"""

import random
from dataclasses import dataclass

from ketgate._errors import KetgateError, ServerBusy, Unavailable


@dataclass(frozen=True)
class Retry:
    """How often, and how patiently, a call is tried again. Every call of this client may be
    repeated without harm.
    """

    attempts_max: int = 5
    """Attempts in all; 1: never again."""
    delay_s_initial: float = 0.1
    """Before the second attempt, about; doubled each time."""
    delay_s_max: float = 5.0
    """Longest wait between two attempts, unless the server asks for more."""
    total_s_max: float = 30.0
    """No attempt begins later than this after the first."""

    def __post_init__(self) -> None:
        if (
            self.attempts_max < 1
            or min(self.delay_s_initial, self.delay_s_max, self.total_s_max) < 0
        ):
            raise ValueError(
                "retry: expected attempts_max of at least 1, and delays that are not negative"
            )

    def delay_s(self, error: KetgateError, attempt: int, elapsed_s: float) -> float | None:
        """Seconds to wait after the given attempt (from 1) failed; None: give up.

        Half the wait is chance, so that clients that were refused together do not come back
        together.
        """
        if not isinstance(error, (ServerBusy, Unavailable)) or attempt >= self.attempts_max:
            return None
        if "secure connection" in error.message:
            return None  # a wrong certificate stays wrong
        wait = min(self.delay_s_max, self.delay_s_initial * 2.0 ** (attempt - 1))
        wait = max(wait * random.uniform(0.5, 1.0), error.retry_after_s or 0.0)  # noqa: S311 - spreads load only
        return wait if elapsed_s + wait <= self.total_s_max else None


NEVER = Retry(attempts_max=1)
