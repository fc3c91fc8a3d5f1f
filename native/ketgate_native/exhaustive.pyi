from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

VARIABLES_MAX: int
"""More than this is refused; what can be finished is far less."""

class Enumeration(NamedTuple):
    """The best distinct feasible assignments among those visited, lowest objective first."""

    values: NDArray[np.int8]
    """(k, n) zeros and ones; k = 0 when none was feasible."""
    objectives: NDArray[np.float64]
    """(k,)"""
    visited: int
    completed: bool
    """Every assignment was visited: the first is the best there is, and k = 0 proves that there is none."""

def enumerate_binaries(
    linear: ArrayLike,
    row: ArrayLike,
    col: ArrayLike,
    weight: ArrayLike,
    constraint_row: ArrayLike = (),
    constraint_col: ArrayLike = (),
    constraint_weight: ArrayLike = (),
    row_lower: ArrayLike = (),
    row_upper: ArrayLike = (),
    offset: float = 0.0,
    *,
    tolerance: float = 0.0,
    pool: int = 1,
    work: int = 0,
    monitor: Monitor | None = None,
) -> Enumeration:
    """Visit every x in {0, 1}^n: minimise offset + sum c_i x_i + sum q_k x_row[k] x_col[k], row_lower <= Ax <= row_upper.

    linear: (n,), 1 <= n <= VARIABLES_MAX. row, col, weight: (m,) quadratic terms; repeated pairs are summed, row == col
    is linear. constraint_*: (z,) entries of A. tolerance: greatest violation of a row, absolute. work: assignments to
    visit at most, 0: all. monitor: for solutions of n bytes (int8 zeros and ones). Gray code: about 10 ns a visit at
    n = 24, one thread. Raises ValueError, naming the argument, and MemoryError.

    >>> enumerate_binaries([1.0, -1.0], [0], [1], [-1.0]).objectives
    array([-1.])
    """
