"""A portfolio problem as solvers take it: a quadratic over rows and bounds, with trading costs.

    minimise    scale / 2 w'Cw + linear'w + cost(w)
    subject to  row_lower <= rows w <= row_upper, lower <= w <= upper,
                sum |w - book| <= turnover_max

Several objectives are solved through a family of such programs; ``Program.lagrangian_bound`` holds
for each.
"""

from dataclasses import dataclass

import numpy as np

from ketgate_server.optimization.portfolio.covariance import Array, Covariance, variance
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    MinimumVariance,
    PortfolioProblem,
    TargetReturn,
    Utility,
)


@dataclass(frozen=True, eq=False)
class Rows:
    """Linear rows, dense; few of them."""

    matrix: Array
    """(m, n)"""
    lower: Array
    """(m,)"""
    upper: Array
    """(m,)"""

    def supremum(self, multipliers: Array) -> float:
        """Greatest multipliers'z over row_lower <= z <= row_upper; infinite where a side is
        open.
        """
        ends = np.where(multipliers > 0, self.upper, self.lower)
        return float(multipliers[multipliers != 0] @ ends[multipliers != 0])

    def supported(self, multipliers: Array) -> Array:
        """The multipliers, 0 where they point to a side without limit."""
        open_side = np.where(multipliers > 0, np.isinf(self.upper), np.isinf(self.lower))
        return np.where(open_side, 0.0, multipliers)


@dataclass(frozen=True, eq=False)
class Program:
    """See the top of this file."""

    covariance: Covariance
    scale: float
    linear: Array
    """(n,)"""
    rows: Rows
    lower: Array
    """(n,)"""
    upper: Array
    """(n,), finite: where only the budget bounds a name, what the budget leaves for it."""
    book: Array
    """(n,) weights held now; zeros without a book."""
    buy_cost: Array
    """(n,), in the objective's unit."""
    sell_cost: Array
    """(n,)"""
    turnover_max: float | None = None

    @property
    def size(self) -> int:
        return len(self.linear)

    @property
    def costly(self) -> bool:
        return bool(self.buy_cost.any() or self.sell_cost.any())

    def objective(self, weights: Array) -> float:
        return self.scale / 2 * variance(self.covariance, weights) + self.straight(weights)

    def straight(self, weights: Array) -> float:
        """The objective without its quadratic."""
        traded = weights - self.book
        cost = self.buy_cost @ np.maximum(traded, 0.0) + self.sell_cost @ np.maximum(-traded, 0.0)
        return float(self.linear @ weights + cost)

    def size_of_parts(self, weights: Array) -> float:
        """Sum of the objective's parts in absolute value: what a gap is relative to, as it does not
        cancel.
        """
        traded = np.abs(weights - self.book)
        cost = np.maximum(self.buy_cost, self.sell_cost) @ traded
        return self.scale / 2 * variance(self.covariance, weights) + float(
            abs(self.linear) @ abs(weights) + cost
        )

    def turnover(self, weights: Array) -> float:
        return float(np.abs(weights - self.book).sum())

    def lagrangian_bound(
        self, weights: Array, multipliers: Array, turnover_price: float = 0.0
    ) -> float:
        """A lower bound of the objective over all that is feasible, whatever the weights and
        multipliers.

        The quadratic lies above its tangent at `weights`; what remains is separable, as the rows
        are priced by `multipliers` (signs as ``qp.QPResult.dual_rows``) and the turnover by
        `turnover_price`. It is tight at an optimum and its multipliers.
        """
        slope = self.scale * self.covariance.times(weights)
        constant = -0.5 * float(weights @ slope)
        priced = self.rows.supported(multipliers)
        gradient = slope + self.linear + self.rows.matrix.T @ priced
        limit = 0.0 if self.turnover_max is None else turnover_price * self.turnover_max
        buy, sell = self.buy_cost + turnover_price, self.sell_cost + turnover_price
        least = np.minimum(
            self._at(self.lower, gradient, buy, sell),
            self._at(self.upper, gradient, buy, sell),
        )
        kink = np.clip(self.book, self.lower, self.upper)
        least = np.minimum(least, self._at(kink, gradient, buy, sell))
        return constant + float(least.sum()) - self.rows.supremum(priced) - limit

    def _at(self, point: Array, gradient: Array, buy: Array, sell: Array) -> Array:
        traded = point - self.book
        return np.asarray(gradient * point + np.where(traded > 0, buy, sell) * np.abs(traded))


def program_of(problem: PortfolioProblem) -> Program:
    """The program of an objective that is one: minimum variance, utility, target return, or a
    frontier's low end.
    """
    match problem.objective:
        case Utility(risk_aversion=aversion):
            return build(problem, scale=aversion, returns=1.0)
        case TargetReturn(minimum_return=minimum):
            return build(problem, scale=2.0, minimum_return=minimum)
        case MinimumVariance() | EfficientFrontier():
            return build(problem, scale=2.0)
    raise TypeError(f"{type(problem.objective).__name__} is no single program")


def build(
    problem: PortfolioProblem,
    *,
    scale: float,
    returns: float = 0.0,
    cost: float = 1.0,
    minimum_return: float | None = None,
) -> Program:
    """Minimise scale / 2 w'Cw - returns * mu'w + cost * (cost of trading), with at least
    minimum_return.
    """
    size = problem.size
    limits = problem.constraints
    expected = problem.expected_returns
    linear = np.zeros(size) if returns == 0.0 or expected is None else -returns * expected
    lower, upper = tightened(problem)
    book = problem.book
    zeros = np.zeros(size)
    return Program(
        covariance=problem.covariance,
        scale=scale,
        linear=linear,
        rows=_rows(problem, minimum_return),
        lower=lower,
        upper=upper,
        book=zeros if book is None else book.weights,
        buy_cost=zeros if book is None else cost * book.buy_cost,
        sell_cost=zeros if book is None else cost * book.sell_cost,
        turnover_max=limits.turnover_max,
    )


def tightened(problem: PortfolioProblem) -> tuple[Array, Array]:
    """Bounds that the others imply: what the budget leaves for a name, and the least position of
    one always held.
    """
    limits = problem.constraints
    lower, upper = limits.lower.copy(), limits.upper.copy()
    if limits.position_min:
        # Not across the other bound: the least position itself then says that there is no solution.
        raised = np.minimum(np.maximum(lower, limits.position_min), upper)
        lowered = np.maximum(np.minimum(upper, -limits.position_min), lower)
        lower, upper = np.where(lower > 0, raised, lower), np.where(upper < 0, lowered, upper)
    if np.isinf(upper).any():
        # Not below the lower bound: the rows say that there is no solution, better than crossing
        # bounds would.
        room = limits.budget.upper - (limits.lower.sum() - limits.lower)
        upper = np.where(np.isinf(upper), np.maximum(room, lower), upper)
    return lower, upper


def _rows(problem: PortfolioProblem, minimum_return: float | None) -> Rows:
    limits = problem.constraints
    size = problem.size
    blocks: list[Array] = []
    ends: list[tuple[float, float]] = []
    if np.isfinite([limits.budget.lower, limits.budget.upper]).any():
        blocks.append(np.ones(size))
        ends.append((limits.budget.lower, limits.budget.upper))
    for group in limits.groups:
        row = np.zeros(size)
        row[group.members] = group.coefficients
        blocks.append(row)
        ends.append((group.interval.lower, group.interval.upper))
    if minimum_return is not None and problem.expected_returns is not None:
        blocks.append(problem.expected_returns)
        ends.append((minimum_return, np.inf))
    bounds = np.array(ends, dtype=np.float64).reshape(-1, 2)
    matrix = np.array(blocks, dtype=np.float64).reshape(-1, size)
    return Rows(matrix, np.ascontiguousarray(bounds[:, 0]), np.ascontiguousarray(bounds[:, 1]))
