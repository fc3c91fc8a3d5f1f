"""What a portfolio problem is: covariance, objective, constraints, book; and how its solutions are
judged. ``constraints.py`` says what a constraint and a book are.

Everything here speaks of the caller's own numbers. Solvers see them through ``program.py``.
"""

from dataclasses import dataclass, field

import numpy as np

from ketgate_server.optimization.base import Evaluation, ProblemKind, Sense, as_float64
from ketgate_server.optimization.portfolio.constraints import Book as Book
from ketgate_server.optimization.portfolio.constraints import Constraints as Constraints
from ketgate_server.optimization.portfolio.constraints import Group as Group
from ketgate_server.optimization.portfolio.constraints import Interval as Interval
from ketgate_server.optimization.portfolio.constraints import lot_counts
from ketgate_server.optimization.portfolio.covariance import Array, Covariance, variance


@dataclass(frozen=True)
class MinimumVariance:
    """Minimise w'Cw + cost of trading."""


@dataclass(frozen=True)
class Utility:
    """Maximise mu'w - risk_aversion / 2 * w'Cw - cost of trading."""

    risk_aversion: float


@dataclass(frozen=True)
class TargetReturn:
    """Minimise w'Cw + cost of trading, subject to mu'w >= minimum_return."""

    minimum_return: float


@dataclass(frozen=True)
class MaximumSharpe:
    """Maximise (mu'w - cost of trading - risk_free_rate) / sqrt(w'Cw)."""

    risk_free_rate: float = 0.0


@dataclass(frozen=True, eq=False)
class RiskParity:
    """Shares w_i (Cw)_i / w'Cw equal to the budgets; the objective is the sum of their squared
    differences.
    """

    budgets: Array
    """(n,), positive, sum 1."""


@dataclass(frozen=True)
class EfficientFrontier:
    """All of: minimise w'Cw + cost of trading, subject to mu'w >= r. The objective is that of the
    least r.
    """

    points: int = 50


Objective = (
    MinimumVariance | Utility | TargetReturn | MaximumSharpe | RiskParity | EfficientFrontier
)


@dataclass(frozen=True, eq=False)
class PortfolioFigures:
    """What a desk reads off a portfolio; None where it does not apply."""

    volatility: float
    names_held: int
    risk_shares: Array
    """(n,) w_i (Cw)_i / w'Cw; all 0 without risk."""
    expected_return: float | None = None
    sharpe_ratio: float | None = None
    turnover: float | None = None
    cost: float | None = None
    lots: np.ndarray | None = None
    """(n,) int64."""


@dataclass(frozen=True, eq=False)
class Frontier:
    """Efficient portfolios, by rising expected return."""

    weights: Array
    """(p, n)"""
    expected_returns: Array
    """(p,)"""
    volatilities: Array
    """(p,)"""
    corner_weights: Array | None = None
    """(c, n): between two neighbours every efficient portfolio is their mixture."""
    corner_expected_returns: Array | None = None
    corner_volatilities: Array | None = None
    variance_bounds: Array | None = None
    """(p,) proven, with discrete constraints."""


@dataclass(frozen=True, eq=False)
class PortfolioProblem:
    """A checked portfolio problem; implements ``base.Problem``.

    >>> import numpy as np
    >>> from ketgate_server.optimization.portfolio.covariance import Dense
    >>> problem = PortfolioProblem(Dense(np.diag([1.0, 2.0])), MinimumVariance(), Constraints.of(2))
    >>> problem.evaluate(np.array([0.5, 0.5])).objective
    0.75
    """

    covariance: Covariance
    objective: Objective
    constraints: Constraints
    expected_returns: Array | None = None
    """(n,); None where the objective does not use them."""
    names: tuple[str, ...] = ()
    book: Book | None = None
    warnings: tuple[str, ...] = field(default=())

    @property
    def size(self) -> int:
        return self.covariance.size

    @property
    def kind(self) -> ProblemKind:
        discrete = self.constraints.discrete
        return ProblemKind.PORTFOLIO_DISCRETE if discrete else ProblemKind.PORTFOLIO_CONTINUOUS

    @property
    def wants_frontier(self) -> bool:
        """Then one portfolio, however good, is not the answer."""
        return isinstance(self.objective, EfficientFrontier)

    @property
    def terms(self) -> int:
        """A matrix times a vector takes about 1e-9 s an entry, a thirtieth of a term summed by itself."""
        return self.covariance.nbytes // 8 // 30

    def fallback(self) -> None:
        """Weights that keep all constraints take a search."""

    @property
    def sense(self) -> Sense:
        maximised = isinstance(self.objective, (Utility, MaximumSharpe))
        return Sense.MAXIMIZE if maximised else Sense.MINIMIZE

    @property
    def num_constraints(self) -> int:
        limits = self.constraints
        stated = (
            np.isfinite([limits.budget.lower, limits.budget.upper]).any(),
            isinstance(self.objective, TargetReturn),
            limits.names_max or limits.names_min,
            limits.position_min,
            limits.turnover_max is not None,
            limits.lot_weights is not None,
        )
        bounds = np.isfinite(limits.lower).sum() + np.isfinite(limits.upper).sum()
        return sum(map(bool, stated)) + len(limits.groups) + int(bounds)

    def name_of(self, position: int) -> str:
        return self.names[position] if self.names else f"name {position}"

    def net_return(self, weights: Array) -> float:
        """mu'w less the cost of trading."""
        assert self.expected_returns is not None, (
            "convert.py asks for them where the objective uses them"
        )
        return float(self.expected_returns @ weights) - self.cost(weights)

    def cost(self, weights: Array) -> float:
        return 0.0 if self.book is None else self.book.cost(weights)

    def objective_of(self, weights: Array) -> float:
        """In the caller's sense."""
        risk = self.covariance.times(weights)
        spread = max(0.0, float(weights @ risk))
        match self.objective:
            case Utility(risk_aversion=gamma):
                return self.net_return(weights) - gamma / 2 * spread
            case MaximumSharpe(risk_free_rate=rate):
                excess = self.net_return(weights) - rate
                return (
                    excess / np.sqrt(spread)
                    if spread > 0
                    else float(np.sign(excess) * np.inf if excess else 0.0)
                )
            case RiskParity(budgets=budgets):
                return float(np.square(_shares(weights, risk, spread) - budgets).sum())
            case _:
                return spread + self.cost(weights)

    def evaluate(self, values: np.ndarray) -> Evaluation:
        weights = as_float64(values)
        if weights.shape != (self.size,) or not np.isfinite(weights).all():
            return Evaluation(objective=np.nan, violation_max=np.inf)
        violation = (
            np.inf if self.constraints.breaks_discrete(weights) else self._violation(weights)
        )
        objective = self.objective_of(weights)
        return Evaluation(objective, violation, self._size_of_parts(weights, objective))

    def _size_of_parts(self, weights: Array, objective: float) -> float:
        """Sum of what the objective sums up, in absolute value: its parts may cancel, their
        rounding does not.
        """
        size = np.abs(weights)
        risk = float(size @ np.sqrt(np.maximum(0.0, self.covariance.diagonal()))) ** 2
        if isinstance(self.objective, RiskParity):
            return 1.0
        if not isinstance(self.objective, (Utility, MaximumSharpe)):
            return risk + self.cost(weights)
        assert self.expected_returns is not None
        returns = float(np.abs(self.expected_returns) @ size) + self.cost(weights)
        if isinstance(self.objective, Utility):
            return returns + self.objective.risk_aversion / 2 * risk
        rate = self.objective.risk_free_rate
        excess = abs(self.net_return(weights) - rate)
        return (returns + abs(rate)) * abs(objective) / excess if excess > 0 else 1.0

    def _violation(self, weights: Array) -> float:
        limits = self.constraints
        worst = max(
            0.0, float((limits.lower - weights).max()), float((weights - limits.upper).max())
        )
        worst = max(worst, limits.budget.violation(float(weights.sum())))
        for group in limits.groups:
            worst = max(
                worst, group.interval.violation(float(group.coefficients @ weights[group.members]))
            )
        if limits.turnover_max is not None and self.book is not None:
            worst = max(worst, self.book.turnover(weights) - limits.turnover_max)
        if isinstance(self.objective, TargetReturn) and self.expected_returns is not None:
            worst = max(
                worst, self.objective.minimum_return - float(self.expected_returns @ weights)
            )
        return worst

    def polish(self, values: np.ndarray) -> Array:
        """Weights within the bounds exactly; with discrete constraints exact zeros, least positions
        and lots.
        """
        return self.constraints.snapped(as_float64(values))

    def figures(self, values: np.ndarray) -> PortfolioFigures:
        weights = as_float64(values)
        risk = self.covariance.times(weights)
        spread = variance(self.covariance, weights)
        rate = self.objective.risk_free_rate if isinstance(self.objective, MaximumSharpe) else 0.0
        expected = None if self.expected_returns is None else float(self.expected_returns @ weights)
        lots = self.constraints.lot_weights
        return PortfolioFigures(
            volatility=float(np.sqrt(spread)),
            names_held=int(np.count_nonzero(weights)),
            risk_shares=_shares(weights, risk, spread),
            expected_return=expected,
            sharpe_ratio=None
            if expected is None or spread == 0
            else (expected - rate) / float(np.sqrt(spread)),
            turnover=None if self.book is None else self.book.turnover(weights),
            cost=None if self.book is None else self.book.cost(weights),
            lots=None if lots is None else lot_counts(weights, lots).astype(np.int64),
        )


def _shares(weights: Array, risk: Array, spread: float) -> Array:
    return weights * risk / spread if spread > 0 else np.zeros(len(weights))
