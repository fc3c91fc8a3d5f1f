"""Fidelity kernels: |<phi(x)|phi(y)>|^2 for all pairs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.learning.encoding import FeatureMap, overlap
from ketgate_server.quantum.learning.gram import gram_matrix

Samples = NDArray[np.float64]
CIRCUITS_AT_ONCE = 64


@dataclass
class Kernel:
    gram: NDArray[np.float64]
    """(m, k)."""
    states: int
    """Prepared; 0: overlaps were measured."""


def kernel(
    samples: Samples, others: Samples | None, feature_map: FeatureMap, runner: Runner
) -> Kernel:
    """Exact from one state for each sample on the native simulator; by overlaps that are run, pair
    by pair, on other back ends or with shots or noise."""
    if runner.is_native and runner.exact:
        gram = gram_matrix(
            samples,
            others,
            feature_map,
            threads=max(1, runner.options.threads),
            stopped=lambda: runner.stopped,
        )
        count = len(samples) + (0 if others is None else len(others))
        runner.count(overlap(feature_map, samples[0], samples[0]), 0, count)
        return Kernel(gram, count)
    if others is None:
        return Kernel(_symmetric(samples, feature_map, runner), 0)
    pairs = [(x, y) for x in samples for y in others]
    values = _overlaps(pairs, feature_map, runner)
    return Kernel(values.reshape(len(samples), len(others)), 0)


def _symmetric(samples: Samples, feature_map: FeatureMap, runner: Runner) -> NDArray[np.float64]:
    """Each pair once; a sample with itself is 1."""
    m = len(samples)
    row, column = np.triu_indices(m, 1)
    pairs = [(samples[i], samples[j]) for i, j in zip(row.tolist(), column.tolist(), strict=True)]
    gram = np.eye(m)
    gram[row, column] = _overlaps(pairs, feature_map, runner)
    gram[column, row] = gram[row, column]
    return gram


def _overlaps(
    pairs: list[tuple[Samples, Samples]], feature_map: FeatureMap, runner: Runner
) -> NDArray[np.float64]:
    found: list[float] = []
    for start in range(0, len(pairs), CIRCUITS_AT_ONCE):
        runner.check()
        chunk = [overlap(feature_map, x, y) for x, y in pairs[start : start + CIRCUITS_AT_ONCE]]
        for outcome in runner.run(chunk):
            if outcome.counts:
                found.append(outcome.counts.get(0, 0) / sum(outcome.counts.values()))
            else:
                found.append(outcome.probabilities.get(0, 0.0))
    return np.array(found)
