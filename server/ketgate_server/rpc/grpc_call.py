"""A Call over grpcio's ServicerContext."""

import random
import re
import threading
import time
from collections.abc import Callable

import grpc
from google.protobuf.message import Message

from ketgate_server.rpc.call import Identity

NOBODY = Identity("", "", frozenset())
"""Who calls an open method, or a method that has not yet asked."""

NO_DEADLINE_S = 1e8
"""grpcio gives a far date for no deadline."""

_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")


_lock = threading.Lock()
"""One for all calls: it is held for a few instructions, by the few calls that ask to be told."""


class GrpcCall:
    """One call in progress; see rpc.call.Call. What few calls need is made when it is needed."""

    __slots__ = (
        "_callbacks",
        "_cancelled",
        "_context",
        "_finished",
        "_trailers",
        "arrival_s",
        "bytes_held",
        "identity",
        "in_lane",
        "metadata",
        "method",
        "request",
        "request_id",
        "waiting",
        "waiting_since_s",
    )

    def __init__(self, method: str, context: grpc.ServicerContext) -> None:
        self.arrival_s = time.monotonic()
        self.method = method
        self.metadata: dict[str, str] = {
            key: value for key, value in context.invocation_metadata() if type(value) is str
        }
        self.identity = NOBODY
        self.waiting = True
        """Until the request message is here; of several, until the next one is."""
        self.waiting_since_s = self.arrival_s
        self.in_lane = False
        """Whether it counts in its lane."""
        self.request: Message | None = None
        self.bytes_held = 0
        """Of its request, where that is counted."""
        request_id = self.metadata.get("x-request-id")
        if request_id is None or not _REQUEST_ID.fullmatch(request_id):
            request_id = f"{random.getrandbits(64):016x}"
        self.request_id: str = request_id
        self._context = context
        self._callbacks: list[Callable[[], None]] | None = None
        self._trailers: list[tuple[str, str]] | None = None
        self._cancelled = False
        self._finished = False

    def remaining_s(self) -> float:
        remaining: float | None = self._context.time_remaining()
        return float("inf") if remaining is None or remaining > NO_DEADLINE_S else remaining

    @property
    def cancelled(self) -> bool:
        return self._cancelled or not (self._finished or self._context.is_active())

    def on_cancel(self, callback: Callable[[], None]) -> None:
        with _lock:
            at_once, first = self._cancelled, self._callbacks is None
            if not at_once:
                self._callbacks = [*(self._callbacks or ()), callback]
        if at_once:
            callback()
        elif first and not self._context.add_callback(self.cancel):
            self.cancel()  # it ended before we could watch it

    def cancel(self) -> None:
        """Tell the call to stop: the caller is gone, its deadline passed, or the server stops. Also
        grpcio's callback, which comes at the normal end of a call too; then nobody is to be
        told."""
        with _lock:
            if self._cancelled or self._finished:
                return
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks or (), []
        for callback in callbacks:
            callback()

    def abandon(self) -> None:
        """Break the call off: its caller sends no message, or reads none, for too long."""
        self._context.cancel()

    def finish(self) -> None:
        """The handler is done: from here on nothing is cancelled."""
        if self._callbacks is None:
            self._finished = True  # nobody asked to be told, and nobody is left to ask
            return
        with _lock:
            self._finished = True
            self._callbacks = []

    def set_trailer(self, key: str, value: str) -> None:
        self._trailers = [*(self._trailers or ()), (key, value)]

    def trailers(self, *standard: tuple[str, str | bytes]) -> tuple[tuple[str, str | bytes], ...]:
        """The handler's trailers and the standard ones."""
        return standard if self._trailers is None else (*self._trailers, *standard)

    @property
    def peer(self) -> str:
        """Address as grpcio writes it, for example ``ipv4:127.0.0.1:50312``."""
        peer: str = self._context.peer()
        return peer


def trace_id(trace_parent: str) -> str | None:
    """The trace's id in a W3C traceparent; None if it is none."""
    match = _TRACE_PARENT.fullmatch(trace_parent)
    return match[1] if match else None
