"""What the synchronous and the asynchronous client do alike: all but the waiting."""

from typing import Any

from ketgate import _wire
from ketgate._connect import Endpoint
from ketgate._errors import KetgateError
from ketgate._events import Gathering, Outcome
from ketgate._options import spec_time_limit_s
from ketgate._retry import Attempts, Retry
from ketgate._status import from_rpc
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2


class Caller:
    """A channel to an endpoint, and how calls over it are made and tried again."""

    def __init__(
        self, endpoint: Endpoint, channel: Any, timeout_s: float, retry: Retry | None
    ) -> None:
        self.address = endpoint.address
        self._endpoint = endpoint
        self._timeout_s = timeout_s
        self._retry = retry or Retry()
        self._met = False
        """Whether the server has answered before: one that never did may not be there at all."""
        self._closed = False
        self.channel: Any = channel
        """The gRPC channel, for generated stubs; calls over it need the metadata of
        `metadata()`.
        """

    def metadata(self) -> list[tuple[str, str]]:
        """Metadata for a call over `channel`: the token, and a new request id."""
        return _wire.call_metadata(self._endpoint)[1]

    def _check_open(self) -> None:
        """Raises KetgateError for a client that was closed."""
        if self._closed:
            raise KetgateError(
                "this client is closed",
                reason="CLIENT_CLOSED",
                remedy="Use it within its `with`, or make another with ketgate.connect().",
            )

    def _attempts(self, method: _wire.Method[Any, Any] | None = None) -> Attempts:
        """method: None for a streamed solve. Heavy work is not worth the wait for a restart: whoever
        wants it to outlast one makes it durable. Nor is a server that was never met: it is told at
        once that there is none.
        """
        patient = method is not None and not method.work
        return Attempts(self._retry, outlast=patient, met=self._met)

    def _failed(self, error: Any, request_id: str) -> KetgateError:
        return from_rpc(error, endpoint=self._endpoint, request_id=request_id)


class Solves:
    """The streams of solves on a client's channel."""

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._stream = _wire.SOLVE_STREAM.callable(caller.channel, stream=True)

    def open(self, spec: service_pb2.SolveSpec) -> tuple[str, Any]:
        """The request id and the call of a solve that begins now; its deadline is its time limit
        and a grace.
        """
        self._caller._check_open()
        request_id, metadata = _wire.call_metadata(self._caller._endpoint)
        timeout = spec_time_limit_s(spec) + _wire.SOLVE_GRACE_S
        return request_id, self._stream(
            service_pb2.SolveStreamRequest(spec=spec), timeout=timeout, metadata=metadata
        )

    def after(self, error: Any, gathering: Gathering, request_id: str) -> Outcome:
        """The best so far of a stream that was cut short, or the error that cut it."""
        return _wire.salvage(error, gathering, self._caller._endpoint, request_id)
