"""What a race has found so far: solutions that passed the check, bounds, and when to stop for them.

Nothing counts before Problem.evaluate has seen it. Objectives in here are minimised.
"""

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.optimization.base import Problem, StopReason, sense_sign

EVENTS_MAX = 256
EVENTS_BYTES_MAX = 16 << 20
"""Incumbents waiting for a slow reader; beyond it the oldest go, never the newest."""
VALUE_BYTES_MAX = 8
CLAIM_SLACK = 1e-6
"""A solution better than a claimed bound by more than this refutes the claim; relative to the
objective or, where it is larger, to the size of its parts."""
TOLD_GAIN = 1e-9
"""Relative: an incumbent that gains less on the last one told is kept, but not told."""
TARGET_SLACK = 1e-12
"""Relative rounding between a kernel's sum and ours that still counts as having reached a
target."""

log = logging.getLogger("ketgate.optimization")


@dataclass(frozen=True)
class Verified:
    """A solution that was evaluated from the request and holds every constraint."""

    values: NDArray[Any]
    objective: float
    """In the caller's sense."""
    score: float
    """The objective, minimised."""
    violation_max: float
    solver: str
    occurrences: int = 1
    scale: float = 1.0
    """See Evaluation."""

    @property
    def claim_slack(self) -> float:
        return CLAIM_SLACK * max(self.scale, abs(self.score))

    @property
    def key(self) -> bytes:
        return self.values.tobytes()


@dataclass(frozen=True)
class Improvement:
    """An incumbent of the race, better than all before it."""

    elapsed_s: float
    solution: Verified
    bound: float
    work: int


@dataclass(frozen=True)
class Goal:
    """When an incumbent is good enough."""

    target: float | None
    gap_relative: float
    gap_absolute: float
    single: bool = True
    """Whether one solution is the whole answer; of a frontier it is only the first portfolio."""

    def reached(self, found: Verified, bound: float) -> StopReason | None:
        if not self.single:
            return None
        score = found.score
        if self.target is not None and score <= self.target + TARGET_SLACK * abs(self.target):
            return StopReason.TARGET
        if self.closed(found, bound):
            return StopReason.GAP
        return None

    def closed(self, found: Verified, bound: float) -> bool:
        gap = found.score - bound
        if not self.single:
            return False
        if not math.isfinite(gap) or gap < -found.claim_slack:
            return False  # a bound that a solution refutes closes nothing
        return gap <= max(self.gap_absolute, self.gap_relative * abs(found.score))


class Scoreboard:
    """Shared by the runs of one race; every method may be called from any thread."""

    def __init__(
        self,
        problem: Problem,
        goal: Goal,
        *,
        arrival_s: float,
        tolerance: float,
        on_goal: Callable[[StopReason], None],
    ) -> None:
        """on_goal: called once, outside the lock, when an incumbent is good enough."""
        self._problem = problem
        self._goal = goal
        self._arrival_s = arrival_s
        self._tolerance = tolerance
        self._on_goal = on_goal
        self._sign = sense_sign(problem.sense)
        self._lock = threading.Lock()
        self.changed = threading.Condition(self._lock)
        self.best: Verified | None = None
        self._told_score = math.inf
        self.best_by_run: dict[int, Verified] = {}
        self.bounds_by_run: dict[int, float] = {}
        self.violation_least = math.inf
        self.verifying_s = 0.0
        room = EVENTS_BYTES_MAX // (VALUE_BYTES_MAX * problem.size)
        self.improvements: deque[Improvement] = deque(maxlen=max(1, min(EVENTS_MAX, room)))

    @property
    def bound(self) -> float:
        """Best proven bound; -inf while nothing is proven."""
        return max(self.bounds_by_run.values(), default=-math.inf)

    def verify(self, values: NDArray[Any], solver: str, occurrences: int = 1) -> Verified | None:
        """The solution if it holds; None, and a line in the log, if it does not."""
        started = time.monotonic()
        polished = self._problem.polish(values)
        evaluation = self._problem.evaluate(polished)
        with self._lock:
            self.verifying_s += time.monotonic() - started
            if (
                not math.isfinite(evaluation.objective)
                or not evaluation.violation_max <= self._tolerance
            ):
                self.violation_least = min(self.violation_least, evaluation.violation_max)
                log.info("%s: a solution violates by %g", solver, evaluation.violation_max)
                return None
        polished = np.ascontiguousarray(polished)
        return Verified(
            polished,
            evaluation.objective,
            self._sign * evaluation.objective,
            evaluation.violation_max,
            solver,
            occurrences,
            evaluation.scale,
        )

    def submit(self, run: int, values: NDArray[Any], solver: str, work: int = 0) -> None:
        """A run reports a solution."""
        found = self.verify(values, solver)
        if found is None:
            return
        with self.changed:
            of_run = self.best_by_run.get(run)
            if of_run is None or found.score < of_run.score:
                self.best_by_run[run] = found
            if self.best is not None and found.score >= self.best.score:
                return
            self.best = found
            if self._told_score - found.score > TOLD_GAIN * abs(found.score):
                self._told_score = found.score
                elapsed = time.monotonic() - self._arrival_s
                self.improvements.append(Improvement(elapsed, found, self.bound, work))
            reached = self._goal.reached(found, self.bound)
            self.changed.notify_all()
        if reached is not None:
            self._on_goal(reached)

    def submit_bound(self, run: int, bound: float) -> None:
        """A run reports a proven bound."""
        if math.isnan(bound):
            return
        reached = None
        with self.changed:
            if bound > self.bounds_by_run.get(run, -math.inf):
                self.bounds_by_run[run] = bound
                if self.best is not None:
                    reached = self._goal.reached(self.best, self.bound)
        if reached is not None:
            self._on_goal(reached)

    def to_caller(self, score: float) -> float:
        """A minimised figure in the caller's sense."""
        return self._sign * score + 0.0


def merge(found: list[Verified], limit: int) -> list[Verified]:
    """Distinct solutions, best first; of equal ones the counts are summed and the first finder is
    named.

    The order depends on what was found alone: by objective, then by bytes.
    """
    distinct: dict[bytes, Verified] = {}
    for solution in found:
        key = solution.key
        known = distinct.get(key)
        if known is None:
            distinct[key] = solution
        else:
            total = known.occurrences + solution.occurrences
            distinct[key] = replace(known, occurrences=total)
    ordered = sorted(distinct.items(), key=lambda item: (item[1].score, item[0]))
    return [solution for _, solution in ordered[:limit]]
