"""Continuous programs by the native active-set kernel, without a limit of turnover but with a price
on it.
"""

from dataclasses import dataclass

import numpy as np
from ketgate_native import qp

from ketgate_server.optimization.base import Status, Task, as_float64
from ketgate_server.optimization.portfolio.covariance import Array, Covariance, Factors
from ketgate_server.optimization.portfolio.program import Program

PROVEN = 1e-9
"""Gap, relative to the objective's parts, that a bound leaves of an optimum."""


@dataclass(frozen=True, eq=False)
class Solved:
    """What is known of a program."""

    status: Status
    weights: Array | None = None
    objective: float = np.inf
    bound: float = -np.inf
    multipliers: Array | None = None
    """(m,) of the rows."""
    turnover_price: float = 0.0
    work: int = 0
    warm: qp.QPResult | None = None
    """Where a near program may start."""


def kernel_form(covariance: Covariance) -> Array | qp.Factor:
    if isinstance(covariance, Factors):
        return qp.Factor(
            covariance.loadings, covariance.specific_variances, covariance.factor_covariance
        )
    return covariance.dense()


def solve_priced(program: Program, price: float, task: Task, warm: qp.QPResult | None) -> Solved:
    """The program without its limit of turnover, but a price on it."""
    if task.should_stop:
        return Solved(Status.NO_SOLUTION)
    size = program.size
    # The kernel gets C itself and the rest divided by the scale: no copy of an (n, n) matrix a
    # program.
    divisor = program.scale if program.scale > 0 else 1.0
    quadratic = kernel_form(program.covariance) if program.scale > 0 else _nothing(size)
    buy, sell = (program.buy_cost + price) / divisor, (program.sell_cost + price) / divisor
    costly = bool(buy.any() or sell.any())
    result = qp.solve(
        quadratic,
        program.linear / divisor,
        program.rows.matrix,
        program.rows.lower,
        program.rows.upper,
        program.lower,
        program.upper,
        cost=(program.book, buy, sell) if costly else None,
        initial=_start(program, warm),
        monitor=task.open_monitor(8 * size, as_float64_bytes, report=False),
        tolerance=1e-12,
    )
    status = _STATUS[result.status]
    if status in (Status.INFEASIBLE, Status.UNBOUNDED):
        return Solved(status, work=result.iterations)
    multipliers = result.dual_rows * divisor
    bound = program.lagrangian_bound(result.x, multipliers, price)
    if status is Status.FEASIBLE and price == 0.0:
        gap = program.objective(result.x) - bound
        status = Status.OPTIMAL if gap <= PROVEN * program.size_of_parts(result.x) else status
    return Solved(
        status,
        result.x,
        program.objective(result.x),
        bound,
        multipliers,
        price,
        result.iterations,
        result,
    )


def _start(program: Program, warm: qp.QPResult | None) -> qp.QPResult | Array | None:
    """A near program's result; its point alone where that program had other rows."""
    if warm is None or len(warm.row_state) == len(program.rows.lower):
        return warm
    return warm.x


def as_float64_bytes(solution: bytes) -> Array:
    """A kernel's solution as weights."""
    return as_float64(np.frombuffer(solution, dtype=np.float64))


def _nothing(size: int) -> qp.Factor:
    """The zero quadratic: a linear program."""
    return qp.Factor(np.zeros((size, 1)), np.zeros(size))


_STATUS = {
    "optimal": Status.OPTIMAL,
    "infeasible": Status.INFEASIBLE,
    "unbounded": Status.UNBOUNDED,
    "stopped": Status.NO_SOLUTION,
    "numerical": Status.FEASIBLE,
}
