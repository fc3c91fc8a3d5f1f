"""The solver "risk-parity"."""

from collections.abc import Sequence

import numpy as np

from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    Status,
    Task,
)
from ketgate_server.optimization.portfolio.active_set import ended, infeasible, portfolio
from ketgate_server.optimization.portfolio.model import RiskParity
from ketgate_server.optimization.portfolio.parity import parity

DENSE_NAMES_MAX = 5_000


class RiskParityNewton:
    """Implements base.Solver."""

    name = "risk-parity"
    description = (
        "Equal, or given, shares of the risk by Newton's method on Spinu's convex formulation."
    )
    problems = frozenset({ProblemKind.PORTFOLIO_CONTINUOUS})
    proofs = frozenset({Proof.OPTIMALITY, Proof.BOUND, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "steps"
    deterministic = True
    warm_start = False

    def unsuitable(self, problem: Problem) -> str | None:
        asked = portfolio(problem)
        if asked.constraints.discrete or not isinstance(asked.objective, RiskParity):
            return "it takes risk parity only"
        return None

    def memory_bytes(self, problem: Problem) -> int:
        return 3 * portfolio(problem).covariance.nbytes

    def solve(self, problem: Problem, task: Task) -> Outcome:
        asked = portfolio(problem)
        assert isinstance(asked.objective, RiskParity)
        limits = asked.constraints
        shape, steps, converged = parity(asked.covariance, asked.objective.budgets, task)
        shape = shape / shape.sum()
        # The shares do not change with the sum, so any sum that the budget and the bounds allow
        # will do.
        most = min(limits.budget.upper, float((limits.upper / shape).min()))
        if most <= 0.0 or limits.budget.lower > most + task.feasibility_tolerance:
            return infeasible(asked, task, steps)
        total = min(max(1.0, limits.budget.lower), most)
        weights = asked.polish(shape * total)
        status = Status.OPTIMAL if converged else Status.FEASIBLE
        # The sum of squares that it minimises cannot be below 0.
        assert np.isfinite(weights).all()
        return Outcome(status, ended(task, work=steps), (weights,), (1,), 0.0, steps)
