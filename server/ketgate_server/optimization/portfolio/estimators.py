"""Expected returns and covariance from a history of prices."""

from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from ketgate_server.optimization.portfolio.covariance import Array

HALF_LIFE_PERIODS = 63.0
PERIODS_PER_YEAR = 252.0
"""Daily prices, yearly figures."""


class ReturnKind(StrEnum):
    SIMPLE = "simple"
    LOGARITHMIC = "logarithmic"


class Estimator(StrEnum):
    SAMPLE = "sample"
    LEDOIT_WOLF = "ledoit_wolf"
    EXPONENTIALLY_WEIGHTED = "exponentially_weighted"


@dataclass(frozen=True, eq=False)
class Estimate:
    """Moments per year."""

    expected_returns: Array
    """(n,)"""
    covariance: Array
    """(n, n), exactly symmetric."""
    shrinkage: float | None = None
    """Weight of the target, with Ledoit-Wolf."""


def returns_of(prices: Array, kind: ReturnKind = ReturnKind.SIMPLE) -> Array:
    """Returns of a period, (T - 1, n), from prices (T, n), oldest first."""
    ratio = prices[1:] / prices[:-1]
    return np.asarray(np.log(ratio) if kind is ReturnKind.LOGARITHMIC else ratio - 1.0)


def estimate(
    prices: Array,
    *,
    estimator: Estimator = Estimator.SAMPLE,
    return_kind: ReturnKind = ReturnKind.SIMPLE,
    half_life_periods: float = HALF_LIFE_PERIODS,
    periods_per_year: float = PERIODS_PER_YEAR,
) -> Estimate:
    """Mean and covariance of the returns, times periods_per_year. prices: (T, n), positive, T >= 3.

    >>> import numpy as np
    >>> estimate(np.array([[1.0], [1.1], [1.1]]),
    periods_per_year=1.0).expected_returns.round(6).tolist() [0.05]
    """
    returns = returns_of(prices, return_kind)
    shrinkage = None
    if estimator is Estimator.EXPONENTIALLY_WEIGHTED:
        mean, covariance = exponentially_weighted(returns, half_life_periods)
    elif estimator is Estimator.LEDOIT_WOLF:
        mean = returns.mean(axis=0)
        covariance, shrinkage = ledoit_wolf(returns)
    else:
        mean, covariance = returns.mean(axis=0), sample(returns)
    covariance = covariance * periods_per_year
    return Estimate(mean * periods_per_year, (covariance + covariance.T) / 2, shrinkage)


def sample(returns: Array) -> Array:
    """Sample covariance (n, n) of returns (T, n), divisor T - 1."""
    centred = returns - returns.mean(axis=0)
    return np.asarray(centred.T @ centred / (len(returns) - 1))


def ledoit_wolf(returns: Array) -> tuple[Array, float]:
    """Covariance shrunk towards m I, m its mean variance, and the weight of that target.

    O. Ledoit, M. Wolf, A well-conditioned estimator for large-dimensional covariance matrices,
    J. Multivariate Analysis 88 (2004). As there, the sample covariance has the divisor T.
    The sum over t of |x_t x_t' - S|^2 needs no (n, n) matrix a period: |x_t x_t'|^2 = |x_t|^4.
    """
    periods, names = returns.shape
    centred = returns - returns.mean(axis=0)
    covariance = centred.T @ centred / periods
    target = float(np.trace(covariance)) / names
    size = float(np.square(covariance).sum())
    distance = size - names * target**2
    norms = np.einsum("ti,ti->t", centred, centred)
    noise = (float(np.square(norms).sum()) / periods - size) / periods
    weight = min(1.0, max(0.0, noise / distance)) if distance > 0 else 1.0
    shrunk = (1.0 - weight) * covariance
    shrunk[np.diag_indices(names)] += weight * target
    return shrunk, weight


def exponentially_weighted(returns: Array, half_life_periods: float) -> tuple[Array, Array]:
    """Mean and covariance with weights that halve every half_life_periods into the past.

    Divided by 1 - sum of squared weights, which makes it unbiased for independent returns.
    """
    age = np.arange(len(returns) - 1, -1, -1, dtype=np.float64)
    weights = np.exp2(-age / half_life_periods)
    weights /= weights.sum()
    mean = weights @ returns
    centred = returns - mean
    remaining = 1.0 - float(np.square(weights).sum())
    if remaining < 1e-12:  # a half-life far below one period: all weight on the last return
        remaining = 1.0
    return np.asarray(mean), np.asarray((centred * weights[:, None]).T @ centred / remaining)
