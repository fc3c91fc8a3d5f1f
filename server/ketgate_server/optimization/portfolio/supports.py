"""Small portfolios for solvers that choose bits: which names to hold is chosen on an equal-weight
surrogate, and the weights on the names chosen are a continuous program of their own.

The surrogate is the objective of the portfolio with 1/K of the budget in each of K names.
"""

from dataclasses import replace

import numpy as np

from ketgate_server.optimization.base import Task
from ketgate_server.optimization.portfolio import continuous
from ketgate_server.optimization.portfolio.covariance import Array
from ketgate_server.optimization.portfolio.model import (
    MinimumVariance,
    PortfolioProblem,
    TargetReturn,
    Utility,
)
from ketgate_server.optimization.portfolio.program import program_of
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse

ENCODING = (
    "the names are chosen on an equal-weight surrogate, one qubit a name; the weights on the names "
    "chosen are a continuous program, solved classically"
)


def unsuitable(problem: PortfolioProblem) -> str | None:
    """Why the names cannot be chosen so, in words; None where they can."""
    limits = problem.constraints
    if not limits.names_max:
        return "of portfolios it takes those with a limit of names"
    if limits.lot_weights is not None:
        return "it takes no round lots"
    if (limits.lower < 0.0).any():
        return "it takes long positions only"
    if (limits.lower > 0.0).any():
        return "it takes no name that must be held"
    if not isinstance(problem.objective, (MinimumVariance, Utility, TargetReturn)):
        return "it takes minimum variance, utility and target return"
    return None


def surrogate(problem: PortfolioProblem) -> QuadraticFunction:
    """To be minimised over choices of exactly names_max names, x in {0, 1}^n."""
    n, count = problem.size, problem.constraints.names_max
    share = _total(problem) / count
    matrix = problem.covariance.times(np.eye(n))
    weight = 1.0
    linear = np.zeros(n)
    if isinstance(problem.objective, Utility):
        assert problem.expected_returns is not None
        weight = problem.objective.risk_aversion / 2.0
        linear -= share * problem.expected_returns
    linear += weight * share**2 * np.diagonal(matrix)
    row, column = np.triu_indices(n, 1)
    pairs = 2.0 * weight * share**2 * matrix[row, column]
    return QuadraticFunction(Alphabet.BINARY, linear, Sparse(row, column, pairs), 0.0)


def penalised(function: QuadraticFunction, count: int) -> QuadraticFunction:
    """With a penalty that makes every choice of another number of names worse than the worst of
    `count`."""
    strength = 1.1 * function.magnitude + 1e-12
    q = function.quadratic
    return QuadraticFunction(
        Alphabet.BINARY,
        function.linear + strength * (1.0 - 2.0 * count),
        Sparse(q.row, q.column, q.value + 2.0 * strength),
        function.offset + strength * count**2,
    )


def weights_on(problem: PortfolioProblem, chosen: np.ndarray, task: Task) -> Array | None:
    """The best weights on the names chosen, (n,); None where they cannot keep the constraints.
    chosen: (n,) bool."""
    limits = problem.constraints
    least = np.where(chosen, np.maximum(limits.lower, limits.position_min), 0.0)
    most = np.where(chosen, limits.upper, 0.0)
    if (least > most).any():
        return None
    free = replace(limits, lower=least, upper=most, names_max=0, names_min=0, position_min=0.0)
    found = continuous.solve(program_of(replace(problem, constraints=free)), task)
    return None if found.weights is None else problem.polish(found.weights)


def _total(problem: PortfolioProblem) -> float:
    """What is invested in all, about."""
    budget = problem.constraints.budget
    ends = [end for end in (budget.lower, budget.upper) if np.isfinite(end)]
    return float(np.mean(ends)) if ends else 1.0
