"""The efficient frontier: exactly by the critical line, or point by point where a constraint bends
it.
"""

import numpy as np
from ketgate_native import qp

from ketgate_server.optimization.base import Status, Task
from ketgate_server.optimization.portfolio import continuous, quadratic
from ketgate_server.optimization.portfolio.covariance import (
    Array,
    Covariance,
    Dense,
    Factors,
    variance,
)
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    Frontier,
    PortfolioProblem,
)
from ketgate_server.optimization.portfolio.program import Program, build
from ketgate_server.optimization.portfolio.quadratic import Solved

NUMBERS_MAX = 4_000_000
"""Weights of all portfolios of a frontier, or of all its corners: 32 MB of an answer."""


def corners(problem: PortfolioProblem, task: Task) -> qp.Frontier:
    """Every corner portfolio; the problem has no cost of trading. x of the result has shape (p,
    n).
    """
    program = build(problem, scale=1.0)
    assert problem.expected_returns is not None
    size = problem.size
    # The corners do not depend on the units; the kernel's tolerances do.
    covariance = _unit(problem.covariance)
    expected = problem.expected_returns / (float(np.abs(problem.expected_returns).max()) or 1.0)
    # No corners_max: cut short, the line would lack its most profitable end without saying so.
    if program.turnover_max is None:
        return qp.frontier(
            quadratic.kernel_form(covariance),
            expected,
            program.rows.matrix,
            program.rows.lower,
            program.rows.upper,
            program.lower,
            program.upper,
            monitor=task.open_monitor(8 * size, quadratic.as_float64_bytes, report=False),
        )
    found = _split_corners(program, covariance, expected, task)
    return found._replace(x=program.book + found.x[:, :size] - found.x[:, size:])


def _unit(covariance: Covariance) -> Covariance:
    """The covariance, scaled so that the greatest variance is 1."""
    greatest = float(covariance.diagonal().max()) or 1.0
    if isinstance(covariance, Factors):
        root = np.sqrt(greatest)
        specific = covariance.specific_variances / greatest
        return Factors(covariance.loadings / root, specific, covariance.factor_covariance)
    return Dense(covariance.dense() / greatest)


def _split_corners(
    program: Program, covariance: Covariance, expected: Array, task: Task
) -> qp.Frontier:
    """Corners in what is bought and sold, w = book + bought - sold, where the limit of turnover is
    one row.
    """
    size = program.size
    held = program.book
    bought = (np.maximum(program.lower - held, 0.0), np.maximum(program.upper - held, 0.0))
    sold = (np.maximum(held - program.upper, 0.0), np.maximum(held - program.lower, 0.0))
    matrix, rows = program.rows.matrix, program.rows
    # The quadratic is about w, not about the trade: its linear part, C book, rides on a variable
    # fixed at 1.
    tilted = np.append(np.hstack((matrix, -matrix)), (matrix @ held)[:, None], axis=1)
    turnover = np.append(np.ones(2 * size), 0.0)
    monitor = task.open_monitor(8 * (2 * size + 1), quadratic.as_float64_bytes, report=False)
    found = qp.frontier(
        _split_form(covariance, held),
        np.concatenate((expected, -expected, [float(expected @ held)])),
        np.vstack((tilted, turnover)),
        np.append(rows.lower, -np.inf),
        np.append(rows.upper, float(program.turnover_max or 0.0)),
        np.concatenate((bought[0], sold[0], [1.0])),
        np.concatenate((bought[1], sold[1], [1.0])),
        monitor=monitor,
    )
    return found._replace(x=found.x[:, : 2 * size])


def _split_form(covariance: Covariance, held: Array) -> Array:
    """C of book + bought - sold, over (bought, sold, 1); dense."""
    matrix = covariance.dense()
    risk = matrix @ held
    return np.block(
        [
            [matrix, -matrix, risk[:, None]],
            [-matrix, matrix, -risk[:, None]],
            [risk[None, :], -risk[None, :], np.array([[float(held @ risk)]])],
        ]
    )


def from_corners(problem: PortfolioProblem, found: qp.Frontier) -> Frontier:
    """Portfolios equally spaced in expected return between the first corner and the last, and the
    corners.
    """
    assert isinstance(problem.objective, EfficientFrontier)
    expected = problem.expected_returns
    assert expected is not None
    path = np.array([problem.polish(weights) for weights in found.x])
    means = np.maximum.accumulate(path @ expected)
    keep = np.append(True, np.diff(means) > 1e-14 * max(1.0, float(np.abs(means).max())))
    path, means = path[keep], means[keep]
    targets = np.linspace(means[0], means[-1], problem.objective.points) if len(path) > 1 else means
    right = (
        np.clip(np.searchsorted(means, targets), 1, max(1, len(path) - 1))
        if len(path) > 1
        else np.zeros(1, int)
    )
    if len(path) > 1:
        share = (targets - means[right - 1]) / (means[right] - means[right - 1])
        weights = path[right - 1] + share[:, None] * (path[right] - path[right - 1])
    else:
        weights = path
    small = path.size <= NUMBERS_MAX
    return Frontier(
        weights=weights,
        expected_returns=weights @ expected,
        volatilities=_volatilities(problem, weights),
        corner_weights=path if small else None,
        corner_expected_returns=means if small else None,
        corner_volatilities=_volatilities(problem, path) if small else None,
    )


def _volatilities(problem: PortfolioProblem, weights: Array) -> Array:
    spread = np.einsum("pi,ip->p", weights, problem.covariance.times(weights.T))
    return np.asarray(np.sqrt(np.maximum(0.0, spread)))


class Walk:
    """A frontier of continuous weights walked point by point, each warm-started from its neighbour.

    status and bound speak of the whole: OPTIMAL where every point was proven.
    """

    def __init__(self, problem: PortfolioProblem, task: Task) -> None:
        assert isinstance(problem.objective, EfficientFrontier)
        assert problem.expected_returns is not None
        self.problem = problem
        self.task = task
        self.expected = problem.expected_returns
        self.points = problem.objective.points
        self.work = 0
        self.status = Status.OPTIMAL
        self.low_bound = -np.inf
        self.weights: list[Array] = []
        self.bounds: list[float] = []
        self._near: Solved | None = None

    def run(self) -> Frontier | None:
        """The frontier as far as the limits let it be walked; None without a single portfolio."""
        low = self._solve(build(self.problem, scale=2.0))
        if low is None:
            return None
        self.low_bound = self.bounds[0]
        high = self._most_return()
        if high is None:
            self.status = Status.FEASIBLE
            return self._frontier()
        ends = float(self.expected @ low), float(self.expected @ high)
        if ends[1] - ends[0] > 1e-12 * max(1.0, abs(ends[1])):
            self._between(np.linspace(*ends, self.points)[1:])
        return self._frontier()

    def _most_return(self) -> Array | None:
        """A portfolio of the greatest expected return; others of it may have less risk.

        By the kernel: HiGHS takes long over a row of 20,000 names, and does not look at its clock.
        """
        program = build(self.problem, scale=0.0, returns=1.0, cost=0.0)
        found = continuous.solve(program, self.task)
        self.work += found.work
        return found.weights if found.status is Status.OPTIMAL else None

    def _between(self, targets: Array) -> None:
        for target in targets:
            # Rounding may put what touches the greatest return out of reach.
            floor = float(target) - 1e-12 * max(1.0, abs(target))
            program = build(self.problem, scale=2.0, minimum_return=floor)
            if self._exhausted or self._solve(program) is None:
                self.status = Status.FEASIBLE if self.status is Status.OPTIMAL else self.status
                return

    @property
    def _exhausted(self) -> bool:
        return self.task.should_stop or bool(
            self.task.work_limit and self.work >= self.task.work_limit
        )

    def _solve(self, program: Program) -> Array | None:
        found = continuous.solve(program, self.task, self._near)
        self.work += found.work
        self._near = found
        if found.status is not Status.OPTIMAL:
            self._settle(found.status)
        if found.weights is None or found.status is Status.NO_SOLUTION:
            return None
        return self._keep(self.problem.polish(found.weights), found.bound)

    def _settle(self, status: Status) -> None:
        """The first point decides whether there is a solution; later ones only whether all is
        proven.
        """
        self.status = status if not self.weights else Status.FEASIBLE

    def _keep(self, weights: Array, bound: float) -> Array | None:
        if self.problem.evaluate(weights).violation_max > self.task.feasibility_tolerance:
            self._settle(Status.NO_SOLUTION)
            return None
        self.weights.append(weights)
        self.bounds.append(bound)
        return weights

    def _frontier(self) -> Frontier:
        weights = np.array(self.weights)
        return Frontier(
            weights=weights,
            expected_returns=weights @ self.expected,
            volatilities=np.sqrt([variance(self.problem.covariance, w) for w in weights]),
        )
