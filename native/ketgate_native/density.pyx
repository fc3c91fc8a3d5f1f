# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""Noisy circuits: exactly, on a vector of Pauli expectations, and by random trajectories on state vectors.

Checks and conversions here, the loops in src/dm_*.c.
"""
from libc.stdint cimport int32_t, int64_t, uint64_t
from libc.string cimport memset

import numpy as np

from typing import NamedTuple

from ketgate_native._arrays import count as _count
from ketgate_native.monitor import Stopped
from ketgate_native.monitor cimport Monitor, kg_monitor

PAULI_QUBITS_MAX = 14
TRAJECTORY_QUBITS_MAX = 34
CHANNEL_QUBITS_MAX = 4
UNITARY_QUBITS_MAX = 5
STEP_COLUMNS = 16
cdef int THREADS_MAX = 64
cdef int64_t SHOTS_MAX = 1 << 32


cdef extern from "src/dm_isa.h" nogil:
    ctypedef struct kg_dm_isa:
        pass
    const kg_dm_isa *kg_dm_isa_named(const char *name)


cdef extern from "src/dm_pauli.h" nogil:
    ctypedef struct kg_pauli_maps:
        int qubits
        int64_t count
        const int32_t *size
        const int32_t *on
        const double *matrices
        int size_max
    int kg_pauli_apply(double *vector, const kg_pauli_maps *maps, int threads, const kg_dm_isa *isa, kg_monitor *monitor)


cdef extern from "src/dm_trajectory.h" nogil:
    ctypedef struct kg_program:
        int qubits
        int64_t steps
        const int64_t *table
        const double *flips
        const int32_t *numbers
        int64_t number_count
        const double *matrices
        int64_t matrix_count
        const double *effects
        int64_t effect_count
        const double *weights
        int64_t weight_count
        int bits

    ctypedef struct kg_trajectories:
        int64_t shots
        uint64_t seed
        int samples
        int64_t *sampled
        uint64_t *memory
        int words
        int observables
        const int64_t *terms
        const double *coefficients
        const uint64_t *x
        const uint64_t *z
        double *values
        int threads
        int64_t copies_max
        const kg_dm_isa *isa
        kg_monitor *monitor

    int64_t kg_program_check(const kg_program *p)
    int kg_trajectories_run(const kg_program *p, const kg_trajectories *t)


class Trajectories(NamedTuple):
    sampled: object
    memory: object
    values: object


cdef const kg_dm_isa *_isa(object isa) except NULL:
    cdef bytes name = b"" if isa is None else str(isa).encode()
    cdef char *name_at = NULL if isa is None else <char *>name
    cdef const kg_dm_isa *found = kg_dm_isa_named(name_at)
    if found is NULL:
        raise ValueError(f"isa: expected 'base', 'avx2' or 'avx512', one that this CPU has, given {isa!r}")
    return found


def _flat(values, str name, dtype):
    array = np.ascontiguousarray(values, dtype=dtype)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, given {array.ndim}")
    return array


def pauli_apply(double[::1] vector not None, num_qubits, sizes, qubits, matrices, *, threads=1, Monitor monitor=None,
                isa=None):
    cdef kg_pauli_maps maps
    maps.qubits = _count(num_qubits, "num_qubits", 0, PAULI_QUBITS_MAX)
    if vector.shape[0] != <int64_t>1 << (2 * maps.qubits):
        raise ValueError(f"vector: expected 4^{num_qubits} numbers, given {vector.shape[0]}")
    cdef int32_t[::1] size = _flat(sizes, "sizes", np.int32), on = _flat(qubits, "qubits", np.int32)
    cdef double[::1] given = _flat(matrices, "matrices", np.float64)
    cdef int64_t k, j, i, numbers = 0, entries = 0
    maps.size_max = 0
    for k in range(size.shape[0]):
        if not 1 <= size[k] <= min(5, maps.qubits):
            raise ValueError(f"sizes[{k}]: expected 1 to {min(5, maps.qubits)} qubits, given {size[k]}")
        if numbers + size[k] > on.shape[0]:
            raise ValueError(f"qubits: expected the sum of sizes, given {on.shape[0]}")
        for j in range(numbers, numbers + size[k]):
            if not 0 <= on[j] < maps.qubits:
                raise ValueError(f"qubits[{j}]: expected one in [0, {num_qubits}), given {on[j]}")
            for i in range(numbers, j):
                if on[i] == on[j]:
                    raise ValueError(f"qubits[{j}]: expected qubits that differ, given {on[j]} twice")
        numbers += size[k]
        entries += <int64_t>1 << (4 * size[k])
        maps.size_max = max(maps.size_max, size[k])
    if numbers != on.shape[0] or entries != given.shape[0]:
        raise ValueError(f"matrices: expected {entries} entries for {numbers} qubits, given {given.shape[0]} "
                         f"for {on.shape[0]}")
    if size.shape[0] == 0:
        return
    maps.count, maps.size, maps.on, maps.matrices = size.shape[0], &size[0], &on[0], &given[0]
    cdef int workers = _count(threads, "threads", 1, THREADS_MAX)
    cdef const kg_dm_isa *bodies = _isa(isa)
    cdef kg_monitor *watched = monitor.ptr if monitor is not None else NULL
    cdef int status
    with nogil:
        status = kg_pauli_apply(&vector[0], &maps, workers, bodies, watched)
    if status == 1:
        raise Stopped("stopped while the density matrix was evolving")
    if status == 2:
        raise MemoryError(f"no memory for maps on {maps.size_max} qubits")


def run_trajectories(num_qubits, steps, flips, numbers, matrices, effects, weights, *, shots, seed, num_bits=0, samples=0,
                     terms=(0,), coefficients=(), x=(), z=(), threads=1, copies_max=16, Monitor monitor=None, isa=None):
    cdef kg_program p
    cdef kg_trajectories t
    memset(&p, 0, sizeof(p))
    memset(&t, 0, sizeof(t))
    p.qubits = _count(num_qubits, "num_qubits", 0, TRAJECTORY_QUBITS_MAX)
    p.bits = _count(num_bits, "num_bits", 0, 1 << 20)
    cdef const int64_t[:, ::1] table = np.ascontiguousarray(steps, dtype=np.int64).reshape(-1, STEP_COLUMNS)
    cdef const double[:, ::1] wrong = np.ascontiguousarray(flips, dtype=np.float64).reshape(-1, 2)
    if table.shape[0] != wrong.shape[0]:
        raise ValueError(f"flips: expected {table.shape[0]} rows, one a step, given {wrong.shape[0]}")
    cdef const int32_t[::1] on = _flat(numbers, "numbers", np.int32)
    cdef const double[::1] kraus = _flat(matrices, "matrices", np.complex128).view(np.float64)
    cdef const double[::1] effect = _flat(effects, "effects", np.complex128).view(np.float64)
    cdef const double[::1] weight = _flat(weights, "weights", np.float64)
    p.steps = table.shape[0]
    p.table = &table[0, 0] if p.steps else NULL
    p.flips = &wrong[0, 0] if p.steps else NULL
    p.number_count, p.numbers = on.shape[0], &on[0] if on.shape[0] else NULL
    p.matrix_count, p.matrices = kraus.shape[0] // 2, &kraus[0] if kraus.shape[0] else NULL
    p.effect_count, p.effects = effect.shape[0] // 2, &effect[0] if effect.shape[0] else NULL
    p.weight_count, p.weights = weight.shape[0], &weight[0] if weight.shape[0] else NULL
    cdef int64_t bad = kg_program_check(&p)
    if bad >= 0:
        raise ValueError(f"steps[{bad}]: expected a step whose qubits, bits, jump and arrays exist, "
                         f"given {list(table[bad])}")

    t.shots = _count(shots, "shots", 1, SHOTS_MAX)
    t.seed = _count(seed, "seed", 0, 0xFFFFFFFFFFFFFFFF)
    t.samples = _count(samples, "samples", 0, 1 << 20)
    t.words = (p.bits + 63) // 64
    t.threads = _count(threads, "threads", 1, THREADS_MAX)
    t.copies_max = _count(copies_max, "copies_max", 0, 1 << 20)
    t.isa = _isa(isa)
    if monitor is not None:
        t.monitor = monitor.ptr
    cdef const int64_t[::1] first = _flat(terms, "terms", np.int64)
    cdef const double[::1] factor = _flat(coefficients, "coefficients", np.float64)
    cdef const uint64_t[::1] xs = _flat(x, "x", np.uint64), zs = _flat(z, "z", np.uint64)
    if not factor.shape[0] == xs.shape[0] == zs.shape[0]:
        raise ValueError("coefficients, x, z: expected equal lengths")
    if first.shape[0] < 1 or first[0] != 0 or first[first.shape[0] - 1] != factor.shape[0] or \
            np.any(np.diff(first) < 0):
        raise ValueError("terms: expected rising places from 0 to the number of coefficients")
    if factor.shape[0] and int(np.max(np.asarray(xs) | np.asarray(zs))) >> p.qubits:
        raise ValueError(f"x, z: expected Paulis on {num_qubits} qubits")
    t.observables = first.shape[0] - 1
    t.terms = &first[0]
    if factor.shape[0]:
        t.coefficients, t.x, t.z = &factor[0], &xs[0], &zs[0]

    sampled = np.zeros((t.shots, t.samples), dtype=np.int64)
    memory = np.zeros((t.shots, t.words), dtype=np.uint64)
    values = np.zeros((t.shots, t.observables), dtype=np.float64)
    cdef int64_t[:, ::1] sampled_view = sampled
    cdef uint64_t[:, ::1] memory_view = memory
    cdef double[:, ::1] values_view = values
    cdef uint64_t nothing = 0
    t.sampled = &sampled_view[0, 0] if t.samples else NULL
    t.memory = &memory_view[0, 0] if t.words else &nothing
    t.values = &values_view[0, 0] if t.observables else NULL
    cdef int status
    with nogil:
        status = kg_trajectories_run(&p, &t)
    if status == 1:
        raise Stopped("stopped while trajectories were running")
    if status == 2:
        raise MemoryError(f"no memory for trajectories of {num_qubits} qubits")
    return Trajectories(sampled, memory, values)
