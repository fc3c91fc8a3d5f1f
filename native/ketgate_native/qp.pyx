# cython: language_level=3, boundscheck=False, freethreading_compatible=True
"""Convex quadratic programs of portfolio shape: the Python face of src/qp.h.

Arguments are checked and made contiguous here; the solve is one call without the GIL.
"""
from libc.stdint cimport INT64_MAX, int8_t, int64_t
from libc.stdlib cimport free, realloc
from libc.string cimport memcpy, memset

from ketgate_native.monitor cimport Monitor, kg_monitor, kg_offer, kg_offer_bound

from typing import NamedTuple

import numpy as np

_STATUSES = ("optimal", "infeasible", "unbounded", "stopped", "numerical")
# Far above what any solve takes; a run that long has gone wrong, and says so instead of going on.
_ITERATIONS_MAX = 1_000_000


class Factor(NamedTuple):
    F: object
    D: object
    G: object = None


class Timings(NamedTuple):
    total_s: float
    factor_s: float
    price_s: float


class QPResult(NamedTuple):
    x: object
    objective: float
    status: str
    dual_rows: object
    dual_bounds: object
    state: object
    row_state: object
    iterations: int
    kkt_residual: float
    certificate: object
    timings: Timings


class Frontier(NamedTuple):
    t: object
    x: object
    mean: object
    variance: object
    status: str


class PSDCheck(NamedTuple):
    is_psd: bool
    min_eigenvalue: float
    eigenvector: object


cdef const kg_linalg *_select(isa) except NULL:
    cdef bytes name
    cdef const kg_linalg *table
    if isa is None:
        return kg_linalg_select(NULL)
    name = str(isa).encode()
    table = kg_linalg_select(name)
    if table is NULL:
        raise ValueError(f"isa: expected 'base', or 'avx2' or 'avx512' on a CPU that has it, given {str(isa)[:100]!r}")
    return table


def _array(name, values):
    try:
        array = np.asarray(values)
        if array.dtype != np.float64:
            if array.dtype.kind not in "buif":
                raise TypeError
            array = array.astype(np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers, given {type(values).__name__}") from error
    return array


def _sum(array):
    """NaN or infinite where an element is, and perhaps where none is."""
    with np.errstate(over="ignore", invalid="ignore"):
        return np.sum(array)


def _real(name, values, shape):
    """A contiguous float64 array of this shape without NaN; a scalar fills it."""
    array = _array(name, values)
    if array.ndim == 0:
        array = np.full(shape, array)
    if array.shape != shape:
        raise ValueError(f"{name}: expected shape {shape}, given {array.shape}")
    array = np.ascontiguousarray(array)
    # One pass without a temporary: a NaN in the array makes its sum one, and so may infinities, looked at then.
    if np.isnan(_sum(array)) and np.isnan(array).any():
        raise ValueError(f"{name}: expected numbers, given NaN")
    return array


def _finite(name, values, shape):
    array = _real(name, values, shape)
    if not np.isfinite(_sum(array)) and not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers, given an infinity")
    return array


def _interval(name, lower, upper, shape):
    lower = _real(f"{name}lower", -np.inf if lower is None else lower, shape)
    upper = _real(f"{name}upper", np.inf if upper is None else upper, shape)
    wrong = (lower > upper) | (lower == np.inf) | (upper == -np.inf)
    if wrong.any():
        at = int(np.argmax(wrong))
        raise ValueError(f"{name}lower, {name}upper: expected lower <= upper, given {lower[at]} and {upper[at]} at {at}")
    return lower, upper


cdef class _Problem:
    """The request as C sees it, and the arrays that keep its memory alive."""
    cdef kg_qp c_problem
    cdef kg_qp_result c_result
    cdef list kept
    cdef readonly object x, dual_rows, dual_bounds, ray, farkas, state, row_state
    cdef readonly int n, m

    cdef const double *keep(self, array):
        cdef const double[::1] flat = array.reshape(-1)
        self.kept.append(array)
        return &flat[0] if flat.shape[0] else NULL

    def __init__(self, Q, c, A, row_lower, row_upper, lower, upper, cost, initial, monitor, double tolerance,
                 iterations_max, isa):
        self.kept = [monitor]
        c = _array("c", c)
        if c.ndim != 1:
            raise ValueError(f"c: expected shape (n,), given {c.shape}")
        cdef int n = c.shape[0]
        if not 0.0 < tolerance < 1.0:
            raise ValueError(f"tolerance: expected a number between 0 and 1, given {tolerance}")
        if iterations_max is not None and iterations_max < 0:
            raise ValueError(f"iterations_max: expected at least 0, given {iterations_max}")
        A = np.zeros((0, n)) if A is None else _array("A", A)
        if A.ndim != 2 or A.shape[1] != n:
            raise ValueError(f"A: expected shape (m, {n}), given {A.shape}")
        cdef int m = A.shape[0]
        cdef kg_qp *p = &self.c_problem
        memset(p, 0, sizeof(kg_qp))
        self.n = p.n = n
        self.m = p.m = m
        self.hessian(Q)
        p.c = self.keep(_finite("c", c, (n,)))
        p.a = self.keep(_finite("A", A, (m, n)))
        row_lower, row_upper = _interval("row_", row_lower, row_upper, (m,))
        lower, upper = _interval("", lower, upper, (n,))
        p.row_lower = self.keep(row_lower)
        p.row_upper = self.keep(row_upper)
        p.lower = self.keep(lower)
        p.upper = self.keep(upper)
        if cost is not None:
            self.costs(cost)
        p.tolerance = tolerance
        p.iterations_max = _ITERATIONS_MAX if iterations_max is None else min(iterations_max, _ITERATIONS_MAX)
        p.la = _select(isa)
        if monitor is not None:
            (<Monitor?>monitor).expect(8 * n)
            p.monitor = (<Monitor>monitor).ptr
        self.outputs()
        if initial is not None:
            self.warm(initial)

    cdef hessian(self, Q):
        cdef kg_qp *p = &self.c_problem
        cdef int n = self.n
        if not isinstance(Q, Factor):
            p.q = self.keep(_finite("Q", Q, (n, n)))
            return
        F = _array("Q.F", Q.F)
        if F.ndim != 2 or F.shape[0] != n:
            raise ValueError(f"Q.F: expected shape ({n}, k), given {F.shape}")
        F = _finite("Q.F", F, (n, F.shape[1]))
        if Q.G is not None:
            F = F @ _square_root(_finite("Q.G", Q.G, (F.shape[1], F.shape[1])))
        D = _finite("Q.D", Q.D, (n,))
        if n and D.min() < 0.0:
            raise ValueError(f"Q.D: expected variances >= 0, given {D.min()} at {int(D.argmin())}")
        p.k = F.shape[1]
        p.factor = self.keep(np.ascontiguousarray(F.T))
        p.own = self.keep(D)

    cdef costs(self, cost):
        cdef kg_qp *p = &self.c_problem
        shape = (self.n,)
        if not isinstance(cost, (tuple, list)) or len(cost) != 3:
            raise ValueError(f"cost: expected (x0, buy, sell), given {type(cost).__name__}")
        x0, buy, sell = (_finite(f"cost[{i}]", values, shape) for i, values in enumerate(cost))
        if (buy + sell < 0.0).any():
            at = int(np.argmin(buy + sell))
            raise ValueError(f"cost: expected buy + sell >= 0, given {buy[at]} + {sell[at]} at {at}")
        p.kink = self.keep(x0)
        p.buy = self.keep(buy)
        p.sell = self.keep(sell)

    cdef outputs(self):
        cdef double[::1] reals
        cdef int8_t[::1] states
        self.x, self.dual_bounds, self.ray = (np.zeros(self.n) for _ in range(3))
        self.dual_rows, self.farkas = (np.zeros(self.m) for _ in range(2))
        self.state, self.row_state = np.zeros(self.n, np.int8), np.zeros(self.m, np.int8)
        memset(&self.c_result, 0, sizeof(kg_qp_result))
        if self.n:
            reals = self.x; self.c_result.x = &reals[0]
            reals = self.dual_bounds; self.c_result.dual_bounds = &reals[0]
            reals = self.ray; self.c_result.ray = &reals[0]
            states = self.state; self.c_result.state = &states[0]
        if self.m:
            reals = self.dual_rows; self.c_result.dual_rows = &reals[0]
            reals = self.farkas; self.c_result.farkas = &reals[0]
            states = self.row_state; self.c_result.row_state = &states[0]

    cdef warm(self, initial):
        if not isinstance(initial, QPResult):
            self.x[:] = _finite("initial", initial, (self.n,))
            self.c_result.warm = 2
            return
        for name, into in (("state", self.state), ("row_state", self.row_state)):
            values = np.asarray(getattr(initial, name))
            if values.shape != into.shape or values.dtype != np.int8:
                raise ValueError(f"initial.{name}: expected int8 of shape {into.shape}, given {values.dtype} "
                                 f"of shape {values.shape}")
            into[:] = values
        self.x[:] = _finite("initial.x", initial.x, (self.n,))
        self.dual_rows[:] = _finite("initial.dual_rows", initial.dual_rows, (self.m,))
        self.c_result.warm = 3

    cdef result(self, int status):
        if status == KG_QP_NO_MEMORY:
            raise MemoryError(f"no memory for a problem of {self.n} names")
        certificate = None
        if status == 1:
            certificate = (self.farkas, self.ray)
        elif status == 2:
            certificate = (np.zeros(0), self.ray)
        r = &self.c_result
        return QPResult(self.x, r.objective, _STATUSES[status], self.dual_rows, self.dual_bounds, self.state,
                        self.row_state, r.iterations, r.kkt_residual, certificate,
                        Timings(r.total_s, r.factor_s, r.price_s))


def _square_root(G):
    """B with G = B B', for positive semidefinite G."""
    values, vectors = np.linalg.eigh((G + G.T) / 2.0)
    if values.size and values[0] < -1e-9 * max(values[-1], 0.0):
        raise ValueError(f"Q.G: expected positive semidefinite, given an eigenvalue of {values[0]}")
    return vectors * np.sqrt(np.maximum(values, 0.0))


def solve(Q, c, A=None, row_lower=None, row_upper=None, lower=None, upper=None, *, cost=None, initial=None,
          monitor=None, double tolerance=1e-9, iterations_max=None, isa=None):
    cdef _Problem problem = _Problem(Q, c, A, row_lower, row_upper, lower, upper, cost, initial, monitor,
                                     tolerance, iterations_max, isa)
    cdef int status
    with nogil:
        status = kg_qp_solve(&problem.c_problem, &problem.c_result)
    if status == 0 and monitor is not None:
        kg_offer_bound(problem.c_problem.monitor, problem.c_result.objective, problem.c_result.iterations)
        kg_offer(problem.c_problem.monitor, problem.c_result.objective, problem.c_result.x,
                 problem.c_result.iterations)
    return problem.result(status)


cdef struct _corners:
    int n
    int64_t count, room, count_max
    double *values  # (count, n + 1): t, then x
    int no_memory


cdef int _keep_corner(void *context, double t, const double *x) noexcept nogil:
    cdef _corners *kept = <_corners *>context
    cdef int64_t width = kept.n + 1
    cdef double *grown
    cdef double *last
    if kept.count == kept.room:
        kept.room = 2 * kept.room + 16
        grown = <double *>realloc(kept.values, kept.room * width * sizeof(double))
        if grown is NULL:
            kept.no_memory = 1
            return 1
        kept.values = grown
    if kept.count and kept.values[(kept.count - 1) * width] == t:
        kept.count -= 1  # several changes at one corner: the last says where the line goes on
    last = kept.values + kept.count * width
    last[0] = t
    memcpy(last + 1, x, kept.n * sizeof(double))
    kept.count += 1
    return kept.count >= kept.count_max


def frontier(Q, mu, A=None, row_lower=None, row_upper=None, lower=None, upper=None, *, monitor=None,
             corners_max=None, isa=None):
    mu = _array("mu", mu)
    if mu.ndim != 1:
        raise ValueError(f"mu: expected shape (n,), given {mu.shape}")
    if corners_max is not None and corners_max < 1:
        raise ValueError(f"corners_max: expected at least 1, given {corners_max}")
    mu = _finite("mu", mu, mu.shape)
    cdef _Problem problem = _Problem(Q, np.zeros(mu.shape[0]), A, row_lower, row_upper, lower, upper, None, None,
                                     monitor, 1e-9, None, isa)
    cdef _corners kept = _corners(problem.n, 0, 0, INT64_MAX if corners_max is None else corners_max, NULL, 0)
    cdef const double[::1] returns = mu
    cdef const double *first = &returns[0] if problem.n else NULL
    cdef int status = 0
    cdef double prox_share
    cdef double[:, ::1] found
    try:
        for prox_share in (1e-3, 1.0, 1e3):
            kept.count = 0
            problem.c_result.warm = 0
            with nogil:
                status = kg_qp_frontier(&problem.c_problem, first, prox_share, &problem.c_result, _keep_corner,
                                        &kept)
            if _STATUSES[status] != "numerical":
                break
        if kept.no_memory or status == KG_QP_NO_MEMORY:
            raise MemoryError(f"no memory for the corners of {problem.n} names")
        values = np.zeros((kept.count, problem.n + 1))
        if kept.count:
            found = values
            memcpy(&found[0, 0], kept.values, values.nbytes)
    finally:
        free(kept.values)
    t, x = values[:, 0].copy(), np.ascontiguousarray(values[:, 1:])
    return Frontier(*_efficient(t, x, x @ mu, *_variances(Q, x)), _STATUSES[status])


def _efficient(t, x, mean, variance, uncorrelated):
    """Without the corners that say nothing: of equal variance at the start, of equal portfolios at the end.

    uncorrelated: the variances that the portfolios would have without covariance: what rounding is relative to.
    """
    if t.shape[0] == 0:
        return t, x, mean, variance
    # With a singular Q the least variance has many portfolios: the frontier starts at the one of highest mean.
    least = variance <= variance[0] + 1e-13 * uncorrelated.max()
    first = int(np.argmax(mean >= mean[least].max() - 1e-12 * np.abs(mean).max()))
    last = t.shape[0] - 1
    while last > first and np.abs(x[last] - x[last - 1]).max(initial=0.0) <= 1e-14:
        last -= 1
    kept = slice(first, last + 1)
    t[first] = 0.0
    return t[kept], x[kept], mean[kept], variance[kept]


def _variances(Q, x):
    """x'Qx of each row, and x' diag(Q) x."""
    if not isinstance(Q, Factor):
        Q = np.asarray(Q, dtype=np.float64)
        return np.einsum("pi,pi->p", x @ Q, x), x**2 @ Q.diagonal()
    F, D = np.asarray(Q.F, dtype=np.float64), np.asarray(Q.D, dtype=np.float64)
    common = F if Q.G is None else F @ np.asarray(Q.G, dtype=np.float64)
    return (np.einsum("pf,pf->p", x @ F, x @ common) + x**2 @ D,
            x**2 @ (np.einsum("if,if->i", F, common) + D))


def psd_check(Q, *, double tolerance=1e-10, monitor=None, isa=None):
    Q = _array("Q", Q)
    if Q.ndim != 2 or Q.shape[0] != Q.shape[1]:
        raise ValueError(f"Q: expected shape (n, n), given {Q.shape}")
    Q = _finite("Q", Q, Q.shape)
    cdef ptrdiff_t n = Q.shape[0], failed
    cdef const kg_linalg *table = _select(isa)
    cdef double[:, ::1] square
    cdef kg_monitor *stop = NULL
    if monitor is not None:
        stop = (<Monitor?>monitor).ptr
    if n == 0:
        return PSDCheck(True, 0.0, None)
    largest = max(float(np.abs(Q.diagonal()).max()), 0.0)
    if largest == 0.0:
        largest = float(np.abs(Q).max())
    shifted = Q.copy()
    shifted.flat[:: n + 1] += tolerance * largest
    square = shifted
    with nogil:
        failed = table.cholesky(n, &square[0, 0], n, stop)
    if failed == KG_CHOLESKY_STOPPED:
        raise TimeoutError("stopped before it was known whether Q is positive semidefinite")
    if failed == 0 or largest == 0.0:
        return PSDCheck(True, 0.0, None)
    value, vector = _lowest_eigenpair(Q)
    if value >= -tolerance * largest:  # the attempt failed within its own rounding
        return PSDCheck(True, 0.0, None)
    return PSDCheck(False, value, vector)


def _lowest_eigenpair(Q):
    """The least eigenvalue of the lower triangle; Lanczos where a full decomposition would take seconds."""
    if Q.shape[0] > 1000:
        from scipy.sparse.linalg import ArpackNoConvergence, eigsh

        symmetric = np.tril(Q) + np.tril(Q, -1).T
        start = np.random.default_rng(0).normal(size=Q.shape[0])
        try:
            values, vectors = eigsh(symmetric, k=1, which="SA", v0=start, tol=1e-6, ncv=40, maxiter=40)
            return float(values[0]), vectors[:, 0]
        except ArpackNoConvergence:
            pass
    values, vectors = np.linalg.eigh(Q)
    return float(values[0]), vectors[:, 0]
