"""The set that a problem allows, discrete constraints included, as rows of a mixed-integer program."""

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from ketgate_server.optimization.portfolio.covariance import Array
from ketgate_server.optimization.portfolio.model import (
    MaximumSharpe,
    PortfolioProblem,
    TargetReturn,
)
from ketgate_server.optimization.portfolio.program import tightened
from ketgate_server.optimization.portfolio.rows import RowBuilder

FAR_MAX = 1e6


@dataclass(frozen=True, eq=False)
class FeasibleSet:
    """The rows of a feasible set, and where its parts stand."""

    rows: RowBuilder
    weights: np.ndarray
    trades: np.ndarray | None
    """What is bought, then what is sold; None where nothing asks for them."""


def feasible_set(
    problem: PortfolioProblem, kept: Collection[str] | None, *, costs: bool
) -> FeasibleSet:
    """kept: fields of the constraints that hold; None: all. costs: whether trades are needed for
    their cost.
    """
    limits = problem.constraints
    below = "portfolio.constraints"
    size = problem.size
    if kept is None:
        lower, upper = tightened(problem)
    else:
        far = _far(problem)
        lower = limits.lower if f"{below}.lower" in kept else np.full(size, -far)
        upper = np.minimum(limits.upper, far) if f"{below}.upper" in kept else np.full(size, far)
    rows = RowBuilder()
    w = rows.columns(lower, upper)
    if _holds(kept, f"{below}.budget"):
        rows.row(w, np.ones(size), limits.budget.lower, limits.budget.upper)
    for k, group in enumerate(limits.groups):
        if _holds(kept, f"{below}.groups[{k}]"):
            ends = group.interval
            rows.row(w[group.members], group.coefficients, ends.lower, ends.upper)
    trades = _add_trades(rows, problem, kept, w, costs=costs)
    _add_returns(rows, problem, kept, w, trades)
    _add_names(rows, problem, kept, w, lower, upper)
    _add_lots(rows, problem, kept, w, lower, upper)
    return FeasibleSet(rows, w, trades)


def _holds(kept: Collection[str] | None, field: str) -> bool:
    return kept is None or field in kept


def _add_trades(
    rows: RowBuilder,
    problem: PortfolioProblem,
    kept: Collection[str] | None,
    w: np.ndarray,
    *,
    costs: bool,
) -> np.ndarray | None:
    """What is bought and sold, where something asks for it, and the limit of turnover."""
    limit, book, size = problem.constraints.turnover_max, problem.book, problem.size
    turnover = limit is not None and _holds(kept, "portfolio.constraints.turnover_max")
    if book is None:
        return None
    sharpe = isinstance(problem.objective, MaximumSharpe) and book.costly
    if not (turnover or costs or sharpe):
        return None
    far = 2 * _far(problem)
    trades = rows.columns(np.zeros(2 * size), np.full(2 * size, far))
    for k in range(size):
        place = np.array([w[k], trades[k], trades[size + k]])
        rows.row(place, np.array([1.0, -1.0, 1.0]), book.weights[k], book.weights[k])
    if turnover and limit is not None:
        rows.row(trades, np.ones(2 * size), -np.inf, limit)
    return trades


def _add_returns(
    rows: RowBuilder,
    problem: PortfolioProblem,
    kept: Collection[str] | None,
    w: np.ndarray,
    trades: np.ndarray | None,
) -> None:
    """The return that an objective demands."""
    expected, book = problem.expected_returns, problem.book
    if expected is None:
        return
    scale = magnitude(expected)
    match problem.objective:
        case TargetReturn(minimum_return=least):
            if _holds(kept, "portfolio.objective.target_return.minimum_return"):
                rows.row(w, expected / scale, least / scale, np.inf)
        case MaximumSharpe(risk_free_rate=rate):
            # Only an explanation asks for it: a search for the greatest return itself must not.
            if kept is None or "portfolio.objective.maximum_sharpe.risk_free_rate" not in kept:
                return
            # "Above" is no closed condition: a millionth of the greatest return stands for it.
            least = rate / scale + 1e-6
            place, values = w, expected / scale
            if trades is not None and book is not None:
                costs = np.concatenate((book.buy_cost, book.sell_cost)) / scale
                place, values = np.append(place, trades), np.concatenate((values, -costs))
            rows.row(place, values, least, np.inf)


def _add_lots(
    rows: RowBuilder,
    problem: PortfolioProblem,
    kept: Collection[str] | None,
    w: np.ndarray,
    lower: Array,
    upper: Array,
) -> None:
    lots = problem.constraints.lot_weights
    if lots is None or not _holds(kept, "portfolio.constraints.round_lots"):
        return
    for k in np.flatnonzero(lots):
        least = float(np.ceil(lower[k] / lots[k] - 1e-9))
        most = max(least, float(np.floor(upper[k] / lots[k] + 1e-9)))
        count = rows.columns(np.array([least]), np.array([most]), integer=True)
        rows.row(np.append(w[k : k + 1], count), np.array([1.0, -lots[k]]), 0.0, 0.0)


def _add_names(
    rows: RowBuilder,
    problem: PortfolioProblem,
    kept: Collection[str] | None,
    w: np.ndarray,
    lower: Array,
    upper: Array,
) -> None:
    """Names held: a binary for each long side and each short side that there is."""
    limits = problem.constraints
    below = "portfolio.constraints.cardinality"
    names_max = limits.names_max and _holds(kept, f"{below}.names_max")
    names_min = limits.names_min and _holds(kept, f"{below}.names_min")
    # Without a least position any weight counts, however small: then a minimum of names is always
    # reached.
    position = limits.position_min if _holds(kept, f"{below}.position_min") else 0.0
    if not (names_max or names_min or position):
        return
    held: list[int] = []
    for k in range(problem.size):
        held += _sides(rows, int(w[k]), position, float(lower[k]), float(upper[k]))
    if held and names_max:
        rows.row(np.array(held), np.ones(len(held)), -np.inf, float(limits.names_max))
    if held and names_min:
        rows.row(np.array(held), np.ones(len(held)), float(limits.names_min), np.inf)


def _sides(rows: RowBuilder, w: int, position: float, lower: float, upper: float) -> list[int]:
    """A binary for each side that w has: on the long one position <= w <= upper, on the short one
    likewise.
    """
    sides = (
        [int(p) for p in rows.columns(np.zeros(1), np.ones(1), integer=True)]
        if upper > 0 or lower < 0
        else []
    )
    if lower >= 0 and upper > 0:
        rows.row(np.array([w, sides[0]]), np.array([1.0, -upper]), -np.inf, 0.0)
        rows.row(np.array([w, sides[0]]), np.array([1.0, -max(position, lower)]), 0.0, np.inf)
    elif upper <= 0 and lower < 0:
        rows.row(np.array([w, sides[0]]), np.array([1.0, -min(-position, upper)]), -np.inf, 0.0)
        rows.row(np.array([w, sides[0]]), np.array([1.0, -lower]), 0.0, np.inf)
    elif lower < 0 < upper:
        sides += [int(p) for p in rows.columns(np.zeros(1), np.ones(1), integer=True)]
        place = np.array([w, *sides])
        rows.row(place, np.array([1.0, -position, -lower]), 0.0, np.inf)
        rows.row(place, np.array([1.0, -upper, position]), -np.inf, 0.0)
        rows.row(np.array(sides), np.ones(2), -np.inf, 1.0)
    return sides


def _far(problem: PortfolioProblem) -> float:
    """A bound that stands for none: ten times all that the problem speaks of."""
    limits = problem.constraints
    spoken = [limits.lower, limits.upper, np.array([limits.budget.lower, limits.budget.upper, 1.0])]
    spoken += [np.array([group.interval.lower, group.interval.upper]) for group in limits.groups]
    if problem.book is not None:
        spoken.append(problem.book.weights)
    numbers = np.abs(np.concatenate(spoken))
    far = float(numbers[np.isfinite(numbers)].max())
    if problem.expected_returns is not None:
        # So far that a return that is asked for is within reach of a single name.
        best = magnitude(problem.expected_returns)
        asked = getattr(problem.objective, "minimum_return", 0.0)
        asked = getattr(problem.objective, "risk_free_rate", asked)
        far = max(far, min(abs(asked) / best, FAR_MAX))
    return 10.0 * far


def magnitude(*arrays: Array) -> float:
    """The greatest magnitude; 1 where all is 0."""
    return max(float(np.abs(array).max()) for array in arrays) or 1.0
