"""What needs no quadratic, by HiGHS: whether anything is feasible, the greatest expected return, the
least turnover.
"""

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ketgate_server.optimization.base import Status, Task
from ketgate_server.optimization.interruption import stop_when
from ketgate_server.optimization.portfolio.covariance import Array
from ketgate_server.optimization.portfolio.feasible_set import feasible_set, magnitude
from ketgate_server.optimization.portfolio.model import PortfolioProblem
from ketgate_server.optimization.portfolio.rows import RowBuilder
from ketgate_server.parts import part_version

if TYPE_CHECKING:
    import highspy

FEASIBILITY = 1e-9
NODES_MAX = 100_000
START_NODES_MAX = 1_000
FEASIBLE_POINT = 2
"""SolutionStatus of HiGHS."""
SLACK = 1e-9
"""Relative: what a bound of HiGHS is relaxed by, as it is exact to its tolerances only."""


class Undecided(Exception):  # noqa: N818 - a signal, not an error
    """A search ended without an answer, or the time is up."""


@dataclass(frozen=True, eq=False)
class Return:
    """The greatest expected return, net of costs if they count."""

    status: Status
    weights: Array | None = None
    bound: float = np.inf
    """No feasible portfolio has a greater one."""


def installed() -> bool:
    """Whether HiGHS is there; without it nothing here can be asked."""
    return part_version("highs") is not None


def feasible(
    problem: PortfolioProblem,
    time_limit_s: float,
    kept: Collection[str] | None = None,
    should_stop: Callable[[], bool] = lambda: False,
) -> bool:
    """Whether some weights hold the constraints whose fields are kept; None: all of them.

    Raises Undecided without an answer.
    """
    solver = _run(feasible_set(problem, kept, costs=False).rows, None, time_limit_s, should_stop)
    status = _status(solver)
    if status is Status.NO_SOLUTION:
        raise Undecided
    return status is not Status.INFEASIBLE


def greatest_return(
    problem: PortfolioProblem, task: Task, *, net: bool, share: float = 1.0
) -> Return:
    """The portfolio of the greatest expected return; net: less the cost of trading. share: of the
    time that the task has left.
    """
    expected = problem.expected_returns
    assert expected is not None
    book = problem.book
    costs = net and book is not None and book.costly
    allowed = feasible_set(problem, None, costs=costs)
    scale = magnitude(expected, *((book.buy_cost, book.sell_cost) if costs and book else ()))
    cost = np.zeros(allowed.rows.size)
    cost[allowed.weights] = -expected / scale
    if costs and book is not None and allowed.trades is not None:
        cost[allowed.trades] = np.concatenate((book.buy_cost, book.sell_cost)) / scale
    solver = _run(allowed.rows, cost, share * task.remaining_s, lambda: task.should_stop)
    status = _status(solver)
    if status is Status.INFEASIBLE:
        return Return(status)
    x = np.array(solver.getSolution().col_value)
    weights = None
    if len(x) == allowed.rows.size and solver.getInfo().primal_solution_status == FEASIBLE_POINT:
        weights = problem.polish(x[allowed.weights])
    relaxed = -solver.getInfo().mip_dual_bound * scale + SLACK * scale
    return Return(status, weights, relaxed if np.isfinite(relaxed) else np.inf)


def least_turnover(problem: PortfolioProblem, task: Task) -> Return:
    """The portfolio of the least turnover, as a start; its bound is not about returns, and left
    out.
    """
    allowed = feasible_set(problem, None, costs=False)
    cost = np.zeros(allowed.rows.size)
    if allowed.trades is not None:
        cost[allowed.trades] = 1.0
    solver = _run(
        allowed.rows, cost, task.remaining_s, lambda: task.should_stop, nodes_max=START_NODES_MAX
    )
    status = _status(solver)
    x = np.array(solver.getSolution().col_value)
    if status is Status.INFEASIBLE or len(x) != allowed.rows.size:
        return Return(status)
    found = solver.getInfo().primal_solution_status == FEASIBLE_POINT
    return Return(status, problem.polish(x[allowed.weights]) if found else None)


def _run(
    rows: RowBuilder,
    cost: Array | None,
    time_limit_s: float,
    should_stop: Callable[[], bool],
    nodes_max: int = NODES_MAX,
) -> "highspy.Highs":
    import highspy

    solver = highspy.Highs()
    solver.silent()
    for option, value in (
        ("threads", 1),
        ("time_limit", max(time_limit_s, 1e-3)),
        ("mip_max_nodes", nodes_max),
        ("mip_rel_gap", 1e-10),
        ("mip_abs_gap", 1e-12),
        ("primal_feasibility_tolerance", FEASIBILITY),
        ("mip_feasibility_tolerance", FEASIBILITY),
    ):
        solver.setOptionValue(option, value)
    solver.passModel(rows.highs_lp(cost))
    stop_when(solver, should_stop)
    solver.run()
    return solver


def _status(solver: "highspy.Highs") -> Status:
    import highspy

    found = solver.getModelStatus()
    none = (highspy.HighsModelStatus.kInfeasible, highspy.HighsModelStatus.kUnboundedOrInfeasible)
    if found in none:
        return Status.INFEASIBLE
    return Status.OPTIMAL if found == highspy.HighsModelStatus.kOptimal else Status.NO_SOLUTION
