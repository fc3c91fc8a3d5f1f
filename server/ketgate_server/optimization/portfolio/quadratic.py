"""Continuous programs by the native active-set kernel, a limit of turnover included."""

from dataclasses import dataclass

import numpy as np
from ketgate_native import qp

from ketgate_server.optimization.base import Status, Task, as_float64
from ketgate_server.optimization.portfolio.covariance import Array, Covariance, Factors
from ketgate_server.optimization.portfolio.program import Program

GAP = 1e-11
"""Gap, relative to the objective's parts, at which the price of turnover is found."""
PRICE_STEPS_MAX = 200


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


def solve(program: Program, task: Task, warm: qp.QPResult | None = None) -> Solved:
    """The optimum of a program, with a bound that its multipliers prove."""
    free = _priced(program, 0.0, task, warm)
    limit = program.turnover_max
    if limit is None or free.weights is None:
        return free
    if program.turnover(free.weights) <= limit + 1e-13:
        return free
    return _with_turnover(program, limit, free, task)


def kernel_form(covariance: Covariance) -> Array | qp.Factor:
    if isinstance(covariance, Factors):
        return qp.Factor(covariance.loadings, covariance.specific_variances, covariance.factor_covariance)
    return covariance.dense()


def _priced(program: Program, price: float, task: Task, warm: qp.QPResult | None) -> Solved:
    """The program without its limit of turnover, but a price on it."""
    if task.should_stop:
        return Solved(Status.NO_SOLUTION)
    size = program.size
    # The kernel gets C itself and the rest divided by the scale: no copy of an (n, n) matrix a program.
    divisor = program.scale if program.scale > 0 else 1.0
    quadratic = kernel_form(program.covariance) if program.scale > 0 else _nothing(size)
    buy, sell = (program.buy_cost + price) / divisor, (program.sell_cost + price) / divisor
    costly = bool(buy.any() or sell.any())
    result = qp.solve(
        quadratic, program.linear / divisor, program.rows.matrix, program.rows.lower, program.rows.upper,
        program.lower, program.upper, cost=(program.book, buy, sell) if costly else None, initial=warm,
        monitor=task.open_monitor(8 * size, as_float64_bytes, report=False), tolerance=1e-12,
    )
    status = _STATUS[result.status]
    if status in (Status.INFEASIBLE, Status.UNBOUNDED):
        return Solved(status, work=result.iterations)
    multipliers = result.dual_rows * divisor
    bound = program.lagrangian_bound(result.x, multipliers, price)
    return Solved(
        status, result.x, program.objective(result.x), bound, multipliers, price, result.iterations, result
    )


def _with_turnover(program: Program, limit: float, free: Solved, task: Task) -> Solved:
    """Find the price of turnover at which the limit is just kept.

    The turnover of the priced optimum never rises with the price, and is piecewise linear in it, so a secant
    between two prices that bracket the limit lands on it in few steps; a mixture of the two optima is feasible,
    and the Lagrangian bound says how good it is.
    """
    low = free
    high, work = _affordable(program, limit, free, task)
    if high.weights is None:
        return Solved(high.status, work=work)
    best_bound = max(low.bound, high.bound)
    mixed = _mix(program, low, high, limit)
    for step in range(PRICE_STEPS_MAX):
        objective = program.objective(mixed)
        settled = objective - best_bound <= GAP * program.size_of_parts(mixed)
        narrow = high.turnover_price - low.turnover_price <= 1e-15 * high.turnover_price
        if settled or narrow or task.should_stop:
            break
        price = _next_price(program, low, high, limit, step)
        tried = _priced(program, price, task, high.warm)
        work += tried.work
        if tried.weights is None:
            break
        best_bound = max(best_bound, tried.bound)
        if program.turnover(tried.weights) > limit:
            low = tried
        else:
            high = tried
        mixed = _mix(program, low, high, limit)
    objective = program.objective(mixed)
    proven = objective - best_bound <= 1e-9 * program.size_of_parts(mixed)
    return Solved(
        Status.OPTIMAL if proven else Status.FEASIBLE, mixed, objective, best_bound, high.multipliers,
        high.turnover_price, work, high.warm,
    )


def _affordable(program: Program, limit: float, free: Solved, task: Task) -> tuple[Solved, int]:
    """An optimum at a price so high that the limit is kept; INFEASIBLE where the least turnover is above it."""
    work = free.work
    least = _priced(_least_turnover(program), 0.0, task, None)
    work += least.work
    if least.weights is None or least.bound > limit + 1e-12 * max(1.0, limit):
        return Solved(Status.INFEASIBLE if least.weights is not None else least.status), work
    assert free.weights is not None
    slope = np.abs(program.scale * program.covariance.times(free.weights) + program.linear)
    price = max(float(slope.max()), float((program.buy_cost + program.sell_cost).max()), 1e-12)
    reached = program.turnover(least.weights)
    for _ in range(40):
        tried = _priced(program, price, task, free.warm)
        work += tried.work
        if tried.weights is None:
            return tried, work
        # At the least turnover there is, no price brings it lower, but rounding may leave it above the limit.
        if program.turnover(tried.weights) <= max(limit, reached + 1e-13):
            return tried, work
        price *= 4.0
    return Solved(Status.NO_SOLUTION), work


def _least_turnover(program: Program) -> Program:
    ones = np.ones(program.size)
    return Program(
        covariance=program.covariance, scale=0.0, linear=np.zeros(program.size), rows=program.rows,
        lower=program.lower, upper=program.upper, book=program.book, buy_cost=ones, sell_cost=ones,
    )


def _next_price(program: Program, low: Solved, high: Solved, limit: float, step: int) -> float:
    assert low.weights is not None
    assert high.weights is not None
    above, below = program.turnover(low.weights) - limit, limit - program.turnover(high.weights)
    share = above / (above + below) if above + below > 0 else 0.5
    # A secant can creep along one side: every third step halves.
    share = 0.5 if step % 3 == 2 else min(max(share, 1e-3), 1.0 - 1e-3)
    return low.turnover_price + share * (high.turnover_price - low.turnover_price)


def _mix(program: Program, low: Solved, high: Solved, limit: float) -> Array:
    """The mixture of two optima nearest to the first that keeps the limit; turnover is convex along it."""
    assert low.weights is not None
    assert high.weights is not None
    step = low.weights - high.weights
    kept, broken = 0.0, 1.0
    for _ in range(60):
        middle = (kept + broken) / 2
        if program.turnover(high.weights + middle * step) <= limit:
            kept = middle
        else:
            broken = middle
    return np.asarray(high.weights + kept * step)


def as_float64_bytes(solution: bytes) -> Array:
    """A kernel's solution as weights."""
    return as_float64(np.frombuffer(solution, dtype=np.float64))


def _nothing(size: int) -> qp.Factor:
    """The zero quadratic: a linear program."""
    return qp.Factor(np.zeros((size, 1)), np.zeros(size))


_STATUS = {
    "optimal": Status.OPTIMAL, "infeasible": Status.INFEASIBLE, "unbounded": Status.UNBOUNDED,
    "stopped": Status.NO_SOLUTION, "numerical": Status.FEASIBLE,
}
