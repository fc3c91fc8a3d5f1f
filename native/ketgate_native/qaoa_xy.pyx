# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""QAOA with XY mixers among states of a given number of ones; the loops are in src/qaoa_xy.c."""
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

from math import comb
from threading import Lock

import numpy as np

from ketgate_native._arrays import count as _count, finite as _finite
from ketgate_native.monitor import Stopped
from ketgate_native.monitor cimport Monitor, kg_monitor
from ketgate_native.qaoa import Gradient


cdef extern from "src/qaoa_xy.h" nogil:
    enum:
        KG_XY_QUBITS_MAX
        KG_XY_STOPPED

    ctypedef struct kg_xy_space:
        int n, ones
        int64_t size

    int kg_xy_space_make(kg_xy_space *space, int n, int ones)
    void kg_xy_space_free(kg_xy_space *space)
    void kg_xy_states(const kg_xy_space *space, uint64_t *out)

    ctypedef struct kg_xy_program:
        const kg_xy_space *space
        const double *cost
        int pairs, layers
        const int32_t *pair
        const double *gamma
        const double *beta
        kg_monitor *monitor

    int kg_xy_forward(const kg_xy_program *program, double *psi, double *expectation)
    int kg_xy_gradient(const kg_xy_program *program, double *psi, double *, double *expectation, double *by_gamma,
                       double *by_beta)


QUBITS_MAX = KG_XY_QUBITS_MAX


def num_states(num_qubits, ones):
    n = _count(num_qubits, "num_qubits", 1, KG_XY_QUBITS_MAX)
    return comb(n, _count(ones, "ones", 0, n))


cdef class XyQaoa:
    cdef kg_xy_space space
    cdef kg_xy_program program
    cdef object cost, pair, psi, lock
    cdef bint kept

    def __cinit__(self):
        memset(&self.space, 0, sizeof(kg_xy_space))
        memset(&self.program, 0, sizeof(kg_xy_program))

    def __init__(self, num_qubits, ones, pairs, cost):
        n = _count(num_qubits, "num_qubits", 1, KG_XY_QUBITS_MAX)
        if kg_xy_space_make(&self.space, n, _count(ones, "ones", 0, n)):
            raise MemoryError(f"no memory for the states of {n} qubits")
        gates = np.ascontiguousarray(pairs, dtype=np.int32).reshape(-1, 2)
        if gates.size and (gates.min() < 0 or gates.max() >= n or (gates[:, 0] == gates[:, 1]).any()):
            raise ValueError(f"pairs: expected pairs of two different qubits below {n}")
        self.pair = np.append(gates.ravel(), 0).astype(np.int32)
        self.cost = _finite(cost(self.states()), "cost")
        if self.cost.shape[0] != self.space.size:
            raise ValueError(f"cost: expected {self.space.size} values, given {self.cost.shape[0]}")
        self.psi = np.empty((2, self.space.size))
        self.lock = Lock()
        cdef const double[::1] values = self.cost
        cdef int32_t[::1] gate = self.pair
        self.program.space, self.program.cost = &self.space, &values[0]
        self.program.pairs, self.program.pair = gates.shape[0], &gate[0]

    def __dealloc__(self):
        kg_xy_space_free(&self.space)

    @property
    def size(self):
        return self.space.size

    def states(self):
        out = np.empty(self.space.size, dtype=np.uint64)
        cdef uint64_t[::1] view = out
        with nogil:
            kg_xy_states(&self.space, &view[0])
        return out

    @property
    def costs(self):
        view = self.cost.view()
        view.flags.writeable = False
        return view

    def expectation(self, gammas, betas, *, keep=False, Monitor monitor=None):
        cdef double[::1] g = _finite(gammas, "gammas").copy(), b = _finite(betas, "betas").copy()
        cdef double[:, ::1] psi
        cdef double value = 0.0
        cdef int status
        with self.lock:
            self._begin(g, b, monitor)
            psi = self.psi
            with nogil:
                status = kg_xy_forward(&self.program, &psi[0, 0], &value)
            self._check(status)
            self.kept = bool(keep)
        return value

    def gradient(self, gammas, betas, *, Monitor monitor=None):
        cdef double[::1] g = _finite(gammas, "gammas").copy(), b = _finite(betas, "betas").copy()
        by_gamma, by_beta = np.empty(g.shape[0]), np.empty(g.shape[0])
        cdef double[::1] out_g = by_gamma, out_b = by_beta
        cdef double[:, ::1] psi, other
        cdef double value = 0.0
        cdef int status
        with self.lock:
            self._begin(g, b, monitor)
            psi, other = self.psi, np.empty((2, self.space.size))
            with nogil:
                status = kg_xy_gradient(&self.program, &psi[0, 0], &other[0, 0], &value, &out_g[0], &out_b[0])
            self._check(status)
        return Gradient(value, by_gamma, by_beta, None)

    cdef int _begin(self, double[::1] g, double[::1] b, Monitor monitor) except -1:
        self.kept = False
        if g.shape[0] < 1 or b.shape[0] != g.shape[0]:
            raise ValueError(f"betas: expected as many as gammas, at least 1, given {b.shape[0]} and {g.shape[0]}")
        self.program.layers = g.shape[0]
        self.program.gamma, self.program.beta = &g[0], &b[0]
        self.program.monitor = monitor.ptr if monitor is not None else NULL
        return 0

    cdef int _check(self, int status) except -1:
        if status == KG_XY_STOPPED:
            raise Stopped("stopped before the expectation was known")
        return 0

    def amplitudes(self):
        with self.lock:
            if not self.kept:
                raise ValueError("state: expected one kept by expectation(keep=True), given none")
            return self.psi[0] + 1j * self.psi[1]
