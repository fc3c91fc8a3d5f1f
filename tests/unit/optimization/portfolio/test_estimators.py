"""Estimators against plain loops."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.optimization.portfolio import estimators
from ketgate_server.optimization.portfolio.estimators import Estimator, ReturnKind


def plain_ledoit_wolf(returns: np.ndarray) -> tuple[np.ndarray, float]:
    """Section 3 of Ledoit and Wolf (2004), symbol by symbol."""
    T, n = returns.shape
    x = returns - returns.mean(axis=0)
    S = sum(np.outer(row, row) for row in x) / T
    mu = np.trace(S) / n
    d2 = np.linalg.norm(S - mu * np.eye(n)) ** 2 / n
    b2_bar = sum(np.linalg.norm(np.outer(row, row) - S) ** 2 for row in x) / n / T**2
    b2 = min(b2_bar, d2)
    weight = b2 / d2 if d2 > 0 else 1.0
    return weight * mu * np.eye(n) + (1 - weight) * S, weight


@given(st.integers(0, 1000), st.integers(3, 40), st.integers(1, 8))
def test_ledoit_wolf_is_the_paper_symbol_by_symbol(seed: int, periods: int, names: int) -> None:
    rng = np.random.default_rng(seed)
    returns = rng.normal(size=(periods, names)) @ rng.normal(size=(names, names)) * 0.01
    covariance, weight = estimators.ledoit_wolf(returns)
    expected, expected_weight = plain_ledoit_wolf(returns)
    if names > 1:
        assert weight == pytest.approx(expected_weight, rel=1e-8, abs=1e-12)
    assert covariance == pytest.approx(expected, rel=1e-8, abs=1e-14)
    assert np.linalg.eigvalsh(covariance)[0] >= -1e-15


@given(st.integers(0, 1000), st.floats(0.5, 500.0))
def test_exponential_weights_halve(seed: int, half_life: float) -> None:
    returns = np.random.default_rng(seed).normal(size=(12, 3))
    mean, covariance = estimators.exponentially_weighted(returns, half_life)
    weights = np.array([0.5 ** ((11 - t) / half_life) for t in range(12)])
    assert mean == pytest.approx(np.average(returns, axis=0, weights=weights))
    assert covariance == pytest.approx(np.cov(returns.T, aweights=weights), rel=1e-9, abs=1e-12)


def test_sample_and_annualisation() -> None:
    prices = np.exp(np.cumsum(np.random.default_rng(2).normal(size=(50, 4)) * 0.01, axis=0))
    returns = prices[1:] / prices[:-1] - 1.0
    found = estimators.estimate(prices, periods_per_year=52.0)
    assert found.expected_returns == pytest.approx(52.0 * returns.mean(axis=0))
    assert found.covariance == pytest.approx(52.0 * np.cov(returns.T))
    assert (found.covariance == found.covariance.T).all()
    logarithmic = estimators.estimate(
        prices, return_kind=ReturnKind.LOGARITHMIC, periods_per_year=1.0
    )
    assert logarithmic.expected_returns == pytest.approx(np.log(prices[-1] / prices[0]) / 49)


@pytest.mark.parametrize("estimator", list(Estimator))
@pytest.mark.parametrize("half_life", [1e-6, 1.0, 1e9])
def test_constant_prices_and_extreme_half_lives_stay_finite(
    estimator: Estimator, half_life: float
) -> None:
    for prices in (np.ones((3, 2)), np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 1.0]])):
        found = estimators.estimate(prices, estimator=estimator, half_life_periods=half_life)
        assert np.isfinite(found.covariance).all()
        assert np.linalg.eigvalsh(found.covariance)[0] >= -1e-9
