"""Where a portfolio's expected returns and covariance come from: prices, moments or factors."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from ketgate._errors import InvalidArgument
from ketgate._labels import Labels, is_frame
from ketgate._options import number, one_of
from ketgate._tensor import float_array, to_tensor
from ketgate.optimization.v1 import portfolio_pb2

Estimator = Literal["sample", "ledoit_wolf", "exponentially_weighted"]

_ESTIMATORS = {
    "sample": portfolio_pb2.COVARIANCE_ESTIMATOR_SAMPLE,
    "ledoit_wolf": portfolio_pb2.COVARIANCE_ESTIMATOR_LEDOIT_WOLF,
    "exponentially_weighted": portfolio_pb2.COVARIANCE_ESTIMATOR_EXPONENTIALLY_WEIGHTED,
}
_RETURNS = {
    "simple": portfolio_pb2.RETURN_KIND_SIMPLE,
    "logarithmic": portfolio_pb2.RETURN_KIND_LOGARITHMIC,
}


@dataclass(frozen=True)
class Factors:
    """Covariance loadings covariance loadings' + diag(specific_variances), which is never
    formed.
    """

    loadings: Any
    """Shape (n, k), or a DataFrame with a row for each name."""
    specific_variances: Any
    """Shape (n,), not negative."""
    covariance: Any = None
    """Covariance of the factors, shape (k, k); None: the identity."""


def fill_model(
    message: portfolio_pb2.PortfolioProblem,
    labels: Labels,
    prices: Any,
    factors: Factors | None,
    arguments: Mapping[str, Any],
) -> None:
    given = [
        name
        for name, value in (
            ("prices", prices),
            ("covariance", arguments.get("covariance")),
            ("factors", factors),
        )
        if value is not None
    ]
    if len(given) != 1:
        said = " and ".join(given) or "none"
        raise InvalidArgument(
            f"prices: expected one of prices, covariance, factors, given {said}", field="prices"
        )
    _refuse_unused(arguments, given[0])
    model: Any
    if given[0] == "prices":
        model = message.prices
        _fill_prices(model, prices, arguments)
        size = model.prices.shape[1]
    elif given[0] == "covariance":
        model = message.moments
        covariance = labels.square(arguments["covariance"], "covariance")
        model.covariance.CopyFrom(to_tensor(covariance))
        model.nearest_psd = bool(arguments.get("nearest_psd", False))
        size = covariance.shape[1]
    else:
        assert factors is not None
        model = message.factors
        size = _fill_factors(model, labels, factors)
    expected = arguments.get("expected_returns")
    if expected is not None:
        vector = labels.vector(expected, "expected_returns", size)
        model.expected_returns.CopyFrom(to_tensor(np.broadcast_to(vector, (size,))))


_ONLY_PRICES = ("estimator", "half_life", "returns", "periods_per_year")


def _refuse_unused(arguments: Mapping[str, Any], model: str) -> None:
    """An argument that would be ignored is more likely a mistake than meant."""
    unused = [
        name for name in _ONLY_PRICES if model != "prices" and arguments.get(name) is not None
    ]
    if model != "covariance" and arguments.get("nearest_psd"):
        unused.append("nearest_psd")
    if unused:
        raise InvalidArgument(
            f"{unused[0]}: expected nothing, as it has no meaning with {model}", field=unused[0]
        )


def _fill_prices(
    message: portfolio_pb2.PriceHistory, prices: Any, arguments: Mapping[str, Any]
) -> None:
    message.prices.CopyFrom(to_tensor(_prices(prices)))
    estimator = arguments.get("estimator")
    if estimator is not None:
        message.covariance_estimator = one_of(estimator, _ESTIMATORS, "estimator")
    message.return_kind = one_of(arguments.get("returns") or "simple", _RETURNS, "returns")
    for name, field in (
        ("half_life", "half_life_periods"),
        ("periods_per_year", "periods_per_year"),
    ):
        value = arguments.get(name)
        if value is not None:
            setattr(message, field, number(value, name, float))


def _prices(prices: Any) -> NDArray[np.float64]:
    """The history as numbers, or an error that names the column and the row at fault."""
    if not is_frame(prices):
        return float_array(prices, "prices", ndim=2)
    for column in prices.columns:
        if prices[column].dtype.kind not in "iuf":
            raise InvalidArgument(
                f"prices: expected numbers, given a column {column!r} of {prices[column].dtype}; "
                "make dates the index: prices.set_index(...)",
                field="prices",
            )
    array: NDArray[np.float64] = prices.to_numpy(dtype=np.float64)
    bad = np.argwhere(~np.isfinite(array))
    if len(bad):
        row, column = bad[0]
        raise InvalidArgument(
            f"prices: expected finite prices, given {array[row, column]} for {prices.columns[column]!r} at "
            f"{prices.index[row]}; fill or drop such rows: prices.ffill().dropna()",
            field="prices",
        )
    bad = np.argwhere(array <= 0)
    if len(bad):
        row, column = bad[0]
        raise InvalidArgument(
            f"prices: expected prices above 0, given {array[row, column]} for {prices.columns[column]!r} at "
            f"{prices.index[row]}",
            field="prices",
        )
    _check_order(prices.index)
    return array


def _check_order(dates: Any) -> None:
    """Refuse dates that run backwards or jump about: every return would be of the wrong sign or span."""
    if getattr(dates, "dtype", None) is None or dates.dtype.kind != "M":
        return
    if not dates.is_monotonic_increasing:
        late = int(np.argmax(np.diff(dates.asi8) < 0)) + 1
        raise InvalidArgument(
            f"prices: expected dates in order, oldest first, given {dates[late]} after {dates[late - 1]}; "
            "sort them: prices.sort_index()",
            field="prices",
        )


def _fill_factors(message: portfolio_pb2.FactorModel, labels: Labels, factors: Factors) -> int:
    loadings = factors.loadings
    if is_frame(loadings):
        missing = [key for key in labels.keys or () if key not in loadings.index]
        if missing and labels.named:
            raise InvalidArgument(
                f"factors.loadings: expected a row for each name, given none for {missing[0]!r}",
                field="factors.loadings",
            )
        loadings = (loadings.loc[list(labels.keys or ())] if labels.named else loadings).to_numpy()
    matrix = float_array(loadings, "factors.loadings", ndim=2)
    size = int(matrix.shape[0])
    message.loadings.CopyFrom(to_tensor(matrix))
    specific = labels.vector(factors.specific_variances, "factors.specific_variances", size)
    message.specific_variances.CopyFrom(to_tensor(np.broadcast_to(specific, (size,))))
    if factors.covariance is not None:
        covariance = float_array(np.asarray(factors.covariance), "factors.covariance", ndim=2)
        message.factor_covariance.CopyFrom(to_tensor(covariance))
    return size


def first_column(loadings: Any) -> Any:
    """A Series whose index tells the names: the columns of loadings are factors."""
    return loadings.iloc[:, 0] if is_frame(loadings) and loadings.shape[1] else None
