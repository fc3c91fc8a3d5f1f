"""The synchronous client."""

import os
import threading
import time
from collections.abc import Callable, Iterator
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

from ketgate import _portfolio, _programs, _wire
from ketgate._algorithms import Algorithms, Learning
from ketgate._artifacts import Artifacts
from ketgate._audit import Audit
from ketgate._calls import Caller, SolverPages, Solves
from ketgate._connect import Endpoint, resolve
from ketgate._errors import KetgateError
from ketgate._events import Gathering, Outcome, ProgressEvent, Watcher, prepared
from ketgate._job_requests import JobOptions, split_options
from ketgate._jobs import DurableJob, Jobs, Solving
from ketgate._options import Prepared, Progress, check_names
from ketgate._quantum import Quantum
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
from ketgate._signing import Signing
from ketgate._spec import Spec, as_spec
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import result_pb2
from ketgate.server.v1 import server_service_pb2

if TYPE_CHECKING:
    from ketgate._document import SignedDocument
    from ketgate._key_types import Key, KeyVersion

P = ParamSpec("P")
R = TypeVar("R")

_CLOSE_LIMIT_S = 1.0


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


class Client(Caller):
    """A connection to a server. Threads may share it. Made by `connect`."""

    def __init__(
        self, endpoint: Endpoint, *, timeout_s: float = 10.0, retry: Retry | None = None
    ) -> None:
        secure = _wire.credentials(endpoint)
        channel = (
            grpc.insecure_channel(endpoint.address, _wire.CHANNEL_OPTIONS)
            if secure is None
            else grpc.secure_channel(endpoint.address, secure, _wire.CHANNEL_OPTIONS)
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

    def info(self) -> ServerInfo:
        """Version, limits and parts of the server."""
        return server_info(
            self._call(_wire.GET_SERVER_INFO, server_service_pb2.GetServerInfoRequest())
        )

    def solvers(self, problem: str | None = None) -> list[SolverDescription]:
        """The solvers; problem: only those that take this kind, for example
        "portfolio_discrete".
        """
        pages = SolverPages(problem)
        while not pages.add(self._call(_wire.LIST_SOLVERS, pages.request)):
            pass
        return pages.found

    def sign(
        self,
        content: Any,
        *,
        key: "str | Key | KeyVersion | None" = None,
        title: str | None = None,
    ) -> "SignedDocument":
        """Sign a result, a model or anything else as a document that is verified without a server.

        content: a result of this package (signed with what was asked), a model, a protobuf message,
        a pathlib.Path, bytes, a dict or list, or a DataFrame. key: "keys/ID", or
        "keys/ID/versions/N"; default: $KETGATE_SIGNING_KEY. title: name to sign it under.

        >>> client.sign(result, key="keys/desk").save("result.signed.json")
        """
        from ketgate._document_signing import DocumentSigning

        document = DocumentSigning(content, key, title)
        exported = self.signing._do(document.export)
        return self.signing._do(document.sign(exported))

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
        if kind is None or not issubclass(kind, KeyboardInterrupt):
            self.close()
            return
        # grpc waits for ever for the end of a call that Ctrl-C interrupted as it began.
        closing = threading.Thread(target=self.close, daemon=True)
        closing.start()
        closing.join(_CLOSE_LIMIT_S)

    def __repr__(self) -> str:
        return f"<ketgate.Client of {self.address}>"

    def _call(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        return self._repeat(lambda: self._once(method, request, timeout_s), method)

    def _once(
        self, method: _wire.Method[Any, Any], request: Any, timeout_s: float | None = None
    ) -> Any:
        """One attempt."""
        call = method.callable(self.channel)
        request_id, metadata = _wire.call_metadata(self._endpoint)
        try:
            answer = call(request, timeout=timeout_s or self._timeout_s, metadata=metadata)
        except grpc.RpcError as error:
            raise self._failed(error, request_id) from None
        self._met = True
        return answer

    def _call_with_stream(
        self,
        method: _wire.Method[Any, Any],
        requests: Callable[[], Iterator[Any]],
        *,
        repeatable: bool,
    ) -> Any:
        """Call a method that is asked in pieces."""

        def once() -> Any:
            call = method.callable(self.channel, requests=True)
            request_id, metadata = _wire.call_metadata(self._endpoint)
            try:
                return call(requests(), timeout=_wire.STREAM_TIMEOUT_S, metadata=metadata)
            except grpc.RpcError as error:
                raise self._failed(error, request_id) from None

        return self._repeat(once, method) if repeatable else once()

    def _repeat(self, attempt: Callable[[], R], method: _wire.Method[Any, Any] | None = None) -> R:
        """Run attempt, again where that may help and nothing has come of it yet."""
        attempts = self._attempts(method)
        while True:
            try:
                return attempt()
            except KetgateError as error:
                delay_s = attempts.after(error)
            time.sleep(delay_s)


def _solving(build: Callable[P, Prepared[R]]) -> Solving[P, R]:
    def method(self: "Optimize", /, *args: Any, durable: bool = False, **kwargs: Any) -> Any:
        options = split_options(kwargs, durable)
        solve = build(*args, **kwargs)
        return self._client.jobs._create(solve, options) if durable else self.run(solve)

    return cast(Solving[P, R], describe_solving(method, build))


class Optimize:
    """Optimisation on a server: `client.optimize`.

    Each method solves and returns its result; with durable=True it returns at once a DurableJob,
    which survives a crash of either side. Ctrl-C while it runs ends the solve and returns the
    best so far, with stop_reason "cancelled"; where there is nothing yet, or at a second Ctrl-C,
    KeyboardInterrupt is raised.
    """

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
    def solve(self, spec: Spec, *, progress: Progress = False) -> Result: ...
    @overload
    def solve(
        self,
        spec: Spec,
        *,
        progress: Progress = False,
        durable: Literal[True],
        **options: Unpack[JobOptions],
    ) -> DurableJob[Result]: ...
    def solve(
        self, spec: Spec, *, progress: Progress = False, durable: bool = False, **options: Any
    ) -> Any:
        """Solve a SolveSpec: the message, its JSON as a mapping, or a file of it; see
        `ketgate.specs`. With durable=True, as a job; options: see JobOptions.
        """
        of_job = split_options(options, durable)
        check_names(options, JobOptions)
        solve = prepared(as_spec(spec), progress)
        return self._client.jobs._create(solve, of_job) if durable else self.run(solve)

    def solve_once(self, spec: Spec) -> Result:
        """As `solve`, by one message there and one back: quicker for the smallest, but it cannot be
        interrupted.
        """
        solve = self._referring(prepared(as_spec(spec)))
        request = service_pb2.SolveRequest(spec=solve.spec)
        answer = self._client._call(_wire.SOLVE, request, solve.time_limit_s + _wire.SOLVE_GRACE_S)
        self._client.artifacts._fetch(answer.result)
        found: Result = solve.decode(Outcome(answer.result, solve.spec, [], []))
        return found

    def estimate(self, spec: Spec) -> Estimate:
        """Check a request and estimate its time and memory, without solving it."""
        sent = self._client.artifacts._refer(as_spec(spec))
        request = service_pb2.SolveRequest(spec=sent, validate_only=True)
        return read_estimate(
            self._client._call(_wire.SOLVE, request, _wire.ESTIMATE_TIMEOUT_S).estimate
        )

    def stream(self, spec: Spec) -> Iterator[ProgressEvent | Result]:
        """Solve; yield each ProgressEvent as it comes and the Result at the end. Leaving the loop
        ends the solve.
        """
        solve = self._referring(prepared(as_spec(spec)))
        gathering = Gathering(solve.spec)
        request_id, call = self._solves.open(solve.spec)
        try:
            for event in call:
                progress = gathering.add(event)
                if progress is not None:
                    yield progress
            yield solve.decode(gathering.outcome())
        except grpc.RpcError as error:
            yield solve.decode(self._solves.after(error, gathering, request_id))
        finally:
            call.cancel()

    def _referring(self, solve: Prepared[R]) -> Prepared[R]:
        """With its large arrays uploaded."""
        return replace(solve, spec=self._client.artifacts._refer(solve.spec))

    def run(self, solve: Prepared[R]) -> R:
        """Solve what was prepared. (The other methods prepare, and call this.)"""
        solve = self._referring(solve)
        watcher = Watcher(solve.progress, solve.time_limit_s)
        try:
            return solve.decode(self._client._repeat(lambda: self._attempt(solve, watcher)))
        finally:
            watcher.close()

    def _attempt(self, solve: Prepared[Any], watcher: Watcher) -> Outcome:
        gathering = Gathering(solve.spec)
        request_id, call = self._solves.open(solve.spec)
        try:
            for event in call:
                if watcher.wants_stop(gathering.add(event)):
                    stopped = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED)
                    if stopped is not None:
                        return stopped
            outcome = gathering.outcome()
            self._client.artifacts._fetch(outcome.message)
            return outcome
        except KeyboardInterrupt:
            call.cancel()
            stopped = gathering.best_so_far(result_pb2.STOP_REASON_CANCELLED)
            if stopped is None:
                raise
            return stopped
        except grpc.RpcError as error:
            return self._solves.after(error, gathering, request_id)
        finally:
            call.cancel()
