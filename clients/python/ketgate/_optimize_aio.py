"""Optimisation on a server, asynchronously: `client.optimize` of ketgate.aio."""

from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    TypeVar,
    Unpack,
    cast,
    overload,
)

import grpc

from ketgate import _optimize, _portfolio, _programs, _wire
from ketgate._calls import Solves
from ketgate._events import Gathering, Outcome, ProgressEvent, Watcher, prepared
from ketgate._job_requests import JobOptions, split_options
from ketgate._jobs_aio import DurableJob, Solving
from ketgate._options import Prepared, Progress, check_names
from ketgate._result import Result
from ketgate._server import Estimate
from ketgate._server import estimate as read_estimate
from ketgate._signature import describe_solving, described_as
from ketgate._spec import Spec, as_spec
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2

if TYPE_CHECKING:
    from ketgate.aio import Client

P = ParamSpec("P")
R = TypeVar("R")


def _solving(build: Callable[P, Prepared[R]]) -> Solving[P, R]:
    async def method(self: "Optimize", /, *args: Any, durable: bool = False, **kwargs: Any) -> Any:
        options = split_options(kwargs, durable)
        solve = build(*args, **kwargs)
        if durable:
            return await self._client.jobs._create(solve, options)
        return await self.run(solve)

    return cast(Solving[P, R], describe_solving(method, build))


class Optimize:
    """Optimisation on a server: `client.optimize`, as the synchronous one."""

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._solves = Solves(client)

    portfolio = _solving(_portfolio.portfolio)
    frontier = _solving(_portfolio.frontier)
    qubo = _solving(_programs.qubo)
    ising = _solving(_programs.ising)
    binary = _solving(_programs.binary)
    linear = _solving(_programs.linear)

    @overload
    async def solve(self, spec: Spec, *, progress: Progress = False) -> Result: ...
    @overload
    async def solve(
        self,
        spec: Spec,
        *,
        progress: Progress = False,
        durable: Literal[True],
        **options: Unpack[JobOptions],
    ) -> DurableJob[Result]: ...
    @described_as(_optimize.Optimize.solve)
    async def solve(
        self, spec: Spec, *, progress: Progress = False, durable: bool = False, **options: Any
    ) -> Any:
        of_job = split_options(options, durable)
        check_names(options, JobOptions)
        solve = prepared(as_spec(spec), progress)
        return await (self._client.jobs._create(solve, of_job) if durable else self.run(solve))

    async def solve_once(self, spec: Spec) -> Result:
        """As `solve`, by one message there and one back: quicker for the smallest."""
        solve = await self._referring(prepared(as_spec(spec)))
        request = service_pb2.SolveRequest(spec=solve.spec)
        answer = await self._client._call(
            _wire.SOLVE, request, solve.time_limit_s + _wire.SOLVE_GRACE_S
        )
        await self._client.artifacts._fetch(answer.result)
        found: Result = solve.decode(Outcome(answer.result, solve.spec, [], []))
        return found

    async def estimate(self, spec: Spec) -> Estimate:
        """Check a request and estimate its time and memory, without solving it."""
        sent = await self._client.artifacts._refer(as_spec(spec))
        request = service_pb2.SolveRequest(spec=sent, validate_only=True)
        answer = await self._client._call(_wire.SOLVE, request, _wire.ESTIMATE_TIMEOUT_S)
        return read_estimate(answer.estimate)

    @described_as(_optimize.Optimize.stream)
    async def stream(self, spec: Spec) -> AsyncIterator[ProgressEvent | Result]:
        solve = await self._referring(prepared(as_spec(spec)))
        gathering = Gathering(solve.spec)
        request_id, call = self._solves.open(solve.spec)
        try:
            async for event in call:
                progress = gathering.add(event)
                if progress is not None:
                    yield progress
            yield solve.decode(gathering.outcome())
        except grpc.RpcError as error:
            yield solve.decode(self._solves.after(error, gathering, request_id))
        finally:
            call.cancel()

    async def _referring(self, solve: Prepared[R]) -> Prepared[R]:
        """With its large arrays uploaded."""
        return replace(solve, spec=await self._client.artifacts._refer(solve.spec))

    async def run(self, solve: Prepared[R]) -> R:
        """Solve what was prepared. (The other methods prepare, and call this.)"""
        solve = await self._referring(solve)
        watcher = Watcher(solve.progress, solve.time_limit_s)
        try:
            return solve.decode(await self._client._repeat(lambda: self._attempt(solve, watcher)))
        finally:
            watcher.close()

    async def _attempt(self, solve: Prepared[Any], watcher: Watcher) -> Outcome:
        gathering = Gathering(solve.spec)
        request_id, call = self._solves.open(solve.spec)
        try:
            async for event in call:
                if watcher.wants_stop(gathering.add(event)):
                    stopped = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED)
                    if stopped is not None:
                        return stopped
            outcome = gathering.outcome()
            await self._client.artifacts._fetch(outcome.message)
            return outcome
        except grpc.RpcError as error:
            return self._solves.after(error, gathering, request_id)
        finally:
            call.cancel()
