"""The constraints and the current book of a portfolio message, read and checked."""

import math
from collections.abc import Mapping

import numpy as np
from ketgate.optimization.v1 import portfolio_pb2, program_pb2
from ketgate.type.v1 import tensor_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.optimization.portfolio import checks
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.covariance import Array
from ketgate_server.type.tensors import read_float64

LOT_WEIGHT_MIN = 1e-7
"""Least weight of a lot: a hundred times what a solution is polished by."""
COST_MAX = 1e6


def read_constraints(
    message: portfolio_pb2.PortfolioProblem,
    size: int,
    names: tuple[str, ...],
    path: str,
    limits: Mapping[str, Limit],
) -> m.Constraints:
    """The constraints, with the documented defaults. Raises FieldError or LimitError."""
    given = message.constraints
    below = f"{path}.constraints"
    budget = m.Interval(1.0, 1.0)
    if given.HasField("budget"):
        budget = read_interval(given.budget, f"{below}.budget")
    turnover_max = None
    if given.HasField("turnover_max"):
        turnover_max = _number(given.turnover_max, f"{below}.turnover_max", 0.0, checks.WEIGHT_MAX)
        if not message.HasField("current"):
            raise FieldError(
                f"{path}.current",
                expected="the weights held now, as turnover_max counts from them",
                given="nothing",
            )
    cardinality = given.cardinality
    position_min = _number(cardinality.position_min, f"{below}.cardinality.position_min", 0.0, 1.0)
    constraints = m.Constraints.of(
        size,
        budget=budget,
        lower=_weights(given, "lower", size, below),
        upper=_weights(given, "upper", size, below),
        groups=_read_groups(given, size, f"{below}.groups", limits),
        names_max=_count(cardinality.names_max, size, f"{below}.cardinality.names_max"),
        names_min=_count(cardinality.names_min, size, f"{below}.cardinality.names_min"),
        position_min=position_min,
        turnover_max=turnover_max,
        lot_weights=_read_lots(given, size, f"{below}.round_lots"),
    )
    _check_relations(cardinality, position_min, below)
    checks.check_bounds(constraints.lower, constraints.upper, names, below)
    return constraints


def read_book(message: portfolio_pb2.PortfolioProblem, size: int, path: str) -> m.Book | None:
    if not message.HasField("current"):
        return None
    below = f"{path}.current"
    if not message.current.HasField("weights"):
        raise FieldError(
            f"{below}.weights", expected=f"the weights held now, shape ({size},)", given="nothing"
        )
    held = read_float64(message.current.weights, f"{below}.weights", shape=(size,))
    checks.check_magnitude(held, f"{below}.weights", checks.WEIGHT_MAX)
    return m.Book(
        np.ascontiguousarray(held),
        _read_costs(message.current, "buy_cost", size, below),
        _read_costs(message.current, "sell_cost", size, below),
    )


def read_interval(message: program_pb2.Range, path: str) -> m.Interval:
    """A Range; an absent end is infinite."""
    lower = message.lower if message.HasField("lower") else -math.inf
    upper = message.upper if message.HasField("upper") else math.inf
    for name in ("lower", "upper"):
        if message.HasField(name):
            _number(getattr(message, name), f"{path}.{name}", -checks.WEIGHT_MAX, checks.WEIGHT_MAX)
    if lower > upper:
        raise FieldError(
            f"{path}.lower", expected=f"a lower end not above the upper one, {upper}", given=lower
        )
    return m.Interval(lower, upper)


def _read_groups(
    given: portfolio_pb2.PortfolioConstraints, size: int, path: str, limits: Mapping[str, Limit]
) -> tuple[m.Group, ...]:
    allowed = limits["optimization.groups_max"].value
    if len(given.groups) > allowed:
        raise LimitError(
            "optimization.groups_max", allowed=allowed, given=len(given.groups), field=path
        )
    return tuple(_read_group(group, size, f"{path}[{k}]") for k, group in enumerate(given.groups))


def _read_group(group: portfolio_pb2.Group, size: int, path: str) -> m.Group:
    if len(group.name) > 200:
        raise FieldError(
            f"{path}.name", expected="at most 200 characters", given=f"{len(group.name)} of them"
        )
    members = np.array(group.members, dtype=np.int64)
    if not members.size:
        raise FieldError(f"{path}.members", expected="at least one position", given="none")
    outside = (members < 0) | (members >= size)
    if outside.any():
        k = int(np.argmax(outside))
        raise FieldError(
            f"{path}.members[{k}]",
            expected=f"a position from 0 to {size - 1}",
            given=int(members[k]),
        )
    if len(np.unique(members)) != len(members):
        order = np.argsort(members, kind="stable")
        k = int(order[1:][np.diff(members[order]) == 0][0])
        raise FieldError(
            f"{path}.members[{k}]", expected="each position once", given=int(members[k])
        )
    coefficients = np.ones(len(members))
    if group.coefficients:
        coefficients = np.array(group.coefficients, dtype=np.float64)
        if len(coefficients) != len(members):
            raise FieldError(
                f"{path}.coefficients",
                expected=f"none or {len(members)}, one a member",
                given=len(coefficients),
            )
        if not np.isfinite(coefficients).all():
            k = int(np.argmin(np.isfinite(coefficients)))
            raise FieldError(
                f"{path}.coefficients[{k}]", expected="a finite number", given=coefficients[k]
            )
        checks.check_magnitude(coefficients, f"{path}.coefficients", checks.WEIGHT_MAX)
    if not group.HasField("range"):
        raise FieldError(f"{path}.range", expected="the bounds of the sum", given="nothing")
    return m.Group(group.name, members, coefficients, read_interval(group.range, f"{path}.range"))


def _read_lots(given: portfolio_pb2.PortfolioConstraints, size: int, path: str) -> Array | None:
    if not given.HasField("round_lots"):
        return None
    where = f"{path}.lot_weights"
    if not given.round_lots.HasField("lot_weights"):
        raise FieldError(
            where,
            expected=f"the weight of a lot of each name, shape ({size},) or (1,)",
            given="nothing",
        )
    lots = read_float64(given.round_lots.lot_weights, where, shape=(size,), broadcast_scalar=True)
    checks.check_not_negative(lots, where)
    checks.check_magnitude(lots, where, checks.WEIGHT_MAX)
    small = (lots > 0) & (lots < LOT_WEIGHT_MIN)
    if small.any():
        k = int(np.argmax(small))
        raise FieldError(
            where,
            expected=f"0 or at least {LOT_WEIGHT_MIN:g}",
            given=f"{lots[k]} at element {k}",
            hint="so small a lot is no restriction: send 0",
        )
    return lots


def _read_costs(current: portfolio_pb2.CurrentBook, name: str, size: int, path: str) -> Array:
    if not current.HasField(name):
        return np.zeros(size)
    tensor: tensor_pb2.Tensor = getattr(current, name)
    costs = read_float64(tensor, f"{path}.{name}", shape=(size,), broadcast_scalar=True)
    checks.check_not_negative(costs, f"{path}.{name}")
    checks.check_magnitude(costs, f"{path}.{name}", COST_MAX)
    return np.ascontiguousarray(costs)


def _weights(
    given: portfolio_pb2.PortfolioConstraints, name: str, size: int, path: str
) -> Array | None:
    if not given.HasField(name):
        return None
    bounds = read_float64(
        getattr(given, name), f"{path}.{name}", shape=(size,), broadcast_scalar=True
    )
    checks.check_magnitude(bounds, f"{path}.{name}", checks.WEIGHT_MAX)
    return bounds


def _check_relations(
    cardinality: portfolio_pb2.Cardinality, position_min: float, path: str
) -> None:
    if cardinality.names_max and cardinality.names_min > cardinality.names_max:
        raise FieldError(
            f"{path}.cardinality.names_min",
            expected=f"at most names_max, {cardinality.names_max}",
            given=cardinality.names_min,
        )
    if cardinality.names_min and not position_min:
        raise FieldError(
            f"{path}.cardinality.position_min",
            expected="a number above 0, as a name could else be held by as little as one likes",
            given=position_min,
        )
    if 0.0 < position_min < LOT_WEIGHT_MIN:
        raise FieldError(
            f"{path}.cardinality.position_min",
            expected=f"0 or at least {LOT_WEIGHT_MIN:g}",
            given=position_min,
        )


def _count(value: int, size: int, path: str) -> int:
    if not 0 <= value <= size:
        raise FieldError(path, expected=f"0 to {size}, the number of names", given=value)
    return value


def _number(value: float, path: str, least: float, most: float) -> float:
    if not least <= value <= most:  # NaN fails too
        raise FieldError(path, expected=f"a number from {least:g} to {most:g}", given=value)
    return value
