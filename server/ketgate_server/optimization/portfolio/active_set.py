"""The solver "active-set": continuous portfolios by the native convex QP kernel."""

from collections.abc import Sequence

import numpy as np

from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    SolveOptions,
    Status,
    StopReason,
    Task,
    sense_sign,
)
from ketgate_server.optimization.portfolio import continuous, sharpe
from ketgate_server.optimization.portfolio.conflict import find_conflict
from ketgate_server.optimization.portfolio.covariance import Array
from ketgate_server.optimization.portfolio.frontier import Walk
from ketgate_server.optimization.portfolio.frontier_discrete import DiscreteWalk
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    MaximumSharpe,
    PortfolioProblem,
    RiskParity,
)
from ketgate_server.optimization.portfolio.program import program_of

RATIO_PROGRAMS = 8
"""Programs that the greatest Sharpe ratio takes, about."""


def portfolio(problem: Problem) -> PortfolioProblem:
    """The problem, as one of this folder: the registry hands on no other."""
    assert isinstance(problem, PortfolioProblem)
    return problem


def ended(task: Task, *, work: int = 0) -> StopReason:
    """Why a solver that is about to return ended."""
    if task.should_stop:
        return task.stop_reason
    return (
        StopReason.WORK_LIMIT
        if task.work_limit and work >= task.work_limit
        else StopReason.COMPLETED
    )


def infeasible(problem: PortfolioProblem, task: Task, work: int) -> Outcome:
    """A proof that there is no solution, and why, if that is found in time."""
    return Outcome(
        Status.INFEASIBLE, StopReason.COMPLETED, work=work, conflict=find_conflict(problem, task)
    )


def settled(
    problem: PortfolioProblem,
    task: Task,
    status: Status,
    weights: Array | None,
    bound: float,
    work: int,
) -> Outcome:
    """An outcome of one portfolio; the bound in the minimised sense."""
    if status is Status.INFEASIBLE:
        return infeasible(problem, task, work)
    if status is Status.UNBOUNDED:
        return Outcome(status, StopReason.COMPLETED, work=work)
    if weights is None:
        return Outcome(Status.NO_SOLUTION, ended(task, work=work), work=work, bound=_known(bound))
    polished = problem.polish(weights)
    evaluation = problem.evaluate(polished)
    if evaluation.violation_max > task.feasibility_tolerance:
        return Outcome(Status.NO_SOLUTION, ended(task, work=work), work=work, bound=_known(bound))
    score = sense_sign(problem.sense) * evaluation.objective
    # Rounding may leave a bound a hair above the solution that it bounds.
    bound = min(bound, score) if bound - score <= 1e-9 * max(1e-12, abs(score)) else bound
    found = Status.FEASIBLE if status is Status.NO_SOLUTION else status
    return Outcome(found, ended(task, work=work), (polished,), (1,), _known(bound), work)


def _known(bound: float) -> float | None:
    return bound if np.isfinite(bound) else None


class ActiveSet:
    """Implements base.Solver."""

    name = "active-set"
    description = (
        "Convex portfolios by an active set on the free names: minimum variance, utility, "
        "target return, maximum Sharpe ratio, frontiers point by point; its "
        "multipliers prove the answer."
    )
    problems = frozenset({ProblemKind.PORTFOLIO_CONTINUOUS})
    proofs = frozenset({Proof.OPTIMALITY, Proof.BOUND, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "pivots"
    deterministic = True
    warm_start = False

    def unsuitable(self, problem: Problem) -> str | None:
        if portfolio(problem).constraints.discrete:
            return "it takes continuous weights only"
        if isinstance(portfolio(problem).objective, RiskParity):
            return "risk parity is no quadratic program"
        return None

    def memory_bytes(self, problem: Problem) -> int:
        size = problem.size
        rows = problem.num_constraints - 2 * size
        return (
            8 * (min(size, 6000) ** 2 + size * max(8, rows))
            + 3 * portfolio(problem).covariance.nbytes
        )

    def work_seconds(self, problem: Problem, options: SolveOptions) -> float | None:  # noqa: ARG002
        """Known for one portfolio of a few hundred names at most; a limit of turnover adds rows."""
        asked = portfolio(problem)
        several = isinstance(asked.objective, EfficientFrontier)
        if several or asked.constraints.turnover_max is not None or asked.size > 1000:
            return None
        programs = RATIO_PROGRAMS if isinstance(asked.objective, MaximumSharpe) else 1
        rows = 1.0 + 0.1 * len(asked.constraints.groups)
        return programs * rows * (5e-4 + 3e-8 * asked.size**2)

    def solve(self, problem: Problem, task: Task) -> Outcome:
        asked = portfolio(problem)
        if isinstance(asked.objective, EfficientFrontier):
            return walk(asked, task)
        if isinstance(asked.objective, MaximumSharpe):
            ratio = sharpe.maximise(asked, task)
            return settled(asked, task, ratio.status, ratio.weights, -ratio.bound, ratio.work)
        solved = continuous.solve(program_of(asked), task)
        return settled(asked, task, solved.status, solved.weights, solved.bound, solved.work)


def walk(problem: PortfolioProblem, task: Task) -> Outcome:
    """The frontier point by point, as far as the limits let it."""
    discrete = problem.constraints.discrete
    path = DiscreteWalk(problem, task) if discrete else Walk(problem, task)
    frontier = path.run()
    if frontier is None:
        return settled(problem, task, path.status, None, -np.inf, path.work)
    warnings: tuple[str, ...] = ()
    asked = problem.objective.points if isinstance(problem.objective, EfficientFrontier) else 0
    if len(frontier.weights) < asked and path.status is not Status.OPTIMAL:
        warnings = (
            f"{len(frontier.weights)} of {asked} portfolios of the frontier found within limits",
        )
    reason = ended(task, work=path.work)
    if reason is StopReason.COMPLETED and path.status is not Status.OPTIMAL:
        reason = (path.cut if isinstance(path, DiscreteWalk) else None) or reason
    return Outcome(
        path.status,
        reason,
        (frontier.weights[0],),
        (1,),
        _known(path.low_bound),
        path.work,
        frontier=frontier,
        warnings=warnings,
    )
