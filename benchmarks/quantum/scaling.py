"""How a time to solution grows: medians over instances, a line through their logarithms, intervals by the bootstrap.

log2(median) = a + b n. A solver with a setting (depth, sweeps) is taken at its best one for each n, in every resample
anew, so that choosing is part of the interval. Two curves meet where their lines do: an extrapolation, and no more.
"""

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CONFIDENCE, RESAMPLES, SEED = 0.95, 2000, 5
TARGET = 0.99

Floats = NDArray[np.float64]
Curve = Mapping[int, Floats]
"""By n: (settings, instances)."""


@dataclass(frozen=True)
class Interval:
    """A figure, and the ends of what 95 % of the resamples lie in."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class Line:
    """log2(median) = intercept + slope n, and both of each resample, (RESAMPLES,)."""

    intercept: float
    slope: float
    intercepts: Floats
    slopes: Floats

    @property
    def growth(self) -> Interval:
        return _interval(self.slope, self.slopes)


@dataclass(frozen=True)
class Meeting:
    """Where one curve falls below another that grows faster."""

    spins: Interval
    """inf where it never does."""
    never: float
    """Share of the resamples in which it does not grow more slowly."""


def repetitions(success: Floats) -> Floats:
    """Independent runs after which one succeeds with probability 0.99; at least 1, inf where none ever does."""
    share = np.clip(np.asarray(success, dtype=np.float64), 0.0, 1.0)
    with np.errstate(divide="ignore"):
        runs = np.log(1.0 - TARGET) / np.log1p(-share)
    return np.asarray(np.where(share > 0.0, np.maximum(1.0, runs), np.inf))


def medians(curve: Curve) -> dict[int, float]:
    """At the best setting for each n."""
    return {n: float(np.median(values, axis=1).min()) for n, values in curve.items()}


def best_setting(curve: Curve) -> dict[int, int]:
    return {n: int(np.median(values, axis=1).argmin()) for n, values in curve.items()}


def fit(curve: Curve) -> Line:
    """Least squares over n. Instances are drawn again for each n by itself; by the same seed for every curve, so that
    curves over the same instances are resampled in pairs."""
    sizes = sorted(curve)
    resampled = np.stack([_resampled(n, curve[n]) for n in sizes], axis=1)
    middle = medians(curve)
    intercept, slope = _line(sizes, np.log2([[middle[n] for n in sizes]]))
    intercepts, slopes = _line(sizes, np.log2(resampled))
    return Line(float(intercept[0]), float(slope[0]), intercepts, slopes)


def meeting(slow: Curve, fast: Curve) -> Meeting:
    """From where on `slow`, the dearer at small n, would be the cheaper; over the sizes that both have."""
    sizes = [n for n in slow if n in fast]
    one, other = (fit({n: curve[n] for n in sizes}) for curve in (slow, fast))
    at = _crossing(one.intercept, one.slope, other.intercept, other.slope)
    every = _crossing(one.intercepts, one.slopes, other.intercepts, other.slopes)
    return Meeting(_interval(float(at), every), float(np.isinf(every).mean()))


def _resampled(n: int, values: Floats) -> Floats:
    """(RESAMPLES,) medians at the best setting."""
    count = values.shape[1]
    drawn = np.random.default_rng([SEED, n]).integers(0, count, (RESAMPLES, count))
    return np.asarray(np.median(values[:, drawn], axis=2).min(axis=0))


def _line(sizes: list[int], logarithms: Floats) -> tuple[Floats, Floats]:
    """Of (k, sizes): intercepts and slopes, (k,)."""
    n = np.asarray(sizes, dtype=np.float64)
    centred = n - n.mean()
    slopes = logarithms @ centred / (centred @ centred)
    return logarithms.mean(axis=1) - slopes * n.mean(), slopes


def _crossing(a: Floats | float, b: Floats | float, c: Floats | float, d: Floats | float) -> Floats:
    """n where a + b n = c + d n; inf where b >= d."""
    gain = np.asarray(d, dtype=np.float64) - b
    safe = np.where(gain > 0.0, gain, 1.0)
    return np.where(gain > 0.0, (np.asarray(a, dtype=np.float64) - c) / safe, np.inf)


def _interval(value: float, resamples: Floats) -> Interval:
    tail = 0.5 * (1.0 - CONFIDENCE)
    # Order statistics: some may be infinite.
    ends = np.quantile(resamples, [tail, 1.0 - tail], method="nearest")
    return Interval(value, float(ends[0]), float(ends[1]))
