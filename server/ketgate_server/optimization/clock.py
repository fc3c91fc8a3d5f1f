"""When a solve began and when it must be over."""

import time
from dataclasses import dataclass

from ketgate_server.optimization.base import StopReason

OVERSHOOT_S = 0.05
OVERSHOOT_SHARE = 0.05
"""A limit is kept within the greater of the two, verification and the answer included."""


@dataclass(frozen=True)
class Clock:
    """Times are time.monotonic() seconds."""

    arrival_s: float
    deadline_s: float
    deadline_reason: StopReason
    """TIME_LIMIT or DEADLINE, whichever comes first."""

    @property
    def limit_s(self) -> float:
        return self.deadline_s - self.arrival_s

    @property
    def overshoot_s(self) -> float:
        return max(OVERSHOOT_S, OVERSHOOT_SHARE * self.limit_s)

    @property
    def remaining_s(self) -> float:
        return self.deadline_s - time.monotonic()
