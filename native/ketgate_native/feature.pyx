# cython: language_level=3, boundscheck=False, wraparound=False, freethreading_compatible=True
"""States of samples under feature maps; the loops are in src/feature*."""
from libc.stdint cimport int32_t, int64_t
from libc.string cimport memset

import numpy as np

from ketgate_native._arrays import count as _count
from ketgate_native.monitor import Stopped
from ketgate_native.monitor cimport Monitor, kg_monitor


cdef extern from "src/feature.h" nogil:
    enum:
        KG_FEATURE_QUBITS_MAX
        KG_FEATURE_STOPPED

    ctypedef enum kg_feature_kind:
        KG_FEATURE_ZZ
        KG_FEATURE_IQP
        KG_FEATURE_UPLOADING

    ctypedef struct kg_feature_map:
        kg_feature_kind kind
        int n, layers, pairs
        const int32_t *pair
        const int32_t *permuted

    ctypedef struct kg_feature_isa:
        pass

    const kg_feature_isa *kg_feature_isa_named(const char *name)
    int kg_feature_states(const kg_feature_map *map, const kg_feature_isa *isa, const double *samples, int64_t count,
                          int threads, kg_monitor *monitor, double *out)


QUBITS_MAX = KG_FEATURE_QUBITS_MAX
SAMPLES_MAX = 10_000_000
cdef int LAYERS_MAX = 100_000, THREADS_MAX = 64
KINDS = ("zz", "iqp", "data-reuploading")


def states(samples, pairs, *, kind, layers, threads=1, Monitor monitor=None, isa=None):
    given = np.ascontiguousarray(samples, dtype=np.float64)
    if given.ndim != 2 or not 1 <= given.shape[1] <= KG_FEATURE_QUBITS_MAX or given.shape[0] > SAMPLES_MAX:
        raise ValueError(f"samples: expected shape (m, d) with 1 <= d <= {KG_FEATURE_QUBITS_MAX}, given {given.shape}")
    if not np.isfinite(given).all():
        raise ValueError("samples: expected finite numbers")
    if kind not in KINDS:
        raise ValueError(f"kind: expected one of {', '.join(KINDS)}, given {kind!r}")
    n = given.shape[1]
    ends = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    if ends.size and (ends.min() < 0 or ends.max() >= n or (ends[:, 0] == ends[:, 1]).any()):
        raise ValueError(f"pairs: expected pairs of two different qubits below {n}")
    cdef bytes name = b"" if isa is None else str(isa).encode()
    cdef char *named = name
    cdef const kg_feature_isa *chosen = kg_feature_isa_named(NULL if isa is None else named)
    if chosen is NULL:
        raise ValueError(f"isa: expected 'base', 'avx2' or 'avx512', one that this CPU has, given {isa!r}")
    cdef int workers = _count(threads, "threads", 1, THREADS_MAX)
    cdef kg_monitor *watched = monitor.ptr if monitor is not None else NULL
    cdef kg_feature_map map
    memset(&map, 0, sizeof(map))
    map.kind = <kg_feature_kind><int>KINDS.index(kind)
    map.n, map.layers, map.pairs = n, _count(layers, "layers", 1, LAYERS_MAX), len(ends)
    cdef const int32_t[:, ::1] pair = np.append(np.sort(ends, axis=1), [[0, 0]], axis=0).astype(np.int32)
    cdef const int32_t[::1] permuted = _permuted(n, ends if kind == "data-reuploading" else ends[:0])
    map.pair, map.permuted = &pair[0, 0], &permuted[0]
    out = np.empty((given.shape[0], 2, 1 << n))
    if not out.size:
        return out
    cdef const double[:, ::1] rows = given
    cdef double[:, :, ::1] view = out
    cdef int64_t count = rows.shape[0]
    cdef int status
    with nogil:
        status = kg_feature_states(&map, chosen, &rows[0, 0], count, workers, watched, &view[0, 0, 0])
    if status == KG_FEATURE_STOPPED:
        raise Stopped("stopped before all states were known")
    if status:
        raise MemoryError(f"no memory for states of {n} qubits")
    return out


def _permuted(n, pairs):
    """Where each amplitude comes from under CX on the pairs, control first, one after the other."""
    index = np.arange(1 << n, dtype=np.int32)
    for control, target in pairs[::-1]:
        index ^= ((index >> control) & 1) << target
    return index.astype(np.int32)
