"""Zero-noise extrapolation: expectations at several factors of noise, carried on to none.

Weighted least squares; the standard error of the intercept follows from those of the points, or
where they are exact, from how far the points are off the curve.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

EXTRAPOLATIONS = {"linear": 2, "polynomial-2": 3, "exponential": 2}
"""The points that each needs."""
FASTEST_LOG = 20.0
"""A decay beyond it is rounding."""


def extrapolate(
    factors: Sequence[float],
    values: Sequence[float],
    errors: Sequence[float],
    extrapolation: str,
) -> tuple[float, float, str]:
    """(value at no noise, standard error, what was done where it differs from what was asked).

    exponential: a exp(-b factor), by the logarithm; values that are not all of one sign, or are lost
    in their errors, are extrapolated linearly."""
    x, y = np.asarray(factors, dtype=float), np.asarray(values, dtype=float)
    sigma = np.asarray(errors, dtype=float)
    if len(set(factors)) < EXTRAPOLATIONS[extrapolation]:
        raise ValueError(
            f"factors: expected at least {EXTRAPOLATIONS[extrapolation]} that differ for "
            f"{extrapolation}, given {list(factors)}"
        )
    if extrapolation == "exponential":
        if np.abs(y).min() > 3.0 * sigma.max() and np.abs(np.sign(y).sum()) == len(y):
            log, spread = _intercept(x, np.log(np.abs(y)), sigma / np.abs(y), 1)
            if abs(log) < FASTEST_LOG:
                value = float(np.sign(y[0]) * np.exp(log))
                return value, abs(value) * spread, ""
        value, spread = _intercept(x, y, sigma, 1)
        return value, spread, "linear in place of exponential: the values do not decay alike"
    value, spread = _intercept(x, y, sigma, 2 if extrapolation == "polynomial-2" else 1)
    return value, spread, ""


def _intercept(
    x: NDArray[np.float64], y: NDArray[np.float64], sigma: NDArray[np.float64], degree: int
) -> tuple[float, float]:
    powers = np.vander(x, degree + 1, increasing=True)
    known = bool((sigma > 0.0).all())
    weights = 1.0 / sigma if known else np.ones_like(y)
    inverse = np.linalg.pinv(powers * weights[:, None])
    found = inverse @ (y * weights)
    variance = float((inverse @ inverse.T)[0, 0])
    if not known:
        left = len(y) - degree - 1
        residual = y - powers @ found
        variance *= float(residual @ residual) / left if left > 0 else 0.0
    return float(found[0]), float(np.sqrt(variance))
