"""The kind of job "solve": the spec that Solve takes, without a caller that waits.

Same checks, same search, same bytes as Solve; its limit begins when it has its slot.
"""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace

from ketgate.jobs.v1 import job_pb2
from ketgate.optimization.v1 import optimization_service_pb2, result_pb2

from ketgate_server.artifacts.convert_tensors import referenced
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import RunContext
from ketgate_server.jobs.faults import Stopped
from ketgate_server.limits import Limit
from ketgate_server.optimization import convert, convert_result
from ketgate_server.optimization.base import StopReason, sense_sign
from ketgate_server.optimization.engine import THREADS_MAX, Caller, Engine
from ketgate_server.optimization.race import Progress, Race
from ketgate_server.optimization.scoreboard import Improvement
from ketgate_server.type.tensors import spell_out

SIGN_OF_LIFE_S = 5.0
"""How often progress is told although nothing but the work done has changed. Every report is an
event that is kept for days."""

SolveSpec = optimization_service_pb2.SolveSpec
SolveResult = result_pb2.SolveResult


class SolveKind:
    """Implements jobs.base.JobKind. engine: whose slots it shares."""

    name = "solve"
    role = "optimization.user"
    entry = "ketgate_server.optimization.job:run"
    isolated = False

    def __init__(self, engine: Engine, limits: Mapping[str, Limit]) -> None:
        self._engine = engine
        self._limits = limits

    def check(self, spec: SolveSpec) -> None:
        problem, options = convert.read_spec(spec, self._limits, self._engine.threads)
        self._engine.estimate(problem, options)

    def digest(self, spec: SolveSpec) -> bytes:
        return bytes.fromhex(convert.digest(spec))

    def artifacts(self, spec: SolveSpec) -> Sequence[str]:
        return referenced(spec, "spec")

    def run(self, spec: SolveSpec, context: RunContext) -> SolveResult:
        return solve(self._engine, spec, context)


_engines: dict[int, Engine] = {}


def run(spec: SolveSpec, context: RunContext) -> SolveResult:
    """As SolveKind.run, in a worker process, which has an engine of its own."""
    engine = _engines.get(context.threads)
    if engine is None:
        engine = _engines.setdefault(context.threads, Engine(context.limits, context.threads))
    return solve(engine, spec, context)


def solve(engine: Engine, spec: SolveSpec, context: RunContext) -> SolveResult:
    """Solve, and tell of every improvement. Raises Stopped with the best so far."""
    started_s = time.monotonic()
    # Where it runs there may be fewer processors than where it was accepted.
    threads_max = max(engine.threads, min(spec.threads, THREADS_MAX))
    try:
        problem, options = convert.read_spec(
            spec, context.limits, threads_max, deadline_s=started_s + context.remaining_s()
        )
        checking_s = time.monotonic() - started_s
        race, queued_s = engine.race(problem, options, _caller(context))
    except KetgateError as error:
        late = context.remaining_s() <= 0.0
        if error.reason in _OVER_BEFORE and (context.stopped or late):
            raise Stopped(late=late) from None
        raise
    try:
        _follow(race, sense_sign(problem.sense), context)
        result = engine.finish(race, problem, queued_s)
    except BaseException:
        race.abandon()
        raise
    times = replace(result.times, checking_s=checking_s)
    written = convert_result.write_result(
        replace(result, times=times), problem, convert.digest(spec), started_s
    )
    if spec.list_arrays:
        spell_out(written)
    if context.stopped and result.stop_reason is StopReason.CANCELLED:
        raise Stopped(written)
    if result.stop_reason is StopReason.DEADLINE:  # the job's, which came before its time limit
        raise Stopped(written, late=True)
    return written


_OVER_BEFORE = {Reason.CANCELLED, Reason.DEADLINE_EXCEEDED, Reason.SERVER_BUSY}
"""What waiting for a slot ends with, when the job is to end before it began."""


def _caller(context: RunContext) -> Caller:
    return Caller(
        arrival_s=time.monotonic(),
        remaining_s=context.remaining_s(),
        is_cancelled=lambda: context.stopped,
        on_cancel=context.on_stop,
        patient=True,
    )


def _follow(race: Race, sign: float, context: RunContext) -> None:
    """Tell of the race until it is over."""
    told: tuple[float | None, float] = (None, -math.inf)
    told_s = time.monotonic()
    for event in race.events():
        now_s = time.monotonic()
        progress = _progress(race, event, sign)
        new = (event.solution.score if isinstance(event, Improvement) else told[0], event.bound)
        if new != told or now_s >= told_s + SIGN_OF_LIFE_S:
            told, told_s = new, now_s
            context.progress(progress)


def _progress(race: Race, event: Improvement | Progress, sign: float) -> job_pb2.JobProgress:
    if isinstance(event, Improvement):
        objective: float | None = event.solution.objective
        solver = event.solution.solver
    else:
        best = race.board.best
        objective, solver = event.objective, "" if best is None else best.solver
    bound = sign * event.bound + 0.0 if math.isfinite(event.bound) else None
    return job_pb2.JobProgress(objective=objective, bound=bound, solver=solver, work=event.work)
