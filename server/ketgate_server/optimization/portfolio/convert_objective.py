"""The objective of a portfolio, and what it does not go together with."""

import math

import numpy as np
from ketgate.optimization.v1 import portfolio_pb2

from ketgate_server.errors import FieldError
from ketgate_server.optimization.portfolio import checks
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.covariance import Array, Covariance
from ketgate_server.optimization.portfolio.frontier import NUMBERS_MAX
from ketgate_server.type.tensors import read_float64

POINTS_DEFAULT = 50
POINTS_MAX = 1000


def read_objective(message: portfolio_pb2.PortfolioObjective, size: int, path: str) -> m.Objective:
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


def check_risk_parity(
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


def _finite(value: float, path: str) -> float:
    if not math.isfinite(value) or abs(value) > checks.MOMENT_MAX:
        raise FieldError(
            path, expected=f"a number of magnitude at most {checks.MOMENT_MAX:g}", given=value
        )
    return value
