"""The efficient frontier over discrete sets: a search for each point, and limits shared among them.

Each point may take its share of the time and of the work that are left; what it does not need is
the others'. What is left at the end goes to the points that are not proven yet.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ketgate_server.optimization.base import Status, StopReason, Task
from ketgate_server.optimization.portfolio.covariance import Array, variance
from ketgate_server.optimization.portfolio.discrete import Searched, search
from ketgate_server.optimization.portfolio.mixed import greatest_return
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    Frontier,
    PortfolioProblem,
)
from ketgate_server.optimization.portfolio.program import Program, build

END_SHARE = 0.5
"""Of the time, for the portfolio of the greatest return at most."""


@dataclass(eq=False)
class _Point:
    """One portfolio of the frontier: the least variance, costs included, at a target or more."""

    program: Program
    target: float = -np.inf
    weights: Array | None = None
    bound: float = -np.inf
    status: Status = Status.NO_SOLUTION

    @property
    def proven(self) -> bool:
        return self.status is Status.OPTIMAL


class DiscreteWalk:
    """status and bound speak of the whole: OPTIMAL where every point was proven."""

    def __init__(self, problem: PortfolioProblem, task: Task) -> None:
        assert isinstance(problem.objective, EfficientFrontier)
        assert problem.expected_returns is not None
        self.problem = problem
        self.task = task
        self.expected = problem.expected_returns
        self.asked = problem.objective.points
        self.work = 0
        self.cut: StopReason | None = None
        """Which limit's share ended the search for a point."""
        self.status = Status.NO_SOLUTION
        self.low_bound = -np.inf
        self._points: list[_Point] = []
        self._start: Array | None = None
        """The portfolio of the greatest return: it holds every target."""

    def run(self) -> Frontier | None:
        """The frontier as far as the limits let it be walked; None without a single portfolio."""
        most = greatest_return(self.problem, self.task, net=False, share=END_SHARE)
        if most.status is Status.INFEASIBLE:
            self.status = Status.INFEASIBLE
            return None
        self._start = most.weights
        low = _Point(build(self.problem, scale=2.0))
        self._find(low, waiting=self.asked)
        if low.weights is None:
            self.status = low.status
            return None
        self._points.append(low)
        whole = most.weights is not None and most.status is Status.OPTIMAL
        if most.weights is not None and whole:
            whole = self._walk(*(float(self.expected @ w) for w in (low.weights, most.weights)))
        self._refine()
        self._serve_others()
        proven = all(point.proven for point in self._points)
        self.status = Status.OPTIMAL if whole and proven else Status.FEASIBLE
        self.low_bound = low.bound
        return self._frontier()

    @property
    def _exhausted(self) -> bool:
        return self.task.should_stop or bool(
            self.task.work_limit and self.work >= self.task.work_limit
        )

    def _walk(self, low: float, high: float) -> bool:
        """The points above the first; whether there is a portfolio for each."""
        if high - low <= 1e-12 * max(1.0, abs(high)):
            return True
        targets = np.linspace(low, high, self.asked)[1:]
        for waiting, target in zip(range(len(targets), 0, -1), targets, strict=True):
            if self._exhausted:
                return False
            floor = float(target)
            point = _Point(build(self.problem, scale=2.0, minimum_return=floor), floor)
            self._find(point, waiting)
            if point.weights is None:
                return False
            self._points.append(point)
        return True

    def _find(self, point: _Point, waiting: int) -> None:
        """A portfolio for a point that has none. waiting: points that are to share what is left."""
        near = self._points[-1].weights if self._points and waiting > 1 else self._start
        self._search(point, near, waiting)
        share = 1.0 / waiting
        while (
            point.weights is None
            and point.status is Status.NO_SOLUTION
            and share < 2.0
            and not self._exhausted
        ):  # a share may be too small for a first portfolio, and a neighbour no start
            self._search(point, self._start, max(1.0, 1.0 / share))
            share *= 2.0

    def _refine(self) -> None:
        """Give what is left to the points that are not proven, as long as that is what they lack."""
        short = [point for point in self._points if not point.proven]
        while short and not self._exhausted:
            cut = False
            for waiting, point in zip(range(len(short), 0, -1), short, strict=True):
                if not self._exhausted:
                    cut |= self._search(point, point.weights, waiting)
            short = [point for point in short if not point.proven]
            if not cut:
                break
        if not short:
            self.cut = None

    def _search(self, point: _Point, initial: Array | None, waiting: float) -> bool:
        """Search once more; whether a share ended it."""
        work_left = self.task.work_limit - self.work
        nodes_max = math.ceil(work_left / waiting) if self.task.work_limit else None
        found = search(
            point.program,
            self.problem.constraints,
            self.task,
            initial=initial,
            nodes_max=nodes_max,
            time_limit_s=self.task.remaining_s / waiting,
        )
        self.work += found.nodes
        self._take(point, found)
        if found.out_of_time:
            self.cut = self.task.deadline_reason
        elif nodes_max is not None and found.nodes >= nodes_max:
            self.cut = self.cut or StopReason.WORK_LIMIT
        else:
            return False
        return True

    def _take(self, point: _Point, found: Searched) -> None:
        """What a search adds to what is known of a point."""
        point.bound = max(point.bound, found.bound)
        weights = None if found.weights is None else self.problem.polish(found.weights)
        if weights is not None and not self._holds(weights):
            weights = None
        elif point.weights is None or found.status is Status.OPTIMAL:
            point.status = found.status
        if weights is not None and self._better(weights, point.weights):
            point.weights = weights

    def _holds(self, weights: Array) -> bool:
        return self.problem.evaluate(weights).violation_max <= self.task.feasibility_tolerance

    def _better(self, weights: Array, known: Array | None) -> bool:
        return known is None or self.problem.objective_of(weights) <= self.problem.objective_of(
            known
        )

    def _serve_others(self) -> None:
        """A portfolio serves every point that asks no more than it returns; so variances and
        returns rise from point to point also where nothing is proven.
        """
        found = [point.weights for point in self._points if point.weights is not None]
        returns = [float(self.expected @ weights) for weights in found]
        values = [self.problem.objective_of(weights) for weights in found]
        for k, point in enumerate(self._points):
            able = [j for j in range(len(found)) if j == k or returns[j] >= point.target]
            point.weights = found[min(able, key=lambda j: (values[j], -returns[j]))]

    def _frontier(self) -> Frontier:
        weights = _stacked(self._points)
        return Frontier(
            weights=weights,
            expected_returns=weights @ self.expected,
            volatilities=np.sqrt([variance(self.problem.covariance, w) for w in weights]),
            variance_bounds=np.maximum(0.0, np.array([point.bound for point in self._points])),
        )


def _stacked(points: Sequence[_Point]) -> Array:
    return np.array([point.weights for point in points])
