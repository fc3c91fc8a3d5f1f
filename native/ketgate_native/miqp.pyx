# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Convex quadratics over few names: checks and conversions here, the search in src/miqp*.c."""
from libc.stdint cimport INT64_MAX, int64_t

from ketgate_native.monitor cimport Monitor, kg_monitor

from typing import NamedTuple

import numpy as np


cdef extern from "src/miqp.h" nogil:
    ctypedef struct mq_request:
        int n, m
        const double *Q
        const double *diagonal
        const double *c
        const double *A
        const double *row_lower
        const double *row_upper
        const double *lower
        const double *upper
        const double *position_min
        const double *lot
        const double *book
        const double *buy
        const double *sell
        double turnover
        int names_min, names_max
        const double *initial

    ctypedef struct mq_options:
        double gap_absolute, gap_relative
        int64_t nodes_max
        int pool_max
        int base_isa

    ctypedef struct mq_answer:
        int status
        int found
        double *pool_x
        double *pool_objective
        double bound
        int64_t nodes, pivots
        double setup_s, search_s

    int mq_solve(const mq_request *request, const mq_options *options, kg_monitor *monitor, mq_answer *answer)


_STATUS = ("optimal", "infeasible", "stopped")
# The arithmetic that scales a problem squares its sizes; past this they could overflow.
_SIZE_MAX = 1e100


class Factor(NamedTuple):
    loadings: object
    diagonal: object


class Solution(NamedTuple):
    x: object
    objective: float


class Timings(NamedTuple):
    setup_s: float
    search_s: float


class MIQPResult(NamedTuple):
    x: object
    objective: float
    bound: float
    status: str
    nodes: int
    iterations: int
    pool: list
    timings: Timings


def _vector(name, value, n, fill=None, infinite=False):
    """(n,) float64 from an array, a number, or None (fill)."""
    if value is None:
        value = fill
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers, given {type(value).__name__}") from error
    if array.ndim == 0:
        array = np.full(n, float(array))
    if array.shape != (n,):
        raise ValueError(f"{name}: expected shape ({n},), given {array.shape}")
    bad = np.isnan(array) if infinite else ~np.isfinite(array)
    if bad.any():
        i = int(np.argmax(bad))
        raise ValueError(f"{name}[{i}]: expected a {'number' if infinite else 'finite number'}, given {array[i]}")
    if (np.abs(array, where=np.isfinite(array), out=np.zeros(n)) > _SIZE_MAX).any():
        largest = np.abs(array[np.isfinite(array)]).max()
        raise ValueError(f"{name}: expected sizes up to {_SIZE_MAX:g}, given {largest:g}")
    return np.ascontiguousarray(array)


def _not_negative(name, array):
    if (array < 0).any():
        i = int(np.argmax(array < 0))
        raise ValueError(f"{name}[{i}]: expected at least 0, given {array[i]}")
    return array


def _matrix(name, value, shape):
    try:
        array = np.ascontiguousarray(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{name}: expected numbers, given {type(value).__name__}") from error
    if array.ndim != 2 or any(want is not None and want != have for want, have in zip(shape, array.shape)):
        raise ValueError(f"{name}: expected shape {shape}, given {array.shape}".replace("None", "any"))
    if array.size == 0:
        return array
    largest = max(array.max(), -array.min())  # nan if there is one
    if not np.isfinite(largest):
        i, j = (int(k) for k in np.argwhere(~np.isfinite(array))[0])
        raise ValueError(f"{name}[{i},{j}]: expected a finite number, given {array[i, j]}")
    if largest > _SIZE_MAX:
        raise ValueError(f"{name}: expected sizes up to {_SIZE_MAX:g}, given {largest:g}")
    return array


class _StoppedError(Exception):
    """The monitor ended the run while its arguments were still being made ready."""


def _check_stop(monitor):
    if monitor is not None and monitor.should_stop:
        raise _StoppedError


def _symmetric(q, monitor):
    """q, with rounding between its halves averaged away; by tiles, as a transposed pass over a large matrix is slow."""
    n = q.shape[0]
    largest = max(q.max(), -q.min(), 1e-300) if n else 0.0
    even = q
    for i in range(0, n, 256):
        _check_stop(monitor)
        for j in range(0, i + 1, 256):
            one, other = q[i:i + 256, j:j + 256], q[j:j + 256, i:i + 256].T
            if np.array_equal(one, other):
                continue
            skew = np.abs(one - other)
            if skew.max() > 1e-9 * largest:
                a, b = (int(k) for k in np.unravel_index(skew.argmax(), skew.shape))
                raise ValueError(f"quadratic[{i + a},{j + b}]: expected a symmetric matrix, given {one[a, b]} against "
                                 f"{other[a, b]}")
            if even is q:
                even = q.copy()
            mean = (one + other) / 2
            even[i:i + 256, j:j + 256] = mean
            even[j:j + 256, i:i + 256] = mean.T
    return even


def _product(loadings, monitor):
    """loadings @ loadings.T, exactly symmetric."""
    n = len(loadings)
    product = np.empty((n, n))
    for i in range(0, n, 256):
        _check_stop(monitor)
        rows = slice(i, i + 256)
        product[rows, :i] = loadings[rows] @ loadings[:i].T
        product[:i, rows] = product[rows, :i].T
        product[rows, rows] = loadings[rows] @ loadings[rows].T
    return product


def _quadratic(quadratic, monitor):
    """The dense form, and a diagonal whose removal leaves it semidefinite, where that is known."""
    if isinstance(quadratic, Factor) or (isinstance(quadratic, tuple) and len(quadratic) == 2):
        loadings = _matrix("quadratic.loadings", quadratic[0], (None, None))
        n = loadings.shape[0]
        diagonal = _not_negative("quadratic.diagonal", _vector("quadratic.diagonal", quadratic[1], n))
        q = _product(loadings, monitor)
        q[np.diag_indices(n)] += diagonal
        return q, diagonal
    q = _matrix("quadratic", quadratic, (None, None))
    n = q.shape[0]
    if q.shape != (n, n):
        raise ValueError(f"quadratic: expected a square matrix, given {q.shape}")
    symmetric = _symmetric(q, monitor)
    if n and q.diagonal().min() < 0:
        i = int(q.diagonal().argmin())
        raise ValueError(f"quadratic[{i},{i}]: expected a positive semidefinite matrix, given {q[i, i]} on its diagonal")
    return symmetric, None


def _finite_bounds(lower, upper, rows, row_lower, row_upper, book, turnover):
    """Bounds that rows and turnover imply for names that have none, and tighter ones where they are easy."""
    if turnover < np.inf:
        lower, upper = np.maximum(lower, book - turnover), np.minimum(upper, book + turnover)
    for _ in range(3):
        before = lower, upper
        for a, low, high in zip(rows, row_lower, row_upper):
            for sign, limit in ((1.0, high), (-1.0, -low)):
                if limit == np.inf:
                    continue
                b = sign * a
                used = b != 0
                least = np.where(b > 0, b * np.where(used, lower, 0), np.where(used, b * np.where(used, upper, 0), 0))
                open_ = np.isinf(least)
                rest = least[~open_].sum() - np.where(open_, 0, least)
                free = used & (~open_ if open_.any() else used)
                if open_.sum() == 1:
                    free = open_
                elif open_.any():
                    continue
                with np.errstate(divide="ignore", invalid="ignore"):
                    reach = (limit - rest) / np.where(used, b, 1.0)
                # a little slack: the rounding of this sum must not cut a point off
                slack = 1e-12 * (np.abs(reach) + np.abs(least[~open_]).sum() / np.where(used, np.abs(b), 1.0))
                upper = np.where(free & (b > 0) & (reach + slack < upper), reach + slack, upper)
                lower = np.where(free & (b < 0) & (reach - slack > lower), reach - slack, lower)
        if np.array_equal(before[0], lower) and np.array_equal(before[1], upper):
            break
    return lower, upper


def _base_isa(isa):
    if isa not in (None, "base", "avx2"):
        raise ValueError(f"isa: expected None, 'base' or 'avx2', given {isa!r}")
    return isa == "base"


class _Problem(NamedTuple):
    """Checked arguments: contiguous float64, bounds finite."""

    quadratic: object
    diagonal: object
    linear: object
    rows: object
    row_lower: object
    row_upper: object
    lower: object
    upper: object
    position_min: object
    lot: object
    book: object
    buy: object
    sell: object
    initial: object
    turnover: float
    names_min: int
    names_max: int


def _problem(quadratic, linear, rows, row_lower, row_upper, lower, upper, cardinality_max, cardinality_min,
             position_min, lot, book, buy_cost, sell_cost, turnover, initial, monitor):
    q_array, diagonal = _quadratic(quadratic, monitor)
    n = q_array.shape[0]
    c_array = _vector("linear", linear, n)
    a_array = np.zeros((0, n)) if rows is None else _matrix("rows", rows, (None, n))
    m = a_array.shape[0]
    row_low = _vector("row_lower", row_lower, m, -np.inf, infinite=True)
    row_up = _vector("row_upper", row_upper, m, np.inf, infinite=True)
    low_given = _vector("lower", lower, n, infinite=True)
    up_given = _vector("upper", upper, n, infinite=True)
    for name, low, up in (("row_lower", row_low, row_up), ("lower", low_given, up_given)):
        bad = (low > up) | (low == np.inf) | (up == -np.inf)
        if bad.any():
            i = int(np.argmax(bad))
            raise ValueError(f"{name}[{i}]: expected at most {up[i]}, its upper limit, given {low[i]}")
    least = _not_negative("position_min", _vector("position_min", position_min, n, 0.0))
    lots = _not_negative("lot", _vector("lot", lot, n, 0.0))
    held = _vector("book", book, n, 0.0)
    buy = _not_negative("buy_cost", _vector("buy_cost", buy_cost, n, 0.0))
    sell = _not_negative("sell_cost", _vector("sell_cost", sell_cost, n, 0.0))
    trade = np.inf if turnover is None else float(turnover)
    if not trade >= 0:
        raise ValueError(f"turnover: expected at least 0, given {turnover}")
    k_max = n if cardinality_max is None else int(cardinality_max)
    k_min = int(cardinality_min)
    if not 0 <= k_min <= k_max:
        raise ValueError(f"cardinality_min: expected 0 to {k_max} (cardinality_max), given {k_min}")
    if k_min > n:
        raise ValueError(f"cardinality_min: expected at most {n}, the number of names, given {k_min}")
    if k_min > 0 and ((least <= 0) & (lots <= 0)).any():
        i = int(np.argmax((least <= 0) & (lots <= 0)))
        raise ValueError(f"position_min[{i}]: expected more than 0 with cardinality_min, given {least[i]}")
    start = None if initial is None else _vector("initial", initial, n)
    low_array, up_array = _finite_bounds(low_given, up_given, a_array, row_low, row_up, held, trade)
    for name, array in (("lower", low_array), ("upper", up_array)):
        if not np.isfinite(array).all():
            i = int(np.argmax(~np.isfinite(array)))
            raise ValueError(f"{name}[{i}]: expected a finite bound, or rows or a turnover that imply one, "
                             f"given {array[i]}")
    return _Problem(q_array, diagonal, c_array, a_array, row_low, row_up, low_array, up_array, least, lots, held, buy,
                    sell, start, trade, k_min, min(k_max, n))


def _check_options(gap_absolute, gap_relative, nodes_max, pool_max, seed):
    """The limit of nodes as a number."""
    if not gap_absolute >= 0 or not gap_relative >= 0:
        raise ValueError(f"gap_absolute, gap_relative: expected at least 0, given {gap_absolute}, {gap_relative}")
    nodes = INT64_MAX if nodes_max is None else int(nodes_max)
    if not 0 <= nodes <= INT64_MAX:
        raise ValueError(f"nodes_max: expected at least 0, given {nodes_max}")
    if not 1 <= pool_max <= 4096:
        raise ValueError(f"pool_max: expected 1 to 4096, given {pool_max}")
    if not -2**63 <= int(seed) < 2**64:
        raise ValueError(f"seed: expected a 64-bit number, given {seed}")
    return nodes


def solve(quadratic, linear, rows, row_lower, row_upper, lower, upper, *, cardinality_max=None, cardinality_min=0,
          position_min=None, lot=None, book=None, buy_cost=None, sell_cost=None, turnover=None, initial=None,
          gap_absolute=0.0, gap_relative=1e-9, nodes_max=None, pool_max=16, seed=0, isa=None, Monitor monitor=None):
    cdef int64_t nodes = _check_options(gap_absolute, gap_relative, nodes_max, pool_max, seed)
    try:
        given = _problem(quadratic, linear, rows, row_lower, row_upper, lower, upper, cardinality_max, cardinality_min,
                         position_min, lot, book, buy_cost, sell_cost, turnover, initial, monitor)
    except _StoppedError:
        return MIQPResult(None, np.inf, -np.inf, "stopped", 0, 0, [], Timings(0.0, 0.0))
    cdef int n = len(given.linear), m = len(given.rows)
    if (given.lower > given.upper).any():
        return MIQPResult(None, np.inf, np.inf, "infeasible", 0, 0, [], Timings(0.0, 0.0))
    cdef const double[:, ::1] q_view = given.quadratic, a_view = given.rows
    cdef const double[::1] c_view = given.linear, row_low_view = given.row_lower, row_up_view = given.row_upper
    cdef const double[::1] low_view = given.lower, up_view = given.upper
    cdef const double[::1] least_view = given.position_min, lot_view = given.lot
    cdef const double[::1] held_view = given.book, buy_view = given.buy, sell_view = given.sell
    cdef const double[::1] start_view = given.initial, diagonal_view = given.diagonal
    pool_x = np.zeros((pool_max, max(n, 1)))
    pool_objective = np.zeros(pool_max)
    cdef double[:, ::1] pool_view = pool_x
    cdef double[::1] objective_view = pool_objective
    cdef mq_request request
    cdef mq_options options
    cdef mq_answer answer
    cdef kg_monitor *watch = NULL
    if monitor is not None:
        monitor.expect(8 * n)
        watch = monitor.ptr
    request.n, request.m = n, m
    request.Q = &q_view[0, 0] if n else NULL
    request.diagonal = &diagonal_view[0] if given.diagonal is not None and n else NULL
    request.A = &a_view[0, 0] if n and m else NULL
    request.row_lower = &row_low_view[0] if m else NULL
    request.row_upper = &row_up_view[0] if m else NULL
    request.c = &c_view[0] if n else NULL
    request.lower = &low_view[0] if n else NULL
    request.upper = &up_view[0] if n else NULL
    request.position_min = &least_view[0] if n else NULL
    request.lot = &lot_view[0] if n else NULL
    request.book = &held_view[0] if n else NULL
    request.buy = &buy_view[0] if n else NULL
    request.sell = &sell_view[0] if n else NULL
    request.turnover = given.turnover
    request.names_min, request.names_max = given.names_min, given.names_max
    request.initial = &start_view[0] if given.initial is not None and n else NULL
    options.gap_absolute, options.gap_relative = gap_absolute, gap_relative
    options.nodes_max = nodes
    options.pool_max = pool_max
    options.base_isa = _base_isa(isa)
    answer.pool_x = &pool_view[0, 0]
    answer.pool_objective = &objective_view[0]
    cdef int failed
    with nogil:
        failed = mq_solve(&request, &options, watch, &answer)
    if failed:
        raise MemoryError(f"no memory for a search over {n} names")
    pool = [Solution(pool_x[k, :n].copy(), float(pool_objective[k])) for k in range(answer.found)]
    best = pool[0] if pool else Solution(None, np.inf)
    return MIQPResult(best.x, best.objective, answer.bound, _STATUS[answer.status], answer.nodes, answer.pivots, pool,
                      Timings(answer.setup_s, answer.search_s))
