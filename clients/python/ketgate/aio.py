"""The asynchronous client, over grpc.aio: `ketgate.aio.connect()`.

The same methods as the synchronous one, each to be awaited. Cancelling the task ends the solve on
the server; to have the best so far instead, pass a progress function that returns False when it is
to end.

>>> async with ketgate.aio.connect() as client:
...     print(await client.optimize.portfolio(prices, k=10))
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc
import grpc.aio

from ketgate import _portfolio, _programs, _wire
from ketgate._calls import Caller, SolverPages, Solves
from ketgate._connect import Endpoint, resolve
from ketgate._errors import KetgateError
from ketgate._events import Gathering, Outcome, ProgressEvent, Watcher, job_of_spec
from ketgate._options import Job, Progress
from ketgate._result import Result
from ketgate._retry import Retry
from ketgate._server import (
    Estimate,
    ServerInfo,
    SolverDescription,
    server_info,
)
from ketgate._server import estimate as read_estimate
from ketgate._signature import describe_as, job_result
from ketgate._spec import Spec, as_spec
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.server.v1 import server_service_pb2

__all__ = ["Client", "Optimize", "connect"]

P = ParamSpec("P")
R = TypeVar("R")


def connect(
    address: str | None = None,
    *,
    ca_file: str | os.PathLike[str] | None = None,
    token: str | None = None,
    token_file: str | os.PathLike[str] | None = None,
    ready_file: str | os.PathLike[str] | None = None,
    insecure: bool | None = None,
    timeout_s: float = 10.0,
    retry: Retry | None = None,
) -> "Client":
    """As `ketgate.connect`, for use in a running event loop."""
    endpoint = resolve(
        address,
        ca_file=ca_file,
        token=token,
        token_file=token_file,
        ready_file=ready_file,
        insecure=insecure,
    )
    return Client(endpoint, timeout_s=timeout_s, retry=retry)


class Client(Caller):
    """A connection to a server, for one event loop. Made by `connect`."""

    def __init__(
        self, endpoint: Endpoint, *, timeout_s: float = 10.0, retry: Retry | None = None
    ) -> None:
        secure = _wire.credentials(endpoint)
        channel = (
            grpc.aio.insecure_channel(endpoint.address, _wire.CHANNEL_OPTIONS)
            if secure is None
            else grpc.aio.secure_channel(endpoint.address, secure, _wire.CHANNEL_OPTIONS)
        )
        super().__init__(endpoint, channel, timeout_s, retry)
        self.optimize = Optimize(self)

    async def info(self) -> ServerInfo:
        """Version, limits and parts of the server."""
        request = server_service_pb2.GetServerInfoRequest()
        return server_info(await self._call(_wire.GET_SERVER_INFO, request))

    async def solvers(self, problem: str | None = None) -> list[SolverDescription]:
        """The solvers; problem: only those that take this kind, for example
        "portfolio_discrete".
        """
        pages = SolverPages(problem)
        while not pages.add(await self._call(_wire.LIST_SOLVERS, pages.request)):
            pass
        return pages.found

    async def close(self) -> None:
        """End the connection; calls in progress are cancelled."""
        await self.channel.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<ketgate.aio.Client of {self.address}>"

    async def _call(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        call = method.callable(self.channel)

        async def attempt() -> Any:
            request_id, metadata = _wire.call_metadata(self._endpoint)
            try:
                return await call(request, timeout=timeout_s or self._timeout_s, metadata=metadata)
            except grpc.RpcError as error:
                raise self._failed(error, request_id) from None

        return await self._repeat(attempt)

    async def _repeat(self, attempt: Callable[[], Awaitable[R]]) -> R:
        """Run attempt, again where that may help and nothing has come of it yet."""
        attempts = self._attempts()
        while True:
            try:
                return await attempt()
            except KetgateError as error:
                delay_s = attempts.after(error)
            await asyncio.sleep(delay_s)


def _solving(build: Callable[P, Job[R]]) -> "Callable[Concatenate[Optimize, P], Awaitable[R]]":
    async def method(self: "Optimize", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return await self.run(build(*args, **kwargs))

    return describe_as(method, build, bound=True, returns=job_result(build))


class Optimize:
    """Optimisation on a server: `client.optimize`, as the synchronous one."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._solves = Solves(client)

    portfolio = _solving(_portfolio.portfolio)
    frontier = _solving(_portfolio.frontier)
    qubo = _solving(_programs.qubo)
    ising = _solving(_programs.ising)
    binary = _solving(_programs.binary)
    linear = _solving(_programs.linear)

    async def solve(self, spec: Spec, *, progress: Progress = False) -> Result:
        """Solve a SolveSpec: the message, its JSON as a mapping, or a file of it; see
        `ketgate.specs`.
        """
        result: Result = await self.run(job_of_spec(as_spec(spec), progress))
        return result

    async def solve_once(self, spec: Spec) -> Result:
        """As `solve`, by one message there and one back: quicker for the smallest."""
        job = job_of_spec(as_spec(spec))
        request = service_pb2.SolveRequest(spec=job.spec)
        answer = await self._client._call(
            _wire.SOLVE, request, job.time_limit_s + _wire.SOLVE_GRACE_S
        )
        found: Result = job.decode(Outcome(answer.result, job.spec, [], []))
        return found

    async def estimate(self, spec: Spec) -> Estimate:
        """Check a request and estimate its time and memory, without solving it."""
        request = service_pb2.SolveRequest(spec=as_spec(spec), validate_only=True)
        answer = await self._client._call(_wire.SOLVE, request, _wire.ESTIMATE_TIMEOUT_S)
        return read_estimate(answer.estimate)

    async def stream(self, spec: Spec) -> AsyncIterator[ProgressEvent | Result]:
        """Solve; yield each ProgressEvent as it comes and the Result at the end. Leaving the loop
        ends the solve.
        """
        job = job_of_spec(as_spec(spec))
        gathering = Gathering(job.spec)
        request_id, call = self._solves.open(job.spec)
        try:
            async for event in call:
                progress = gathering.add(event)
                if progress is not None:
                    yield progress
            yield job.decode(gathering.outcome())
        except grpc.RpcError as error:
            yield job.decode(self._solves.after(error, gathering, request_id))
        finally:
            call.cancel()

    async def run(self, job: Job[R]) -> R:
        """Solve a job. (The other methods make one and call this.)"""
        watcher = Watcher(job.progress, job.time_limit_s)
        try:
            return job.decode(await self._client._repeat(lambda: self._attempt(job, watcher)))
        finally:
            watcher.close()

    async def _attempt(self, job: Job[Any], watcher: Watcher) -> Outcome:
        gathering = Gathering(job.spec)
        request_id, call = self._solves.open(job.spec)
        try:
            async for event in call:
                if watcher.wants_stop(gathering.add(event)):
                    stopped = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED)
                    if stopped is not None:
                        return stopped
            return gathering.outcome()
        except grpc.RpcError as error:
            return self._solves.after(error, gathering, request_id)
        finally:
            call.cancel()
