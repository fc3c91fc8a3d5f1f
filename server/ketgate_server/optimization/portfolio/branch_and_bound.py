"""The solver "branch-and-bound": portfolios with few names, least positions and round lots, to a
proof.
"""

from collections.abc import Sequence

import numpy as np

from ketgate_server.optimization.base import (
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    Status,
    StopReason,
    Task,
    reason_of_proof,
    sense_sign,
)
from ketgate_server.optimization.portfolio import discrete, mixed
from ketgate_server.optimization.portfolio.active_set import (
    ended,
    infeasible,
    portfolio,
    settled,
    walk,
)
from ketgate_server.optimization.portfolio.mixed import greatest_return, least_turnover
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    MaximumSharpe,
    PortfolioProblem,
    Utility,
)
from ketgate_server.optimization.portfolio.program import Program, program_of
from ketgate_server.optimization.portfolio.sharpe_discrete import maximise_discrete

NAMES_MAX = 5_000
POOL_WARNING = (
    "the solutions after the first are what branch-and-bound met on its way: others may be better"
)
OPEN_BYTES_MAX = 768_000_000
"""The kernel's limit for the nodes that are open."""
START_NAMES_MAX = 1_000
"""Names up to which a feasible start is looked for where turnover is limited."""


class BranchAndBound:
    """Implements base.Solver."""

    name = "branch-and-bound"
    description = (
        "Portfolios with a limit of names, least positions or round lots by branch-and-bound with "
        "perspective bounds: the proven best, or the best so far and how far from proven."
    )
    problems = frozenset({ProblemKind.PORTFOLIO_DISCRETE})
    proofs = frozenset({Proof.OPTIMALITY, Proof.BOUND, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "nodes"
    deterministic = True
    warm_start = True

    def parts_for(self, problem: Problem) -> Sequence[str]:
        """HiGHS finds the greatest return, from which frontiers and ratios begin."""
        objective = portfolio(problem).objective
        straight = isinstance(objective, Utility) and objective.risk_aversion == 0.0
        both = isinstance(objective, (EfficientFrontier, MaximumSharpe))
        return ("highs",) if both or straight else ()

    def unsuitable(self, problem: Problem) -> str | None:
        if not portfolio(problem).constraints.discrete:
            return "it takes discrete constraints; without them active-set is exact"
        return None if problem.size <= NAMES_MAX else f"it takes at most {NAMES_MAX} names"

    def memory_bytes(self, problem: Problem) -> int:
        size = problem.size
        # Matrices: the covariance as it is scaled and again made symmetric, the kernel's own before and
        # after names are ruled out, two for the diagonal, one factor of the free names.
        return 8 * 7 * size * size + OPEN_BYTES_MAX

    def solve(self, problem: Problem, task: Task) -> Outcome:
        asked = portfolio(problem)
        if isinstance(asked.objective, EfficientFrontier):
            return walk(asked, task)
        if isinstance(asked.objective, MaximumSharpe):
            ratio = maximise_discrete(asked, task)
            return settled(asked, task, ratio.status, ratio.weights, -ratio.bound, ratio.work)
        return self._program(asked, task)

    def _program(self, problem: PortfolioProblem, task: Task) -> Outcome:
        program = program_of(problem)
        if program.scale == 0.0:
            return _straight(problem, task)
        initial = None
        if task.initial is not None:
            initial = np.ascontiguousarray(task.initial[0], dtype=np.float64)
        elif (
            program.turnover_max is not None
            and problem.size <= START_NAMES_MAX
            and mixed.installed()
        ):
            # With a limit of turnover a first solution is hard to find by rounding; HiGHS finds one
            # or refutes.
            start = least_turnover(problem, task)
            if start.status is Status.INFEASIBLE:
                return infeasible(problem, task, 0)
            initial = start.weights
        found = _search(problem, program, task, initial)
        lost = found.weights is None and found.status is Status.NO_SOLUTION
        if lost and mixed.installed() and not task.should_stop:
            # Where a row leaves next to no room the kernel's rounding may miss it; HiGHS finds a
            # start.
            start = greatest_return(problem, task, net=False)
            if start.status is Status.INFEASIBLE:
                return infeasible(problem, task, found.nodes)
            if start.weights is not None:
                found = _search(problem, program, task, start.weights)
        if found.status is Status.INFEASIBLE:
            return infeasible(problem, task, found.nodes)
        if found.weights is None:
            return settled(problem, task, found.status, None, found.bound, found.nodes)
        solutions = _distinct([problem.polish(w) for w in found.pool or [found.weights]])
        bound = found.bound
        if not isinstance(problem.objective, Utility):
            bound = max(bound, 0.0)  # no variance and no cost is below 0
        score = sense_sign(problem.sense) * problem.evaluate(solutions[0]).objective
        closed = score - bound <= max(task.gap_absolute, task.gap_relative * abs(score))
        reason = ended(task, work=found.nodes)
        if found.at_target:
            reason = StopReason.TARGET
        elif closed and reason is StopReason.COMPLETED:
            reason = reason_of_proof(score, bound)
        return Outcome(
            Status.OPTIMAL if closed else found.status,
            reason,
            solutions,
            (1,) * len(solutions),
            bound if np.isfinite(bound) else None,
            found.nodes,
            warnings=(POOL_WARNING,) if len(solutions) > 1 else (),
        )


def _search(
    problem: PortfolioProblem, program: Program, task: Task, initial: np.ndarray | None
) -> discrete.Searched:
    return discrete.search(
        program,
        problem.constraints,
        task,
        initial=initial,
        report=True,
        nodes_max=task.work_limit or None,
    )


def _straight(problem: PortfolioProblem, task: Task) -> Outcome:
    """Without aversion to risk: a mixed-integer linear program, which is HiGHS' own ground."""
    most = greatest_return(problem, task, net=True)
    return settled(problem, task, most.status, most.weights, -most.bound, 0)


def _distinct(solutions: list[np.ndarray]) -> tuple[np.ndarray, ...]:
    return tuple({solution.tobytes(): solution for solution in solutions}.values())
