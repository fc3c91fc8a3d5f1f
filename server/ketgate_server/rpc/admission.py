"""How much runs at once. Over a limit a call is refused at once; it never waits for a thread.

A lane is a number of calls. Unary calls, streams, long polls, watches and health checks have one
each, so that none takes another's places.
"""

import threading
from collections import deque
from collections.abc import Callable

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.rpc.pool import CallPool

SMALL_STACK_BYTES = 1 << 20
"""For threads that mostly wait, of which there may be thousands."""

RETRY_AFTER_S = 0.25
SMALL_REQUEST_BYTES = 64 * 1024
"""Requests below this are not counted: as many as there are lanes for are small together."""


class Lane:
    """Calls of one kind, served by the threads that bring them."""

    def __init__(self, name: str, capacity: int, limit: str) -> None:
        self.name = name
        self.capacity = capacity
        self._limit = limit
        # Taking from and adding to a deque is atomic, and cheaper than a lock around a counter.
        self._free = deque((None,) * capacity)

    @property
    def count(self) -> int:
        """Calls in progress."""
        return self.capacity - len(self._free)

    def enter(self) -> None:
        """Raises KetgateError SERVER_BUSY when the lane is full. A success is paired with leave."""
        try:
            self._free.pop()
        except IndexError:
            raise busy(
                f"{self.capacity} {self.name} calls are in progress, the most that this server takes",
                self._limit,
            ) from None

    def leave(self) -> None:
        self._free.append(None)


class ThreadedLane(Lane):
    """Calls that hold a thread for long: they have threads of their own."""

    def __init__(self, name: str, capacity: int, limit: str, *, small_stacks: bool = False) -> None:
        super().__init__(name, capacity, limit)
        stack_bytes = SMALL_STACK_BYTES if small_stacks else 0
        self._pool = CallPool(capacity, f"rpc-{name}", stack_bytes=stack_bytes)

    def run(self, work: Callable[[], object]) -> None:
        """Have a thread do it. Only for calls that entered: so none waits for a thread. Raises
        KetgateError SERVER_BUSY where the system gives none."""
        try:
            self._pool.submit(work)
        except RuntimeError:
            raise busy(
                f"the system gives the server no thread for a {self.name} call; it may be limited "
                "to too few of them",
                self._limit,
            ) from None

    def close(self) -> None:
        self._pool.shutdown()


class RequestBytes:
    """The bytes of all requests in progress."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._bytes = 0

    def take(self, messages: tuple[bytes, ...]) -> int:
        """messages: one or none. What to give back afterwards. Raises KetgateError SERVER_BUSY when
        there is no room now."""
        if not messages or len(messages[0]) <= SMALL_REQUEST_BYTES:
            return 0
        size = len(messages[0])
        with self._lock:
            if self._bytes + size <= self._bytes_max:
                self._bytes += size
                return size
        raise busy(
            "the requests in progress hold all the memory that is set aside for them",
            "rpc.requests_bytes_max",
        )

    def give(self, size: int) -> None:
        with self._lock:
            self._bytes -= size


def busy(message: str, limit: str) -> KetgateError:
    return KetgateError(Reason.SERVER_BUSY, message, limit=limit, retry_after_s=RETRY_AFTER_S)
