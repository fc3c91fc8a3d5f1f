"""OptimizationService: messages in, messages out. The work is done by the engine."""

import math
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TypeVar

from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2, solver_pb2

from ketgate_server.arrays import current
from ketgate_server.artifacts.convert_tensors import refer
from ketgate_server.domain import Domain
from ketgate_server.errors import FieldError
from ketgate_server.limits import Limit
from ketgate_server.optimization import convert, convert_result, registry
from ketgate_server.optimization.base import Problem, SolveOptions, sense_sign
from ketgate_server.optimization.engine import Caller, Engine
from ketgate_server.optimization.job import SolveKind
from ketgate_server.optimization.outcome import SolveResult
from ketgate_server.optimization.race import Progress
from ketgate_server.optimization.scoreboard import Improvement, Verified
from ketgate_server.rpc.call import Call, Method, Service
from ketgate_server.settings import Settings
from ketgate_server.type.tensors import spell_out

NAME = "ketgate.optimization.v1.OptimizationService"
ROLE = "optimization.user"
PAGE_SIZE_MAX = 100
R = TypeVar("R", pb.SolveResponse, pb.SolveStreamResponse)


def create_domain(settings: Settings) -> Domain:
    """The service, and the kinds of jobs, whose solves share its slots."""
    limits = settings.limit_table
    engine = Engine(limits, settings.processors)
    servicer = OptimizationServicer(limits, engine)
    methods = {
        "Solve": Method(pb.SolveRequest, ROLE, unary=servicer.solve),
        "SolveStream": Method(pb.SolveStreamRequest, ROLE, stream=servicer.solve_stream),
        "ListSolvers": Method(pb.ListSolversRequest, ROLE, unary=servicer.list_solvers),
    }
    return Domain([Service(NAME, methods, registry.solvers)], [SolveKind(engine, limits)])


class OptimizationServicer:
    """Parse, call the domain, build the answer."""

    def __init__(self, limits: Mapping[str, Limit], engine: Engine) -> None:
        self._limits = limits
        self._engine = engine

    def solve(self, call: Call, request: pb.SolveRequest) -> pb.SolveResponse:
        problem, options, digest, checking_s = self._read(call, request)
        if request.validate_only:
            estimate = self._engine.estimate(problem, options)
            return pb.SolveResponse(estimate=convert_result.write_estimate(estimate))
        result = self._engine.solve(problem, options, _caller(call))
        result = replace(result, times=replace(result.times, checking_s=checking_s))
        written = convert_result.write_result(result, problem, digest, call.arrival_s)
        self._refer(request, written)
        return _spelled(request, pb.SolveResponse(result=written))

    def solve_stream(
        self, call: Call, request: pb.SolveStreamRequest
    ) -> Iterator[pb.SolveStreamResponse]:
        problem, options, digest, checking_s = self._read(call, request)
        sign = sense_sign(problem.sense)
        race, queued_s = self._engine.race(problem, options, _caller(call))
        sent: Verified | None = None
        try:
            for event in race.events():
                if isinstance(event, Progress):
                    yield pb.SolveStreamResponse(
                        progress=convert_result.write_progress(event, sign)
                    )
                else:
                    sent = event.solution
                    found = convert_result.write_incumbent(event, problem, sign)
                    yield _spelled(request, pb.SolveStreamResponse(incumbent=found))
        except BaseException:  # GeneratorExit: the caller went away
            race.abandon()
            raise
        result = self._engine.finish(race, problem, queued_s)
        result = replace(result, times=replace(result.times, checking_s=checking_s))
        last = _unsent(result, sent, time.monotonic() - call.arrival_s, sign)
        if last is not None:
            found = convert_result.write_incumbent(last, problem, sign)
            yield _spelled(request, pb.SolveStreamResponse(incumbent=found))
        written = convert_result.write_result(result, problem, digest, call.arrival_s)
        self._refer(request, written)
        yield _spelled(request, pb.SolveStreamResponse(result=written))

    def list_solvers(
        self,
        call: Call,  # noqa: ARG002
        request: pb.ListSolversRequest,
    ) -> pb.ListSolversResponse:
        known = {solver_pb2.ProblemKind.Value(name): k for k, name in convert_result.KINDS.items()}
        if request.problem and request.problem not in known:
            raise FieldError("problem", expected="a kind of problem", given=request.problem)
        wanted = known.get(request.problem)
        listed = [s for s in registry.solvers().values() if wanted is None or wanted in s.problems]
        start, size = _read_page(request, [solver.name for solver in listed])
        page = listed[start : start + size]
        token = page[-1].name if start + size < len(listed) else ""
        return pb.ListSolversResponse(
            solvers=convert_result.write_solvers(page), next_page_token=token
        )

    def _refer(
        self, request: pb.SolveRequest | pb.SolveStreamRequest, written: result_pb2.SolveResult
    ) -> None:
        """Keep the large arrays of a result as artifacts, where the request asks for that."""
        if request.spec.reference_arrays:
            refer(written, self._limits["artifacts.inline_bytes_max"].value, current().keep)

    def _read(
        self, call: Call, request: pb.SolveRequest | pb.SolveStreamRequest
    ) -> tuple[Problem, SolveOptions, str, float]:
        """The problem, its options, the digest of the spec, and how long reading them took."""
        started = time.monotonic()
        problem, options = convert.read_request(
            request,
            self._limits,
            self._engine.threads,
            arrival_s=call.arrival_s,
            deadline_s=started + call.remaining_s(),
        )
        digest = convert.digest(request.spec)
        return problem, options, digest, time.monotonic() - started


def _unsent(
    result: SolveResult, sent: Verified | None, elapsed_s: float, sign: float
) -> Improvement | None:
    """The result's solution, if it is better than any incumbent sent: a solver at its end may hand
    over one that was never an incumbent."""
    if not result.solutions or (sent is not None and result.solutions[0].score >= sent.score):
        return None
    bound = -math.inf if result.bound is None else sign * result.bound
    work = max((run.work for run in result.runs), default=0)
    return Improvement(elapsed_s, result.solutions[0], bound, work)


def _spelled(request: pb.SolveRequest | pb.SolveStreamRequest, response: R) -> R:
    """The response, its arrays as lists where the request asks for that."""
    if request.spec.list_arrays:
        spell_out(response)
    return response


def _caller(call: Call) -> Caller:
    return Caller(call.arrival_s, call.remaining_s(), lambda: call.cancelled, call.on_cancel)


def _read_page(request: pb.ListSolversRequest, names: list[str]) -> tuple[int, int]:
    """(start, size) of a page; a token is the name of the last solver of the page before."""
    if request.page_size < 0:
        raise FieldError("page_size", expected="0 or more", given=request.page_size)
    start = 0
    if request.page_token:
        if request.page_token not in names:
            raise FieldError(
                "page_token", expected="a token from the response before", given=request.page_token
            )
        start = names.index(request.page_token) + 1
    return start, min(request.page_size or PAGE_SIZE_MAX, PAGE_SIZE_MAX)
