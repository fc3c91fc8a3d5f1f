from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

class Factor(NamedTuple):
    """A covariance in factor form: Q = F G F' + diag(D), never formed as an (n, n) matrix."""

    F: ArrayLike
    """(n, k) exposures."""
    D: ArrayLike
    """(n,) variances of each name alone, >= 0."""
    G: ArrayLike | None = None
    """(k, k) covariance of the factors, positive semidefinite; the identity when None."""

class Timings(NamedTuple):
    """Where the time went, in seconds; each part counts in `total_s`."""

    total_s: float
    factor_s: float
    """Factorisations of the free names' block and their updates."""
    price_s: float
    """Gradients of the names outside the working set."""

class QPResult(NamedTuple):
    """What was found, and the evidence for it."""

    x: NDArray[np.float64]
    """(n,) within the bounds exactly; the best point so far when `status` is not optimal."""
    objective: float
    """1/2 x'Qx + c'x + costs at `x`, summed from the request's own numbers."""
    status: Literal["optimal", "infeasible", "unbounded", "stopped", "numerical"]
    dual_rows: NDArray[np.float64]
    """(m,) y, with Qx + c + A'y + z + cost slope = 0: positive at an upper row bound, negative at a lower."""
    dual_bounds: NDArray[np.float64]
    """(n,) z: positive at an upper bound, negative at a lower."""
    state: NDArray[np.int8]
    """(n,) 0 at lower, 1 free below x0, 2 at x0, 3 free (above x0 where the name has a kink), 4 at upper."""
    row_state: NDArray[np.int8]
    """(m,) -1 at lower, 0 between, 1 at upper, 2 equality."""
    iterations: int
    """Factorisations and updates of the free set."""
    kkt_residual: float
    """Largest relative violation of stationarity and of the rows (docs of `solve`)."""
    certificate: tuple[NDArray[np.float64], NDArray[np.float64]] | None
    """Infeasible: Farkas multipliers (rows (m,), bounds (n,)), A'rows + bounds = 0, whose supremum over the
    row and bound intervals is negative. Unbounded: (empty, ray (n,)) along which the objective falls for ever."""
    timings: Timings

class Frontier(NamedTuple):
    """The efficient frontier; x is linear in t between two neighbouring corners."""

    t: NDArray[np.float64]
    """(p,) risk tolerance at each corner, rising from 0, where x has the highest mean among those of least variance.
    The last corner's portfolio holds for every larger t, unless unbounded."""
    x: NDArray[np.float64]
    """(p, n) corner portfolios."""
    mean: NDArray[np.float64]
    """(p,) mu'x."""
    variance: NDArray[np.float64]
    """(p,) x'Qx."""
    status: Literal["optimal", "infeasible", "unbounded", "stopped", "numerical"]
    """stopped: the corners up to the stop. unbounded: mean grows without limit after the last corner."""

class PSDCheck(NamedTuple):
    """Whether a symmetric matrix is positive semidefinite, and the offending direction where it is not."""

    is_psd: bool
    min_eigenvalue: float
    """The least, to about 1e-6 of the largest in magnitude, when not PSD; 0.0 when PSD, where it is not computed."""
    eigenvector: NDArray[np.float64] | None
    """(n,) unit vector v with v'Qv = min_eigenvalue; None when PSD."""

def solve(
    Q: ArrayLike | Factor,
    c: ArrayLike,
    A: ArrayLike | None = None,
    row_lower: ArrayLike | None = None,
    row_upper: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    cost: tuple[ArrayLike, ArrayLike, ArrayLike] | None = None,
    initial: QPResult | ArrayLike | None = None,
    monitor: Monitor | None = None,
    tolerance: float = 1e-9,
    iterations_max: int | None = None,
    isa: Literal["base", "avx2", "avx512"] | None = None,
) -> QPResult:
    """Minimise 1/2 x'Qx + c'x + sum buy (x - x0)+ + sell (x0 - x)+, row_lower <= Ax <= row_upper, lower <= x <= upper.

    Q: (n, n) symmetric positive semidefinite, singular allowed, or a Factor. c: (n,). A: (m, n), dense, m small.
    Bounds: scalars or arrays, +-inf allowed, None is none; equal means fixed. cost: (x0, buy, sell), each (n,),
    buy + sell >= 0. initial: a result of a near problem, or a point; it changes the path, not the optimum.
    monitor: made for 8 n bytes; its cancel and deadline give status "stopped"; the optimum is offered to it as
    float64 x. iterations_max: "stopped" after so many. isa: restrict the instruction set.
    Optimal means: stationarity within `tolerance` of the largest of |Qx|, |c|, |A'y|, and rows within `tolerance`
    of max(1, |row bound|); below 1e-11 it is a wish that rounding may not grant. Raises ValueError, naming the argument, for wrong shapes, NaN, crossing or empty bounds.
    Q is not checked for definiteness (`psd_check`); where that shows, the status is "numerical".

    >>> solve([[2.0, 0.0], [0.0, 1.0]], [0.0, 0.0], [[1.0, 1.0]], [1.0], [1.0], 0.0, 1.0).x.round(6).tolist()
    [0.333333, 0.666667]
    """

def frontier(
    Q: ArrayLike | Factor,
    mu: ArrayLike,
    A: ArrayLike | None = None,
    row_lower: ArrayLike | None = None,
    row_upper: ArrayLike | None = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    monitor: Monitor | None = None,
    corners_max: int | None = None,
    isa: Literal["base", "avx2", "avx512"] | None = None,
) -> Frontier:
    """Every solution of: minimise 1/2 x'Qx - t mu'x within the rows and bounds, for t from 0 to infinity.

    Markowitz's critical line, followed upwards from the portfolio of least variance. Arguments as in `solve`.
    """

def psd_check(
    Q: ArrayLike,
    *,
    tolerance: float = 1e-10,
    monitor: Monitor | None = None,
    isa: Literal["base", "avx2", "avx512"] | None = None,
) -> PSDCheck:
    """Whether (n, n) Q has no eigenvalue below -tolerance * max diagonal: one Cholesky attempt when it is so.

    Reads the lower triangle only. Raises ValueError for NaN, infinities and wrong shapes, and TimeoutError when
    the monitor stops it.
    """
