# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""QAOA on a state vector: checks, folding and padding here, the loops in src/qaoa*."""
from libc.stdint cimport int64_t, uint64_t
from libc.string cimport memset

from threading import Lock
from typing import NamedTuple

import numpy as np

from ketgate_native._arrays import count as _count, finite as _finite, indices as _indices
from ketgate_native._arrays import same_length as _same_length
from ketgate_native.monitor import Stopped
from ketgate_native.monitor cimport Monitor, kg_monitor

QUBITS_MAX = KG_QAOA_QUBITS_MAX
SHOTS_MAX = 100_000_000
cdef int THREADS_MAX = 64, LAYERS_MAX = 10_000


class Gradient(NamedTuple):
    expectation: float
    gammas: np.ndarray
    betas: np.ndarray
    turns: object


class Extremes(NamedTuple):
    least: float
    greatest: float
    least_at: int


class Samples(NamedTuple):
    outcomes: np.ndarray
    counts: np.ndarray


def state_bytes(num_qubits, *, folded=False, single=False):
    cdef int n = max(_count(num_qubits, "num_qubits", 1, KG_QAOA_QUBITS_MAX) - bool(folded), KG_CELL_BITS)
    return kg_qaoa_state_bytes(n, bool(single))


cdef class _Diagonal:
    """One diagonal of the register: dense couplings, fields, table; folded and padded."""

    cdef public object pair, field, table
    cdef public double offset
    cdef kg_diagonal at

    def __init__(self, int n, int size, bint folded, linear, row, col, weight, offset, table, names):
        self.offset = offset
        if not np.isfinite(self.offset):
            raise ValueError(f"offset: expected a finite number, given {offset}")
        h, w = _finite(linear, names + "linear"), _finite(weight, names + "weight")
        i, j = _indices(row, names + "row", n), _indices(col, names + "col", n)
        _same_length(**{names + "row": i, names + "col": j, names + "weight": w})
        if (i == j).any():
            at = int(np.flatnonzero(i == j)[0])
            raise ValueError(f"{names}col[{at}]: expected a qubit other than {names}row[{at}], given {j[at]} twice")
        if h.shape[0] != n:
            raise ValueError(f"{names}linear: expected {n} fields, given {h.shape[0]}")
        dense = np.zeros((n, n))
        np.add.at(dense, (i, j), w)
        np.add.at(dense, (j, i), w)
        if folded:  # with 0 on the last qubit its couplings are fields of the others
            h, dense = dense[: n - 1, n - 1], dense[: n - 1, : n - 1]
        self.pair, self.field = np.zeros((size, size)), np.zeros(size)
        self.pair[: len(h), : len(h)] = dense
        self.field[: len(h)] = h
        self.table = None if table is None else self._table(table, n, size)
        cdef double[:, ::1] pair = self.pair
        cdef double[::1] field = self.field
        cdef const double[::1] entries
        self.at.pair, self.at.field, self.at.table = &pair[0, 0], &field[0], NULL
        if self.table is not None:
            entries = self.table
            self.at.table = &entries[0]

    def _table(self, table, n, size):
        entries = np.ascontiguousarray(table, dtype=np.float64)
        if entries.shape != (1 << n,):
            raise ValueError(f"table: expected shape ({1 << n},), given {entries.shape}")
        if not np.isfinite(entries).all():
            raise ValueError("table: expected finite numbers")
        return entries if size == n else np.tile(entries, 1 << (size - n))


cdef class Qaoa:
    cdef kg_qaoa_state state
    cdef _Diagonal cost, observed
    cdef readonly int num_qubits
    cdef readonly bint folded, single
    cdef bint kept
    cdef object lock

    def __cinit__(self):
        memset(&self.state, 0, sizeof(kg_qaoa_state))

    def __init__(self, linear, row, col, weight, offset=0.0, *, table=None, observable=None, fold=None, single=False,
                 isa=None):
        cdef int n = len(linear)
        if not 1 <= n <= KG_QAOA_QUBITS_MAX:
            raise ValueError(f"linear: expected 1 to {KG_QAOA_QUBITS_MAX} qubits, given {n}")
        even = n > 1 and table is None and not np.any(linear) and (observable is None or not np.any(observable[0]))
        if fold and not even:
            raise ValueError("fold: expected a cost without fields and table, of two qubits or more")
        self.num_qubits, self.single = n, single
        self.folded = even if fold is None else fold
        cdef int size = max(n - self.folded, KG_CELL_BITS)
        cdef const kg_qaoa_isa *chosen
        cdef bytes name = b"" if isa is None else str(isa).encode()
        cdef char *named = name
        chosen = kg_qaoa_isa_named(NULL if isa is None else named)
        if chosen is NULL:
            raise ValueError(f"isa: expected 'base', 'avx2' or 'avx512', one that this CPU has, given {isa!r}")
        self.cost = _Diagonal(n, size, self.folded, linear, row, col, weight, offset, table, "")
        self.observed = self.cost
        if observable is not None:
            self.observed = _Diagonal(n, size, self.folded, *observable, None, "observable_")
        self.lock = Lock()
        if kg_qaoa_state_make(&self.state, size, single, chosen):
            raise MemoryError(f"no memory for a state of {n} qubits: {kg_qaoa_state_bytes(size, single)} bytes")

    def __dealloc__(self):
        kg_qaoa_state_free(&self.state)

    def expectation(self, gammas, betas, *, turns=None, start=None, keep=False, threads=1, Monitor monitor=None):
        cdef _Call call = _Call(self, gammas, betas, turns, start, threads, monitor)
        cdef double value = 0.0
        cdef int status, kept = bool(keep)
        with self.lock:
            self.kept = False
            with nogil:
                status = kg_qaoa_forward(&self.state, &call.program, kept, call.threads, call.monitor, &value)
            self._check(status)
            self.kept = kept
        return value

    def gradient(self, gammas, betas, *, turns=None, start=None, threads=1, Monitor monitor=None):
        cdef _Call call = _Call(self, gammas, betas, turns, start, threads, monitor)
        by_gamma, by_beta = np.empty(call.layers), np.empty((call.layers, self.state.n + 1))
        by_turn = np.empty((call.layers, self.state.n)) if turns is not None else None
        cdef double[::1] g = by_gamma
        cdef double[:, ::1] b = by_beta, t
        cdef double *turned = NULL
        cdef double value = 0.0
        cdef int status
        if by_turn is not None:
            t = by_turn
            turned = &t[0, 0]
        with self.lock:
            self.kept = False
            with nogil:
                status = kg_qaoa_gradient(&self.state, &call.program, call.threads, call.monitor, &value, &g[0],
                                          turned, &b[0, 0])
            self._check(status)
        return Gradient(value, by_gamma, self._by_qubit(by_beta, np.ndim(betas)),
                        None if by_turn is None else by_turn[:, : self.num_qubits].copy())

    def _by_qubit(self, by_beta, dimensions):
        own = self.num_qubits - self.folded
        qubits = np.concatenate([by_beta[:, :own], by_beta[:, self.state.n : self.state.n + self.folded]], axis=1)
        return qubits.sum(axis=1) if dimensions == 1 else qubits

    cdef int _check(self, int status) except -1:
        if status == KG_QAOA_STOPPED:
            raise Stopped("stopped before the expectation was known")
        if status == KG_QAOA_NO_MEMORY:
            raise MemoryError(f"no memory to simulate {self.num_qubits} qubits")
        return 0

    def _need_kept(self):
        if not self.kept:
            raise ValueError("state: expected one kept by expectation(keep=True), given none")

    def state_vector(self):
        cdef uint64_t size = (<uint64_t>1) << (self.num_qubits - self.folded)
        cdef double complex[::1] view
        with self.lock:
            self._need_kept()
            out = np.empty(size << self.folded, dtype=np.complex128)
            view = out
            with nogil:
                kg_qaoa_export(&self.state, 0, size, <double *>&view[0])
        # Qubits that only pad stay in |+>, which makes each amplitude smaller.
        out[:size] *= 2.0 ** (0.5 * (self.state.n - self.num_qubits + self.folded) - 0.5 * self.folded)
        if self.folded:
            out[size:] = out[:size][::-1]
        return out.astype(np.complex64) if self.single else out

    def sample(self, shots, seed):
        cdef uint64_t drawn = _count(shots, "shots", 1, SHOTS_MAX), key = _count(seed, "seed", 0, 2**64 - 1)
        index, counts = np.empty(drawn, dtype=np.uint64), np.empty(drawn, dtype=np.int64)
        cdef uint64_t[::1] i = index
        cdef int64_t[::1] c = counts
        cdef int64_t found = 0
        with self.lock:
            self._need_kept()
            with nogil:
                found = kg_qaoa_sample(&self.state, drawn, key, &i[0], &c[0])
        if found < 0:
            raise MemoryError(f"no memory for {shots} shots")
        own = np.uint64((1 << (self.num_qubits - self.folded)) - 1)
        outcomes, where = np.unique(index[:found] & own, return_inverse=True)
        counts = np.bincount(where, counts[:found]).astype(np.int64)
        if not self.folded:
            return Samples(outcomes, counts)
        flipped = np.random.Generator(np.random.PCG64(seed)).binomial(counts, 0.5)
        every = np.uint64((1 << self.num_qubits) - 1)
        outcomes = np.concatenate([outcomes, (outcomes ^ every)[::-1]])
        counts = np.concatenate([counts - flipped, flipped[::-1]])
        return Samples(outcomes[counts > 0], counts[counts > 0])

    def extremes(self, *, Monitor monitor=None):
        cdef double least = 0.0, greatest = 0.0
        cdef uint64_t at = 0
        cdef kg_monitor *watched = monitor.ptr if monitor is not None else NULL
        cdef int status
        with nogil:
            status = kg_diagonal_extremes(&self.observed.at, self.state.n, watched, &least, &greatest, &at)
        self._check(status)
        own = (1 << (self.num_qubits - self.folded)) - 1
        return Extremes(least + self.observed.offset, greatest + self.observed.offset, at & own)

    def probability_at_most(self, double value, *, Monitor monitor=None):
        cdef double share = 0.0, bound = value - self.observed.offset
        cdef kg_monitor *watched = monitor.ptr if monitor is not None else NULL
        cdef int status
        with self.lock:
            self._need_kept()
            with nogil:
                status = kg_qaoa_share_below(&self.state, &self.observed.at, bound, watched, &share)
            self._check(status)
        return share

    @property
    def isa(self):
        return (<bytes>kg_qaoa_isa_name(self.state.isa)).decode()

    @property
    def bytes(self):
        return kg_qaoa_state_bytes(self.state.n, self.single)


cdef class _Call:
    """What one call passes to C, kept alive."""

    cdef kg_qaoa_program program
    cdef kg_monitor *monitor
    cdef int threads, layers
    cdef object gamma, beta, turn, start

    def __init__(self, Qaoa owner, gammas, betas, turns, start, threads, Monitor monitor):
        cdef int n = owner.num_qubits, size = owner.state.n, own = n - owner.folded
        self.gamma = _finite(gammas, "gammas")
        self.layers = self.gamma.shape[0]
        if not 1 <= self.layers <= LAYERS_MAX:
            raise ValueError(f"gammas: expected 1 to {LAYERS_MAX} layers, given {self.layers}")
        given = self._by_layer(betas, "betas", n, np.ndim(betas) == 1)
        self.beta = np.zeros((self.layers, size + 1))
        self.beta[:, :own] = given[:, :own]
        if owner.folded:
            self.beta[:, size] = given[:, n - 1]
            if turns is not None or start is not None:
                raise ValueError("fold: expected no turns and no start with a folded register; make it with fold=False")
        self.turn = self.start = None
        if turns is not None:
            self.turn = np.zeros((self.layers, size))
            self.turn[:, :n] = self._by_layer(turns, "turns", n, False)
        if start is not None:
            self.start = np.full((size, 2), np.sqrt(0.5))
            self.start[:n] = _start(start, n)
        self.threads = _count(threads, "threads", 1, THREADS_MAX)
        self.monitor = monitor.ptr if monitor is not None else NULL
        self._point(owner)

    def _by_layer(self, values, name, n, spread):
        array = np.ascontiguousarray(values, dtype=np.float64)
        if spread and array.shape == (self.layers,):
            array = np.repeat(array[:, None], n, axis=1)
        if array.shape != (self.layers, n):
            raise ValueError(f"{name}: expected shape ({self.layers}, {n})"
                             f"{f' or ({self.layers},)' if name == 'betas' else ''}, given {np.shape(values)}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name}: expected finite numbers")
        return array

    cdef int _point(self, Qaoa owner) except -1:
        cdef double[::1] gamma = self.gamma
        cdef double[:, ::1] beta = self.beta, turn, start
        memset(&self.program, 0, sizeof(kg_qaoa_program))
        self.program.n, self.program.folded, self.program.layers = owner.state.n, owner.folded, self.layers
        self.program.gamma, self.program.beta = &gamma[0], &beta[0, 0]
        if self.turn is not None:
            turn = self.turn
            self.program.turn = &turn[0, 0]
        if self.start is not None:
            start = self.start
            self.program.start = &start[0, 0]
        self.program.cost, self.program.observable = owner.cost.at, owner.observed.at
        self.program.observable_offset = owner.observed.offset
        return 0


def _start(values, n):
    array = np.ascontiguousarray(values, dtype=np.float64)
    if array.shape != (n, 2):
        raise ValueError(f"start: expected shape ({n}, 2), given {np.shape(values)}")
    if not np.allclose((array**2).sum(axis=1), 1.0, rtol=0.0, atol=1e-9):
        raise ValueError("start: expected amplitudes of norm 1 for each qubit")
    return array
