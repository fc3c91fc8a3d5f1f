"""How well a model does: accuracy with its interval, and the area under the ROC curve."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

QUANTILE_95 = 1.959963984540054


@dataclass(frozen=True)
class Score:
    model: str
    train_accuracy: float
    test_accuracy: float
    test_auc: float
    test_accuracy_error: float
    """Half width of Wilson's 95 % interval."""


def score(
    model: str,
    train_scores: NDArray[np.float64],
    train_labels: NDArray[np.float64],
    test_scores: NDArray[np.float64],
    test_labels: NDArray[np.float64],
) -> Score:
    """Scores above 0 stand for label 1."""
    accuracy = _accuracy(test_scores, test_labels)
    return Score(
        model,
        _accuracy(train_scores, train_labels),
        accuracy,
        area_under_curve(test_scores, test_labels),
        wilson(accuracy, len(test_labels)),
    )


def _accuracy(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    return float(np.mean((scores > 0.0) == (labels > 0.5)))


def area_under_curve(scores: NDArray[np.float64], labels: NDArray[np.float64]) -> float:
    """The chance that a member of class 1 scores above one of class 0; ties count half."""
    from scipy.stats import rankdata

    ones = labels > 0.5
    count, others = int(ones.sum()), int((~ones).sum())
    ranks = rankdata(scores)
    return float((ranks[ones].sum() - count * (count + 1) / 2.0) / (count * others))


def wilson(share: float, count: int) -> float:
    """Half width of the 95 % interval of a share (Wilson 1927)."""
    z = QUANTILE_95
    spread = math.sqrt(share * (1.0 - share) / count + z * z / (4.0 * count * count))
    return z * spread / (1.0 + z * z / count)
