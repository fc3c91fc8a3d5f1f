# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Binary quadratic programs with linear rows: checks and conversions here, the loops in src/binary*.c."""
from libc.stdint cimport INT64_MAX, int8_t, int32_t, int64_t
from libc.string cimport memcpy, memset

import numpy as np

from typing import NamedTuple

from ketgate_native._arrays import count, finite, indices, same_length, states
from ketgate_native.ising cimport kg_pool, kg_pool_free, kg_pool_init
from ketgate_native.monitor cimport Monitor

cdef int VARIABLES_MAX = 100_000_000
cdef int POOL_MAX = 100_000
cdef int THREADS_MAX = 64


class BinarySamples(NamedTuple):
    values: object
    objectives: object
    occurrences: object
    stats: dict


cdef const double *_doubles(object array):
    cdef const double[::1] view = array
    return &view[0] if view.shape[0] else NULL


cdef const int32_t *_integers(object array):
    cdef const int32_t[::1] view = array
    return &view[0] if view.shape[0] else NULL


cdef class BinaryProgram:
    def __cinit__(self, linear, row, col, weight, constraint_row, constraint_col, constraint_weight, row_lower,
                  row_upper, offset=0.0, feasibility_tolerance=1e-9):
        memset(&self.problem, 0, sizeof(kg_binary))
        c, q = finite(linear, "linear"), finite(weight, "weight")
        cdef int n = count(c.shape[0], "linear: length", 0, VARIABLES_MAX)
        i, j = indices(row, "row", n), indices(col, "col", n)
        same_length(row=i, col=j, weight=q)
        lower = finite(row_lower, "row_lower", infinite=True)
        upper = finite(row_upper, "row_upper", infinite=True)
        same_length(row_lower=lower, row_upper=upper)
        bad = np.flatnonzero((lower > upper) | (lower == np.inf) | (upper == -np.inf))
        if bad.size:
            at = int(bad[0])
            raise ValueError(f"row_lower[{at}]: expected at most row_upper[{at}], given {lower[at]} and {upper[at]}")
        cdef int rows = count(lower.shape[0], "row_lower: length", 0, VARIABLES_MAX)
        a_row = indices(constraint_row, "constraint_row", rows)
        a_col = indices(constraint_col, "constraint_col", n)
        a = finite(constraint_weight, "constraint_weight")
        same_length(constraint_row=a_row, constraint_col=a_col, constraint_weight=a)
        shift, tolerance = finite([offset, feasibility_tolerance], "offset, feasibility_tolerance")
        if tolerance < 0.0:
            raise ValueError(f"feasibility_tolerance: expected zero or more, given {tolerance}")
        if max(np.abs(c).sum(), np.abs(q).sum(), abs(shift)) > 1e300 or np.abs(a).sum() > 1e300:
            raise ValueError("weight: expected magnitudes whose sum stays below 1e300")
        square = i == j  # x x = x
        c = c.copy()
        np.add.at(c, i[square], q[square])
        i, j, q = i[~square], j[~square], q[~square]
        if kg_binary_build(&self.problem, n, _doubles(c), shift, q.shape[0], _integers(i), _integers(j), _doubles(q),
                           rows, a.shape[0], _integers(a_row), _integers(a_col), _doubles(a), _doubles(lower),
                           _doubles(upper), tolerance):
            kg_binary_free(&self.problem)
            raise MemoryError(f"no memory for {n} variables and {rows} rows")

    def __dealloc__(self):
        kg_binary_free(&self.problem)

    @property
    def num_variables(self):
        return self.problem.n

    @property
    def num_rows(self):
        return self.problem.rows

    def objectives(self, values):
        return self._evaluate(values, 0)

    def violations(self, values):
        return self._evaluate(values, 1)

    cdef object _evaluate(self, values, int violation):
        cdef const int8_t[:, ::1] points = states(values, self.problem.n, "values", 0, 1)
        cdef double[::1] out = np.empty(points.shape[0], dtype=np.float64)
        cdef const int8_t *x
        cdef int64_t k
        with nogil:
            for k in range(points.shape[0]):
                x = &points[k, 0] if self.problem.n else NULL
                if violation:
                    out[k] = kg_binary_violation(&self.problem, x, 1)
                else:
                    out[k] = kg_binary_objective(&self.problem, x)
        return np.asarray(out)


cdef object _points(kg_pool *pool, int64_t n):
    values = np.empty((pool.count, n), dtype=np.int8)
    cdef int8_t[:, ::1] view = values
    cdef int k
    for k in range(pool.count):
        if n:
            memcpy(&view[k, 0], pool.spins + n * pool.slot[k], n)
    return values


def search_binary(BinaryProgram problem not None, *, work=None, seed=0, initial=None, threads=1, pool=1,
                  Monitor monitor=None):
    cdef kg_binary_run run
    cdef kg_pool found, nearest
    cdef const int8_t[:, ::1] starts
    cdef int64_t n = problem.problem.n
    if work is None and monitor is None:
        raise ValueError("work: expected a number of moves when no monitor can stop the search, given None")
    memset(&run, 0, sizeof(run))
    cdef int64_t most = INT64_MAX if work is None else count(work, "work", 0, INT64_MAX)
    cdef int capacity = count(pool, "pool", 1, POOL_MAX)
    run.p = &problem.problem
    run.seed = count(seed, "seed", 0, 0xFFFFFFFFFFFFFFFF)
    run.threads = count(threads, "threads", 1, THREADS_MAX)
    if initial is not None:
        starts = states(initial, n, "initial", 0, 1)
        if starts.shape[0] and n:
            run.initial, run.initial_count = &starts[0, 0], min(starts.shape[0], 0x7FFFFFFF)
    if monitor is not None:
        monitor.expect(n)
        run.monitor = monitor.ptr
    if kg_pool_init(&found, capacity, n):
        raise MemoryError(f"no memory for {capacity} solutions of {n} variables")
    if kg_pool_init(&nearest, 1, n):
        kg_pool_free(&found)
        raise MemoryError(f"no memory for {n} variables")
    run.pool, run.nearest = &found, &nearest
    try:
        with nogil:
            kg_binary_search(&run, most)
        if nearest.count == 0:
            raise MemoryError(f"no memory to search {n} variables")
        stats = {
            "solver": "search_binary",
            "work": run.work,
            "seed": seed,
            "completed": not run.interrupted and not run.no_memory,
            "least_violation": 0.0 if found.count else nearest.energies[0],
            "least_violated": _points(&found if found.count else &nearest, n)[0],
        }
        objectives = np.array([found.energies[k] for k in range(found.count)], dtype=np.float64)
        occurrences = np.array([found.occurrences[k] for k in range(found.count)], dtype=np.int64)
        return BinarySamples(_points(&found, n), objectives, occurrences, stats)
    finally:
        kg_pool_free(&found)
        kg_pool_free(&nearest)
