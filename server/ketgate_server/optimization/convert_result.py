"""Results, events and the list of solvers to messages."""

import math
import time
from collections.abc import Sequence

from google.protobuf import duration_pb2
from ketgate.optimization.v1 import optimization_service_pb2, result_pb2, solver_pb2

from ketgate_server.optimization import registry
from ketgate_server.optimization.base import (
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    Sense,
    Solver,
    Status,
    StopReason,
)
from ketgate_server.optimization.engine import Estimate
from ketgate_server.optimization.outcome import RunReport, SolveResult, TimeSplit
from ketgate_server.optimization.race import Progress
from ketgate_server.optimization.scoreboard import Improvement, Verified
from ketgate_server.type.tensors import write_tensor

NANOSECONDS = 1_000_000_000
STATUSES = {status: f"SOLVE_STATUS_{status.name}" for status in Status}
STOP_REASONS = {reason: f"STOP_REASON_{reason.name}" for reason in StopReason}
SENSES = {sense: f"OBJECTIVE_SENSE_{sense.name}" for sense in Sense}
KINDS = {kind: f"PROBLEM_KIND_{kind.name}" for kind in ProblemKind}
PROOFS = {proof: f"PROOF_{proof.name}" for proof in Proof}


def write_result(
    result: SolveResult, problem: Problem, spec_digest: str, arrival_s: float
) -> result_pb2.SolveResult:
    frontier = None
    if result.frontier is not None:
        from ketgate_server.optimization.portfolio.convert import frontier_to_proto

        frontier = frontier_to_proto(result.frontier)
    return result_pb2.SolveResult(
        status=STATUSES[result.status],
        stop_reason=STOP_REASONS[result.stop_reason],
        sense=SENSES[result.sense],
        objective=result.objective,
        bound=result.bound,
        gap=result.gap,
        solutions=[_write_solution(solution, problem) for solution in result.solutions],
        solver=result.solver,
        runs=[_write_run(run) for run in result.runs],
        seed=result.seed,
        threads=result.threads,
        time=_write_times(result.times, time.monotonic() - arrival_s),
        conflict=[
            result_pb2.Conflict(field=c.field, name=c.name, description=c.description)
            for c in result.conflict
        ],
        frontier=frontier,
        warnings=result.warnings,
        spec_digest=spec_digest,
    )


def write_incumbent(
    found: Improvement, problem: Problem, sign: float
) -> optimization_service_pb2.Incumbent:
    """sign: times this, a minimised figure is the caller's."""
    return optimization_service_pb2.Incumbent(
        elapsed=duration(found.elapsed_s),
        solution=_write_solution(found.solution, problem),
        bound=_finite(sign * found.bound),
        solver=found.solution.solver,
        work=found.work,
    )


def write_progress(progress: Progress, sign: float) -> optimization_service_pb2.Progress:
    return optimization_service_pb2.Progress(
        elapsed=duration(progress.elapsed_s),
        bound=_finite(sign * progress.bound),
        objective=progress.objective,
        work=progress.work,
    )


def write_estimate(estimate: Estimate) -> optimization_service_pb2.SolveEstimate:
    return optimization_service_pb2.SolveEstimate(
        solvers=estimate.solvers,
        memory_bytes=estimate.memory_bytes,
        time_max=duration(estimate.time_max_s),
        num_variables=estimate.num_variables,
        num_constraints=estimate.num_constraints,
        warnings=estimate.warnings,
    )


def write_solvers(listed: Sequence[Solver]) -> list[solver_pb2.Solver]:
    return [_write_solver(solver) for solver in listed]


def duration(seconds: float) -> duration_pb2.Duration:
    whole, nanos = divmod(round(max(0.0, seconds) * NANOSECONDS), NANOSECONDS)
    return duration_pb2.Duration(seconds=whole, nanos=nanos)


def _write_solution(solution: Verified, problem: Problem) -> result_pb2.Solution:
    figures = None
    if problem.kind in (ProblemKind.PORTFOLIO_CONTINUOUS, ProblemKind.PORTFOLIO_DISCRETE):
        from ketgate_server.optimization.portfolio.convert import figures_to_proto

        figures = figures_to_proto(problem.figures(solution.values))  # type: ignore[attr-defined]
    return result_pb2.Solution(
        values=write_tensor(solution.values),
        objective=solution.objective,
        occurrences=solution.occurrences,
        violation_max=solution.violation_max,
        solver=solution.solver,
        portfolio=figures,
    )


def _write_run(run: RunReport) -> result_pb2.SolverRun:
    quantum = None
    if run.quantum is not None:
        from ketgate_server.optimization.convert_quantum import write_quantum

        quantum = write_quantum(run.quantum)
    return result_pb2.SolverRun(
        solver=run.solver,
        version=run.version,
        status=STATUSES[run.status],
        stop_reason=STOP_REASONS[run.stop_reason],
        objective=run.objective,
        bound=run.bound,
        work=run.work,
        work_unit=run.work_unit,
        time=duration(run.seconds),
        failure=run.failure,
        quantum=quantum,
    )


def _write_times(times: TimeSplit, total_s: float) -> result_pb2.TimeSplit:
    return result_pb2.TimeSplit(
        queued=duration(times.queued_s),
        checking=duration(times.checking_s),
        preparing=duration(times.preparing_s),
        solving=duration(times.solving_s),
        verifying=duration(times.verifying_s),
        total=duration(total_s),
    )


def _write_solver(solver: Solver) -> solver_pb2.Solver:
    version = registry.version(solver)
    return solver_pb2.Solver(
        name=solver.name,
        description=solver.description,
        problems=sorted(KINDS[kind] for kind in solver.problems),
        proofs=sorted(PROOFS[proof] for proof in solver.proofs),
        parameters=[_write_parameter(spec) for spec in solver.parameters],
        part=solver.part,
        available=bool(version),
        version=version,
        deterministic=solver.deterministic,
        work_unit=solver.work_unit,
        warm_start=solver.warm_start,
    )


def _write_parameter(spec: ParameterSpec) -> solver_pb2.Parameter:
    kinds = {int: "integer", float: "number", bool: "flag", str: "text"}
    value = solver_pb2.ParameterValue(**{kinds[type(spec.default)]: spec.default})  # type: ignore[arg-type]
    return solver_pb2.Parameter(
        name=spec.name,
        description=spec.description,
        default_value=value,
        minimum=spec.minimum,
        maximum=spec.maximum,
        choices=spec.choices,
    )


def _finite(value: float) -> float | None:
    return value + 0.0 if math.isfinite(value) else None
