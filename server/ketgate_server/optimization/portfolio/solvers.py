"""The solvers of portfolio problems, and which to run where the caller names none."""

from collections.abc import Sequence

from ketgate_server.optimization.base import Solver
from ketgate_server.optimization.portfolio.active_set import ActiveSet
from ketgate_server.optimization.portfolio.branch_and_bound import BranchAndBound
from ketgate_server.optimization.portfolio.clarabel_solver import Clarabel
from ketgate_server.optimization.portfolio.covariance import Factors
from ketgate_server.optimization.portfolio.critical_line import CriticalLine
from ketgate_server.optimization.portfolio.highs_solver import HighsQuadratic
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    PortfolioProblem,
    RiskParity,
)
from ketgate_server.optimization.portfolio.risk_parity import RiskParityNewton

SOLVERS: Sequence[Solver] = (
    ActiveSet(),
    BranchAndBound(),
    Clarabel(),
    CriticalLine(),
    HighsQuadratic(),
    RiskParityNewton(),
)

EXACT_NAMES_MAX = 700
"""Names with a dense covariance up to which a frontier's corners take a second or two; beyond, only
its points are found unless the critical line is asked for."""


def choose(problem: PortfolioProblem) -> list[str]:
    """Names of the solvers to run: one, as each proves what it finds."""
    if problem.constraints.discrete:
        return ["branch-and-bound"]
    if isinstance(problem.objective, RiskParity):
        return ["risk-parity"]
    exact = problem.size <= EXACT_NAMES_MAX or isinstance(problem.covariance, Factors)
    frontier = isinstance(problem.objective, EfficientFrontier)
    if frontier and exact and CriticalLine().unsuitable(problem) is None:
        return ["critical-line"]
    return ["active-set"]
