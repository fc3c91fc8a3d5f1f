"""Why a portfolio problem has no solution: constraints that cannot hold together, none of them
needless.

U. Junker, QuickXplain: preferred explanations and relaxations for over-constrained problems (AAAI
2004), over feasibility tests by HiGHS. Constraints are told by the path of the field that states
them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from ketgate_server.optimization.base import Conflict, Task
from ketgate_server.optimization.portfolio import mixed
from ketgate_server.optimization.portfolio.covariance import Array
from ketgate_server.optimization.portfolio.model import (
    Interval,
    MaximumSharpe,
    PortfolioProblem,
    TargetReturn,
)

NAMES_MAX = 3_000
"""Beyond it a single test of HiGHS can overrun its limit: it does not look at its clock."""
TEST_S_MAX = 2.0
"""Longest single test: within presolve HiGHS does not hear that a call was cancelled."""


@dataclass(frozen=True)
class Constraint:
    """One constraint of the problem, that can be left out."""

    field: str
    name: str
    description: str


def find_conflict(problem: PortfolioProblem, task: Task) -> tuple[Conflict, ...]:
    """An irreducible set of constraints in conflict; empty if none was found in time."""
    if problem.size > NAMES_MAX or not mixed.installed():
        return ()
    stated = constraints_of(problem)

    def infeasible(kept: Sequence[Constraint]) -> bool:
        if task.should_stop:
            raise mixed.Undecided
        limit_s = min(task.remaining_s, TEST_S_MAX)
        fields = {c.field for c in kept}
        return not mixed.feasible(problem, limit_s, fields, lambda: task.should_stop)

    try:
        if not infeasible(stated):
            return ()
        kept = _explain(infeasible, [], stated, changed=False)
    except mixed.Undecided:
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
