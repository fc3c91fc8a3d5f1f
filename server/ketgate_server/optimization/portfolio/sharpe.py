"""The greatest Sharpe ratio, through utility problems.

With r(w) the excess return net of the cost of trading (concave) and v(w) = w'Cw, the best w
maximises r - gamma/2 v at gamma = r/v of its own, over any set of portfolios, discrete ones
included: r^2/v is convex in (r, v), so its maximum over the hull of all attainable (v, r) is at an
extreme point, where its own gradient supports the set (compare W. Dinkelbach, On nonlinear
fractional programming, Management Science 13, 1967).
"""

from dataclasses import dataclass, field

import numpy as np

from ketgate_server.optimization.base import Status, Task
from ketgate_server.optimization.portfolio import continuous, quadratic
from ketgate_server.optimization.portfolio.covariance import Array, variance
from ketgate_server.optimization.portfolio.model import MaximumSharpe, PortfolioProblem
from ketgate_server.optimization.portfolio.program import Program, build

STEPS_MAX = 100
GAP = 1e-11
"""Relative gap at which the search ends."""


@dataclass(frozen=True, eq=False)
class SharpeResult:
    """The best found, and a proven upper bound of the ratio."""

    status: Status
    weights: Array | None = None
    bound: float = np.inf
    work: int = 0
    pool: list[Array] = field(default_factory=list)


def excess(problem: PortfolioProblem, weights: Array) -> float:
    """Expected return net of the cost of trading, above the riskless rate."""
    assert isinstance(problem.objective, MaximumSharpe)
    return problem.net_return(weights) - problem.objective.risk_free_rate


def utility_program(problem: PortfolioProblem, aversion: float) -> Program:
    """Minimise aversion / 2 w'Cw - net return."""
    return build(problem, scale=aversion, returns=1.0)


@dataclass(frozen=True, eq=False)
class _Point:
    """The optimum of one utility problem."""

    tolerance: float
    """t = 1 / aversion; the optimum of v/2 - t r."""
    weights: Array
    excess: float
    variance: float
    solved: quadratic.Solved

    @property
    def candidate(self) -> "_Candidate":
        return _Candidate(self.weights, self.excess, self.variance)

    @property
    def rising(self) -> bool:
        """Whether the ratio rises with t here: v > t r."""
        return self.variance > self.tolerance * self.excess


@dataclass(frozen=True, eq=False)
class _Candidate:
    """A portfolio with its figures, which cost a product with C each time they are asked for."""

    weights: Array
    excess: float
    variance: float

    @property
    def ratio(self) -> float:
        if self.variance > 0.0:
            return self.excess / float(np.sqrt(self.variance))
        return float(np.sign(self.excess) * np.inf) if self.excess else 0.0


def maximise(problem: PortfolioProblem, task: Task) -> SharpeResult:
    """The greatest ratio over a convex set.

    Along t the ratio rises while v > t r and falls after, so two points bracket the best; the best
    mixture of the two has a closed form and, where both have the same names free, is the answer. A
    bound follows from the multipliers of the last utility problem.
    """
    low, work, status = _least_risk(problem, task)
    if low is None:
        return SharpeResult(status, work=work)
    high, more, status = _most_return(problem, task)
    work += more
    if high is None:
        known = None if status is Status.INFEASIBLE else low.weights
        return SharpeResult(status, known, work=work)
    best, bound = max(low.candidate, high.candidate, key=_by_ratio), np.inf
    floor = 2.0 * max(low.solved.bound, 0.0)
    for step in range(STEPS_MAX):
        if _riskless(problem, best, floor):
            return SharpeResult(Status.UNBOUNDED, best.weights, work=work)
        tolerance = _next_tolerance(best, low, high, step)
        if not tolerance > 0.0:
            break
        near = (low if low.rising else high).solved
        point, more, status = _utility(problem, tolerance, task, near)
        work += more
        if point is None:
            break
        low, high = (point, high) if point.rising else (low, point)
        best = max(best, point.candidate, _best_mixture(problem, low, high), key=_by_ratio)
        bound = min(bound, _bound(problem, point, floor))
        task.offer(best.weights, work=work)
        narrow = high.tolerance <= low.tolerance * (1.0 + 4e-16)
        if bound - best.ratio <= GAP * best.ratio or narrow or task.should_stop:
            break
    close = max(task.gap_absolute, max(task.gap_relative, 1e-9) * best.ratio)
    proven = bound - best.ratio <= close
    return SharpeResult(Status.OPTIMAL if proven else Status.FEASIBLE, best.weights, bound, work)


def _by_ratio(candidate: _Candidate) -> float:
    return candidate.ratio


def _next_tolerance(best: _Candidate, low: _Point, high: _Point, step: int) -> float:
    """Where v - t r crosses 0, which it does in a straight line while the same names are free."""
    if not np.isfinite(high.tolerance):
        # The best portfolio's own t is never past the crossing: step over it, to have it between
        # two.
        return 1.1**step * best.variance / best.excess
    above = low.variance - low.tolerance * low.excess
    below = high.tolerance * high.excess - high.variance
    share = above / (above + below) if above + below > 0.0 else 0.5
    if step % 4 == 3:  # a secant can creep along one side
        share = 0.5
    return low.tolerance + share * (high.tolerance - low.tolerance)


def _riskless(problem: PortfolioProblem, best: _Candidate, floor: float) -> bool:
    """Whether there is an excess return at no risk but rounding: then no ratio is the greatest."""
    risk = 1e-15 * float(problem.covariance.diagonal().max())
    return best.excess > rounding(problem) and best.variance <= risk and floor <= risk


def rounding(problem: PortfolioProblem) -> float:
    """An excess return up to which it may be rounding, or what a library's tolerance hides."""
    assert problem.expected_returns is not None
    assert isinstance(problem.objective, MaximumSharpe)
    scale = max(
        float(np.abs(problem.expected_returns).max()), abs(problem.objective.risk_free_rate)
    )
    return 3e-9 * (scale or 1.0)


def _least_risk(problem: PortfolioProblem, task: Task) -> tuple[_Point | None, int, Status]:
    """The portfolio of least variance, which is t = 0."""
    solved = continuous.solve(build(problem, scale=1.0, cost=0.0), task)
    return _point(problem, 0.0, solved)


def _most_return(problem: PortfolioProblem, task: Task) -> tuple[_Point | None, int, Status]:
    """A portfolio with an excess return, at the greatest t; INFEASIBLE where no portfolio has
    one.
    """
    solved = continuous.solve(utility_program(problem, 0.0), task)
    point, work, status = _point(problem, np.inf, solved)
    if point is not None and point.excess <= rounding(problem):
        return None, work, Status.INFEASIBLE
    return point, work, status


def _utility(
    problem: PortfolioProblem, tolerance: float, task: Task, near: quadratic.Solved
) -> tuple[_Point | None, int, Status]:
    solved = continuous.solve(utility_program(problem, 1.0 / tolerance), task, near)
    return _point(problem, tolerance, solved)


def _point(
    problem: PortfolioProblem, tolerance: float, solved: quadratic.Solved
) -> tuple[_Point | None, int, Status]:
    if solved.weights is None or solved.status is Status.NO_SOLUTION:
        return None, solved.work, solved.status
    weights = solved.weights
    spread = variance(problem.covariance, weights)
    return (
        _Point(tolerance, weights, excess(problem, weights), spread, solved),
        solved.work,
        solved.status,
    )


def _best_mixture(problem: PortfolioProblem, low: _Point, high: _Point) -> _Candidate:
    """The best of low + s (high - low), 0 <= s <= 1, with r taken as linear: exact without costs.

    (a + b s)^2 / (p + 2 q s + u s^2) is stationary at s = (b p - a q) / (a u - b q).
    """
    step = high.weights - low.weights
    a, b = low.excess, high.excess - low.excess
    risk = problem.covariance.times(step)
    p, q, u = low.variance, float(low.weights @ risk), float(step @ risk)
    bottom = a * u - b * q
    share = min(max((b * p - a * q) / bottom if bottom != 0.0 else 0.0, 0.0), 1.0)
    weights = low.weights + share * step
    spread = max(0.0, p + 2.0 * q * share + u * share**2)
    return _Candidate(weights, excess(problem, weights), spread)


def _bound(problem: PortfolioProblem, point: _Point, floor: float) -> float:
    """An upper bound of the ratio from the multipliers of one utility problem.

    For any portfolio sqrt(w'Cw) >= w'Cx / sqrt(x'Cx) (Cauchy-Schwarz), so r(w) - s sqrt(v(w)) is at
    most the optimum d of a linear program, which the multipliers at x bound; then r / sqrt(v) <= s
    + max(d, 0) / sqrt(least variance).
    """
    if (
        floor <= 0.0
        or point.variance <= 0.0
        or point.excess <= 0.0
        or point.solved.multipliers is None
    ):
        return np.inf
    assert isinstance(problem.objective, MaximumSharpe)
    assert problem.expected_returns is not None
    ratio = point.excess / float(np.sqrt(point.variance))
    lean = ratio / float(np.sqrt(point.variance)) * problem.covariance.times(point.weights)
    program = utility_program(problem, 0.0)
    straight = Program(
        covariance=program.covariance,
        scale=0.0,
        linear=program.linear + lean,
        rows=program.rows,
        lower=program.lower,
        upper=program.upper,
        book=program.book,
        buy_cost=program.buy_cost,
        sell_cost=program.sell_cost,
        turnover_max=program.turnover_max,
    )
    least = straight.lagrangian_bound(
        point.weights, point.solved.multipliers, point.solved.turnover_price
    )
    spare = -least - problem.objective.risk_free_rate
    return ratio + max(spare, 0.0) / float(np.sqrt(floor))
