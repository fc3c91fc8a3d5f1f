"""The server over gRPC's core: its options, its port, the threads that poll, its end.

Any of a few threads takes what happens next on the wire and does what there is to do itself: no call
is handed from thread to thread before its answer. A thread that goes to work lets another poll in its
place, if it was the last.
"""

import logging
import threading
import time
from collections.abc import Mapping
from functools import partial

import grpc

from ketgate_server.rpc import core
from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.grpc_call import GrpcCall, Work
from ketgate_server.rpc.pool import CallPool
from ketgate_server.rpc.tls import ServerCertificate

FLUSH_S = 0.5
"""For the last statuses to leave; what is open after that is broken off."""

POLLERS = 2
"""Threads that poll when there is nothing to do. With one, a call would wait for a thread to wake
while another is being taken; more fight over each event."""

ARRIVALS_ASKED = 16
"""Calls that the core may announce before we come to them."""

SPARE_THREADS = 8
"""Beyond the calls that run at once: for those that are being let in or refused."""

CHECK_INTERVAL_S = 1.0
"""How often a thread that polls in vain looks whether the server has ended."""

CALL_LIMITS = ("rpc.calls_max", "rpc.waits_max", "rpc.watches_max")
PING_INTERVAL_MS_MIN = 10_000
HANDSHAKE_TIMEOUT_MS = 20_000

_log = logging.getLogger(__name__)


class AddressError(Exception):
    """The address cannot be listened on."""


class GrpcServer:
    """Listens on one address."""

    def __init__(self, edge: Edge, limits: Mapping[str, int]) -> None:
        self._edge = edge
        self._queue = core.CompletionQueue()
        self._server = core.Server(_options(limits), False)
        self._server.register_completion_queue(self._queue)
        self._pool = CallPool(edge.capacity + SPARE_THREADS, "rpc-unary")
        self._guard = threading.Lock()
        self._polling = 0
        self._started = self._stopping = False
        self._down = threading.Event()

    def listen(self, host: str, port: int, certificate: ServerCertificate | None) -> int:
        """Bind, and return the port. No certificate: plaintext. Raises AddressError."""
        address = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
        try:
            if certificate is None:
                bound: int = self._server.add_http2_port(address.encode())
            else:
                shown = grpc.ssl_server_credentials([(certificate.key, certificate.chain)])
                bound = self._server.add_http2_port(address.encode(), shown._credentials)
        except (RuntimeError, ValueError):
            bound = 0
        if bound == 0:
            raise AddressError(
                f"cannot listen on {address}: it is in use, or no address of this machine; "
                "choose another with --listen HOST:PORT (port 0 takes a free one)"
            )
        return bound

    def start(self) -> None:
        self._server.start()
        self._started = True
        for _ in range(ARRIVALS_ASKED):
            self._ask_for_arrival()
        self._polling = POLLERS
        for _ in range(POLLERS):
            self._pool.submit(self._poll)

    def stop(self) -> None:
        """Close the port, let the last answers out, and break off what is left."""
        if self._started and not self._stopping:
            self._stopping = True
            self._server.shutdown(self._queue, lambda _: self._down.set())
            if not self._down.wait(FLUSH_S):
                self._server.cancel_all_calls()
            if self._down.wait(FLUSH_S):
                self._server.destroy()
        self._pool.shutdown()
        self._edge.close()

    def _ask_for_arrival(self) -> None:
        self._server.request_call(self._queue, self._queue, self._arrived)

    def _arrived(self, event: core.RequestCallEvent) -> Work | None:
        if not event.success:  # the server is stopping
            return None
        try:
            call = GrpcCall(event)
            if not self._edge.takes_at_once(call):
                return partial(self._take, event.call, call)
        except Exception:
            self._lose(event.call)
            raise
        self._take(event.call, call)
        return None

    def _take(self, wire: core.Call, call: GrpcCall) -> None:
        try:
            self._edge.take(call)
        except Exception:
            self._lose(wire)
            raise
        if not self._stopping:
            self._ask_for_arrival()

    def _lose(self, wire: core.Call) -> None:
        """Break off a call that is kept by nobody, as its caller waits; and take the next."""
        wire.cancel()
        if not self._stopping:
            self._ask_for_arrival()

    def _poll(self) -> None:
        """Take events and do their work until enough others poll."""
        while True:
            event = self._queue.poll(time.time() + CHECK_INTERVAL_S)
            if event.completion_type == core.TIMED_OUT:
                if self._down.is_set():
                    return
                continue
            work = self._work_of(event)
            event = None  # what it holds of a call must not outlive the call
            if work is None:
                continue
            with self._guard:
                self._polling -= 1
                alone = self._polling == 0
                if alone:
                    self._polling = 1  # the one that is called now
            if alone:
                self._pool.submit(self._poll)
            try:
                work()
            except Exception:  # the thread serves the next call all the same
                _log.exception("a call ended with an error that nobody caught")
            work = None
            with self._guard:
                if self._polling >= POLLERS:
                    return
                self._polling += 1

    def _work_of(self, event: core.BatchOperationEvent) -> Work | None:
        try:
            work: Work | None = event.tag(event)
        except Exception:
            _log.exception("what waited for an event of a call failed")
            return None
        return work


def _options(limits: Mapping[str, int]) -> list[tuple[str, int]]:
    metadata_bytes = limits["rpc.metadata_bytes_max"]
    return [
        ("grpc.max_receive_message_length", limits["rpc.message_bytes_max"]),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_metadata_size", metadata_bytes),
        ("grpc.absolute_max_metadata_size", metadata_bytes),
        # One connection may hold more calls than the server takes: it is then told so, rather than
        # left to wait.
        ("grpc.max_concurrent_streams", 2 * sum(limits[name] for name in CALL_LIMITS)),
        # Linux would let a second server share the port in silence.
        ("grpc.so_reuseport", 0),
        # Clients may keep idle connections alive, though not more often than this.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", PING_INTERVAL_MS_MIN),
        ("grpc.server_handshake_timeout_ms", HANDSHAKE_TIMEOUT_MS),
    ]
