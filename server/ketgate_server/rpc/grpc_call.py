"""A Call over gRPC's core.

What a call does with the wire is a batch of operations; the thread that polls is told of each that
is done. Unary methods wait for none: their request comes with the thread that runs them, and their
answer is sent without looking back. Streams wait, one message after the other.
"""

import random
import re
import threading
import time
from collections.abc import Callable
from functools import partial
from typing import Any

from google.protobuf.message import Message

from ketgate_server.rpc import core
from ketgate_server.rpc.call import Identity

NOBODY = Identity("", "", frozenset())
"""Who calls an open method, or a method that has not yet asked."""

NO_DEADLINE_S = 1e8
"""The core gives a far date for no deadline."""

OK = 0
_NO_FLAGS = 0

Trailers = tuple[tuple[str, str | bytes], ...]
Work = Callable[[], None]
"""What is to be done after an event, by the thread that got it."""

_REQUEST_ID = re.compile(r"[\x20-\x7e]{1,128}")
_TRACE_PARENT = re.compile(r"[0-9a-f]{2}-([0-9a-f]{32})-[0-9a-f]{16}-[0-9a-f]{2}")

_lock = threading.Lock()
"""One for all calls: it is held for a few instructions."""


class GrpcCall:
    """One call in progress; see rpc.call.Call. What few calls need is made when it is needed."""

    __slots__ = (
        "_callbacks",
        "_cancelled",
        "_core",
        "_deadline_s",
        "_finished",
        "_opened",
        "_trailers",
        "_watched",
        "arrival_s",
        "bytes_held",
        "gone",
        "identity",
        "in_lane",
        "metadata",
        "method",
        "request",
        "request_id",
        "waiting",
        "waiting_since_s",
    )

    def __init__(self, event: core.RequestCallEvent) -> None:
        self.arrival_s = time.monotonic()
        details = event.call_details
        self.method: str = details.method.decode("utf-8", "replace")
        self.metadata: dict[str, str] = {
            key: value for key, value in event.invocation_metadata if type(value) is str
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
        self.gone = False
        """Whether the caller is known to have gone, or the deadline to have passed."""
        self._core = event.call
        self._deadline_s: float = details.deadline
        self._callbacks: list[Callable[[], None]] | None = None
        self._trailers: list[tuple[str, str]] | None = None
        self._watched = False
        self._opened = False
        self._cancelled = False
        self._finished = False

    # What services see.

    def remaining_s(self) -> float:
        remaining_s = self._deadline_s - time.time()
        return float("inf") if remaining_s > NO_DEADLINE_S else max(remaining_s, 0.0)

    @property
    def cancelled(self) -> bool:
        if not self._watched:
            self.watch()
        return self._cancelled

    def on_cancel(self, callback: Callable[[], None]) -> None:
        self.watch()
        with _lock:
            at_once = self._cancelled
            if not at_once:
                self._callbacks = [*(self._callbacks or ()), callback]
        if at_once:
            callback()

    def abandon(self) -> None:
        """Break the call off: its caller sends no message, or reads none, for too long."""
        self._core.cancel()

    def set_trailer(self, key: str, value: str) -> None:
        self._trailers = [*(self._trailers or ()), (key, value)]

    @property
    def peer(self) -> str:
        """Address as gRPC writes it, for example ``ipv4:127.0.0.1:50312``."""
        peer: str = self._core.peer().decode("utf-8", "replace")
        return peer

    # What the edge does.

    def watch(self) -> None:
        """Be told from now on when the caller goes. Most unary calls end before anybody asks: to be
        told costs a batch of its own, so it begins with the first question."""
        with _lock:
            if self._watched or self._finished:
                return
            self._watched = True
        self._core.start_server_batch(
            (core.ReceiveCloseOnServerOperation(_NO_FLAGS),), self._closed
        )

    def cancel(self) -> None:
        """Tell the call to stop: the caller is gone, its deadline passed, or the server stops."""
        with _lock:
            if self._cancelled or self._finished:
                return
            self._cancelled = True
            callbacks, self._callbacks = self._callbacks or (), []
        for callback in callbacks:
            callback()

    def finish(self) -> None:
        """The handler is done: from here on nothing is cancelled."""
        with _lock:
            self._finished = True
            self._callbacks = None

    def trailers(self, *standard: tuple[str, str | bytes]) -> Trailers:
        """The handler's trailers and the standard ones."""
        return standard if self._trailers is None else (*self._trailers, *standard)

    def receive(self, then: Callable[[bytes | None], None]) -> None:
        """Read the request; the thread that gets it calls then. None: the caller sends none, or is
        gone."""
        self._core.start_server_batch(
            (core.ReceiveMessageOperation(_NO_FLAGS),),
            lambda event: partial(then, event.batch_operations[0].message()),
        )

    def wait_for_request(self) -> bytes | None:
        """The next request; None: there is none any more."""
        event = self._wait_for(core.ReceiveMessageOperation(_NO_FLAGS))
        content: bytes | None = event.batch_operations[0].message()
        return content

    def cut_off(self) -> bool:
        """Whether a request that did not come tells that the caller has gone, and not that it has
        sent all: the core says the same of both, and of who has gone perhaps later. But headers it
        can send to the other alone."""
        return not self._wait_for(*self._opening()).success or self.gone

    def send(self, answer: bytes) -> bool:
        """Send one of several answers, and wait until there is room for the next. Whether anybody
        is left to read it."""
        event = self._wait_for(*self._opening(), core.SendMessageOperation(answer, _NO_FLAGS))
        return bool(event.success) and not self.gone

    def answer(self, answer: bytes, trailers: Trailers) -> None:
        """Send the one answer and the end, and do not wait."""
        self._end(trailers, OK, b"", core.SendMessageOperation(answer, _NO_FLAGS))

    def end(
        self,
        trailers: Trailers,
        code: int = OK,
        message: str = "",
        then: Callable[[bool], None] | None = None,
    ) -> None:
        """Send the end, and do not wait. then: is told later whether the caller had gone before."""
        self._end(trailers, code, message.encode(), then=then)

    def _end(
        self,
        trailers: Trailers,
        code: int,
        message: bytes,
        *answer: core.SendMessageOperation,
        then: Callable[[bool], None] | None = None,
    ) -> None:
        status = core.SendStatusFromServerOperation(trailers, code, message, _NO_FLAGS)
        operations = (*self._opening(), *answer, status)
        with _lock:
            closes, self._watched = not self._watched, True
        if closes:  # without it the core would keep the call
            operations = (*operations, core.ReceiveCloseOnServerOperation(_NO_FLAGS))
        if then is None:
            self._core.start_server_batch(operations, _ended)
            return

        def tell(event: core.BatchOperationEvent) -> None:
            gone = event.batch_operations[-1].cancelled() if closes else self.gone
            then(bool(gone))

        self._core.start_server_batch(operations, tell)

    def _opening(self) -> tuple[core.SendInitialMetadataOperation, ...]:
        if self._opened:
            return ()
        self._opened = True
        return (core.SendInitialMetadataOperation(None, _NO_FLAGS),)

    def _wait_for(self, *operations: Any) -> core.BatchOperationEvent:
        waiting = _Waiting()
        self._core.start_server_batch(operations, waiting)
        waiting.gate.acquire()
        event = waiting.event
        del waiting.event  # which names its tag: together they would keep the message
        return event

    def _closed(self, event: core.BatchOperationEvent) -> None:
        if event.batch_operations[0].cancelled():
            self.gone = True
            self.cancel()


class _Waiting:
    """A thread that waits for a batch."""

    __slots__ = ("event", "gate")

    def __init__(self) -> None:
        self.gate = threading.Lock()
        self.gate.acquire()

    def __call__(self, event: core.BatchOperationEvent) -> None:
        self.event = event
        self.gate.release()


def _ended(_: core.BatchOperationEvent) -> None:
    """Nobody waits for the end of a call."""


def trace_id(trace_parent: str) -> str | None:
    """The trace's id in a W3C traceparent; None if it is none."""
    match = _TRACE_PARENT.fullmatch(trace_parent)
    return match[1] if match else None
