"""The synchronous client."""

import os
import time
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Any, Concatenate, ParamSpec, Self, TypeVar

import grpc

from ketgate import _portfolio, _programs, _wire
from ketgate._connect import Endpoint, resolve
from ketgate._errors import KetgateError, from_rpc
from ketgate._events import Gathering, Outcome, ProgressEvent, Watcher, job_of_spec
from ketgate._options import Job, Progress, spec_time_limit_s
from ketgate._result import Result
from ketgate._retry import Retry
from ketgate._server import (
    Estimate,
    ServerInfo,
    SolverDescription,
    problem_kind,
    server_info,
    solver_descriptions,
)
from ketgate._server import estimate as read_estimate
from ketgate._signature import describe_as, job_result
from ketgate._spec import Spec, as_spec
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.server.v1 import server_service_pb2

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
    """A client of the server at address (host:port), or of the local one.

    What is not given is taken from the environment (KETGATE_ADDRESS, KETGATE_CA_FILE,
    KETGATE_TOKEN, KETGATE_TOKEN_FILE, KETGATE_READY_FILE, KETGATE_DATA_DIR, KETGATE_INSECURE), then
    from ~/.config/ketgate/config.toml (or KETGATE_CONFIG), then from the ready file of the local
    server. insecure: plaintext, on loopback only. timeout_s: deadline of small calls; a solve has
    its time limit and a grace. Nothing is sent before the first call.

    >>> with ketgate.connect() as client:
    ...     print(client.optimize.portfolio(prices, k=10))
    """
    endpoint = resolve(
        address,
        ca_file=ca_file,
        token=token,
        token_file=token_file,
        ready_file=ready_file,
        insecure=insecure,
    )
    return Client(endpoint, timeout_s=timeout_s, retry=retry)


class Client:
    """A connection to a server. Threads may share it. Made by `connect`."""

    def __init__(
        self, endpoint: Endpoint, *, timeout_s: float = 10.0, retry: Retry | None = None
    ) -> None:
        self.address = endpoint.address
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        secure = _wire.credentials(endpoint)
        self.channel: Any = (
            grpc.insecure_channel(endpoint.address, _wire.CHANNEL_OPTIONS)
            if secure is None
            else grpc.secure_channel(endpoint.address, secure, _wire.CHANNEL_OPTIONS)
        )
        """The gRPC channel, for generated stubs; calls over it need the metadata of
        `metadata()`.
        """
        self.optimize = Optimize(self)

    def info(self) -> ServerInfo:
        """Version, limits and parts of the server."""
        return server_info(
            self._call(_wire.GET_SERVER_INFO, server_service_pb2.GetServerInfoRequest())
        )

    def solvers(self, problem: str | None = None) -> list[SolverDescription]:
        """The solvers; problem: only those that take this kind, for example
        "portfolio_discrete".
        """
        request = service_pb2.ListSolversRequest(problem=problem_kind(problem))
        found: list[SolverDescription] = []
        while True:
            page = self._call(_wire.LIST_SOLVERS, request)
            found += solver_descriptions(page.solvers)
            if not page.next_page_token:
                return found
            request.page_token = page.next_page_token

    def metadata(self) -> list[tuple[str, str]]:
        """Metadata for a call over `channel`: the token, and a new request id."""
        return _wire.call_metadata(self._endpoint)[1]

    def close(self) -> None:
        """End the connection; calls in progress are cancelled."""
        self.channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def __repr__(self) -> str:
        return f"<ketgate.Client of {self.address}>"

    def _call(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        call = method.callable(self.channel)

        def attempt() -> Any:
            request_id, metadata = _wire.call_metadata(self._endpoint)
            try:
                return call(request, timeout=timeout_s or self._timeout_s, metadata=metadata)
            except grpc.RpcError as error:
                raise from_rpc(error, address=self.address, request_id=request_id) from None

        return self._repeat(attempt)

    def _repeat(self, attempt: Callable[[], R]) -> R:
        """Run attempt, again where that may help and nothing has come of it yet."""
        begin = time.monotonic()
        count = 1
        while True:
            try:
                return attempt()
            except KetgateError as error:
                delay = (
                    None
                    if error.best
                    else self._retry.delay_s(error, count, time.monotonic() - begin)
                )
                if delay is None:
                    raise
            time.sleep(delay)
            count += 1


def _solving(build: Callable[P, Job[R]]) -> "Callable[Concatenate[Optimize, P], R]":
    def method(self: "Optimize", /, *args: P.args, **kwargs: P.kwargs) -> R:
        return self.run(build(*args, **kwargs))

    return describe_as(method, build, bound=True, returns=job_result(build))


class Optimize:
    """Optimisation on a server: `client.optimize`.

    Each method solves and returns its result. Ctrl-C while it runs ends the solve and returns the
    best so far, with stop_reason "cancelled"; where there is nothing yet, or at a second Ctrl-C,
    KeyboardInterrupt is raised.
    """

    def __init__(self, client: Client) -> None:
        self._client = client
        self._stream = _wire.SOLVE_STREAM.callable(client.channel, stream=True)

    portfolio = _solving(_portfolio.portfolio)
    frontier = _solving(_portfolio.frontier)
    qubo = _solving(_programs.qubo)
    ising = _solving(_programs.ising)
    binary = _solving(_programs.binary)
    linear = _solving(_programs.linear)

    def solve(self, spec: Spec, *, progress: Progress = False) -> Result:
        """Solve a SolveSpec: the message, its JSON as a mapping, or a file of it; see
        `ketgate.specs`.
        """
        result: Result = self.run(job_of_spec(as_spec(spec), progress))
        return result

    def solve_once(self, spec: Spec) -> Result:
        """As `solve`, by one message there and one back: quicker for the smallest, but it cannot be
        interrupted.
        """
        job = job_of_spec(as_spec(spec))
        request = service_pb2.SolveRequest(spec=job.spec)
        answer = self._client._call(_wire.SOLVE, request, job.time_limit_s + _wire.SOLVE_GRACE_S)
        found: Result = job.decode(Outcome(answer.result, job.spec, [], []))
        return found

    def estimate(self, spec: Spec) -> Estimate:
        """Check a request and estimate its time and memory, without solving it."""
        request = service_pb2.SolveRequest(spec=as_spec(spec), validate_only=True)
        return read_estimate(
            self._client._call(_wire.SOLVE, request, _wire.ESTIMATE_TIMEOUT_S).estimate
        )

    def stream(self, spec: Spec) -> Iterator[ProgressEvent | Result]:
        """Solve; yield each ProgressEvent as it comes and the Result at the end. Leaving the loop
        ends the solve.
        """
        job = job_of_spec(as_spec(spec))
        gathering = Gathering(job.spec)
        request_id, call = self._open(job.spec)
        try:
            for event in call:
                progress = gathering.add(event)
                if progress is not None:
                    yield progress
            yield job.decode(gathering.outcome())
        except grpc.RpcError as error:
            yield job.decode(self._after(error, gathering, request_id))
        finally:
            call.cancel()

    def run(self, job: Job[R]) -> R:
        """Solve a job. (The other methods make one and call this.)"""
        watcher = Watcher(job.progress, job.time_limit_s)
        try:
            return job.decode(self._client._repeat(lambda: self._attempt(job, watcher)))
        finally:
            watcher.close()

    def _attempt(self, job: Job[Any], watcher: Watcher) -> Outcome:
        gathering = Gathering(job.spec)
        request_id, call = self._open(job.spec)
        try:
            for event in call:
                if watcher.wants_stop(gathering.add(event)):
                    stopped = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED)
                    if stopped is not None:
                        return stopped
            return gathering.outcome()
        except KeyboardInterrupt:
            call.cancel()
            stopped = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED)
            if stopped is None:
                raise
            return stopped
        except grpc.RpcError as error:
            return self._after(error, gathering, request_id)
        finally:
            call.cancel()

    def _open(self, spec: service_pb2.SolveSpec) -> tuple[str, Any]:
        request_id, metadata = _wire.call_metadata(self._client._endpoint)
        timeout = spec_time_limit_s(spec) + _wire.SOLVE_GRACE_S
        return request_id, self._stream(
            service_pb2.SolveStreamRequest(spec=spec), timeout=timeout, metadata=metadata
        )

    def _after(self, error: Any, gathering: Gathering, request_id: str) -> Outcome:
        """The best so far of a stream that was cut short, or the error that cut it."""
        return _wire.salvage(error, gathering, address=self._client.address, request_id=request_id)
