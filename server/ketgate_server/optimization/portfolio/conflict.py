"""Why a portfolio problem has no solution: constraints that cannot hold together, none of them needless.

U. Junker, QuickXplain: preferred explanations and relaxations for over-constrained problems (AAAI 2004), over
feasibility tests by HiGHS. Constraints are told by the path of the field that states them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import highspy
import numpy as np

from ketgate_server.optimization.base import Conflict, Task
from ketgate_server.optimization.portfolio.covariance import Array
from ketgate_server.optimization.portfolio.model import (
    Interval,
    MaximumSharpe,
    PortfolioProblem,
    TargetReturn,
)
from ketgate_server.optimization.portfolio.rows import RowBuilder

FEASIBILITY = 1e-9
TEST_S_MAX = 2.0
"""Longest single test: a cancelled call must not wait for HiGHS, which cannot be interrupted from here."""


@dataclass(frozen=True)
class Constraint:
    """One constraint of the problem, that can be left out."""

    field: str
    name: str
    description: str


class _Undecided(Exception):  # noqa: N818 - a signal, not an error
    """A feasibility test ended without an answer, or the time is up."""


def find_conflict(problem: PortfolioProblem, task: Task) -> tuple[Conflict, ...]:
    """An irreducible set of constraints in conflict; empty if none was found in time."""
    stated = constraints_of(problem)

    def infeasible(kept: Sequence[Constraint]) -> bool:
        if task.should_stop:
            raise _Undecided
        return not feasible(problem, {c.field for c in kept}, min(task.remaining_s, TEST_S_MAX))

    try:
        if not infeasible(stated):
            return ()
        kept = _explain(infeasible, [], stated, changed=False)
    except _Undecided:
        return ()
    return tuple(Conflict(c.field, c.name, c.description) for c in stated if c in kept)


def _explain(
    infeasible: Callable[[Sequence[Constraint]], bool],
    background: list[Constraint],
    candidates: list[Constraint],
    *,
    changed: bool,
) -> list[Constraint]:
    if changed and infeasible(background):
        return []
    if len(candidates) == 1:
        return candidates
    half = len(candidates) // 2
    first, second = candidates[:half], candidates[half:]
    needed = _explain(infeasible, background + first, second, changed=True)
    return _explain(infeasible, background + needed, first, changed=bool(needed)) + needed


def constraints_of(problem: PortfolioProblem) -> list[Constraint]:
    """Everything that could be left out, in the order of the contract."""
    limits = problem.constraints
    below = "portfolio.constraints"
    found = []
    match problem.objective:
        case TargetReturn(minimum_return=least):
            found.append(
                Constraint(
                    "portfolio.objective.target_return.minimum_return",
                    "",
                    f"expected return at least {least:.10g}",
                )
            )
        case MaximumSharpe(risk_free_rate=rate):
            found.append(
                Constraint(
                    "portfolio.objective.maximum_sharpe.risk_free_rate",
                    "",
                    f"expected return above {rate:.10g}",
                )
            )
    if np.isfinite([limits.budget.lower, limits.budget.upper]).any():
        found.append(
            Constraint(f"{below}.budget", "", f"sum of the weights {_words(limits.budget)}")
        )
    found.append(
        Constraint(f"{below}.lower", "", f"lower bounds of the weights, {_spread(limits.lower)}")
    )
    if np.isfinite(limits.upper).any():
        found.append(
            Constraint(
                f"{below}.upper", "", f"upper bounds of the weights, {_spread(limits.upper)}"
            )
        )
    for k, group in enumerate(limits.groups):
        found.append(
            Constraint(
                f"{below}.groups[{k}]", group.name, f"sum of the group {_words(group.interval)}"
            )
        )
    if limits.names_max:
        found.append(
            Constraint(f"{below}.cardinality.names_max", "", f"at most {limits.names_max} names")
        )
    if limits.names_min:
        found.append(
            Constraint(f"{below}.cardinality.names_min", "", f"at least {limits.names_min} names")
        )
    if limits.position_min:
        text = f"a weight is 0 or at least {limits.position_min:.10g}"
        found.append(Constraint(f"{below}.cardinality.position_min", "", text))
    if limits.turnover_max is not None:
        text = f"sum of |w - current weights| at most {limits.turnover_max:.10g}"
        found.append(Constraint(f"{below}.turnover_max", "", text))
    if limits.lot_weights is not None:
        found.append(
            Constraint(f"{below}.round_lots", "", "weights are whole multiples of the lots")
        )
    return found


def feasible(problem: PortfolioProblem, kept: set[str], time_limit_s: float) -> bool:
    """Whether some weights hold the constraints whose fields are kept. Raises _Undecided without an answer."""
    rows = _model(problem, kept)
    solver = highspy.Highs()
    solver.silent()
    for option, value in (
        ("threads", 1),
        ("time_limit", max(time_limit_s, 1e-3)),
        ("primal_feasibility_tolerance", FEASIBILITY),
        ("mip_feasibility_tolerance", FEASIBILITY),
        ("presolve", "on"),
    ):
        solver.setOptionValue(option, value)
    solver.passModel(rows.highs_model())
    solver.run()
    status = solver.getModelStatus()
    if status in (
        highspy.HighsModelStatus.kInfeasible,
        highspy.HighsModelStatus.kUnboundedOrInfeasible,
    ):
        return False
    if status in (highspy.HighsModelStatus.kOptimal, highspy.HighsModelStatus.kUnbounded):
        return True
    raise _Undecided


def _model(problem: PortfolioProblem, kept: set[str]) -> RowBuilder:
    limits = problem.constraints
    below = "portfolio.constraints"
    size = problem.size
    far = _far(problem)
    lower = limits.lower if f"{below}.lower" in kept else np.full(size, -far)
    upper = np.minimum(limits.upper, far) if f"{below}.upper" in kept else np.full(size, far)
    rows = RowBuilder()
    w = rows.columns(lower, upper)
    ones = np.ones(size)
    if f"{below}.budget" in kept:
        rows.row(w, ones, limits.budget.lower, limits.budget.upper)
    for k, group in enumerate(limits.groups):
        if f"{below}.groups[{k}]" in kept:
            rows.row(
                w[group.members], group.coefficients, group.interval.lower, group.interval.upper
            )
    _add_trades(rows, problem, kept, w, far)
    _add_names(rows, problem, kept, w, lower, upper)
    if f"{below}.round_lots" in kept and limits.lot_weights is not None:
        for k in np.flatnonzero(limits.lot_weights):
            lot = limits.lot_weights[k]
            least, most = np.ceil(lower[k] / lot - 1e-9), np.floor(upper[k] / lot + 1e-9)
            count = rows.columns(np.array([least]), np.array([max(least, most)]), integer=True)
            rows.row(np.append(w[k : k + 1], count), np.array([1.0, -lot]), 0.0, 0.0)
    return rows


def _add_trades(
    rows: RowBuilder, problem: PortfolioProblem, kept: set[str], w: np.ndarray, far: float
) -> None:
    """Turnover, and the returns that an objective demands, net of the cost of trading where it counts."""
    limits, book, expected = problem.constraints, problem.book, problem.expected_returns
    size = problem.size
    target = "portfolio.objective.target_return.minimum_return" in kept
    sharpe = "portfolio.objective.maximum_sharpe.risk_free_rate" in kept
    traded = None
    turnover = "portfolio.constraints.turnover_max" in kept and limits.turnover_max is not None
    if book is not None and (turnover or (sharpe and book.costly)):
        bought = rows.columns(np.zeros(size), np.full(size, 2 * far))
        sold = rows.columns(np.zeros(size), np.full(size, 2 * far))
        traded = np.append(bought, sold)
        for k in range(size):
            place = np.array([w[k], bought[k], sold[k]])
            rows.row(place, np.array([1.0, -1.0, 1.0]), book.weights[k], book.weights[k])
        if turnover and limits.turnover_max is not None:
            rows.row(traded, np.ones(2 * size), -np.inf, limits.turnover_max)
    if expected is None:
        return
    scale = max(float(np.abs(expected).max()), np.finfo(float).tiny)
    if isinstance(problem.objective, TargetReturn) and target:
        rows.row(w, expected / scale, problem.objective.minimum_return / scale, np.inf)
    if isinstance(problem.objective, MaximumSharpe) and sharpe:
        # "Above" is no closed condition: a millionth of the greatest return above stands for it.
        least = problem.objective.risk_free_rate / scale + 1e-6
        if traded is not None and book is not None:
            costs = np.concatenate((book.buy_cost, book.sell_cost)) / scale
            rows.row(
                np.append(w, traded), np.concatenate((expected / scale, -costs)), least, np.inf
            )
        else:
            rows.row(w, expected / scale, least, np.inf)


def _add_names(
    rows: RowBuilder,
    problem: PortfolioProblem,
    kept: set[str],
    w: np.ndarray,
    lower: Array,
    upper: Array,
) -> None:
    """Names held: a binary for each long side and each short side that there is."""
    limits = problem.constraints
    below = "portfolio.constraints.cardinality"
    names_max = f"{below}.names_max" in kept
    names_min = f"{below}.names_min" in kept
    # Without a least position any weight counts, however small: then a minimum of names is always reached.
    position = limits.position_min if f"{below}.position_min" in kept else 0.0
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
    """A binary for each side that w has: on the long one position <= w <= upper, on the short one likewise."""
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
    return 10.0 * float(numbers[np.isfinite(numbers)].max())


def _words(interval: Interval) -> str:
    if interval.lower == interval.upper:
        return f"exactly {interval.lower:.10g}"
    ends = []
    if np.isfinite(interval.lower):
        ends.append(f"at least {interval.lower:.10g}")
    if np.isfinite(interval.upper):
        ends.append(f"at most {interval.upper:.10g}")
    return " and ".join(ends) or "any"


def _spread(bounds: Array) -> str:
    finite = bounds[np.isfinite(bounds)]
    low, high = float(finite.min()), float(finite.max())
    return f"{low:.10g} each" if low == high else f"{low:.10g} to {high:.10g}"
