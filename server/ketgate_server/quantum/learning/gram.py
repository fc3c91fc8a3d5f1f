"""Gram matrices of fidelity kernels from one state for each sample: |S S^H|^2.

With S = R + i I, entry (a, b) is (R_a R_b + I_a I_b)^2 + (I_a R_b - R_a I_b)^2: real products, block by block, of which
a symmetric matrix needs those below the diagonal.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from ketgate_native.feature import states
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.ansatz import entangled_pairs
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.learning.encoding import FeatureMap, FeatureMapKind

Floats = NDArray[np.float64]

BLOCK_MIN, BLOCK_MAX = 64, 256
"""Rows and columns of the matrix that are made at a time: enough for products to run at full speed."""
AMPLITUDES_AT_ONCE = 1 << 22
"""Made between two looks at `stopped`."""


def gram_matrix(
    samples: Floats,
    others: Floats | None,
    feature_map: FeatureMap,
    *,
    threads: int = 1,
    stopped: Callable[[], bool] = lambda: False,
) -> Floats:
    """|<phi(x)|phi(y)>|^2, (m, k); others None: of the samples with themselves, symmetric with a diagonal of 1.

    samples: (m, d), others: (k, d). Memory: 16 bytes for each amplitude of each state. Raises base.Stopped.
    """
    rows = _parts(samples, feature_map, threads, stopped)
    columns = rows if others is None else _parts(others, feature_map, threads, stopped)
    gram = np.empty((len(rows), len(columns)))
    step = min(BLOCK_MAX, max(BLOCK_MIN, -(-len(rows) // threads)))
    every = [
        (slice(i, i + step), slice(j, j + step))
        for i in range(0, len(rows), step)
        for j in range(0, len(columns), step)
        if others is not None or j <= i
    ]

    def block(at: tuple[slice, slice]) -> None:
        if stopped():
            return
        if others is None and at[0] == at[1]:
            gram[at] = _own_overlaps(rows[at[0]])
            return
        gram[at] = _overlaps(rows[at[0]], columns[at[1]])
        if others is None:
            gram[at[::-1]] = gram[at].T

    if threads == 1 or len(every) < 2:
        for at in every:
            block(at)
    else:
        with ThreadPoolExecutor(threads) as pool:
            list(pool.map(block, sorted(every, key=lambda at: at[0] == at[1])))  # the long first
    if stopped():
        raise Stopped
    return gram


def states_of(
    samples: Floats, feature_map: FeatureMap, *, threads: int = 1
) -> NDArray[np.complex128]:
    """The state of each sample, (m, 2^d)."""
    parts = _parts(samples, feature_map, threads, lambda: False)
    return np.asarray(parts[:, 0] + 1j * parts[:, 1])


def _parts(
    samples: Floats, feature_map: FeatureMap, threads: int, stopped: Callable[[], bool]
) -> Floats:
    """Real and imaginary parts of the states, (m, 2, 2^d)."""
    size = samples.shape[1]
    entanglement = feature_map.entanglement
    if feature_map.kind is FeatureMapKind.DATA_REUPLOADING:
        entanglement = "ring"
    pairs = entangled_pairs(size, entanglement)
    at_once = max(1, AMPLITUDES_AT_ONCE >> size)

    def made(first: int) -> Floats:
        if stopped():
            raise Stopped
        return states(
            feature_map.scale * samples[first : first + at_once],
            pairs,
            kind=feature_map.kind.value,
            layers=feature_map.layers,
            threads=threads,
        )

    if len(samples) <= at_once:
        return made(0)
    out = np.empty((len(samples), 2, 1 << size))
    for first in range(0, len(samples), at_once):
        out[first : first + at_once] = made(first)
    return out


def _overlaps(rows: Floats, columns: Floats) -> Floats:
    """|<a|b>|^2 of states in parts, (len(rows), len(columns))."""
    size = rows.shape[2]
    across = columns.reshape(len(columns), 2 * size).T
    real = rows.reshape(len(rows), 2 * size) @ across
    turned = np.concatenate([rows[:, 1], -rows[:, 0]], axis=1)
    imaginary = turned @ across
    real *= real
    imaginary *= imaginary
    real += imaginary
    return np.asarray(real)


def _own_overlaps(rows: Floats) -> Floats:
    """The same of states with themselves, by half the products; exactly symmetric."""
    flat = rows.reshape(len(rows), -1)
    real = flat @ flat.T
    half = rows[:, 0] @ rows[:, 1].T
    imaginary = half - half.T
    real *= real
    imaginary *= imaginary
    real += imaginary
    np.fill_diagonal(real, 1.0)
    return np.asarray(real)
