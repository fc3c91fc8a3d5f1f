"""How much runs at once. Over a limit a call is refused at once; it never waits for a thread.

A lane is a number of calls with as many threads. Streams, unary calls and health checks have one
each, so that none takes another's threads.
"""

import threading
from concurrent.futures import ThreadPoolExecutor

from ketgate_server.errors import KetgateError, Reason

REFUSING_THREADS = 8
"""Threads beyond a lane's capacity: they live to say no."""

RETRY_AFTER_S = 0.25
SMALL_REQUEST_BYTES = 64 * 1024
"""Requests below this are not counted: as many as there are lanes for are small together."""


class Lane:
    """Calls of one kind."""

    def __init__(self, name: str, capacity: int, limit: str) -> None:
        self.name = name
        self.capacity = capacity
        self._limit = limit
        self._lock = threading.Lock()
        self._count = 0
        self.pool = ThreadPoolExecutor(
            capacity + REFUSING_THREADS, thread_name_prefix=f"rpc-{name}"
        )

    @property
    def count(self) -> int:
        """Calls in progress."""
        return self._count

    def enter(self) -> None:
        """Raises KetgateError SERVER_BUSY when the lane is full. Each success is paired with one
        leave()."""
        with self._lock:
            if self._count < self.capacity:
                self._count += 1
                return
        raise busy(
            f"{self.capacity} {self.name} calls are in progress, the most that this server takes",
            self._limit,
        )

    def leave(self) -> None:
        with self._lock:
            self._count -= 1


class RequestBytes:
    """The bytes of all requests in progress."""

    def __init__(self, bytes_max: int) -> None:
        self._bytes_max = bytes_max
        self._lock = threading.Lock()
        self._bytes = 0

    def take(self, messages: tuple[bytes, ...]) -> int:
        """What to give back afterwards. Raises KetgateError SERVER_BUSY when there is no room
        now."""
        size = sum(map(len, messages))
        if size <= SMALL_REQUEST_BYTES:
            return 0
        with self._lock:
            if self._bytes + size <= self._bytes_max:
                self._bytes += size
                return size
        raise busy(
            "the requests in progress hold all the memory that is set aside for them",
            "rpc.requests_bytes_max",
        )

    def give(self, size: int) -> None:
        if size:
            with self._lock:
                self._bytes -= size


def busy(message: str, limit: str) -> KetgateError:
    return KetgateError(Reason.SERVER_BUSY, message, limit=limit, retry_after_s=RETRY_AFTER_S)
