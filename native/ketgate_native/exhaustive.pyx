# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Every assignment of a few binaries. The loop is in src/exhaustive.c; this checks and converts."""
from libc.stdint cimport int32_t, uint64_t

from typing import NamedTuple

import numpy as np

from ketgate_native.monitor cimport Monitor, kg_monitor


cdef extern from "src/exhaustive.h":
    enum:
        KG_EXHAUSTIVE_MAX

    ctypedef struct kg_binary_problem:
        int n, rows
        double offset
        const double *linear
        const double *quadratic
        const int32_t *start
        const int32_t *row
        const double *coefficient
        const double *lower
        const double *upper
        double tolerance, drift

    ctypedef struct kg_assignment:
        double objective
        uint64_t bits

    ctypedef struct kg_enumeration:
        kg_assignment *pool
        int capacity, count
        uint64_t visited
        int completed

    int kg_enumerate(const kg_binary_problem *, uint64_t, kg_monitor *, kg_enumeration *) nogil


VARIABLES_MAX = KG_EXHAUSTIVE_MAX
cdef int POOL_MAX = 1_000_000
# Rounding between two resets: 1,024 additions, each of half a unit in the last place of the magnitude.
cdef double DRIFT = 1024 * 2.0**-53


class Enumeration(NamedTuple):
    values: np.ndarray
    objectives: np.ndarray
    visited: int
    completed: bool


def enumerate_binaries(linear, row, col, weight, constraint_row=(), constraint_col=(), constraint_weight=(),
                       row_lower=(), row_upper=(), double offset=0.0, *, double tolerance=0.0, int pool=1,
                       uint64_t work=0, Monitor monitor=None):
    c = _floats("linear", linear)
    n = len(c)
    if not 1 <= n <= VARIABLES_MAX:
        raise ValueError(f"linear: expected 1 to {VARIABLES_MAX} variables, given {n}")
    if not 1 <= pool <= POOL_MAX:
        raise ValueError(f"pool: expected 1 to {POOL_MAX}, given {pool}")
    if not tolerance >= 0.0:
        raise ValueError(f"tolerance: expected 0 or more, given {tolerance}")
    quadratic = np.zeros((n, n))
    _fill(quadratic, c, *_entries("", row, col, weight, n, n))
    lower, upper = _ends("row_lower", row_lower), _ends("row_upper", row_upper)
    m = len(lower)
    if len(upper) != m:
        raise ValueError(f"row_upper: expected {m} ends, as row_lower has, given {len(upper)}")
    a_row, a_col, a_weight = _entries("constraint_", constraint_row, constraint_col, constraint_weight, m, n)
    order = np.lexsort((a_row, a_col))
    index = np.ascontiguousarray(a_row[order], dtype=np.int32)
    coefficient = np.ascontiguousarray(a_weight[order])
    start = np.searchsorted(a_col[order], np.arange(n + 1)).astype(np.int32)
    whole = bool((coefficient == np.rint(coefficient)).all())
    largest = 0.0 if whole or not m else float(np.bincount(a_row, np.abs(a_weight), m).max())
    return _run(c, quadratic, start, index, coefficient, lower, upper, offset, tolerance, DRIFT * largest, pool, work,
                monitor)


cdef _run(double[::1] linear, double[:, ::1] quadratic, int32_t[::1] start, int32_t[::1] index,
          double[::1] coefficient, double[::1] lower, double[::1] upper, double offset, double tolerance,
          double drift, int pool, uint64_t work, Monitor monitor):
    cdef kg_binary_problem p
    cdef kg_enumeration out
    cdef int n = linear.shape[0], m = lower.shape[0], failed, k, i
    cdef int capacity = min(pool, 1 << min(n, 20))
    cdef kg_monitor *watch = NULL
    p.n, p.rows, p.offset, p.tolerance, p.drift = n, m, offset, tolerance, drift
    p.linear, p.quadratic = &linear[0], &quadratic[0, 0]
    p.start = &start[0]
    p.row = &index[0] if index.shape[0] else NULL
    p.coefficient = &coefficient[0] if coefficient.shape[0] else NULL
    p.lower = &lower[0] if m else NULL
    p.upper = &upper[0] if m else NULL
    cdef double[::1] room = np.empty(2 * capacity)  # kg_assignment is two words of 8 bytes
    out.pool = <kg_assignment *>&room[0]
    out.capacity = capacity
    if monitor is not None:
        monitor.expect(n)
        watch = monitor.ptr
    with nogil:
        failed = kg_enumerate(&p, work, watch, &out)
    if failed:
        raise MemoryError("enumerate_binaries: no memory for the sums")
    values = np.empty((out.count, n), dtype=np.int8)
    objectives = np.empty(out.count)
    cdef signed char[:, ::1] v = values
    cdef double[::1] e = objectives
    for k in range(out.count):
        e[k] = out.pool[k].objective
        for i in range(n):
            v[k, i] = <signed char>((out.pool[k].bits >> i) & 1)
    return Enumeration(values, objectives, int(out.visited), bool(out.completed))


def _floats(name, values):
    array = np.array(values, dtype=np.float64, ndmin=1)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, given {array.ndim}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name}: expected finite numbers")
    return array


def _ends(name, values):
    array = np.array(values, dtype=np.float64, ndmin=1)
    if array.ndim != 1 or np.isnan(array).any():
        raise ValueError(f"{name}: expected one dimension of numbers without NaN")
    return array


def _entries(prefix, row, col, weight, rows, columns):
    """Checked coordinates and values."""
    weights = _floats(f"{prefix}weight", weight)
    found = []
    for name, values, extent in ((f"{prefix}row", row, rows), (f"{prefix}col", col, columns)):
        array = np.array(values, ndmin=1)
        if array.shape != weights.shape:
            raise ValueError(f"{name}: expected shape {weights.shape}, as the weights have, given {array.shape}")
        if array.size and not np.issubdtype(array.dtype, np.integer):
            raise ValueError(f"{name}: expected integers, given {array.dtype}")
        array = array.astype(np.int64)
        if array.size and (array.min() < 0 or array.max() >= extent):
            raise ValueError(f"{name}: expected positions from 0 to {extent - 1}")
        found.append(array)
    return found[0], found[1], weights


def _fill(quadratic, linear, row, col, weight):
    """Add the terms: a product to both triangles, a square to the linear part, as x x = x."""
    square = row == col
    np.add.at(linear, row[square], weight[square])
    i, j, q = row[~square], col[~square], weight[~square]
    np.add.at(quadratic, (i, j), q)
    np.add.at(quadratic, (j, i), q)
