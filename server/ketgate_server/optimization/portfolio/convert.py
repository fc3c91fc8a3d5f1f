"""Portfolio messages to the domain and back. Every refusal names the field at fault."""

import math
from collections.abc import Mapping

import numpy as np
from ketgate.optimization.v1 import portfolio_pb2, result_pb2
from ketgate.type.v1 import tensor_pb2

from ketgate_server.errors import FieldError
from ketgate_server.limits import LIMITS, Limit
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.convert_constraints import read_book, read_constraints
from ketgate_server.optimization.portfolio.convert_moments import read_moments
from ketgate_server.optimization.portfolio.convert_objective import (
    check_risk_parity,
    read_objective,
)
from ketgate_server.type.tensors import write_tensor

NAME_CHARACTERS_MAX = 200


def problem_from_proto(
    message: portfolio_pb2.PortfolioProblem,
    path: str = "spec.portfolio",
    limits: Mapping[str, Limit] = LIMITS,
    until_s: float = math.inf,
) -> m.PortfolioProblem:
    """A checked problem. Raises FieldError or LimitError, naming the field below path;
    DEADLINE_EXCEEDED where checking outlasts until_s (time.monotonic())."""
    covariance, expected_returns, warnings = read_moments(message, path, limits, until_s)
    size = covariance.size
    names = _read_names(message, size, f"{path}.names")
    objective = read_objective(message.objective, size, f"{path}.objective")
    if expected_returns is None and not isinstance(objective, (m.MinimumVariance, m.RiskParity)):
        raise FieldError(
            f"{path}.{message.WhichOneof('model')}.expected_returns",
            expected=f"expected returns, shape ({size},), as the objective uses them",
            given="nothing",
        )
    constraints = read_constraints(message, size, names, path, limits)
    book = read_book(message, size, path)
    if isinstance(objective, m.RiskParity):
        check_risk_parity(message, constraints, book, covariance, path)
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
