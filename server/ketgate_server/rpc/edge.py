"""The way of a call: admission, identity, role, one request, the service, and a status that
explains itself.

Bytes in, bytes out. A token is checked before the request is read, so a stranger cannot make the
server hold a message.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from functools import cached_property, partial
from itertools import islice
from typing import Any, NoReturn

import grpc

from ketgate_server import __version__
from ketgate_server.errors import KetgateError, Reason, echo
from ketgate_server.rpc.admission import Lane, RequestBytes
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.call import Call, Service, require_role
from ketgate_server.rpc.endpoint import Endpoint, Route
from ketgate_server.rpc.errors import DETAILS_KEY, as_ketgate_error, wire_status
from ketgate_server.rpc.grpc_call import NOBODY, GrpcCall
from ketgate_server.rpc.handler import wrap
from ketgate_server.rpc.journal import Journal
from ketgate_server.rpc.log import LogWriter, stack
from ketgate_server.rpc.metrics import UNKNOWN_METHOD, MethodMetrics, Metrics
from ketgate_server.rpc.witness import Witness, tell

VERSION_KEY = "x-ketgate-version"
REQUEST_ID_KEY = "x-request-id"
POLL_INTERVAL_S = 0.01

_FAULTS = {Reason.INTERNAL, Reason.STORE_UNAVAILABLE}
"""Whose cause belongs into the log."""

UPLOAD_TIMEOUT_S = 3_600.0
"""How long all requests of a call that sends several may take together."""

STRANGER_MESSAGE_TIMEOUT_S = 10.0
MESSAGE_TIMEOUT_S = 300.0
"""How long a call may hold a thread without sending its request."""


class Edge(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Serves the methods of all services. grpcio calls service() for every call that comes in."""

    def __init__(
        self,
        limits: Mapping[str, int],
        authenticator: Authenticator,
        metrics: Metrics,
        log: LogWriter,
        *,
        plaintext: bool,
        witness: Witness | None = None,
    ) -> None:
        """witness: is told of what was refused."""
        self._witness = witness
        self._authenticator = authenticator
        self._metrics = metrics
        self._journal = Journal(metrics, log)
        self._plaintext = plaintext
        self._draining = False
        self._stopped_calls = False
        streams = limits["rpc.streams_max"]
        self._unary_lane = Lane("unary", limits["rpc.calls_max"] - streams, "rpc.calls_max")
        self._stream_lane = Lane("stream", streams, "rpc.streams_max")
        health = limits["rpc.health_calls_max"]
        self._wait_lane = Lane("wait", limits["rpc.waits_max"], "rpc.waits_max", small_stacks=True)
        self._watch_lane = Lane(
            "watch", limits["rpc.watches_max"], "rpc.watches_max", small_stacks=True
        )
        self._open_lane = Lane("health", health, "rpc.health_calls_max")
        self._open_stream_lane = Lane("health_watch", health, "rpc.health_calls_max")
        self._request_bytes = RequestBytes(limits["rpc.requests_bytes_max"])
        self._calls: set[GrpcCall] = set()
        self._handlers: dict[str, grpc.RpcMethodHandler] = {}
        self._version = (VERSION_KEY, __version__)
        self._own_lanes = {
            "unary": self._unary_lane,
            "stream": self._stream_lane,
            "wait": self._wait_lane,
            "watch": self._watch_lane,
        }
        self._lanes = (*self._own_lanes.values(), self._open_lane, self._open_stream_lane)
        metrics.observe_lanes(self._lanes)

    @cached_property
    def _unknown_metrics(self) -> MethodMetrics:
        """Made by the first call of a method that there is not: before it the metrics name none."""
        return self._metrics.method(UNKNOWN_METHOD)

    @property
    def default_pool(self) -> Any:
        """Threads for what has none of its own."""
        return self._unary_lane.pool

    @property
    def methods(self) -> list[str]:
        """Full names of the methods served."""
        return list(self._handlers)

    def add_service(self, service: Service) -> None:
        for name, method in service.methods.items():
            endpoint = Endpoint(
                wrap(method),
                streams=method.stream is not None,
                takes_stream=method.upload is not None,
                role=method.role,
                lane=method.lane or ("stream" if method.upload is not None else ""),
                mutates=method.mutates,
            )
            self.add_endpoint(f"/{service.name}/{name}", endpoint)

    def add_endpoint(self, method: str, endpoint: Endpoint) -> None:
        """Serve a method. Raises ValueError if it is served already."""
        if method in self._handlers:
            raise ValueError(f"{method} is served twice")
        if endpoint.role is None:  # what needs no token has threads of its own
            lane = self._open_stream_lane if endpoint.streams else self._open_lane
        else:
            lane = self._own_lanes[endpoint.lane or ("stream" if endpoint.streams else "unary")]
        level = (
            "debug" if method.startswith("/grpc.health.") else "info"
        )  # probes come every second, for ever
        route = Route(method, endpoint, lane, self._metrics.method(method), level)
        self._handlers[method] = self._method_handler(route)

    def service(self, handler_call_details: grpc.HandlerCallDetails) -> grpc.RpcMethodHandler:
        known = self._handlers.get(handler_call_details.method)
        if known is not None:
            return known
        endpoint = Endpoint(_refuse_unknown, takes_stream=True)
        return self._method_handler(
            Route(
                echo(handler_call_details.method), endpoint, self._open_lane, self._unknown_metrics
            )
        )

    def _method_handler(self, route: Route) -> grpc.RpcMethodHandler:
        # Requests are always taken as a stream: grpcio then calls us before it reads a message, and
        # we decide first.
        if route.endpoint.streams:
            stream = partial(self._serve_stream, route)
            stream.experimental_thread_pool = route.lane.pool  # type: ignore[attr-defined]
            return grpc.stream_stream_rpc_method_handler(stream)
        unary = partial(self._serve_unary, route)
        unary.experimental_thread_pool = route.lane.pool  # type: ignore[attr-defined]
        return grpc.stream_unary_rpc_method_handler(unary)

    def _serve_unary(
        self, route: Route, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> bytes:
        call = GrpcCall(route.method, context)
        try:
            answer = next(route.endpoint.handler(call, self._begin(route, call, requests)))
            self._end(route, call, context, "OK")
            return answer
        except Exception as error:
            self._refuse(route, call, context, error)
        finally:
            self._release(route, call)

    def _serve_stream(
        self, route: Route, requests: Iterator[bytes], context: grpc.ServicerContext
    ) -> Iterator[bytes]:
        call = GrpcCall(route.method, context)
        try:
            yield from route.endpoint.handler(call, self._begin(route, call, requests))
            self._end(route, call, context, "OK" if context.is_active() else "CANCELLED")
        except GeneratorExit:  # the caller went away between two messages
            self._journal.record(route, call, "CANCELLED", Reason.CANCELLED.value)
            raise
        except Exception as error:
            self._refuse(route, call, context, error)
        finally:
            self._release(route, call)

    def _begin(self, route: Route, call: GrpcCall, requests: Iterator[bytes]) -> Iterator[bytes]:
        """Let the call in, or refuse it; return its requests, the one of most methods read
        already. What it holds, even when it is refused half-way, _release gives back."""
        if self._plaintext:
            self._check_plaintext(call)
        if self._draining:  # before the lane, as a full one would say that trying again helps
            self._refuse_in_drain(route)
        route.lane.enter()
        call.in_lane = True
        self._calls.add(call)
        self._admit(route, call)
        if route.endpoint.takes_stream:
            return _watched(call, requests)
        content = tuple(islice(requests, 1))
        call.waiting = False
        call.bytes_held = self._request_bytes.take(content)
        return iter(content)

    def _release(self, route: Route, call: GrpcCall) -> None:
        self._calls.discard(call)
        if call.bytes_held:
            self._request_bytes.give(call.bytes_held)
        if call.in_lane:
            route.lane.leave()

    def _admit(self, route: Route, call: GrpcCall) -> None:
        role = route.endpoint.role
        if role is None:
            return
        if self._draining:  # since it entered: from here on the drain waits for it
            self._refuse_in_drain(route)
        call.identity = self._authenticator.identify(call.metadata.get("authorization"))
        if role and role not in call.identity.roles:
            require_role(call.identity, role, call.method)

    def _refuse_in_drain(self, route: Route) -> None:
        if route.endpoint.role is not None:
            raise KetgateError(Reason.DRAINING, "the server is stopping and takes no new calls")

    def _check_plaintext(self, call: GrpcCall) -> None:
        # The listener is on loopback already; this holds whatever forwards to it.
        if "authorization" in call.metadata and not is_loopback_peer(call.peer):
            raise KetgateError(
                Reason.TLS_REQUIRED,
                "tokens are taken over plaintext from this machine only; connect with TLS",
            )

    def _end(self, route: Route, call: GrpcCall, context: grpc.ServicerContext, code: str) -> None:
        call.finish()
        context.set_trailing_metadata(
            call.trailers((REQUEST_ID_KEY, call.request_id), self._version)
        )
        self._journal.record(route, call, code)

    def _refuse(
        self, route: Route, call: GrpcCall, context: grpc.ServicerContext, error: Exception
    ) -> NoReturn:
        """Answer with an error. Always raises: that is how grpcio is told."""
        known = as_ketgate_error(error, call.request_id)
        if isinstance(error, grpc.RpcError) or (
            call.cancelled and not isinstance(error, KetgateError)
        ):
            known = KetgateError(Reason.CANCELLED, "the caller ended the call")
        if known.reason is Reason.CANCELLED and self._stopped_calls and context.is_active():
            known = KetgateError(
                Reason.DRAINING, "the server stopped before there was anything to return"
            )
        call.finish()
        status = wire_status(known, call.request_id)
        fault = stack(error) if known.reason in _FAULTS else None
        self._journal.record(route, call, status.code.name, status.reason, fault)
        if self._witness is not None:
            tell(self._witness, route, call, known.reason)
        context.set_trailing_metadata(
            call.trailers(
                (REQUEST_ID_KEY, call.request_id), self._version, (DETAILS_KEY, status.details)
            )
        )
        context.abort(status.code, status.message)
        raise AssertionError  # abort() raises; mypy does not know

    def begin_drain(self) -> None:
        """From now on new calls are refused; health checks are not."""
        self._draining = True
        self._metrics.draining()

    def cancel_calls(self) -> None:
        """Tell every call in progress to stop; solves answer with the best so far, and what has
        none with DRAINING: it was not the caller who ended it."""
        self._stopped_calls = True
        for call in list(self._calls):
            call.cancel()

    def break_off_silent_calls(self) -> None:
        """End the calls whose request does not come. To be called about once a second."""
        now_s = time.monotonic()
        for call in list(self._calls):
            limit_s = STRANGER_MESSAGE_TIMEOUT_S if call.identity is NOBODY else MESSAGE_TIMEOUT_S
            if call.waiting and now_s - call.waiting_since_s > limit_s:
                call.abandon()
            elif call.waiting and now_s - call.arrival_s > UPLOAD_TIMEOUT_S:
                call.abandon()  # a piece now and then holds a thread as silence does

    def wait_idle(self, timeout_s: float, interrupted: Callable[[], bool] = lambda: False) -> bool:
        """Wait until no call is in progress, health watches left out. Whether that came before the
        timeout."""
        end_s = time.monotonic() + timeout_s
        while any(lane.count for lane in self._own_lanes.values()):
            if time.monotonic() >= end_s or interrupted():
                return False
            time.sleep(POLL_INTERVAL_S)
        return True

    def close(self) -> None:
        """Let the threads go."""
        for lane in self._lanes:
            lane.pool.shutdown(wait=False)


def _watched(call: GrpcCall, requests: Iterator[bytes]) -> Iterator[bytes]:
    """The requests of a call that sends several: silence between two of them counts too."""
    while True:
        call.waiting_since_s = time.monotonic()
        call.waiting = True
        content = next(requests, None)
        call.waiting = False
        if content is None:
            return
        yield content


def _refuse_unknown(call: Call, _: Iterator[bytes]) -> Iterator[bytes]:
    raise KetgateError(Reason.METHOD_UNKNOWN, f"the server has no method {call.method}")
    yield b""  # a generator, as every handler is


def is_loopback_peer(peer: str) -> bool:
    """Whether grpcio's name of a peer is this machine: ``ipv4:127.0.0.1:5``, ``ipv6:%5B::1%5D:5``,
    ``unix:``."""
    kind, _, rest = peer.partition(":")
    if kind == "unix":
        return True
    host = rest.rpartition(":")[0].replace("%5B", "").replace("%5D", "").strip("[]")
    return (
        host == "::1"
        or (kind == "ipv4" and host.startswith("127."))
        or host.startswith("::ffff:127.")
    )
