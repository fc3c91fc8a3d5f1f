"""The moments of a portfolio's names: given, by factors, or estimated from prices."""

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from google.protobuf.message import Message
from ketgate.optimization.v1 import portfolio_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.optimization.portfolio import checks, estimators
from ketgate_server.optimization.portfolio.covariance import Array, Covariance, Dense, Factors
from ketgate_server.optimization.portfolio.estimators import Estimator
from ketgate_server.type.tensors import read_float64

_ESTIMATORS = {
    0: Estimator.SAMPLE,
    portfolio_pb2.COVARIANCE_ESTIMATOR_SAMPLE: Estimator.SAMPLE,
    portfolio_pb2.COVARIANCE_ESTIMATOR_LEDOIT_WOLF: Estimator.LEDOIT_WOLF,
    portfolio_pb2.COVARIANCE_ESTIMATOR_EXPONENTIALLY_WEIGHTED: Estimator.EXPONENTIALLY_WEIGHTED,
}
_RETURN_KINDS = {
    0: estimators.ReturnKind.SIMPLE,
    portfolio_pb2.RETURN_KIND_SIMPLE: estimators.ReturnKind.SIMPLE,
    portfolio_pb2.RETURN_KIND_LOGARITHMIC: estimators.ReturnKind.LOGARITHMIC,
}
Moments = tuple[Covariance, Array | None, tuple[str, ...]]
_T = TypeVar("_T")


def read_moments(
    message: portfolio_pb2.PortfolioProblem, path: str, limits: Mapping[str, Limit], until_s: float
) -> Moments:
    """(covariance, expected returns if given or estimated, warnings)."""
    match message.WhichOneof("model"):
        case "moments":
            return _read_given(message.moments, f"{path}.moments", limits, until_s)
        case "factors":
            return _read_factors(message.factors, f"{path}.factors", limits, until_s)
        case "prices":
            return _read_prices(message.prices, f"{path}.prices", limits)
        case _:
            raise FieldError(
                f"{path}.model", expected="moments, factors or prices", given="none of them"
            )


def _read_given(
    message: portfolio_pb2.Moments, path: str, limits: Mapping[str, Limit], until_s: float
) -> Moments:
    _require(message, "covariance", path, "a covariance, shape (n, n)")
    extents = tuple(message.covariance.shape)
    size = extents[0] if len(extents) == 2 else -1
    _check_names_limit(size, limits, "optimization.names_max", f"{path}.covariance")
    matrix = read_float64(message.covariance, f"{path}.covariance", shape=("n", "n"))
    _check_some_names(matrix, f"{path}.covariance")
    matrix = checks.symmetric(matrix, f"{path}.covariance")
    matrix, warning = checks.positive_semidefinite(
        matrix, f"{path}.covariance", repair=message.nearest_psd, until_s=until_s
    )
    expected = _read_expected_returns(message, len(matrix), path)
    return Dense(matrix), expected, (warning,) if warning else ()


def _read_factors(
    message: portfolio_pb2.FactorModel, path: str, limits: Mapping[str, Limit], until_s: float
) -> Moments:
    _require(message, "loadings", path, "loadings, shape (n, k)")
    _require(message, "specific_variances", path, "specific variances, shape (n,)")
    loadings = read_float64(message.loadings, f"{path}.loadings", shape=("n", "k"))
    _check_some_names(loadings, f"{path}.loadings")
    size, count = loadings.shape
    _check_names_limit(size, limits, "optimization.factor_names_max", f"{path}.loadings")
    checks.check_magnitude(loadings, f"{path}.loadings", math.sqrt(checks.MOMENT_MAX))
    specific = read_float64(message.specific_variances, f"{path}.specific_variances", shape=(size,))
    checks.check_not_negative(specific, f"{path}.specific_variances")
    checks.check_magnitude(specific, f"{path}.specific_variances", checks.MOMENT_MAX)
    between = None
    if message.HasField("factor_covariance"):
        where = f"{path}.factor_covariance"
        between = read_float64(message.factor_covariance, where, shape=(count, count))
        if count:
            between = checks.symmetric(between, where)
            between, _ = checks.positive_semidefinite(between, where, until_s=until_s)
    factors = Factors(np.ascontiguousarray(loadings), np.ascontiguousarray(specific), between)
    expected = _read_expected_returns(message, size, path)
    # With as many factors as names the factor form is the larger one, and its (k, k) work has no
    # limit.
    small = count >= size
    if small:
        _check_names_limit(size, limits, "optimization.names_max", f"{path}.loadings")
    return (Dense(np.ascontiguousarray(factors.dense())) if small else factors), expected, ()


def _read_prices(
    message: portfolio_pb2.PriceHistory, path: str, limits: Mapping[str, Limit]
) -> Moments:
    _require(message, "prices", path, "prices, shape (T, n)")
    prices = read_float64(message.prices, f"{path}.prices", shape=("T", "n"))
    periods, size = prices.shape
    _check_some_names(prices.T, f"{path}.prices")
    if periods < 3:
        raise FieldError(
            f"{path}.prices", expected="at least 3 periods", given=f"shape {prices.shape}"
        )
    _check_names_limit(size, limits, "optimization.names_max", f"{path}.prices")
    allowed = limits["optimization.periods_max"].value
    if periods > allowed:
        raise LimitError(
            "optimization.periods_max", allowed=allowed, given=periods, field=f"{path}.prices"
        )
    if not (prices > 0).all():
        k = int((prices <= 0).argmax())
        place = f"period {k // size}, name {k % size}"
        raise FieldError(
            f"{path}.prices", expected="prices above 0", given=f"{prices.flat[k]} at {place}"
        )
    given = _read_expected_returns(message, size, path)
    with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        estimate = estimators.estimate(
            prices,
            estimator=_choice(
                _ESTIMATORS, message.covariance_estimator, f"{path}.covariance_estimator"
            ),
            return_kind=_choice(_RETURN_KINDS, message.return_kind, f"{path}.return_kind"),
            half_life_periods=_positive(
                message, "half_life_periods", path, estimators.HALF_LIFE_PERIODS
            ),
            periods_per_year=_positive(
                message, "periods_per_year", path, estimators.PERIODS_PER_YEAR
            ),
        )
    moments = np.concatenate((estimate.expected_returns, estimate.covariance.ravel()))
    if not (np.abs(moments) <= checks.MOMENT_MAX).all():
        raise FieldError(
            f"{path}.prices",
            expected=f"prices whose moments are below {checks.MOMENT_MAX:g}",
            given="larger ones",
            hint="two neighbouring prices of a name differ too much",
        )
    warnings: tuple[str, ...] = ()
    if estimate.shrinkage is not None:
        warnings = (f"Ledoit-Wolf shrinkage: {estimate.shrinkage:.6g} of the identity target",)
    elif periods - 1 <= size:
        warnings = (
            f"{periods - 1} returns of {size} names: the covariance is singular; try shrinkage",
        )
    expected = estimate.expected_returns if given is None else given
    return Dense(np.ascontiguousarray(estimate.covariance)), expected, warnings


def _read_expected_returns(message: Message, size: int, path: str) -> Array | None:
    if not message.HasField("expected_returns"):
        return None
    where = f"{path}.expected_returns"
    expected = read_float64(message.expected_returns, where, shape=(size,))  # type: ignore[attr-defined]
    checks.check_magnitude(expected, where, checks.MOMENT_MAX)
    return np.ascontiguousarray(expected)


def _require(message: Message, name: str, path: str, expected: str) -> None:
    if not message.HasField(name):
        raise FieldError(f"{path}.{name}", expected=expected, given="nothing")


def _check_names_limit(size: int, limits: Mapping[str, Limit], limit: str, path: str) -> None:
    allowed = limits[limit].value
    if size > allowed:
        raise LimitError(limit, allowed=allowed, given=size, field=path)


def _check_some_names(array: Array, path: str) -> None:
    if not len(array):
        raise FieldError(path, expected="at least one name", given=f"shape {array.shape}")


def _choice(table: dict[int, _T], number: int, path: str) -> _T:
    if number not in table:
        raise FieldError(
            path, expected=f"one of {', '.join(str(n) for n in sorted(table))}", given=number
        )
    return table[number]


def _positive(message: Message, name: str, path: str, default: float) -> float:
    if not message.HasField(name):
        return default
    value = float(getattr(message, name))
    if not (1e-6 <= value <= 1e9):
        raise FieldError(f"{path}.{name}", expected="a number from 1e-6 to 1e9", given=value)
    return value
