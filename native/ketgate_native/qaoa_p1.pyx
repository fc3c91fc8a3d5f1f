# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""QAOA's expectation at one layer in closed form; the sums are in src/qaoa_p1.c."""
from libc.math cimport cos, sin
from libc.stdint cimport int32_t, int64_t

from typing import NamedTuple

import numpy as np

from ketgate_native._arrays import finite as _finite, indices as _indices, same_length as _same_length
from ketgate_native.monitor import Stopped
from ketgate_native.monitor cimport Monitor, kg_monitor


cdef extern from "src/qaoa_p1.h" nogil:
    ctypedef struct kg_p1:
        int64_t n
        const double *field
        const int64_t *start
        const int32_t *neighbour
        const double *weight

    ctypedef struct kg_p1_terms:
        double single, mixed, pair

    int kg_p1_evaluate(const kg_p1 *problem, double gamma, kg_monitor *monitor, kg_p1_terms *terms,
                       kg_p1_terms *slopes)


SPINS_MAX = 10_000_000


class Terms(NamedTuple):
    single: float
    mixed: float
    pair: float


class Value(NamedTuple):
    expectation: float
    by_gamma: float
    by_beta: float


cdef class ClosedForm:
    cdef kg_p1 problem
    cdef object field, start, neighbour, weight
    cdef readonly double offset

    def __init__(self, linear, row, col, weight, offset=0.0):
        self.field = _finite(linear, "linear")
        n = self.field.shape[0]
        if not 1 <= n <= SPINS_MAX:
            raise ValueError(f"linear: expected 1 to {SPINS_MAX} spins, given {n}")
        i, j, w = _indices(row, "row", n), _indices(col, "col", n), _finite(weight, "weight")
        _same_length(row=i, col=j, weight=w)
        if (i == j).any():
            at = int(np.flatnonzero(i == j)[0])
            raise ValueError(f"col[{at}]: expected a spin other than row[{at}], given {j[at]} twice")
        self.offset = offset
        if not np.isfinite(self.offset):
            raise ValueError(f"offset: expected a finite number, given {offset}")
        self._lay_out(n, i.astype(np.int64), j.astype(np.int64), w)

    def _lay_out(self, n, i, j, w):
        key, where = np.unique(np.concatenate([i * n + j, j * n + i]), return_inverse=True)
        summed = np.bincount(where, np.concatenate([w, w]), len(key))
        self.start = np.searchsorted(key, np.arange(n + 1, dtype=np.int64) * n).astype(np.int64)
        self.neighbour = np.append(key % n, 0).astype(np.int32)
        self.weight = np.append(summed, 0.0)
        cdef const double[::1] field = self.field
        cdef const double[::1] weights = self.weight
        cdef int64_t[::1] start = self.start
        cdef int32_t[::1] neighbour = self.neighbour
        self.problem.n = n
        self.problem.field, self.problem.weight = &field[0], &weights[0]
        self.problem.start, self.problem.neighbour = &start[0], &neighbour[0]

    cdef int _evaluate(self, double gamma, Monitor monitor, kg_p1_terms *terms, kg_p1_terms *slopes) except -1:
        cdef kg_monitor *watched = monitor.ptr if monitor is not None else NULL
        cdef int status
        with nogil:
            status = kg_p1_evaluate(&self.problem, gamma, watched, terms, slopes)
        if status < 0:
            raise MemoryError(f"no memory for the closed form of {self.problem.n} spins")
        if status:
            raise Stopped("stopped before the expectation was known")
        return 0

    def terms(self, double gamma, *, Monitor monitor=None):
        cdef kg_p1_terms terms, slopes
        self._evaluate(gamma, monitor, &terms, &slopes)
        return Terms(terms.single, terms.mixed, terms.pair)

    def value(self, double gamma, double beta, *, Monitor monitor=None):
        cdef kg_p1_terms t, d
        self._evaluate(gamma, monitor, &t, &d)
        cdef double s2 = sin(2 * beta), c2 = cos(2 * beta), s4 = sin(4 * beta), c4 = cos(4 * beta)
        return Value(
            self.offset + t.single * s2 + t.mixed * s4 + t.pair * s2 * s2,
            d.single * s2 + d.mixed * s4 + d.pair * s2 * s2,
            2 * t.single * c2 + 4 * t.mixed * c4 + 4 * t.pair * s2 * c2,
        )
