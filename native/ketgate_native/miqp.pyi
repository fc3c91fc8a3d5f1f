from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

class Factor(NamedTuple):
    """A quadratic form given as loadings @ loadings.T + diag(diagonal)."""

    loadings: ArrayLike
    """(n, k)"""
    diagonal: ArrayLike
    """(n,), not negative"""

class Solution(NamedTuple):
    """One feasible point of the pool."""

    x: NDArray[np.float64]
    objective: float

class Timings(NamedTuple):
    """Seconds, wall clock."""

    setup_s: float
    """Scaling, implied bounds, first incumbent, root relaxation, diagonal of the perspective bound."""
    search_s: float
    """Branch-and-bound below the root."""

class MIQPResult(NamedTuple):
    """What a run proved and found."""

    x: NDArray[np.float64] | None
    """(n,) best point found; None if none was. A name that is not held is exactly 0.0; a lot is an exact multiple."""
    objective: float
    """Of x, costs included; inf without x."""
    bound: float
    """No feasible point is better than this; inf if proven infeasible, -inf if nothing was proven."""
    status: str
    """optimal (objective - bound within the gap), infeasible (proven) or stopped; with finite bounds never unbounded."""
    nodes: int
    iterations: int
    """Pivots of all relaxations."""
    pool: list[Solution]
    """Distinct feasible points met on the way, best first; the first is x."""
    timings: Timings

def solve(
    quadratic: ArrayLike | Factor,
    linear: ArrayLike,
    rows: ArrayLike | None,
    row_lower: ArrayLike | None,
    row_upper: ArrayLike | None,
    lower: ArrayLike | float,
    upper: ArrayLike | float,
    *,
    cardinality_max: int | None = None,
    cardinality_min: int = 0,
    position_min: ArrayLike | float | None = None,
    lot: ArrayLike | float | None = None,
    book: ArrayLike | None = None,
    buy_cost: ArrayLike | float | None = None,
    sell_cost: ArrayLike | float | None = None,
    turnover: float | None = None,
    initial: ArrayLike | None = None,
    gap_absolute: float = 0.0,
    gap_relative: float = 1e-9,
    nodes_max: int | None = None,
    pool_max: int = 16,
    seed: int = 0,
    isa: str | None = None,
    monitor: Monitor | None = None,
) -> MIQPResult:
    """Minimise a convex quadratic over few names, minimum positions and round lots, to a proven optimum.

    minimise    1/2 x'Qx + c'x + sum_i buy_cost_i max(x_i - book_i, 0) + sell_cost_i max(book_i - x_i, 0)
    subject to  row_lower <= rows @ x <= row_upper,  lower <= x <= upper,  sum_i |x_i - book_i| <= turnover,
                x_i = 0 or |x_i| >= position_min_i,  x_i / lot_i integer where lot_i > 0,
                cardinality_min <= number of x_i != 0 <= cardinality_max.

    quadratic: (n, n) symmetric positive semidefinite (or a Factor). linear: (n,). rows: (m, n), few and dense;
    None: no rows. row_lower, row_upper: (m,), +-inf for a side without limit, equal for an equation. lower, upper:
    (n,) or a number, infinite if rows or turnover imply a finite bound. cardinality_min > 0 wants position_min > 0 or
    lot > 0 for every name. book: (n,), zeros if None. initial: (n,) a point to start from: offered if feasible, and its
    names are tried. The gap is relative to the size of the objective's parts at the incumbent (their
    absolute values summed), which unlike the objective itself does not vanish by cancellation. nodes_max: fixed work;
    with more nodes the objective is never worse and the bound never lower. pool_max: points kept in the pool.
    isa: "base" forces the code for every x86-64, None takes the best the machine has. monitor: solutions are float64
    (n,), work is nodes.

    The run is deterministic: the same request visits the same nodes; a deadline only cuts it short. Bounds are
    Lagrangian: valid whatever the accuracy of a relaxation, up to rounding. ValueError names the argument, what was
    expected and what was given.

    >>> q = np.diag([2.0, 1.0, 4.0])
    >>> r = solve(q, np.zeros(3), np.ones((1, 3)), [1.0], [1.0], 0.0, 1.0, cardinality_max=2, position_min=0.1)
    >>> r.x.round(6).tolist(), r.status
    ([0.333333, 0.666667, 0.0], 'optimal')
    """
