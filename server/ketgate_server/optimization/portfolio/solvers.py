"""The solvers of portfolio problems, and which to run where the caller names none."""

from collections.abc import Sequence

from ketgate_server.optimization.base import Solver
from ketgate_server.optimization.portfolio.active_set import ActiveSet
from ketgate_server.optimization.portfolio.branch_and_bound import BranchAndBound
from ketgate_server.optimization.portfolio.clarabel_solver import Clarabel
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


def choose(problem: PortfolioProblem) -> list[str]:
    """Names of the solvers to run: one, as each proves what it finds."""
    if problem.constraints.discrete:
        return ["branch-and-bound"]
    if isinstance(problem.objective, RiskParity):
        return ["risk-parity"]
    if (
        isinstance(problem.objective, EfficientFrontier)
        and CriticalLine().unsuitable(problem) is None
    ):
        return ["critical-line"]
    return ["active-set"]
