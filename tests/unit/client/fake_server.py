"""A gRPC server within the test that answers what the test says, also what a real one rarely does."""

from collections.abc import Callable, Iterator
from concurrent import futures
from typing import Any

import grpc
from google.protobuf import any_pb2, duration_pb2
from google.rpc import error_details_pb2, status_pb2

Behaviour = Callable[[bytes, Any], Iterator[Any]]
"""Yields messages; may abort through the context."""


class _Handler(grpc.GenericRpcHandler):
    def __init__(self) -> None:
        self.behaviours: list[Behaviour] = []
        self.calls: list[tuple[str, dict[str, str], float | None]] = []

    def service(self, details: Any) -> Any:
        if details.method.endswith(("/SolveStream", "/WatchJobs")):
            return grpc.unary_stream_rpc_method_handler(self._stream(details.method))
        return grpc.unary_unary_rpc_method_handler(self._unary(details.method))

    def _next(self, method: str, context: Any) -> Behaviour:
        self.calls.append((method, dict(context.invocation_metadata()), context.time_remaining()))
        return self.behaviours.pop(0) if len(self.behaviours) > 1 else self.behaviours[0]

    def _stream(self, method: str) -> Any:
        def answer(request: bytes, context: Any) -> Iterator[bytes]:
            for message in self._next(method, context)(request, context):
                yield message.SerializeToString()

        return answer

    def _unary(self, method: str) -> Any:
        def answer(request: bytes, context: Any) -> bytes:
            return next(iter(self._next(method, context)(request, context))).SerializeToString()

        return answer


class FakeServer:
    """Plaintext on loopback. `behave` sets what the next calls do; the last behaviour stays."""

    def __init__(self) -> None:
        self._handler = _Handler()
        self._server = grpc.server(
            futures.ThreadPoolExecutor(max_workers=4), handlers=[self._handler]
        )
        port = self._server.add_insecure_port("127.0.0.1:0")
        self.address = f"127.0.0.1:{port}"
        self._server.start()

    def behave(self, *behaviours: Behaviour) -> None:
        self._handler.behaviours = list(behaviours)
        self._handler.calls.clear()

    @property
    def calls(self) -> list[tuple[str, dict[str, str], float | None]]:
        """Method, metadata and seconds to the deadline of each call since `behave`."""
        return self._handler.calls

    def stop(self) -> None:
        self._server.stop(None).wait()


def failing(
    code: grpc.StatusCode,
    reason: str,
    message: str = "it went wrong",
    *,
    fields: tuple[str, ...] = (),
    retry_after_s: float | None = None,
    limit: str = "",
    metadata: dict[str, str] | None = None,
    before: tuple[Any, ...] = (),
) -> Behaviour:
    """A refusal with google.rpc details, as the server's edge makes it; `before` is streamed ahead of it."""

    def behave(_: bytes, context: Any) -> Iterator[Any]:
        yield from before
        details: list[Any] = []
        if reason:
            details.append(
                error_details_pb2.ErrorInfo(
                    reason=reason,
                    domain="ketgate.dev",
                    metadata={"request_id": "r-1"} | (metadata or {}),
                )
            )
        if fields:
            violation = error_details_pb2.BadRequest.FieldViolation
            details.append(
                error_details_pb2.BadRequest(
                    field_violations=[violation(field=f, description=message) for f in fields]
                )
            )
        if retry_after_s is not None:
            delay = duration_pb2.Duration()
            delay.FromNanoseconds(round(retry_after_s * 1e9))
            details.append(error_details_pb2.RetryInfo(retry_delay=delay))
        if limit:
            violation = error_details_pb2.QuotaFailure.Violation
            details.append(error_details_pb2.QuotaFailure(violations=[violation(subject=limit)]))
        status = status_pb2.Status(code=code.value[0], message=message)
        for detail in details:
            packed = any_pb2.Any()
            packed.Pack(detail)
            status.details.append(packed)
        if details:
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
        context.abort(code, message)

    return behave


def answering(*messages: Any) -> Behaviour:
    def behave(_: bytes, __: Any) -> Iterator[Any]:
        yield from messages

    return behave
