"""The solver "critical-line": the whole efficient frontier, corner by corner."""

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
from ketgate_server.optimization.portfolio import frontier as lines
from ketgate_server.optimization.portfolio.active_set import (
    ended,
    infeasible,
    portfolio,
    walk,
)
from ketgate_server.optimization.portfolio.model import (
    EfficientFrontier,
    Frontier,
    PortfolioProblem,
)

NAMES_MAX = 2_500
SPLIT_NAMES_MAX = 1_000
"""With a limit of turnover what is bought and sold count apart, in a dense matrix of twice the
size.
"""


class CriticalLine:
    """Implements base.Solver. Markowitz's critical line: between two corners the frontier is
    exact.
    """

    name = "critical-line"
    description = (
        "The whole efficient frontier by its corner portfolios, between which it is exact."
    )
    problems = frozenset({ProblemKind.PORTFOLIO_CONTINUOUS})
    proofs = frozenset({Proof.OPTIMALITY, Proof.BOUND, Proof.INFEASIBILITY})
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "corners"
    deterministic = True
    warm_start = False

    def unsuitable(self, problem: Problem) -> str | None:
        asked = portfolio(problem)
        if asked.constraints.discrete or not isinstance(asked.objective, EfficientFrontier):
            return "it traces efficient frontiers of continuous weights"
        if asked.book is not None and asked.book.costly:
            return "costs of trading bend the line between corners"
        most = NAMES_MAX if asked.constraints.turnover_max is None else SPLIT_NAMES_MAX
        return (
            None
            if problem.size <= most
            else f"it takes at most {most} names here: corners are many"
        )

    def memory_bytes(self, problem: Problem) -> int:
        split = 1 if portfolio(problem).constraints.turnover_max is None else 2
        size = split * problem.size
        return 8 * 3 * size * size + 8 * lines.NUMBERS_MAX

    def solve(self, problem: Problem, task: Task) -> Outcome:
        asked = portfolio(problem)
        found = lines.corners(asked, task)
        work = len(found.x)
        if found.status == "infeasible":
            return infeasible(asked, task, work)
        if work == 0 and task.should_stop:
            return Outcome(Status.NO_SOLUTION, ended(task))
        frontier = lines.from_corners(asked, found) if work else None
        if frontier is None or not _sound(asked, frontier, task):
            # Ties and singular matrices can defeat the line; the points one by one are sturdier.
            return walk(asked, task)
        low = frontier.weights[0]
        warnings = []
        if frontier.corner_weights is None:
            warnings.append(f"{work} corner portfolios are too many to send")
        complete = found.status == "optimal"
        if not complete:
            warnings.append(f"cut short at an expected return of {found.mean[-1]:.6g}")
        return Outcome(
            Status.OPTIMAL if complete else Status.FEASIBLE,
            ended(task, work=work),
            (low,),
            (1,),
            asked.evaluate(low).objective,
            work,
            frontier=frontier,
            warnings=warnings,
        )


def _sound(problem: PortfolioProblem, frontier: Frontier, task: Task) -> bool:
    """Whether every portfolio holds the constraints, and risk rises with return as it must."""
    worst = max(problem.evaluate(weights).violation_max for weights in frontier.weights)
    rising = np.diff(frontier.volatilities) >= -1e-9 * frontier.volatilities.max()
    return bool(worst <= task.feasibility_tolerance and rising.all())
