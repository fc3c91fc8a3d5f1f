"""Parts that the answers of all algorithms have."""

from __future__ import annotations

import time
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Baseline:
    """What a classical method finds on the same instance."""

    method: str
    value: float
    proven: bool
    time_s: float


@dataclass(frozen=True)
class ConvergencePoint:
    evaluations: int
    value: float
    elapsed_s: float


@dataclass
class Convergence:
    """The way of an optimizer; bounded: every second point goes when there are too many."""

    points_max: int = 1000
    points: list[ConvergencePoint] = field(default_factory=list)
    started_s: float = field(default_factory=time.monotonic)

    def note(self, evaluations: int, value: float) -> None:
        point = ConvergencePoint(evaluations, value, time.monotonic() - self.started_s)
        self.points.append(point)
        if len(self.points) > self.points_max:
            self.points = [*self.points[:-1:2], self.points[-1]]
