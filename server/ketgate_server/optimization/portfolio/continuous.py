"""Continuous programs to their optimum, a limit of turnover included."""

from dataclasses import replace

import numpy as np

from ketgate_server.optimization.base import Status, Task
from ketgate_server.optimization.portfolio.program import Program
from ketgate_server.optimization.portfolio.quadratic import Solved, solve_priced

GAP = 1e-12
"""Gap, relative to the objective's parts, at which the price of turnover is found."""
PRICE_STEPS_MAX = 200


def solve(program: Program, task: Task, near: Solved | None = None) -> Solved:
    """The optimum of a program, with a bound that its multipliers prove. near: of a program like
    it.
    """
    limit = program.turnover_max
    warm = None if near is None else near.warm
    if limit is not None and near is not None and near.turnover_price > 0.0:
        low, high, work = _bracket_near(program, limit, near, task)
        if low is not None and high is not None:
            return _between(program, low, high, limit, work, task)
    free = solve_priced(program, 0.0, task, warm)
    if limit is None or free.weights is None or free.status is Status.NO_SOLUTION:
        return free
    if program.turnover(free.weights) <= limit + 1e-13:
        return free
    high, work = _affordable(program, limit, free, task)
    if (
        high.status is Status.NO_SOLUTION and high.weights is not None
    ):  # stopped: better than nothing
        objective = program.objective(high.weights)
        return Solved(Status.FEASIBLE, high.weights, objective, free.bound, work=work)
    if high.weights is None:
        return Solved(high.status, work=work)
    return _between(program, free, high, limit, work, task)


def _bracket_near(
    program: Program, limit: float, near: Solved, task: Task
) -> tuple[Solved | None, Solved | None, int]:
    """Optima on both sides of the limit, at prices about that of a program like it."""
    low: Solved | None = None
    high: Solved | None = None
    price, factor, work = near.turnover_price, 1.1, 0
    for _ in range(8):
        tried = solve_priced(program, price, task, near.warm)
        work += tried.work
        if tried.weights is None or tried.status is Status.NO_SOLUTION:
            break
        if program.turnover(tried.weights) > limit:
            low = tried
        else:
            high = tried
        if low is not None and high is not None:
            break
        price = price * factor if high is None else price / factor
        factor *= factor
    return low, high, work


def _between(
    program: Program, low: Solved, high: Solved, limit: float, work: int, task: Task
) -> Solved:
    """Find the price of turnover at which the limit is just kept.

    The turnover of the priced optimum never rises with the price, and is piecewise linear in it, so
    a secant between two prices that bracket the limit lands on it in few steps; a mixture of the
    two optima is feasible, and the Lagrangian bound says how good it is.
    """
    mixed = _mix(program, low, high, limit)
    for step in range(PRICE_STEPS_MAX):
        gap = mixed.objective - mixed.bound
        assert mixed.weights is not None
        settled = gap <= GAP * program.size_of_parts(mixed.weights)
        narrow = high.turnover_price - low.turnover_price <= 4e-16 * high.turnover_price
        if settled or narrow or task.should_stop:
            break
        tried = solve_priced(program, _next_price(program, low, high, limit, step), task, high.warm)
        work += tried.work
        if tried.weights is None or tried.status is Status.NO_SOLUTION:
            break
        if program.turnover(tried.weights) > limit:
            low = tried
        else:
            high = tried
        mixed = _best(_mix(program, low, high, limit), mixed, max(tried.bound, mixed.bound))
    assert mixed.weights is not None
    proven = mixed.objective - mixed.bound <= 1e-9 * program.size_of_parts(mixed.weights)
    return replace(mixed, status=Status.OPTIMAL if proven else Status.FEASIBLE, work=work)


def _best(new: Solved, old: Solved, bound: float) -> Solved:
    """The better of two mixtures, with the best bound that is known."""
    chosen = new if new.objective <= old.objective else old
    return replace(chosen, bound=max(bound, new.bound))


def _affordable(program: Program, limit: float, free: Solved, task: Task) -> tuple[Solved, int]:
    """An optimum at a price so high that the limit is kept; INFEASIBLE where the least turnover is
    above it.
    """
    work = free.work
    least = solve_priced(_least_turnover(program), 0.0, task, None)
    work += least.work
    if least.weights is None or least.bound > limit + 1e-12 * max(1.0, limit):
        return Solved(Status.INFEASIBLE if least.weights is not None else least.status), work
    assert free.weights is not None
    slope = np.abs(program.scale * program.covariance.times(free.weights) + program.linear)
    price = max(float(slope.max()), float((program.buy_cost + program.sell_cost).max()), 1e-12)
    reached = program.turnover(least.weights)
    for _ in range(40):
        tried = solve_priced(program, price, task, free.warm)
        work += tried.work
        if tried.weights is None or tried.status is Status.NO_SOLUTION:
            break
        # At the least turnover there is, no price brings it lower, but rounding may leave it above
        # the limit.
        if program.turnover(tried.weights) <= max(limit, reached + 1e-13):
            return tried, work
        price *= 4.0
    known = reached <= limit
    return replace(least, status=Status.NO_SOLUTION, weights=least.weights if known else None), work


def _least_turnover(program: Program) -> Program:
    ones = np.ones(program.size)
    return Program(
        covariance=program.covariance,
        scale=0.0,
        linear=np.zeros(program.size),
        rows=program.rows,
        lower=program.lower,
        upper=program.upper,
        book=program.book,
        buy_cost=ones,
        sell_cost=ones,
    )


def _next_price(program: Program, low: Solved, high: Solved, limit: float, step: int) -> float:
    assert low.weights is not None
    assert high.weights is not None
    above, below = program.turnover(low.weights) - limit, limit - program.turnover(high.weights)
    share = above / (above + below) if above + below > 0 else 0.5
    # A secant can creep along one side: every third step halves.
    share = 0.5 if step % 3 == 2 else min(max(share, 1e-3), 1.0 - 1e-3)
    return low.turnover_price + share * (high.turnover_price - low.turnover_price)


def _mix(program: Program, low: Solved, high: Solved, limit: float) -> Solved:
    """The mixture of two optima nearest to the first that keeps the limit.

    Turnover is convex along it. Weights and multipliers are linear in the price while the same
    names are free and traded; then the mixture is the optimum, and the mixed multipliers prove it.
    """
    assert low.weights is not None
    assert high.weights is not None
    assert low.multipliers is not None
    assert high.multipliers is not None
    step = low.weights - high.weights
    kept, broken = 0.0, 1.0
    for _ in range(60):
        middle = (kept + broken) / 2
        if program.turnover(high.weights + middle * step) <= limit:
            kept = middle
        else:
            broken = middle
    weights = high.weights + kept * step
    multipliers = high.multipliers + kept * (low.multipliers - high.multipliers)
    price = high.turnover_price + kept * (low.turnover_price - high.turnover_price)
    bound = max(program.lagrangian_bound(weights, multipliers, price), low.bound, high.bound)
    return Solved(
        Status.FEASIBLE,
        weights,
        program.objective(weights),
        bound,
        multipliers,
        price,
        warm=high.warm,
    )
