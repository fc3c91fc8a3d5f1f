"""Portfolio messages to the domain and back. Every refusal names the field at fault."""

import math
from collections.abc import Mapping
from typing import TypeVar

import numpy as np
from google.protobuf.message import Message
from ketgate.optimization.v1 import portfolio_pb2, result_pb2
from ketgate.type.v1 import tensor_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import LIMITS, Limit
from ketgate_server.optimization.portfolio import checks, estimators
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.convert_constraints import read_book, read_constraints
from ketgate_server.optimization.portfolio.covariance import Array, Covariance, Dense, Factors
from ketgate_server.optimization.portfolio.estimators import Estimator
from ketgate_server.optimization.portfolio.frontier import NUMBERS_MAX
from ketgate_server.optimization.tensors import read_float64, write_tensor

NAME_CHARACTERS_MAX = 200
POINTS_DEFAULT = 50
POINTS_MAX = 1000
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


def problem_from_proto(
    message: portfolio_pb2.PortfolioProblem,
    path: str = "spec.portfolio",
    limits: Mapping[str, Limit] = LIMITS,
    until_s: float = math.inf,
) -> m.PortfolioProblem:
    """A checked problem. Raises FieldError or LimitError, naming the field below path;
    DEADLINE_EXCEEDED where checking outlasts until_s (time.monotonic())."""
    covariance, expected_returns, warnings = _read_model(message, path, limits, until_s)
    size = covariance.size
    names = _read_names(message, size, f"{path}.names")
    objective = _read_objective(message.objective, size, f"{path}.objective")
    if expected_returns is None and not isinstance(objective, (m.MinimumVariance, m.RiskParity)):
        raise FieldError(
            f"{path}.{message.WhichOneof('model')}.expected_returns",
            expected=f"expected returns, shape ({size},), as the objective uses them",
            given="nothing",
        )
    constraints = read_constraints(message, size, names, path, limits)
    book = read_book(message, size, path)
    if isinstance(objective, m.RiskParity):
        _check_risk_parity(message, constraints, book, covariance, path)
    return m.PortfolioProblem(
        covariance=covariance,
        objective=objective,
        constraints=constraints,
        expected_returns=expected_returns,
        names=names,
        book=book,
        warnings=warnings,
    )


def figures_to_proto(figures: m.PortfolioFigures) -> result_pb2.PortfolioFigures:
    return result_pb2.PortfolioFigures(
        expected_return=figures.expected_return,
        volatility=figures.volatility,
        sharpe_ratio=figures.sharpe_ratio,
        turnover=figures.turnover,
        cost=figures.cost,
        names_held=figures.names_held,
        risk_shares=write_tensor(figures.risk_shares),
        lots=_write(figures.lots),
    )


def frontier_to_proto(frontier: m.Frontier) -> result_pb2.Frontier:
    return result_pb2.Frontier(
        weights=write_tensor(frontier.weights),
        expected_returns=write_tensor(frontier.expected_returns),
        volatilities=write_tensor(frontier.volatilities),
        corner_weights=_write(frontier.corner_weights),
        corner_expected_returns=_write(frontier.corner_expected_returns),
        corner_volatilities=_write(frontier.corner_volatilities),
        variance_bounds=_write(frontier.variance_bounds),
    )


def _write(array: np.ndarray | None) -> tensor_pb2.Tensor | None:
    return None if array is None else write_tensor(array)


def _read_model(
    message: portfolio_pb2.PortfolioProblem, path: str, limits: Mapping[str, Limit], until_s: float
) -> Moments:
    match message.WhichOneof("model"):
        case "moments":
            return _read_moments(message.moments, f"{path}.moments", limits, until_s)
        case "factors":
            return _read_factors(message.factors, f"{path}.factors", limits, until_s)
        case "prices":
            return _read_prices(message.prices, f"{path}.prices", limits)
        case _:
            raise FieldError(
                f"{path}.model", expected="moments, factors or prices", given="none of them"
            )


def _read_moments(
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


def _read_objective(message: portfolio_pb2.PortfolioObjective, size: int, path: str) -> m.Objective:
    match message.WhichOneof("kind"):
        case "minimum_variance":
            return m.MinimumVariance()
        case "utility":
            where = f"{path}.utility.risk_aversion"
            aversion = _finite(message.utility.risk_aversion, where)
            if aversion < 0:
                raise FieldError(where, expected="a number not below 0", given=aversion)
            return m.Utility(aversion)
        case "target_return":
            where = f"{path}.target_return.minimum_return"
            return m.TargetReturn(_finite(message.target_return.minimum_return, where))
        case "maximum_sharpe":
            where = f"{path}.maximum_sharpe.risk_free_rate"
            return m.MaximumSharpe(_finite(message.maximum_sharpe.risk_free_rate, where))
        case "risk_parity":
            return m.RiskParity(_read_budgets(message.risk_parity, size, f"{path}.risk_parity"))
        case "efficient_frontier":
            points = _read_points(message.efficient_frontier, size, f"{path}.efficient_frontier")
            return m.EfficientFrontier(points)
        case _:
            raise FieldError(
                f"{path}.kind", expected="one of the kinds of objective", given="none of them"
            )


def _read_points(message: portfolio_pb2.EfficientFrontier, size: int, path: str) -> int:
    """The number of portfolios, so that the answer is no larger than a message may be."""
    most = max(2, min(POINTS_MAX, NUMBERS_MAX // size))
    if not message.HasField("points"):
        return min(POINTS_DEFAULT, most)
    if not 2 <= message.points <= most:
        room = f", as the answer holds {size} weights a point" if most < POINTS_MAX else ""
        raise FieldError(f"{path}.points", expected=f"2 to {most}{room}", given=message.points)
    return int(message.points)


def _read_budgets(message: portfolio_pb2.RiskParity, size: int, path: str) -> Array:
    if not message.HasField("budgets"):
        return np.full(size, 1.0 / size)
    budgets = read_float64(message.budgets, f"{path}.budgets", shape=(size,))
    checks.check_magnitude(budgets, f"{path}.budgets", checks.MOMENT_MAX)
    # Below a part in 1e12 of the largest a share is lost in rounding, and the weight with it.
    if not (budgets > 1e-12 * budgets.max()).all():
        k = int(budgets.argmin())
        raise FieldError(
            f"{path}.budgets",
            expected="positive shares, none below 1e-12 of the largest",
            given=f"{budgets[k]} at element {k}",
        )
    return np.asarray(budgets / budgets.sum())


def _check_risk_parity(
    message: portfolio_pb2.PortfolioProblem,
    limits: m.Constraints,
    book: m.Book | None,
    covariance: Covariance,
    path: str,
) -> None:
    """Risk parity with anything but a budget and the bounds 0 and 1 is another problem: refuse
    it.
    """
    below = f"{path}.constraints"
    refused = [
        (f"{below}.lower", bool(limits.lower.any())),
        (f"{below}.upper", not bool(((limits.upper == 1.0) | np.isposinf(limits.upper)).all())),
        (f"{below}.groups", bool(limits.groups)),
        (f"{below}.cardinality", bool(limits.names_max or limits.names_min or limits.position_min)),
        (f"{below}.turnover_max", limits.turnover_max is not None),
        (f"{below}.round_lots", limits.lot_weights is not None),
        (f"{path}.current.buy_cost", book is not None and bool(book.buy_cost.any())),
        (f"{path}.current.sell_cost", book is not None and bool(book.sell_cost.any())),
    ]
    for field, present in refused:
        if present:
            raise FieldError(
                field,
                expected="nothing but a budget and the bounds 0 and 1 with risk parity",
                given="another constraint or cost",
                hint="leave it out, or choose another objective",
            )
    diagonal = covariance.diagonal()
    if not (diagonal > 0).all():
        kind = message.WhichOneof("model")
        field = {"moments": "covariance", "factors": "specific_variances"}.get(str(kind), "prices")
        raise FieldError(
            f"{path}.{kind}.{field}",
            expected="a positive variance of each name, as risk parity shares risk",
            given=f"{diagonal.min()} at element {int(diagonal.argmin())}",
        )


def _read_names(message: portfolio_pb2.PortfolioProblem, size: int, path: str) -> tuple[str, ...]:
    names = tuple(message.names)
    if names and len(names) != size:
        raise FieldError(path, expected=f"no names or {size}", given=len(names))
    seen: dict[str, int] = {}
    for k, name in enumerate(names):
        if len(name) > NAME_CHARACTERS_MAX:
            raise FieldError(
                f"{path}[{k}]",
                expected=f"at most {NAME_CHARACTERS_MAX} characters",
                given=f"{len(name)} of them",
            )
        if name in seen:
            raise FieldError(
                f"{path}[{k}]", expected=f"another name than at {seen[name]}", given=name
            )
        seen[name] = k
    return names


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


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value) or abs(value) > checks.MOMENT_MAX:
        raise FieldError(
            path, expected=f"a number of magnitude at most {checks.MOMENT_MAX:g}", given=value
        )
    return value
