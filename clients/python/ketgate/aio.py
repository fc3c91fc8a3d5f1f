"""The asynchronous client, over grpc.aio: `ketgate.aio.connect()`.

The same methods as the synchronous one, each to be awaited. Cancelling the task ends the solve on
the server; to have the best so far instead, pass a progress function that returns False when it is
to end.

>>> async with ketgate.aio.connect() as client:
...     print(await client.optimize.portfolio(prices, k=10))
"""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from types import TracebackType
from typing import (
    TYPE_CHECKING,
    Any,
    Literal,
    ParamSpec,
    Self,
    TypeVar,
    Unpack,
    cast,
    overload,
)

import grpc
import grpc.aio

from ketgate import _portfolio, _programs, _wire
from ketgate._artifacts_aio import Artifacts
from ketgate._audit_aio import Audit
from ketgate._calls import Caller, SolverPages, Solves
from ketgate._connect import Endpoint, resolve
from ketgate._errors import KetgateError
from ketgate._events import Gathering, Outcome, ProgressEvent, Watcher, prepared
from ketgate._job_requests import JobOptions, split_options
from ketgate._jobs_aio import DurableJob, Jobs, Solving
from ketgate._options import Prepared, Progress, check_names
from ketgate._quantum_aio import Algorithms, Learning, Quantum
from ketgate._result import Result
from ketgate._retry import Retry
from ketgate._server import (
    Estimate,
    ServerInfo,
    SolverDescription,
    server_info,
)
from ketgate._server import estimate as read_estimate
from ketgate._signature import describe_solving
from ketgate._signing_aio import Signing
from ketgate._spec import Spec, as_spec
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.server.v1 import server_service_pb2

if TYPE_CHECKING:
    from ketgate._document import SignedDocument
    from ketgate._key_types import Key, KeyVersion

__all__ = [
    "Algorithms",
    "Artifacts",
    "Audit",
    "Client",
    "DurableJob",
    "Jobs",
    "Learning",
    "Optimize",
    "Quantum",
    "Signing",
    "connect",
]

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
        self.jobs = Jobs(self)
        self.artifacts = Artifacts(self)
        self.audit = Audit(self)
        self.quantum = Quantum(self)
        self.algorithms = Algorithms(self)
        self.learning = Learning(self)
        self.signing = Signing(self)

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

    async def sign(
        self,
        content: Any,
        *,
        key: "str | Key | KeyVersion | None" = None,
        title: str | None = None,
    ) -> "SignedDocument":
        """As the synchronous client's."""
        from ketgate._document_signing import DocumentSigning

        document = DocumentSigning(content, key, title)
        exported = await self.signing._do(document.export)
        return await self.signing._do(document.sign(exported))

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
        return await self._repeat(lambda: self._once(method, request, timeout_s), method)

    async def _once(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        """One attempt."""
        call = method.callable(self.channel)
        request_id, metadata = _wire.call_metadata(self._endpoint)
        try:
            answer = await call(request, timeout=timeout_s or self._timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._failed(error, request_id) from None
        self._met = True
        return answer

    async def _call_with_stream(
        self,
        method: _wire.Method[Any, Any],
        requests: Callable[[], Iterator[Any]],
        *,
        repeatable: bool,
    ) -> Any:
        """Call a method that is asked in pieces."""

        async def once() -> Any:
            call = method.callable(self.channel, requests=True)
            request_id, metadata = _wire.call_metadata(self._endpoint)
            try:
                return await call(requests(), timeout=_wire.STREAM_TIMEOUT_S, metadata=metadata)
            except grpc.RpcError as error:
                raise self._failed(error, request_id) from None

        return await (self._repeat(once, method) if repeatable else once())

    async def _repeat(
        self, attempt: Callable[[], Awaitable[R]], method: _wire.Method[Any, Any] | None = None
    ) -> R:
        """Run attempt, again where that may help and nothing has come of it yet."""
        attempts = self._attempts(method)
        while True:
            try:
                return await attempt()
            except KetgateError as error:
                delay_s = attempts.after(error)
            await asyncio.sleep(delay_s)


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

    def __init__(self, client: Client) -> None:
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
    async def solve(
        self, spec: Spec, *, progress: Progress = False, durable: bool = False, **options: Any
    ) -> Any:
        """Solve a SolveSpec: the message, its JSON as a mapping, or a file of it; see
        `ketgate.specs`. With durable=True, as a job; options: see JobOptions.
        """
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

    async def stream(self, spec: Spec) -> AsyncIterator[ProgressEvent | Result]:
        """Solve; yield each ProgressEvent as it comes and the Result at the end. Leaving the loop
        ends the solve.
        """
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
