"""The way of a call: admission, identity, role, one request, the service, and a status that
explains itself.

Bytes in, bytes out. A token is checked before the request is read, so a stranger cannot make the
server hold a message.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing
from functools import partial

from ketgate_server import __version__
from ketgate_server.cached import cached_property
from ketgate_server.errors import KetgateError, Reason, echo
from ketgate_server.rpc.admission import Lane, RequestBytes, ThreadedLane
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.call import Answer, Answers, Call, Later, Service, require_role
from ketgate_server.rpc.endpoint import Endpoint, Route
from ketgate_server.rpc.errors import DETAILS_KEY, as_ketgate_error, wire_status
from ketgate_server.rpc.grpc_call import NOBODY, GrpcCall, Trailers
from ketgate_server.rpc.handler import serialise, wrap
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
"""How long a call may hold its place without sending its request."""


class Edge:
    """Serves the methods of all services. The server gives it every call that comes in."""

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
        self._stream_lane = ThreadedLane("stream", streams, "rpc.streams_max")
        health = limits["rpc.health_calls_max"]
        self._wait_lane = ThreadedLane(
            "wait", limits["rpc.waits_max"], "rpc.waits_max", small_stacks=True
        )
        self._watch_lane = ThreadedLane(
            "watch", limits["rpc.watches_max"], "rpc.watches_max", small_stacks=True
        )
        self._open_lane = Lane("health", health, "rpc.health_calls_max")
        self._open_stream_lane = ThreadedLane("health_watch", health, "rpc.health_calls_max")
        self._request_bytes = RequestBytes(limits["rpc.requests_bytes_max"])
        self._calls: set[GrpcCall] = set()
        self._routes: dict[str, Route] = {}
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
    def capacity(self) -> int:
        """Calls that may run at once on the threads that bring them."""
        return sum(lane.capacity for lane in self._lanes if not isinstance(lane, ThreadedLane))

    @property
    def methods(self) -> list[str]:
        """Full names of the methods served."""
        return list(self._routes)

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
        if method in self._routes:
            raise ValueError(f"{method} is served twice")
        if endpoint.role is None:  # what needs no token has threads of its own
            lane = self._open_stream_lane if endpoint.streams else self._open_lane
        else:
            lane = self._own_lanes[endpoint.lane or ("stream" if endpoint.streams else "unary")]
        level = (
            "debug" if method.startswith("/grpc.health.") else "info"
        )  # probes come every second, for ever
        route = Route(method, endpoint, lane, self._metrics.method(method), level)
        self._routes[method] = route

    def takes_at_once(self, call: GrpcCall) -> bool:
        """Whether take() waits for nothing."""
        route = self._routes.get(call.method)
        if route is None or route.endpoint.role is None:
            return True
        return not self._authenticator.asks_store(call.metadata.get("authorization"))

    def take(self, call: GrpcCall) -> None:
        """Let a call in, or refuse it, and have it served: by the thread that brings its request, or
        by one of its lane's."""
        route = self._routes.get(call.method)
        if route is None:
            endpoint = Endpoint(_refuse_unknown, takes_stream=True)
            route = Route(echo(call.method), endpoint, self._open_lane, self._unknown_metrics)
        try:
            self._let_in(route, call)
        except Exception as error:
            self._turn_away(route, call, error)
            return
        if not route.endpoint.takes_stream:
            call.receive(partial(self._serve_one, route, call))
        elif isinstance(route.lane, ThreadedLane):
            call.watch()
            self._hand_over(route, call, _watched(call))
        else:
            self._serve(route, call, iter(()))

    def _serve_one(self, route: Route, call: GrpcCall, content: bytes | None) -> None:
        """Serve a call whose one request is here, or will not come."""
        call.waiting = False
        try:
            requests = () if content is None else (content,)
            call.bytes_held = self._request_bytes.take(requests)
        except KetgateError as error:
            self._turn_away(route, call, error)
            return
        if isinstance(route.lane, ThreadedLane):
            self._hand_over(route, call, iter(requests))
        else:
            self._serve(route, call, iter(requests), came=content is not None)

    def _hand_over(self, route: Route, call: GrpcCall, requests: Iterator[bytes]) -> None:
        assert isinstance(route.lane, ThreadedLane)
        try:
            route.lane.run(partial(self._serve, route, call, requests))
        except Exception as error:
            self._turn_away(route, call, error)

    def _serve(
        self, route: Route, call: GrpcCall, requests: Iterator[bytes], *, came: bool = True
    ) -> None:
        """came: False when the caller sent no request; it may have gone meanwhile."""
        answers = route.endpoint.handler(call, requests)
        ended = True
        try:
            if not route.endpoint.streams:
                answer = next(answers)
                if isinstance(answer, Later):
                    answer.begin(partial(self._answer_later, route, call))
                    ended = False
                else:
                    self._answer(route, call, answer)
            elif self._send_all(call, answers):
                call.finish()
                call.end(self._trailers(call))
                self._journal.record(route, call, "CANCELLED" if call.gone else "OK")
            else:  # the caller went away between two messages
                self._journal.record(route, call, "CANCELLED", Reason.CANCELLED.value)
                call.finish()
                call.end(())
        except Exception as error:
            self._refuse(route, call, error, came=came)
        finally:
            if ended:
                self._release(route, call)

    def _answer_later(self, route: Route, call: GrpcCall, result: Callable[[], Answer]) -> None:
        try:
            self._answer(route, call, serialise(result()))
        except Exception as error:
            self._refuse(route, call, error)
        finally:
            self._release(route, call)

    def _answer(self, route: Route, call: GrpcCall, answer: bytes) -> None:
        call.finish()
        call.answer(answer, self._trailers(call))
        self._journal.record(route, call, "OK")

    def _send_all(self, call: GrpcCall, answers: Answers) -> bool:
        """Whether somebody was there to read them."""
        call.watch()
        with closing(answers):
            return all(call.send(answer) for answer in answers if isinstance(answer, bytes))

    def _let_in(self, route: Route, call: GrpcCall) -> None:
        """What a call holds, even when it is refused half-way, _release gives back."""
        if self._plaintext:
            self._check_plaintext(call)
        if self._draining:  # before the lane, as a full one would say that trying again helps
            self._refuse_in_drain(route)
        route.lane.enter()
        call.in_lane = True
        self._calls.add(call)
        self._admit(route, call)

    def _turn_away(self, route: Route, call: GrpcCall, error: Exception) -> None:
        """Refuse a call that is not served at all."""
        try:
            self._refuse(route, call, error)
        finally:
            self._release(route, call)

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

    def _trailers(self, call: GrpcCall) -> Trailers:
        return call.trailers((REQUEST_ID_KEY, call.request_id), self._version)

    def _refuse(self, route: Route, call: GrpcCall, error: Exception, *, came: bool = True) -> None:
        """Answer with an error. Where that fails too, as it may without memory, break the call off:
        its caller would wait for ever."""
        try:
            self._answer_refused(route, call, error, came)
        except Exception:
            call.abandon()
            raise

    def _answer_refused(self, route: Route, call: GrpcCall, error: Exception, came: bool) -> None:
        known = as_ketgate_error(error, call.request_id)
        if not isinstance(error, KetgateError) and call.cancelled:
            known = KetgateError(Reason.CANCELLED, "the caller ended the call")
        if known.reason is Reason.CANCELLED and self._stopped_calls and not call.gone:
            known = KetgateError(
                Reason.DRAINING, "the server stopped before there was anything to return"
            )
        call.finish()
        status = wire_status(known, call.request_id)
        fault = stack(error) if known.reason in _FAULTS else None
        trailers = (*self._trailers(call), (DETAILS_KEY, status.details))

        def record(gone: bool) -> None:
            if gone:
                self._journal.record(route, call, "CANCELLED", Reason.CANCELLED.value)
            else:
                self._journal.record(route, call, status.code.name, status.reason, fault)
            if self._witness is not None:
                tell(self._witness, route, call, Reason.CANCELLED if gone else known.reason)

        if not came:  # who went away is not told from who sent nothing before the end
            call.end(trailers, status.code.value[0], status.message, record)
            return
        record(gone=False)
        call.end(trailers, status.code.value[0], status.message)

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
            if isinstance(lane, ThreadedLane):
                lane.close()


def _watched(call: GrpcCall) -> Iterator[bytes]:
    """The requests of a call that sends several: silence between two of them counts too."""
    while True:
        call.waiting_since_s = time.monotonic()
        call.waiting = True
        content = call.wait_for_request()
        cut_off = content is None and call.cut_off()
        call.waiting = False
        if content is None:
            if cut_off:
                raise KetgateError(Reason.CANCELLED, "the caller ended the call")
            return
        yield content


def _refuse_unknown(call: Call, _: Iterator[bytes]) -> Answers:
    raise KetgateError(Reason.METHOD_UNKNOWN, f"the server has no method {call.method}")
    yield b""  # a generator, as every handler is


def is_loopback_peer(peer: str) -> bool:
    """Whether gRPC's name of a peer is this machine: ``ipv4:127.0.0.1:5``, ``ipv6:%5B::1%5D:5``,
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
