# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""State vectors and the programs that run on them: checks and conversions here, the loops in src/sv_*.c."""
from cpython.buffer cimport PyBUF_C_CONTIGUOUS, PyBUF_FORMAT, PyBuffer_Release, PyObject_GetBuffer
from libc.math cimport sqrt
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.string cimport memcpy, memset

from typing import Literal

import numpy as np

from ketgate_native._arrays import count as _count, finite as _finite
from ketgate_native.monitor import Stopped
from ketgate_native.monitor cimport Monitor

cdef int THREADS_MAX = 64
cdef int64_t SHOTS_MAX = 1 << 32
# Below it a state lies in the cache, and starting a thread costs more than half the work saves.
cdef int THREADED_QUBITS = 16
_PRECISIONS = {"double": KG_SV_DOUBLE, "single": KG_SV_SINGLE}
KernelGate = tuple  # the stub tells what of
Precision = Literal["double", "single"]
_SWAP = np.eye(4, dtype=np.complex128)[[0, 2, 1, 3]]


cdef int _checked(int status, what) except -1:
    if status == KG_SV_STOPPED:
        raise Stopped(f"stopped while {what}")
    if status == KG_SV_NO_MEMORY:
        raise MemoryError(f"no memory while {what}")
    return 0


cdef kg_sv_precision _precision(precision) except *:
    if precision not in _PRECISIONS:
        raise ValueError(f"precision: expected 'double' or 'single', given {precision!r}")
    return _PRECISIONS[precision]


cdef bytes _isa(isa):
    cdef bytes name = b"" if isa is None else str(isa).encode()
    if kg_sv_isa_named(NULL if isa is None else <char *>name) is NULL:
        raise ValueError(f"isa: expected 'base', 'avx2' or 'avx512', one that this CPU has, given {isa!r}")
    return name


cdef int _qubits(value) except -1:
    return _count(value, "num_qubits", 0, KG_SV_QUBITS_MAX)


cdef class Program:
    def __cinit__(self, num_qubits, gates, *, precision="double", isa=None, bint fuse=True, bint gradient=False):
        memset(&self.program, 0, sizeof(kg_sv_program))
        cdef int n = _qubits(num_qubits), status
        cdef kg_sv_precision wanted = _precision(precision)
        cdef bytes name = _isa(isa)
        gates = gates if isinstance(gates, (list, tuple)) else list(gates)
        status = kg_sv_program_init(&self.program, n, wanted, NULL if isa is None else <char *>name, len(gates), fuse,
                                    fuse and not gradient)
        _checked(status, "a program was being made")
        self.backward = gradient
        cdef int at = 0
        for gate in gates:
            self._add(gate, at)
            at += 1
        with nogil:
            status = kg_sv_program_finish(&self.program, gradient)
        _checked(status, "a program was being made")

    cdef int _add(self, gate, int at) except -1:
        qubits, matrix, control, value, generators = gate
        cdef uint8_t target[16]
        cdef uint64_t seen = control, on = value
        cdef int count = 0, diagonal, status, slots = 0
        cdef Py_buffer view, more
        if seen >> self.program.qubits or on & ~seen:
            raise ValueError(f"gates[{at}]: expected controls among {self.program.qubits} qubits, given {control:#x}, {value:#x}")
        for qubit in qubits:
            if count == KG_SV_DIAGONAL_MAX or not 0 <= qubit < self.program.qubits or seen >> <int>qubit & 1:
                raise ValueError(f"gates[{at}]: expected distinct qubits below {self.program.qubits}, given {qubits}")
            seen |= <uint64_t>1 << <int>qubit
            target[count] = qubit
            count += 1
        PyObject_GetBuffer(matrix, &view, PyBUF_C_CONTIGUOUS | PyBUF_FORMAT)
        try:
            diagonal = view.ndim == 1
            if view.format != b"Zd" or view.ndim not in (1, 2) or view.shape[0] != 1 << count or (
                    not diagonal and (view.shape[1] != 1 << count or count > KG_SV_DENSE_MAX)):
                raise ValueError(
                    f"gates[{at}]: expected complex128 of shape (2^k, 2^k) for up to {KG_SV_DENSE_MAX} qubits or (2^k,) for "
                    f"up to {KG_SV_DIAGONAL_MAX}, given {matrix.dtype} {matrix.shape} for {count} qubits")
            if generators is None:
                status = kg_sv_program_add(&self.program, target, count, control, on, diagonal, <double *>view.buf, 0, NULL)
            else:
                generators = np.ascontiguousarray(generators, dtype=np.complex128)
                if generators.shape[1:] != matrix.shape:
                    raise ValueError(f"gates[{at}]: expected generators like the matrix, given {generators.shape}")
                PyObject_GetBuffer(generators, &more, PyBUF_C_CONTIGUOUS)
                slots = generators.shape[0]
                status = kg_sv_program_add(&self.program, target, count, control, on, diagonal, <double *>view.buf, slots,
                                           <double *>more.buf)
                PyBuffer_Release(&more)
        finally:
            PyBuffer_Release(&view)
        return _checked(status, "a program was being made")

    def __dealloc__(self):
        kg_sv_program_free(&self.program)

    @property
    def num_qubits(self):
        return self.program.qubits

    @property
    def num_gates(self):
        return self.program.gates

    @property
    def num_slots(self):
        return self.program.slots

    @property
    def num_clusters(self):
        return self.program.clusters

    @property
    def num_passes(self):
        return self.program.forward.count

    @property
    def precision(self):
        return "double" if self.program.precision == KG_SV_DOUBLE else "single"

    @property
    def isa(self):
        return (<bytes>self.program.isa.name).decode()

    @property
    def memory_bytes(self):
        return self.program.arena.bytes

    @property
    def clusters(self):
        return [(self.program.cluster[k].count, bool(self.program.cluster[k].diagonal))
                for k in range(self.program.clusters)]

    @property
    def cost(self):
        return sum(self.program.cluster[k].cost for k in range(self.program.clusters))


cdef class StateVector:
    def __cinit__(self, num_qubits, *, precision="double", isa=None):
        memset(&self.state, 0, sizeof(kg_sv_state))
        cdef int n = _qubits(num_qubits), status
        cdef kg_sv_precision wanted = _precision(precision)
        cdef bytes name = _isa(isa)
        cdef char *at = NULL if isa is None else <char *>name
        with nogil:
            status = kg_sv_state_init(&self.state, n, wanted, at)
        if status:
            raise MemoryError(f"no memory for the amplitudes of {n} qubits")
        self._name_in_order()

    def __dealloc__(self):
        kg_sv_state_free(&self.state)

    cdef int _name_in_order(self) except -1:
        cdef int q
        for q in range(self.state.qubits):
            self.layout[q] = q
        return 0

    @property
    def num_qubits(self):
        return self.state.qubits

    @property
    def precision(self):
        return "double" if self.state.precision == KG_SV_DOUBLE else "single"

    @property
    def isa(self):
        return (<bytes>self.state.isa.name).decode()

    @property
    def memory_bytes(self):
        return self.state.bytes

    cdef kg_sv_how _how(self, threads, Monitor monitor) except *:
        cdef kg_sv_how how
        how.threads = _count(threads, "threads", 1, THREADS_MAX)
        if self.state.qubits < THREADED_QUBITS:
            how.threads = 1
        how.monitor = monitor.ptr if monitor is not None else NULL
        return how

    def reset(self):
        with nogil:
            kg_sv_state_zero(&self.state)
        self._name_in_order()

    def copy(self):
        cdef StateVector other = StateVector(self.state.qubits, precision=self.precision, isa=self.isa)
        with nogil:
            memcpy(other.state.amplitudes, self.state.amplitudes, self.state.bytes)
        other.state.support = self.state.support
        memcpy(other.layout, self.layout, sizeof(self.layout))
        return other

    def apply(self, Program program not None, *, threads=1, Monitor monitor=None):
        cdef kg_sv_how how = self._how(threads, monitor)
        cdef int status
        if program.program.qubits != self.state.qubits or program.program.precision != self.state.precision:
            raise ValueError(f"program: expected one for {self.state.qubits} qubits and {self.precision} precision, given "
                             f"one for {program.program.qubits} and {program.precision}")
        if program.program.isa is not self.state.isa:
            raise ValueError(f"program: expected one for {self.isa}, given one for {program.isa}")
        self._settle(threads, monitor)
        with nogil:
            status = kg_sv_apply(&self.state, &program.program, how)
        _checked(status, "a program was running")
        memcpy(self.layout, program.program.layout, sizeof(self.layout))

    cdef int _settle(self, threads, Monitor monitor) except -1:
        """Move the amplitudes to where the qubits' own numbers are; programs only exchange names for swaps."""
        cdef int q
        cdef uint8_t at[40]
        memcpy(at, self.layout, sizeof(at))
        swaps = []
        for q in range(self.state.qubits):
            while at[q] != q:
                swaps.append(((q, at[q]), _SWAP, 0, 0, None))
                for other in range(self.state.qubits):
                    if at[other] == q:
                        at[other], at[q] = at[q], q
                        break
        if not swaps:
            return 0
        cdef Program program = Program(self.state.qubits, swaps, precision=self.precision, isa=self.isa, fuse=False)
        cdef kg_sv_how how = self._how(threads, monitor)
        cdef int status
        with nogil:
            status = kg_sv_apply(&self.state, &program.program, how)
        _checked(status, "qubits were put in order")
        self._name_in_order()
        return 0

    def amplitudes(self, *, threads=1, Monitor monitor=None):
        self._settle(threads, monitor)
        out = np.empty(1 << self.state.qubits, dtype=np.complex128 if self.state.precision == KG_SV_DOUBLE else np.complex64)
        cdef uint8_t[::1] view = out.view(np.uint8)
        with nogil:
            memcpy(&view[0], self.state.amplitudes, view.shape[0])
        return out

    def set_amplitudes(self, amplitudes):
        given = np.ascontiguousarray(
            amplitudes, dtype=np.complex128 if self.state.precision == KG_SV_DOUBLE else np.complex64)
        if given.shape != (1 << self.state.qubits,):
            raise ValueError(f"amplitudes: expected shape ({1 << self.state.qubits},), given {given.shape}")
        cdef const uint8_t[::1] view = given.view(np.uint8)
        memset(self.state.amplitudes, 0, self.state.bytes)
        memcpy(self.state.amplitudes, &view[0], view.shape[0])
        self.state.support = <uint64_t>-1
        self._name_in_order()

    cdef int _stored(self, qubits, uint8_t *out) except -1:
        cdef int count = 0
        cdef uint64_t seen = 0
        for qubit in qubits:
            if not 0 <= qubit < self.state.qubits or seen >> <int>qubit & 1:
                raise ValueError(f"qubits: expected distinct ones below {self.state.qubits}, given {qubits}")
            seen |= <uint64_t>1 << <int>qubit
            out[count] = self.layout[<int>qubit]
            count += 1
        return count

    cdef uint64_t _stored_mask(self, uint64_t mask) noexcept nogil:
        cdef uint64_t out = 0
        cdef int q
        for q in range(self.state.qubits):
            out |= (mask >> q & 1) << self.layout[q]
        return out

    def probabilities(self, qubits, *, threads=1, Monitor monitor=None):
        cdef uint8_t stored[40]
        cdef kg_sv_how how = self._how(threads, monitor)
        cdef int count = self._stored(qubits, stored), status
        cdef double[::1] out = np.empty(1 << count, dtype=np.float64)
        with nogil:
            status = kg_sv_probabilities(&self.state, stored, count, &out[0], how)
        _checked(status, "probabilities were being added")
        return np.asarray(out)

    def sample(self, shots, seed, *, qubits=None, threads=1, Monitor monitor=None):
        cdef uint8_t stored[40]
        cdef kg_sv_how how = self._how(threads, monitor)
        cdef int count = self._stored(range(self.state.qubits) if qubits is None else qubits, stored), status, q
        cdef int64_t draws = _count(shots, "shots", 0, SHOTS_MAX), k
        cdef uint64_t start = _count(seed, "seed", 0, 0xFFFFFFFFFFFFFFFF), index, bits
        cdef uint64_t[::1] out = np.empty(draws, dtype=np.uint64)
        if not draws:
            return np.asarray(out)
        with nogil:
            status = kg_sv_sample(&self.state, start, draws, &out[0], how)
            if status == KG_SV_OK:
                for k in range(draws):
                    index, bits = out[k], 0
                    for q in range(count):
                        bits |= (index >> stored[q] & 1) << q
                    out[k] = bits
        _checked(status, "samples were being drawn")
        return np.asarray(out)

    def collapse(self, qubits, value, *, threads=1, Monitor monitor=None):
        cdef uint8_t stored[40]
        cdef kg_sv_how how = self._how(threads, monitor)
        cdef int count = self._stored(qubits, stored), status, k
        cdef uint64_t wanted = _count(value, "value", 0, (1 << count) - 1), mask = 0, bits = 0
        cdef double p = self.probabilities(qubits, threads=threads, monitor=monitor)[wanted], factor
        if not p > 0.0:
            raise ValueError(f"value: expected a result that can be measured, given {value}, whose probability is {p}")
        for k in range(count):
            mask |= <uint64_t>1 << stored[k]
            bits |= (wanted >> k & 1) << stored[k]
        factor = 1.0 / sqrt(p)
        with nogil:
            status = kg_sv_collapse(&self.state, mask, bits, factor, how)
        _checked(status, "a measurement was being made")
        return p

    cdef _masks(self, masks, name):
        cdef const uint64_t[::1] given = np.ascontiguousarray(masks, dtype=np.uint64)
        cdef uint64_t[::1] out = np.empty(given.shape[0], dtype=np.uint64)
        cdef int64_t k
        for k in range(given.shape[0]):
            if given[k] >> self.state.qubits:
                raise ValueError(f"{name}[{k}]: expected Paulis on {self.state.qubits} qubits, given the mask {given[k]:#x}")
            out[k] = self._stored_mask(given[k])
        return np.asarray(out)

    cdef _strings(self, x, z):
        """Masks of where the qubits are stored, those with the same x together, and the order that makes them so."""
        flips, phases = self._masks(x, "x"), self._masks(z, "z")
        if flips.shape != phases.shape:
            raise ValueError(f"x, z: expected equal lengths, given {flips.shape[0]}, {phases.shape[0]}")
        order = np.argsort(flips, kind="stable")
        return flips[order], phases[order], order

    def expectations(self, x, z, *, threads=1, Monitor monitor=None):
        cdef kg_sv_how how = self._how(threads, monitor)
        flips, phases, order = self._strings(x, z)
        cdef uint64_t[::1] x_view = flips, z_view = phases
        cdef double[::1] out = np.empty(x_view.shape[0], dtype=np.float64)
        cdef kg_sv_paulis paulis
        cdef int status
        if not out.shape[0]:
            return np.asarray(out)
        paulis.coefficients, paulis.x, paulis.z, paulis.count = NULL, &x_view[0], &z_view[0], out.shape[0]
        with nogil:
            status = kg_sv_expect(&self.state, paulis, &out[0], how)
        _checked(status, "expectations were being added")
        values = np.empty(out.shape[0], dtype=np.float64)
        values[order] = np.asarray(out)
        return values

    def gradient(self, Program program not None, coefficients, x, z, *, threads=1, Monitor monitor=None):
        cdef kg_sv_how how = self._how(threads, monitor)
        if not program.backward or program.program.isa is not self.state.isa or (
                program.program.precision != self.state.precision or program.program.qubits != self.state.qubits):
            raise ValueError("program: expected the one that made this state, made with gradient=True")
        self._settle(threads, monitor)  # the adjoint runs where the qubits' own numbers are
        flips, phases, order = self._strings(x, z)
        factors = _finite(coefficients, "coefficients")[order]
        cdef uint64_t[::1] x_view = flips, z_view = phases
        cdef double[::1] c_view = factors, out = np.zeros(max(program.program.slots, 1), dtype=np.float64)
        cdef StateVector state, other
        cdef kg_sv_paulis paulis
        cdef int status
        if program.program.slots and c_view.shape[0]:
            state = self.copy()
            other = StateVector(self.state.qubits, precision=self.precision, isa=self.isa)
            paulis.coefficients, paulis.x, paulis.z, paulis.count = &c_view[0], &x_view[0], &z_view[0], c_view.shape[0]
            with nogil:
                status = kg_sv_paulis_apply(&self.state, paulis, &other.state, how)
                if status == KG_SV_OK:
                    status = kg_sv_gradient(&state.state, &other.state, &program.program, &out[0], how)
            _checked(status, "a gradient was being made")
        return np.asarray(out)[:program.program.slots]
