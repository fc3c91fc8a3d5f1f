"""Discrete programs by the native branch-and-bound kernel."""

from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np
from ketgate_native import miqp

from ketgate_server.optimization.base import Status, Task
from ketgate_server.optimization.portfolio.covariance import Array, Factors
from ketgate_server.optimization.portfolio.model import Constraints
from ketgate_server.optimization.portfolio.program import Program
from ketgate_server.optimization.portfolio.quadratic import as_float64_bytes


@dataclass(frozen=True, eq=False)
class Searched:
    """What branch-and-bound knows at its end."""

    status: Status
    weights: Array | None = None
    bound: float = -np.inf
    pool: list[Array] = field(default_factory=list)
    """Distinct feasible points, best first; the first is `weights`."""
    nodes: int = 0
    at_target: bool = False
    """Whether it ended because it had reached the task's target."""
    out_of_time: bool = False


def search(
    program: Program,
    limits: Constraints,
    task: Task,
    *,
    initial: Array | None = None,
    report: bool = False,
    gap_relative: float | None = None,
    nodes_max: int | None = None,
    time_limit_s: float | None = None,
    decode: Callable[[bytes], Array] = as_float64_bytes,
) -> Searched:
    """The best of a discrete program.

    report: whether the program's objective is the problem's, so that incumbents and bounds go to
    the caller as they are found. nodes_max: work that is left; None: no limit. time_limit_s: this
    search's share of the task's time; None: all of it.
    """
    size = program.size
    monitor = task.open_monitor(8 * size, decode, report=report)
    if time_limit_s is not None:
        monitor.shorten(time_limit_s)
    result = miqp.solve(
        _scaled(program),
        program.linear,
        program.rows.matrix,
        program.rows.lower,
        program.rows.upper,
        program.lower,
        program.upper,
        cardinality_max=limits.names_max or None,
        cardinality_min=limits.names_min,
        position_min=limits.position_min or None,
        lot=limits.lot_weights,
        book=program.book,
        buy_cost=program.buy_cost if program.costly else None,
        sell_cost=program.sell_cost if program.costly else None,
        turnover=program.turnover_max,
        initial=initial,
        gap_absolute=task.gap_absolute if report else 0.0,
        gap_relative=task.gap_relative if gap_relative is None else gap_relative,
        nodes_max=nodes_max,
        pool_max=max(task.pool_size, 1),
        seed=task.seed % 2**63,
        monitor=monitor,
    )
    status = _STATUS[result.status]
    if status is Status.NO_SOLUTION and result.x is not None:
        status = Status.FEASIBLE
    return Searched(
        status,
        result.x,
        result.bound,
        pool=[solution.x for solution in result.pool],
        nodes=result.nodes,
        at_target=monitor.stop_reason == "target",
        out_of_time=monitor.stop_reason == "time",
    )


def _scaled(program: Program) -> Array | miqp.Factor:
    """The quadratic, scaled: the kernel's objective is then the program's own, as its incumbents'
    must be.
    """
    covariance, scale = program.covariance, program.scale
    if isinstance(covariance, Factors):
        loadings = np.sqrt(scale) * covariance.scaled_loadings
        return miqp.Factor(np.ascontiguousarray(loadings), scale * covariance.specific_variances)
    matrix = np.asarray(scale * covariance.dense())
    # The check of semidefiniteness lets pass what rounding may have pushed below 0; the kernel does
    # not take a variance below 0.
    low = matrix.diagonal().min(initial=0.0)
    if low < 0:
        matrix[np.diag_indices(len(matrix))] = np.maximum(0.0, matrix.diagonal())
    return matrix


_STATUS = {
    "optimal": Status.OPTIMAL,
    "infeasible": Status.INFEASIBLE,
    "unbounded": Status.UNBOUNDED,
    "stopped": Status.NO_SOLUTION,
}
