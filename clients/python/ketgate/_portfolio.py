"""Requests for portfolios and efficient frontiers, from prices, moments or factors."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, Unpack

from numpy.typing import ArrayLike

from ketgate._errors import InvalidArgument
from ketgate._labels import Labels
from ketgate._options import Prepared, SolveOptions, check_names, fill_options, number
from ketgate._portfolio_constraints import Lots, fill_constraints
from ketgate._portfolio_model import Estimator, Factors, fill_model, first_column
from ketgate._portfolio_objective import Objective, ObjectiveFiller
from ketgate._portfolio_result import FrontierResult, PortfolioResult
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import portfolio_pb2


class PortfolioArguments(SolveOptions, total=False):
    """What both portfolios and frontiers take, beside the options of every solve.

    expected_returns: shape (n,), a Series or a mapping by name; with prices it replaces their mean.
    covariance: shape (n, n) or a DataFrame.
    factors: Factors, or a pair (loadings, specific_variances).
    names: the n names, where no pandas object tells them; of a DataFrame, those to choose among.
    estimator: of the covariance from prices: sample (default), ledoit_wolf, exponentially_weighted.
    half_life: of the exponential weights, in periods.
    returns: simple (default) or logarithmic.
    periods_per_year: 252 (default) makes yearly figures of daily prices.
    nearest_psd: repair a covariance that is not positive semidefinite instead of refusing it.
    k: at most k names, or a pair (least, most).
    min_position: a weight is 0 or at least this large.
    budget: sum of the weights, a number or a pair (least, most); default 1.
    bounds: (lower, upper) of each weight, each one number, n of them or by name; or
        {name: (lower, upper)}, where the others keep 0 and 1. Below 0 allows a short.
    groups: {name: Group or (members, lower, upper)}, bounds of the sum of some weights.
    current: weights held now; names left out of a mapping are held at 0.
    turnover: greatest sum of |w - current|.
    costs: of trading, as a share of what is traded: a number, n of them, or a tuple (buy, sell).
    lots: Lots(capital, prices, size); or lot_weights, the weight of one lot of each name. Without a
        budget the weights may then sum to 1 less the weight of the dearest lot, as whole lots
        seldom sum to 1.
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
) -> Prepared[PortfolioResult]:
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
    ObjectiveFiller(spec.portfolio.objective, labels, _size(spec.portfolio)).fill(
        objective, risk_aversion, target_return, risk_free_rate, risk_budgets
    )
    return Prepared(
        spec, lambda outcome: PortfolioResult(outcome, labels), arguments.get("progress", False)
    )


def frontier(
    prices: Any = None, *, points: int = 50, **arguments: Unpack[PortfolioArguments]
) -> Prepared[FrontierResult]:
    """The efficient frontier, from the least variance to the greatest expected return, at `points`
    portfolios.

    Without k, min_position and lots it is exact: its corner portfolios come as well.
    """
    check_names(arguments, PortfolioArguments)
    spec, labels = _problem(prices, arguments)
    spec.portfolio.objective.efficient_frontier.points = number(points, "points", int)
    return Prepared(
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
        first_column(factors.loadings) if factors else None,
    )
    message = spec.portfolio
    fill_model(message, labels, prices, factors, arguments)
    size = _size(message)
    if labels.keys is not None and len(labels.keys) != size:
        raise InvalidArgument(
            f"names: expected {size} names, given {len(labels.keys)}", field="names"
        )
    message.names.extend(labels.texts())
    fill_constraints(message, labels, size, prices, arguments)
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
