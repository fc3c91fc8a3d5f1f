"""Requests for portfolios and efficient frontiers, from prices, moments or factors in NumPy or
pandas.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate._errors import InvalidArgument
from ketgate._labels import Labels, is_frame
from ketgate._options import Job, SolveOptions, check_names, fill_options, number
from ketgate._portfolio_result import FrontierResult, PortfolioResult
from ketgate._tensor import float_array, to_tensor
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import portfolio_pb2, program_pb2

Objective = Literal["minimum_variance", "utility", "target_return", "maximum_sharpe", "risk_parity"]
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


@dataclass(frozen=True)
class Group:
    """Bounds of the sum, or weighted sum, of some names' weights."""

    members: Sequence[Any]
    """Names, or positions from 0."""
    lower: float | None = None
    upper: float | None = None
    coefficients: Sequence[float] | None = None
    """One for each member; None: all 1."""


@dataclass(frozen=True)
class Lots:
    """Round lots: each holding is a whole number of lots, each of `size` shares at `prices`."""

    capital: float
    """Money to invest, in the unit of the prices."""
    prices: Any = None
    """Price of a share of each name; None: the last row of the price history."""
    size: Any = 1
    """Shares in a lot, one number or one for each name."""


class PortfolioArguments(SolveOptions, total=False):
    """What both portfolios and frontiers take, beside the options of every solve.

    expected_returns: shape (n,), a Series or a mapping by name; with prices it replaces the
    estimated mean. covariance: shape (n, n) or a DataFrame. factors: Factors, or a pair (loadings,
    specific_variances). names: the n names, where no pandas object tells them. estimator: of the
    covariance from prices: sample (default), ledoit_wolf, exponentially_weighted (half_life
    periods). returns: simple (default) or logarithmic. periods_per_year: 252 (default) makes yearly
    figures of daily prices. nearest_psd: repair a covariance that is not positive semidefinite
    instead of refusing it. k: at most k names, or a pair (least, most). min_position: a weight is 0
    or at least this large. budget: sum of the weights, a number or a pair (least, most); default 1.
    bounds: (lower, upper) of each weight, each one number, n of them or by name; or {name: (lower,
    upper)}, where the others keep 0 and 1. Below 0 allows a short. groups: {name: Group or
    (members, lower, upper)}. current: weights held now; names left out of a mapping are held at 0.
    turnover: most sum of |w - current|. costs: of trading, as a share of what is traded: a number,
    n of them, or a tuple (buy, sell). lots: Lots(capital, prices, size); or lot_weights, the weight
    of one lot of each name. Without a budget the weights may then sum to 1 less the weight of the
    dearest lot, as no whole number of lots need sum to 1.
    """

    expected_returns: Any
    covariance: Any
    factors: "Factors | tuple[Any, Any] | None"
    names: Sequence[str] | None
    estimator: Estimator | None
    half_life: float | None
    returns: Literal["simple", "logarithmic"]
    periods_per_year: float | None
    nearest_psd: bool
    k: int | tuple[int, int] | None
    min_position: float | None
    budget: float | tuple[float | None, float | None] | None
    bounds: Any
    groups: Mapping[str, Any] | None
    current: Any
    turnover: float | None
    costs: Any
    lots: Lots | None
    lot_weights: Any


def portfolio(
    prices: Any = None,
    *,
    objective: Objective | None = None,
    risk_aversion: float | None = None,
    target_return: float | None = None,
    risk_free_rate: float | None = None,
    risk_budgets: ArrayLike | Mapping[Any, float] | None = None,
    **arguments: Unpack[PortfolioArguments],
) -> Job[PortfolioResult]:
    """Choose a portfolio from a price history, from expected returns and covariance, or from
    factors.

    prices: shape (T, n), oldest first; a DataFrame gives the names. objective: minimum_variance
    (default), utility (maximise mu'w - risk_aversion / 2 w'Cw), target_return (least variance with
    at least that return), maximum_sharpe (over risk_free_rate, default 0), risk_parity (equal
    shares of risk, or risk_budgets). It may be left out where one of its own arguments tells it.

    >>> client.optimize.portfolio(prices, k=10, min_position=0.01, estimator="ledoit_wolf").weights
    """
    check_names(arguments, PortfolioArguments)
    spec, labels = _problem(prices, arguments)
    _Objective(spec.portfolio.objective, labels, _size(spec.portfolio)).fill(
        objective, risk_aversion, target_return, risk_free_rate, risk_budgets
    )
    return Job(
        spec, lambda outcome: PortfolioResult(outcome, labels), arguments.get("progress", False)
    )


def frontier(
    prices: Any = None, *, points: int = 50, **arguments: Unpack[PortfolioArguments]
) -> Job[FrontierResult]:
    """The efficient frontier, from the least variance to the greatest expected return, at `points`
    portfolios.

    Without k, min_position and lots it is exact: its corner portfolios come as well.
    """
    check_names(arguments, PortfolioArguments)
    spec, labels = _problem(prices, arguments)
    spec.portfolio.objective.efficient_frontier.points = number(points, "points", int)
    return Job(
        spec, lambda outcome: FrontierResult(outcome, labels), arguments.get("progress", False)
    )


def _problem(prices: Any, arguments: PortfolioArguments) -> tuple[service_pb2.SolveSpec, Labels]:
    spec = service_pb2.SolveSpec()
    factors = arguments.get("factors")
    if factors is not None and not isinstance(factors, Factors):
        factors = Factors(*factors)
    labels = Labels.find(
        arguments.get("names"),
        prices,
        arguments.get("covariance"),
        arguments.get("expected_returns"),
        factors.loadings if factors else None,
    )
    message = spec.portfolio
    _fill_model(message, labels, prices, factors, arguments)
    size = _size(message)
    if labels.keys is not None and len(labels.keys) != size:
        raise InvalidArgument(
            f"names: expected {size} names, given {len(labels.keys)}", field="names"
        )
    message.names.extend(labels.texts())
    _Constraints(message, labels, size, prices).fill(arguments)
    options = {
        key: value for key, value in arguments.items() if key in SolveOptions.__annotations__
    }
    fill_options(spec, options)  # type: ignore[arg-type]
    return spec, labels


def _size(message: portfolio_pb2.PortfolioProblem) -> int:
    """n, as the model tells it."""
    tensors = {
        "moments": message.moments.covariance,
        "factors": message.factors.specific_variances,
        "prices": message.prices.prices,
    }
    return int(tensors[str(message.WhichOneof("model"))].shape[-1])


def _fill_model(
    message: portfolio_pb2.PortfolioProblem,
    labels: Labels,
    prices: Any,
    factors: Factors | None,
    arguments: PortfolioArguments,
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


def _refuse_unused(arguments: PortfolioArguments, model: str) -> None:
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
    message: portfolio_pb2.PriceHistory, prices: Any, arguments: PortfolioArguments
) -> None:
    message.prices.CopyFrom(to_tensor(_prices(prices)))
    estimator = arguments.get("estimator")
    if estimator is not None:
        message.covariance_estimator = _one_of(estimator, _ESTIMATORS, "estimator")
    message.return_kind = _one_of(arguments.get("returns") or "simple", _RETURNS, "returns")
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
    return array


def _fill_factors(message: portfolio_pb2.FactorModel, labels: Labels, factors: Factors) -> int:
    loadings = factors.loadings
    if is_frame(loadings):
        loadings = loadings.T[list(labels.keys)].T if labels.named and labels.keys else loadings
        loadings = loadings.to_numpy()
    matrix = float_array(loadings, "factors.loadings", ndim=2)
    size = matrix.shape[0]
    message.loadings.CopyFrom(to_tensor(matrix))
    specific = labels.vector(factors.specific_variances, "factors.specific_variances", size)
    message.specific_variances.CopyFrom(to_tensor(np.broadcast_to(specific, (size,))))
    if factors.covariance is not None:
        covariance = float_array(np.asarray(factors.covariance), "factors.covariance", ndim=2)
        message.factor_covariance.CopyFrom(to_tensor(covariance))
    return size


class _Objective:
    """Fills the objective, which may be named or told by its own argument."""

    def __init__(
        self, message: portfolio_pb2.PortfolioObjective, labels: Labels, size: int
    ) -> None:
        self.message = message
        self.labels = labels
        self.size = size

    def fill(
        self, objective: str | None, aversion: Any, target: Any, riskless: Any, budgets: Any
    ) -> None:
        owned = {
            "utility": ("risk_aversion", aversion),
            "target_return": ("target_return", target),
            "maximum_sharpe": ("risk_free_rate", riskless),
            "risk_parity": ("risk_budgets", budgets),
        }
        told = [kind for kind, (_, value) in owned.items() if value is not None]
        if objective is None:
            objective = told[0] if len(told) == 1 else "minimum_variance"
        fillers = {
            "minimum_variance": self._minimum_variance,
            "utility": self._utility,
            "target_return": self._target_return,
            "maximum_sharpe": self._maximum_sharpe,
            "risk_parity": self._risk_parity,
        }
        filler = _one_of(objective, fillers, "objective")
        for kind in told:
            if kind != objective:
                name = owned[kind][0]
                raise InvalidArgument(
                    f"{name}: expected nothing, as the objective is {objective}", field=name
                )
        filler(owned.get(objective, ("", None))[1])

    def _minimum_variance(self, _: None) -> None:
        self.message.minimum_variance.SetInParent()

    def _utility(self, aversion: Any) -> None:
        if aversion is None:
            raise InvalidArgument(
                "risk_aversion: expected a number with utility, given none", field="risk_aversion"
            )
        self.message.utility.SetInParent()
        self.message.utility.risk_aversion = number(aversion, "risk_aversion", float)

    def _target_return(self, target: Any) -> None:
        if target is None:
            raise InvalidArgument(
                "target_return: expected a number, given none", field="target_return"
            )
        self.message.target_return.SetInParent()
        self.message.target_return.minimum_return = number(target, "target_return", float)

    def _maximum_sharpe(self, riskless: Any) -> None:
        self.message.maximum_sharpe.SetInParent()
        self.message.maximum_sharpe.risk_free_rate = (
            0.0 if riskless is None else number(riskless, "risk_free_rate", float)
        )

    def _risk_parity(self, budgets: Any) -> None:
        self.message.risk_parity.SetInParent()
        if budgets is not None:
            vector = self.labels.vector(budgets, "risk_budgets", self.size)
            self.message.risk_parity.budgets.CopyFrom(
                to_tensor(np.broadcast_to(vector, (self.size,)))
            )


class _Constraints:
    """Fills what must hold, and the book held now."""

    def __init__(
        self, message: portfolio_pb2.PortfolioProblem, labels: Labels, size: int, prices: Any
    ) -> None:
        self.message = message
        self.constraints = message.constraints
        self.labels = labels
        self.size = size
        self.prices = prices

    def fill(self, arguments: PortfolioArguments) -> None:
        self._bounds(arguments.get("bounds"))
        self._cardinality(arguments.get("k"), arguments.get("min_position"))
        for name, group in (arguments.get("groups") or {}).items():
            self._group(name, group)
        self._book(arguments)
        budget = arguments.get("budget")
        lots = self._lots(arguments)
        if budget is None and lots is not None:
            budget = (max(0.0, 1.0 - float(lots.max(initial=0.0))), 1.0)
        if budget is not None:
            low, high = budget if isinstance(budget, (tuple, list)) else (budget, budget)
            _fill_range(self.constraints.budget, low, high, "budget")

    def _bounds(self, bounds: Any) -> None:
        if bounds is None:
            return
        lower: Any
        upper: Any
        if isinstance(bounds, Mapping):
            for name, pair in bounds.items():
                if not (isinstance(pair, (tuple, list)) and len(pair) == 2):
                    raise InvalidArgument(
                        f"bounds: expected (lower, upper) for {name!r}, given {pair!r}",
                        field="bounds",
                    )
            lower = {name: pair[0] for name, pair in bounds.items() if pair[0] is not None}
            upper = {name: pair[1] for name, pair in bounds.items() if pair[1] is not None}
        elif isinstance(bounds, (tuple, list)) and len(bounds) == 2:
            lower, upper = bounds
        else:
            raise InvalidArgument(
                f"bounds: expected a pair (lower, upper) or a mapping by name, given {bounds!r}",
                field="bounds",
            )
        if lower is not None:
            self.constraints.lower.CopyFrom(to_tensor(self._vector(lower, "bounds", 0.0)))
        if upper is not None:
            self.constraints.upper.CopyFrom(to_tensor(self._vector(upper, "bounds", 1.0)))

    def _cardinality(self, k: Any, min_position: float | None) -> None:
        if k is not None:
            least, most = k if isinstance(k, (tuple, list)) else (None, k)
            if number(most, "k", int) < 1:  # 0 is the contract's way to say no limit
                raise InvalidArgument(f"k: expected at least 1 name, given {most}", field="k")
            self.constraints.cardinality.names_max = number(most, "k", int)
            if least is not None:
                self.constraints.cardinality.names_min = number(least, "k", int)
        if min_position is not None:
            self.constraints.cardinality.position_min = number(min_position, "min_position", float)

    def _group(self, name: str, group: Any) -> None:
        field = f"groups[{name!r}]"
        if not isinstance(group, Group):
            if not (isinstance(group, (tuple, list)) and len(group) == 3):
                raise InvalidArgument(
                    f"{field}: expected Group or (members, lower, upper), given {group!r}",
                    field=field,
                )
            group = Group(*group)
        message = self.constraints.groups.add(
            name=str(name),
            members=[self.labels.position(m, field, self.size) for m in group.members],
        )
        if group.coefficients is not None:
            message.coefficients.extend(float_array(group.coefficients, field, ndim=1).tolist())
        _fill_range(message.range, group.lower, group.upper, field)

    def _book(self, arguments: PortfolioArguments) -> None:
        current, turnover, costs = (
            arguments.get(name) for name in ("current", "turnover", "costs")
        )
        if turnover is not None:
            self.constraints.turnover_max = number(turnover, "turnover", float)
        if current is None:
            if turnover is not None or costs is not None:
                raise InvalidArgument(
                    "current: expected the weights held now, given none", field="current"
                )
            return
        book = self._vector(current, "current", 0.0)
        self.message.current.weights.CopyFrom(to_tensor(np.broadcast_to(book, (self.size,))))
        if costs is None:
            return
        buy, sell = costs if isinstance(costs, tuple) and len(costs) == 2 else (costs, costs)
        self.message.current.buy_cost.CopyFrom(to_tensor(self._vector(buy, "costs", 0.0)))
        self.message.current.sell_cost.CopyFrom(to_tensor(self._vector(sell, "costs", 0.0)))

    def _lots(self, arguments: PortfolioArguments) -> NDArray[np.float64] | None:
        lots, weights = arguments.get("lots"), arguments.get("lot_weights")
        if lots is not None:
            if weights is not None:
                raise InvalidArgument(
                    "lots: expected lots or lot_weights, given both", field="lots"
                )
            weights = self._lot_weights(lots)
        if weights is None:
            return None
        array = self._vector(weights, "lot_weights", 0.0)
        self.constraints.round_lots.lot_weights.CopyFrom(to_tensor(array))
        return array

    def _lot_weights(self, lots: Lots) -> NDArray[np.float64]:
        prices = lots.prices
        if prices is None:
            if self.prices is None:
                raise InvalidArgument(
                    "lots.prices: expected the price of each name, given none", field="lots.prices"
                )
            prices = np.asarray(self.prices)[-1]
        capital = number(lots.capital, "lots.capital", float)
        if not capital > 0:
            raise InvalidArgument(
                f"lots.capital: expected more than 0, given {capital}", field="lots.capital"
            )
        share = self._vector(prices, "lots.prices", None)
        return np.asarray(share * self._vector(lots.size, "lots.size", None) / capital)

    def _vector(self, values: Any, field: str, default: float | None) -> NDArray[np.float64]:
        return self.labels.vector(values, field, self.size, default=default)


def _fill_range(message: program_pb2.Range, lower: Any, upper: Any, field: str) -> None:
    message.SetInParent()
    if lower is not None and lower != -np.inf:
        message.lower = number(lower, field, float)
    if upper is not None and upper != np.inf:
        message.upper = number(upper, field, float)


def _one_of(value: Any, table: Mapping[str, Any], field: str) -> Any:
    if isinstance(value, str) and value in table:
        return table[value]
    raise InvalidArgument(
        f"{field}: expected one of {', '.join(table)}, given {value!r}", field=field
    )
