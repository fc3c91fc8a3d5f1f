from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

class BinarySamples(NamedTuple):
    """The best distinct feasible points of a run, lowest objective first."""

    values: NDArray[np.int8]
    """(k, n) zeros and ones; k = 0 when none was found."""
    objectives: NDArray[np.float64]
    """(k,) evaluated in float64 from the coefficients given."""
    occurrences: NDArray[np.int64]
    stats: dict[str, Any]
    """solver, work, seed, completed; least_violation (0 when feasible) and least_violated: (n,) int8, the point that
    comes closest to satisfying every row."""

class BinaryProgram:
    """Immutable: minimise offset + sum c_i x_i + sum q_k x_row[k] x_col[k] subject to lower <= A x <= upper, x binary.

    linear: (n,). row, col, weight: (m,) quadratic terms; repeated pairs are summed; row == col is linear.
    constraint_row, constraint_col, constraint_weight: (z,) entries of A, repeated ones are summed.
    row_lower, row_upper: (r,), -inf and +inf allowed; equal for an equality.
    feasibility_tolerance: a row is satisfied when it is within this times max(1, sum |a_j|); 0 demands it exactly,
    which rows of integers meet. Raises ValueError and MemoryError as Ising.
    """

    def __init__(
        self,
        linear: ArrayLike,
        row: ArrayLike,
        col: ArrayLike,
        weight: ArrayLike,
        constraint_row: ArrayLike,
        constraint_col: ArrayLike,
        constraint_weight: ArrayLike,
        row_lower: ArrayLike,
        row_upper: ArrayLike,
        offset: float = 0.0,
        feasibility_tolerance: float = 1e-9,
    ) -> None: ...
    @property
    def num_variables(self) -> int: ...
    @property
    def num_rows(self) -> int: ...
    def objectives(self, values: ArrayLike) -> NDArray[np.float64]:
        """Objectives of (k, n) or (n,) points in float64."""
    def violations(self, values: ArrayLike) -> NDArray[np.float64]:
        """(k,) largest violation of a row beyond the tolerance, 0.0 exactly when feasible."""

def search_binary(
    problem: BinaryProgram,
    *,
    work: int | None = None,
    seed: int = 0,
    initial: ArrayLike | None = None,
    threads: int = 1,
    pool: int = 1,
    monitor: Monitor | None = None,
) -> BinarySamples:
    """Local search over flips and swaps with adaptive row weights; only feasible points are incumbents.

    work: moves made, None: until the monitor stops it (one of the two is required). The result after w units is a pure
    function of (problem, seed, initial, w) on any thread count. initial: (m, n) or (n,) starts, feasible or not.
    monitor: for solutions of n bytes (int8 zeros and ones).
    """
