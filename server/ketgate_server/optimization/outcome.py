"""What a solve answers: the solutions that hold, merged, and what the runs together have proven."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from ketgate_server.optimization.base import (
    Conflict,
    Outcome,
    Sense,
    Status,
    StopReason,
    sense_sign,
)
from ketgate_server.optimization.scoreboard import Goal, Scoreboard, Verified, merge

SAME, SAME_LEAST = 1e-9, 1e-12
"""Relative and absolute: how far the objectives of two best solutions may be apart by rounding."""


NO_CONFLICT = (
    "no constraints are named that cannot hold together: the search for them is limited in size and "
    "in time, and found none; a longer time_limit or a smaller problem may help"
)


@dataclass(frozen=True)
class RunReport:
    """How one solver's run went. Figures in the caller's sense."""

    solver: str
    version: str
    status: Status
    stop_reason: StopReason
    objective: float | None
    bound: float | None
    work: int
    work_unit: str
    seconds: float
    failure: str
    quantum: Any = None
    """A quantum.solving.Solved, of a quantum solver."""


@dataclass(frozen=True)
class TimeSplit:
    """Seconds; the parts need not add up, as solvers race."""

    queued_s: float = 0.0
    checking_s: float = 0.0
    preparing_s: float = 0.0
    solving_s: float = 0.0
    verifying_s: float = 0.0


@dataclass(frozen=True)
class SolveResult:
    """The answer. Figures in the caller's sense."""

    status: Status
    stop_reason: StopReason
    sense: Sense
    solutions: Sequence[Verified]
    bound: float | None
    solver: str
    runs: Sequence[RunReport]
    conflict: Sequence[Conflict] = ()
    frontier: Any = None
    warnings: Sequence[str] = ()
    seed: int = 0
    threads: int = 1
    times: TimeSplit = TimeSplit()

    @property
    def objective(self) -> float | None:
        return self.solutions[0].objective if self.solutions else None

    @property
    def gap(self) -> float | None:
        if self.objective is None or self.bound is None:
            return None
        return abs(self.objective - self.bound) / max(abs(self.objective), 1e-10)

    def with_run(self, *, seed: int, threads: int, times: TimeSplit) -> "SolveResult":
        return replace(self, seed=seed, threads=threads, times=times)


def conclude(
    board: Scoreboard,
    goal: Goal,
    reports: Sequence[RunReport],
    outcomes: Sequence[Outcome | None],
    *,
    pool_size: int,
    stopped_for: StopReason | None,
    time_is_up: Callable[[], bool],
    sense: Sense,
) -> SolveResult:
    """Put the runs together. time_is_up: then no more than the best of each run is checked."""
    found = _gather(board, reports, outcomes, pool_size, time_is_up)
    solutions = merge(found, pool_size)
    score = solutions[0].score if solutions else math.inf
    bounds = [_bound_of(board, index, outcome) for index, outcome in enumerate(outcomes)]
    claims, refuted = _claims(reports, outcomes, bounds, found)
    bound = max([b for k, b in enumerate(bounds) if k not in refuted], default=-math.inf)
    bound = min(bound, score)  # by a rounding error above what it bounds
    status, solver = _status(claims, goal, solutions, bound)
    if not goal.single and status is not Status.OPTIMAL:
        bound = -math.inf  # what is known of the first portfolio is not known of the frontier
    if status in (Status.INFEASIBLE, Status.UNBOUNDED):
        bound = -math.inf  # a bound on the way to such a proof bounds nothing
    warnings = [warning for outcome in outcomes if outcome for warning in outcome.warnings]
    warnings += [
        f"{reports[k].solver} claimed a bound that a solution refutes" for k in sorted(refuted)
    ]
    if not solutions and math.isfinite(board.violation_least):
        warnings.append(
            f"points were found, but they violate a constraint by {board.violation_least:g} or more; "
            "a larger feasibility_tolerance may admit them"
        )
    conflict: Sequence[Conflict] = ()
    if status is Status.INFEASIBLE:
        conflict = next(
            (o.conflict for o in outcomes if o and o.status is status and o.conflict), ()
        )
        if not conflict:
            warnings.append(NO_CONFLICT)
    frontiers = [
        outcome.frontier for outcome in outcomes if outcome and outcome.frontier is not None
    ]
    return SolveResult(
        status=status,
        stop_reason=_stop_reason(reports, outcomes, stopped_for, status),
        sense=sense,
        solutions=solutions,
        bound=sense_sign(sense) * bound if math.isfinite(bound) else None,
        solver=solver,
        runs=reports,
        conflict=conflict,
        frontier=frontiers[0] if frontiers else None,
        warnings=list(dict.fromkeys(warnings)),
    )


def _gather(
    board: Scoreboard,
    reports: Sequence[RunReport],
    outcomes: Sequence[Outcome | None],
    pool_size: int,
    time_is_up: Callable[[], bool],
) -> list[Verified]:
    """Solutions that hold, in the order of the solvers, so that the answer does not depend on who
    was first."""
    found = [board.best_by_run[-1]] if -1 in board.best_by_run else []
    for index, (report, outcome) in enumerate(zip(reports, outcomes, strict=True)):
        best = board.best_by_run.get(index)
        if outcome is None:
            found += [best] if best is not None else []
            continue
        counts = list(outcome.occurrences) or [1] * len(outcome.solutions)
        pairs = list(zip(outcome.solutions, counts, strict=True))
        enough = len(found) + pool_size
        if pairs and best is not None and _is_first(best, pairs[0][0]):
            # Its first solution was checked when the run ended.
            found.append(replace(best, occurrences=max(1, int(pairs[0][1]))))
            pairs = pairs[1:]
            best = None
        first = len(found)
        for values, count in pairs:
            if len(found) == enough or (found and time_is_up()):
                break
            verified = board.verify(values, report.solver, max(1, int(count)))
            if verified is not None:
                found.append(verified)
        if best is not None and all(best.score < other.score for other in found[first:]):
            found.append(best)  # told on the way, and better than what the run held at its end
    return found


def _is_first(best: Verified, values: Any) -> bool:
    return bool(best.values.dtype == values.dtype and best.key == values.tobytes())


def _claims(
    reports: Sequence[RunReport],
    outcomes: Sequence[Outcome | None],
    bounds: Sequence[float],
    found: Sequence[Verified],
) -> tuple[list[tuple[Status, str]], set[int]]:
    """What the runs say they have proven, without what the solutions at hand refute. Who claims to
    have the best must have it: a solution that fell through the check proves nothing."""
    claims: list[tuple[Status, str]] = []
    refuted: set[int] = set()
    first = min(found, key=lambda solution: solution.score, default=None)
    score, slack = (math.inf, 0.0) if first is None else (first.score, first.claim_slack)
    near = score + max(SAME * abs(score), SAME_LEAST)
    best = {solution.solver for solution in found if solution.score <= near}
    for index, (report, outcome) in enumerate(zip(reports, outcomes, strict=True)):
        status = Status.FEASIBLE if outcome is None else outcome.status
        infeasible = status is Status.INFEASIBLE
        if score < bounds[index] - slack or (infeasible and math.isfinite(score)):
            refuted.add(index)
        elif (
            infeasible
            or status is Status.UNBOUNDED
            or (status is Status.OPTIMAL and report.solver in best)
        ):
            claims.append((status, report.solver))
    return claims, refuted


def _bound_of(board: Scoreboard, index: int, outcome: Outcome | None) -> float:
    """The best bound of a run, minimised: of what it answered, and of what it reported."""
    reported = board.bounds_by_run.get(index, -math.inf)
    answered = -math.inf if outcome is None or outcome.bound is None else outcome.bound
    return reported if math.isnan(answered) else max(reported, answered)


def _status(
    claims: list[tuple[Status, str]],
    goal: Goal,
    solutions: Sequence[Verified],
    bound: float,
) -> tuple[Status, str]:
    """The status, and the solver that found the first solution or proved that there is none."""
    for status, solver in claims:
        if status is Status.UNBOUNDED or (status is Status.INFEASIBLE and not solutions):
            return status, solver
    if not solutions:
        return Status.NO_SOLUTION, ""
    optimal = any(status is Status.OPTIMAL for status, _ in claims)
    optimal = optimal or goal.closed(solutions[0], bound)
    return (Status.OPTIMAL if optimal else Status.FEASIBLE), solutions[0].solver


def _stop_reason(
    reports: Sequence[RunReport],
    outcomes: Sequence[Outcome | None],
    stopped_for: StopReason | None,
    status: Status,
) -> StopReason:
    if stopped_for is not None:
        return stopped_for
    if status in (Status.INFEASIBLE, Status.UNBOUNDED):
        return StopReason.COMPLETED
    reasons = [report.stop_reason for report in reports if not report.failure or report.work]
    for reason in (
        StopReason.CANCELLED,
        StopReason.TARGET,
        StopReason.GAP,
        StopReason.TIME_LIMIT,
        StopReason.DEADLINE,
        StopReason.WORK_LIMIT,
    ):
        if reason in reasons:
            proven = any(o is not None and o.status is Status.OPTIMAL for o in outcomes)
            return (
                StopReason.COMPLETED
                if proven and reason not in (StopReason.TARGET, StopReason.GAP)
                else reason
            )
    return StopReason.COMPLETED
