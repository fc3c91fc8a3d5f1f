"""Samples made ready: split with both classes in proportion, reduced, scaled to angles. What is learnt
from the samples is learnt from the training part alone."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float64]


@dataclass(frozen=True)
class Scaling:
    """Standardise, project on principal axes (none: axes is empty), and scale to 0..pi."""

    mean: NDArray[np.float64]
    deviation: NDArray[np.float64]
    axes: NDArray[np.float64]
    """(components, d)."""
    low: NDArray[np.float64]
    high: NDArray[np.float64]

    @staticmethod
    def of(samples: Samples, components: int) -> Scaling:
        mean, deviation = samples.mean(axis=0), samples.std(axis=0)
        deviation = np.where(deviation > 0.0, deviation, 1.0)
        axes = np.empty((0, samples.shape[1]))
        standard = (samples - mean) / deviation
        if components:
            _, _, rows = np.linalg.svd(standard, full_matrices=False)
            axes = rows[:components]
            # The sign of an axis is free: its largest entry is made positive, everywhere alike.
            largest = np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1)
            axes = axes * np.where(largest < 0.0, -1.0, 1.0)
            standard = standard @ axes.T
        return Scaling(mean, deviation, axes, standard.min(axis=0), standard.max(axis=0))

    def features(self, samples: Samples) -> Samples:
        """Before scaling to angles: what classical models learn from."""
        standard = (samples - self.mean) / self.deviation
        return np.asarray(standard @ self.axes.T if len(self.axes) else standard)

    def angles(self, samples: Samples) -> Samples:
        """0..pi; what lies beyond the training part's range is moved to its end."""
        width = np.where(self.high > self.low, self.high - self.low, 1.0)
        return np.asarray(math.pi * np.clip((self.features(samples) - self.low) / width, 0.0, 1.0))


def split(
    labels: NDArray[np.float64], test_share: float, seed: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(training, test) indices; each class gives its share, and at least one to each part."""
    rng = np.random.default_rng(seed)
    train: list[int] = []
    test: list[int] = []
    for value in np.unique(labels):
        members = rng.permutation(np.flatnonzero(labels == value))
        held = min(max(1, round(test_share * len(members))), len(members) - 1)
        test += members[:held].tolist()
        train += members[held:].tolist()
    return np.array(sorted(train)), np.array(sorted(test))
