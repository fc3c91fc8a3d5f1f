"""The greatest Sharpe ratio over discrete sets: utility problems that cut the plane of (variance,
return).

Each solved problem proves r <= U + gamma/2 v for all portfolios. Under those lines r / sqrt(v) is
greatest at a corner of their lower envelope, which is a proven bound; the next problem is solved at
the corner's own gamma = r/v, and either cuts the corner off or finds a portfolio as good as it
(sharpe.py says why).
"""

from dataclasses import dataclass

import numpy as np

from ketgate_server.optimization.base import Status, Task
from ketgate_server.optimization.portfolio import discrete
from ketgate_server.optimization.portfolio.covariance import Array, variance
from ketgate_server.optimization.portfolio.mixed import greatest_return
from ketgate_server.optimization.portfolio.model import PortfolioProblem
from ketgate_server.optimization.portfolio.program import Program, build
from ketgate_server.optimization.portfolio.sharpe import (
    STEPS_MAX,
    SharpeResult,
    excess,
    rounding,
    utility_program,
)

PROBE = 2e-5
"""Relative step of gamma about the best portfolio's own: two lines so near leave a corner of
relative height PROBE^2 / 4 between them, below the gap asked for."""


@dataclass
class _Search:
    """The state of one run."""

    problem: PortfolioProblem
    task: Task
    best: Array | None = None
    ratio: float = -np.inf
    work: int = 0
    probed: float | None = None
    """The gamma beside which problems were solved."""

    def run(self, program: Program) -> discrete.Searched:
        """Solve one program, keeping the best ratio it meets."""
        left = self.task.work_limit - self.work if self.task.work_limit else None
        found = discrete.search(
            program,
            self.problem.constraints,
            self.task,
            initial=self.best,
            gap_relative=0.05 * self.task.gap_relative,
            nodes_max=left,
        )
        self.work += found.nodes
        for weights in found.pool:
            self.consider(self.problem.polish(weights))
        return found

    def consider(self, weights: Array) -> None:
        spread = variance(self.problem.covariance, weights)
        gain = excess(self.problem, weights)
        ratio = gain / float(np.sqrt(spread)) if spread > 0 else (np.inf if gain > 0 else -np.inf)
        if ratio > self.ratio:
            self.best, self.ratio = weights, ratio
            self.task.offer(weights, work=self.work)

    @property
    def exhausted(self) -> bool:
        return self.task.should_stop or bool(
            self.task.work_limit and self.work >= self.task.work_limit
        )


def maximise_discrete(problem: PortfolioProblem, task: Task) -> SharpeResult:
    """The greatest ratio, proven to the gap asked for unless a limit ends the search."""
    search = _Search(problem, task)
    if task.initial is not None:
        for start in task.initial:
            polished = problem.polish(start)
            if _holds(problem, task, polished):
                search.consider(polished)
    most = greatest_return(problem, task, net=True)
    rate = getattr(problem.objective, "risk_free_rate", 0.0)
    if most.status is Status.INFEASIBLE or most.bound - rate <= rounding(problem):
        return SharpeResult(Status.INFEASIBLE)
    if most.weights is not None and _holds(problem, task, most.weights):
        search.consider(most.weights)
    least = search.run(build(problem, scale=2.0, cost=0.0))
    if least.status is Status.INFEASIBLE:
        return SharpeResult(Status.INFEASIBLE, work=search.work)
    floor = max(least.bound, 0.0)
    lines = [(most.bound - rate, 0.0)]
    for _ in range(STEPS_MAX):
        if np.isinf(search.ratio) and search.ratio > 0:
            return SharpeResult(Status.UNBOUNDED, search.best, work=search.work)
        before = _envelope(lines, floor)
        chosen = _aversions(search, before, {slope for _, slope in lines})
        if not chosen or _settled(before[0], search, task) or search.exhausted:
            break
        for aversion in chosen:
            found = search.run(utility_program(problem, aversion))
            if np.isfinite(found.bound):
                lines.append((-found.bound - rate, aversion / 2))
            if search.exhausted:
                break
        corner = before[2] / before[1] if before[1] > 0.0 else np.inf
        if corner in chosen and _envelope(lines, floor) == before:
            break  # what is left is rounding
    bound = _envelope(lines, floor)[0]
    if search.best is None:
        return SharpeResult(Status.NO_SOLUTION, None, bound, search.work)
    proven = _settled(bound, search, task)
    return SharpeResult(
        Status.OPTIMAL if proven else Status.FEASIBLE, search.best, bound, search.work
    )


def _holds(problem: PortfolioProblem, task: Task, weights: Array) -> bool:
    return problem.evaluate(weights).violation_max <= task.feasibility_tolerance


def _settled(bound: float, search: _Search, task: Task) -> bool:
    ratio = search.ratio
    return bool(bound - ratio <= max(task.gap_absolute, max(task.gap_relative, 1e-9) * abs(ratio)))


def _aversions(
    search: _Search, corner: tuple[float, float, float], used: set[float]
) -> list[float]:
    """Which utility problems to solve next.

    First those of the best portfolio's own gamma, until it holds: they find good portfolios. Then,
    once for each such portfolio, the two beside it, and the worst corner.
    """
    _, variance_at, return_at = corner
    chosen = []
    if search.best is not None and search.ratio > 0:
        own = excess(search.problem, search.best) / variance(search.problem.covariance, search.best)
        if not any(abs(slope - own / 2) <= 1e-9 * slope for slope in used):
            return [own]
        if search.probed is None or abs(search.probed / own - 1.0) > 1e-9:
            search.probed = own
            chosen = [own * (1 - PROBE), own * (1 + PROBE)]
    return [*chosen, return_at / variance_at] if variance_at > 0.0 else chosen


def _envelope(lines: list[tuple[float, float]], floor: float) -> tuple[float, float, float]:
    """(ratio, v, r) at the corner of the lower envelope of r = a + b v, v >= floor, where r /
    sqrt(v) is greatest.
    """
    intercepts = np.array([a for a, _ in lines])
    slopes = np.array([b for _, b in lines])
    pairs = [(i, j) for i in range(len(lines)) for j in range(i) if slopes[i] != slopes[j]]
    crossings = [(intercepts[j] - intercepts[i]) / (slopes[i] - slopes[j]) for i, j in pairs]
    spots = np.array([v for v in [floor, *crossings] if v >= floor and np.isfinite(v)])
    heights = (intercepts[:, None] + slopes[:, None] * spots).min(axis=0)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(heights > 0, heights / np.sqrt(spots), 0.0)
    k = int(np.argmax(ratios))
    return float(ratios[k]), float(spots[k]), float(heights[k])
