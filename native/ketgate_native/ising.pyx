# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Ising problems and their solvers: checks and conversions here, the loops in src/ising*.c."""
from libc.math cimport isfinite
from libc.stdint cimport INT64_MAX, int8_t, int32_t, int64_t, uint64_t
from libc.string cimport memcpy, memset

import numpy as np

from typing import NamedTuple

from ketgate_native._arrays import count as _count, doubles as _doubles, integers as _integers
from ketgate_native._arrays import same_length as _same_length, states as _states
from ketgate_native.monitor import Stopped
from ketgate_native.monitor cimport Monitor, kg_monitor

cdef int POOL_MAX = 100_000
cdef int THREADS_MAX = 64
cdef int64_t SPINS_MAX = 100_000_000


class Samples(NamedTuple):
    spins: object
    energies: object
    occurrences: object
    stats: dict


cdef class Ising:
    def __cinit__(self, linear, row, col, weight, offset=0.0, *, Monitor monitor=None, bint _binary=False):
        memset(&self.problem, 0, sizeof(kg_ising))
        h, w = _doubles(linear, "linear"), _doubles(weight, "weight")
        if h.shape[0] > SPINS_MAX:
            raise ValueError(f"linear: expected at most {SPINS_MAX} spins, given {h.shape[0]}")
        i, j = _integers(row, "row"), _integers(col, "col")
        _same_length(row=i, col=j, weight=w)
        cdef double shift = offset
        if not isfinite(shift):
            raise ValueError(f"offset: expected a finite number, given {offset}")
        self._build(h, i, j, w, shift, _binary, monitor)

    cdef int _build(self, object h, object i, object j, object w, double shift, bint binary,
                    Monitor monitor) except -1:
        cdef const double[::1] linear = h, weight = w
        cdef const int64_t[::1] row = i, col = j
        cdef kg_ising_input given
        cdef kg_monitor *watched = monitor.ptr if monitor is not None else NULL
        cdef int64_t at = 0
        cdef int status
        given.n, given.count = linear.shape[0], weight.shape[0]
        given.linear = &linear[0] if given.n else NULL
        given.weight = &weight[0] if given.count else NULL
        given.row = &row[0] if given.count else NULL
        given.col = &col[0] if given.count else NULL
        given.offset, given.binary = shift, binary
        with nogil:
            status = kg_ising_build(&self.problem, &given, watched, &at)
            if status != KG_BUILD_OK:
                kg_ising_free(&self.problem)
        if status != KG_BUILD_OK:
            self._refuse(status, at, h, i, j, w)
        return 0

    cdef int _refuse(self, int status, int64_t at, object h, object i, object j, object w) except -1:
        n, count = h.shape[0], w.shape[0]
        if status == KG_BUILD_STOPPED:
            raise Stopped("stopped while the problem was being built")
        if status == KG_BUILD_NO_MEMORY:
            raise MemoryError(f"no memory for {n} spins and {count} couplings")
        if status == KG_BUILD_LINEAR:
            raise ValueError(f"linear[{at}]: expected a finite number, given {h[at]}")
        if status == KG_BUILD_WEIGHT:
            raise ValueError(f"weight[{at}]: expected a finite number, given {w[at]}")
        if status == KG_BUILD_ROW:
            raise ValueError(f"row[{at}]: expected an index in [0, {n}), given {i[at]}")
        if status == KG_BUILD_COL:
            raise ValueError(f"col[{at}]: expected an index in [0, {n}), given {j[at]}")
        if status == KG_BUILD_TWICE:
            raise ValueError(f"col[{at}]: expected a spin other than row[{at}], given {j[at]} twice")
        raise ValueError("weight: expected magnitudes whose sum stays below 1e300")

    def __dealloc__(self):
        kg_ising_free(&self.problem)

    @classmethod
    def from_qubo(cls, linear, row, col, weight, offset=0.0, *, Monitor monitor=None):
        return cls(linear, row, col, weight, offset, monitor=monitor, _binary=True)

    @property
    def num_spins(self):
        return self.problem.n

    @property
    def num_couplings(self):
        return kg_ising_pairs(&self.problem)

    @property
    def offset(self):
        return self.problem.offset

    @property
    def layout(self):
        return "dense" if self.problem.dense else "sparse"

    @property
    def lane(self):
        return ("int8", "int16", "float32")[<int>self.problem.lane]

    @property
    def is_integer(self):
        return bool(self.problem.integer)

    def energies(self, spins):
        cdef const int8_t[:, ::1] states = _states(spins, self.problem.n, "spins", -1, 1)
        cdef double[::1] out = np.empty(states.shape[0], dtype=np.float64)
        cdef int64_t k
        with nogil:
            for k in range(states.shape[0]):
                out[k] = kg_ising_energy(&self.problem, &states[k, 0] if self.problem.n else NULL)
        return np.asarray(out)


cdef class _Run:
    """One call of a solver: what it needs in C, kept alive, and its result."""

    cdef kg_run run
    cdef kg_pool pool
    cdef Ising problem
    cdef Monitor monitor
    cdef object initial

    def __cinit__(self):
        memset(&self.run, 0, sizeof(kg_run))
        memset(&self.pool, 0, sizeof(kg_pool))

    def __init__(self, Ising problem not None, seed, initial, threads, pool, Monitor monitor, isa):
        self.problem, self.monitor = problem, monitor
        cdef int capacity = _count(pool, "pool", 1, POOL_MAX)
        cdef const int8_t[:, ::1] states
        cdef bytes name = b"" if isa is None else str(isa).encode()
        cdef char *name_at = NULL if isa is None else <char *>name
        self.run.isa = kg_isa_named(name_at)
        if self.run.isa is NULL:
            raise ValueError(f"isa: expected 'base', 'avx2' or 'avx512', one that this CPU has, given {isa!r}")
        self.run.p = &problem.problem
        self.run.seed = _count(seed, "seed", 0, 0xFFFFFFFFFFFFFFFF)
        self.run.threads = _count(threads, "threads", 1, THREADS_MAX)
        if initial is not None:
            self.initial = _states(initial, problem.problem.n, "initial", -1, 1)
            states = self.initial
            self.run.initial = &states[0, 0] if states.size else NULL
            self.run.initial_count = min(states.shape[0], 0x7FFFFFFF) if states.size else 0
        if monitor is not None:
            monitor.expect(problem.problem.n)
            self.run.monitor = monitor.ptr
        if kg_pool_init(&self.pool, capacity, problem.problem.n):
            raise MemoryError(f"no memory for {pool} solutions of {problem.problem.n} spins")
        self.run.pool = &self.pool

    def __dealloc__(self):
        kg_pool_free(&self.pool)

    cdef kg_schedule schedule(self, int64_t sweeps, beta_start, beta_end) except *:
        """Inverse temperatures of the input's energies into those of the search."""
        cdef kg_schedule s
        s.sweeps = sweeps
        s.beta_start, s.beta_end = self.problem.problem.beta_hot, self.problem.problem.beta_cold
        for name, beta in (("beta_start", beta_start), ("beta_end", beta_end)):
            if beta is not None and not 0.0 < beta * self.problem.problem.unit < 1e30:
                raise ValueError(f"{name}: expected a positive finite number, given {beta}")
        if beta_start is not None:
            s.beta_start = max(beta_start * self.problem.problem.unit, 1e-30)
        if beta_end is not None:
            s.beta_end = max(beta_end * self.problem.problem.unit, 1e-30)
        return s

    cdef object samples(self, str solver, seed, dict more):
        if self.run.no_memory and self.pool.count == 0:
            raise MemoryError(f"no memory to search {self.problem.problem.n} spins")
        cdef int k, count = self.pool.count
        cdef int64_t n = self.problem.problem.n
        spins = np.empty((count, n), dtype=np.int8)
        energies = np.empty(count, dtype=np.float64)
        occurrences = np.empty(count, dtype=np.int64)
        cdef int8_t[:, ::1] spins_view = spins
        cdef double[::1] energies_view = energies
        cdef int64_t[::1] occurrences_view = occurrences
        for k in range(count):
            energies_view[k] = self.pool.energies[k]
            occurrences_view[k] = self.pool.occurrences[k]
            if n:
                memcpy(&spins_view[k, 0], self.pool.spins + n * self.pool.slot[k], n)
        stats = {
            "solver": solver,
            "work": self.run.work,
            "isa": (<bytes>self.run.isa.name).decode(),
            "layout": self.problem.layout,
            "lane": self.problem.lane,
            "seed": seed,
            "completed": not self.run.interrupted and not self.run.no_memory,
        }
        stats.update(more)
        return Samples(spins, energies, occurrences, stats)


def anneal(Ising problem not None, *, sweeps, replicas=32, seed=0, beta_start=None, beta_end=None, initial=None,
           threads=1, pool=1, Monitor monitor=None, isa=None):
    cdef _Run r = _Run(problem, seed, initial, threads, pool, monitor, isa)
    cdef kg_schedule s = r.schedule(_count(sweeps, "sweeps", 0, INT64_MAX), beta_start, beta_end)
    cdef int count = _count(replicas, "replicas", 1, 1 << 20)
    with nogil:
        kg_run_begin(&r.run)
        if r.run.p.n:
            kg_anneal(&r.run, s, count)
    return r.samples("anneal", seed, {
        "sweeps": sweeps, "replicas": replicas,
        "beta_start": s.beta_start / problem.problem.unit, "beta_end": s.beta_end / problem.problem.unit})


def parallel_tempering(Ising problem not None, *, sweeps, ladders=1, seed=0, beta_start=None, beta_end=None,
                       initial=None, threads=1, pool=1, Monitor monitor=None, isa=None):
    cdef _Run r = _Run(problem, seed, initial, threads, pool, monitor, isa)
    cdef kg_schedule s = r.schedule(_count(sweeps, "sweeps", 0, INT64_MAX), beta_start, beta_end)
    cdef int count = _count(ladders, "ladders", 1, 1 << 20)
    with nogil:
        kg_run_begin(&r.run)
        if r.run.p.n:
            kg_tempering(&r.run, s, count)
    return r.samples("parallel_tempering", seed, {
        "sweeps": sweeps, "ladders": ladders,
        "beta_start": s.beta_start / problem.problem.unit, "beta_end": s.beta_end / problem.problem.unit})


def tabu(Ising problem not None, *, iterations, restarts=1, seed=0, tenure=None, initial=None, threads=1, pool=1,
         Monitor monitor=None, isa=None):
    cdef _Run r = _Run(problem, seed, initial, threads, pool, monitor, isa)
    cdef int64_t steps = _count(iterations, "iterations", 0, INT64_MAX)
    cdef int count = _count(restarts, "restarts", 1, 1 << 20)
    cdef int kept = 0 if tenure is None else _count(tenure, "tenure", 1, 1 << 24)
    with nogil:
        kg_run_begin(&r.run)
        if r.run.p.n:
            kg_tabu(&r.run, steps, count, kept)
    return r.samples("tabu", seed, {"iterations": iterations, "restarts": restarts})


def search(Ising problem not None, *, work=None, seed=0, initial=None, threads=1, pool=1, Monitor monitor=None, isa=None):
    if work is None and monitor is None:
        raise ValueError("work: expected a number of moves when no monitor can stop the search, given None")
    cdef _Run r = _Run(problem, seed, initial, threads, pool, monitor, isa)
    cdef int64_t most = INT64_MAX if work is None else _count(work, "work", 0, INT64_MAX)
    with nogil:
        kg_run_begin(&r.run)
        if r.run.p.n:
            kg_search(&r.run, most)
    return r.samples("search", seed, {})
