"""Connections that read, shared by all threads: a bounded number, opened as they are needed, the
one used last used next."""

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType
from typing import Generic, Protocol, TypeVar

from ketgate_server.store.base import Reader, StoreUnavailable

TIMEOUT_S = 5.0
"""How long a read waits for a connection."""

_log = logging.getLogger(__name__)


class ReadConnection(Reader, Protocol):
    """A connection that reads."""

    def begin(self) -> None:
        """Start a snapshot. Raises the database's errors."""

    def end(self) -> None:
        """End it. Raises the database's errors."""

    def close(self) -> None: ...


C = TypeVar("C", bound=ReadConnection)


class Readers(Generic[C]):
    """The connections of a store."""

    def __init__(
        self,
        connect: Callable[[], C],
        unavailable: Callable[[Exception], StoreUnavailable | None],
        connections_max: int,
    ) -> None:
        """connect raises the database's errors; unavailable: what they mean for the caller."""
        self._connect = connect
        self.unavailable = unavailable
        self._connections_max = connections_max
        self._idle: list[C] = []
        self._open = 0
        self._closed = False
        self._freed = threading.Condition(threading.Lock())

    def begin(self) -> C:
        """A connection with a snapshot. Raises StoreUnavailable."""
        while True:
            connection = self._take()
            fresh = connection is None
            try:
                connection = connection or self._connect()
                connection.begin()
                return connection
            except Exception as error:
                self._discard(connection)
                if fresh:
                    raise self.unavailable(error) or error from error
                # An idle connection may have been lost long ago: try the next.

    def end(self, connection: C) -> None:
        try:
            connection.end()
        except Exception:  # of no more use; what was read stands
            self._discard(connection)
            return
        with self._freed:
            if not self._closed:
                self._idle.append(connection)
                self._freed.notify()
                return
        self._discard(connection)

    def close(self) -> None:
        """Close what is idle now, and the others when their reads end."""
        with self._freed:
            self._closed = True
            idle, self._idle = self._idle, []
            self._freed.notify_all()
        for connection in idle:
            self._discard(connection)

    def _take(self) -> C | None:
        """An idle connection, or None: open one."""
        with self._freed:
            if not self._closed and not self._idle and self._open >= self._connections_max:
                self._wait()
            if self._closed:
                raise StoreUnavailable("the store is closed: the server is stopping")
            if self._idle:
                return self._idle.pop()
            self._open += 1
            return None

    def _wait(self) -> None:
        end_s = time.monotonic() + TIMEOUT_S
        while not self._closed and not self._idle and self._open >= self._connections_max:
            if not self._freed.wait(end_s - time.monotonic()):
                raise StoreUnavailable(
                    f"all {self._connections_max} connections that read the store are in use"
                )

    def _discard(self, connection: C | None) -> None:
        try:
            if connection is not None:
                connection.close()
        except Exception as error:  # it was of no more use anyway
            _log.warning("a connection that reads could not be closed: %s", error)
        finally:
            with self._freed:
                self._open -= 1
                self._freed.notify()


class Read(Generic[C]):
    """The context of one read."""

    __slots__ = ("_connection", "_readers")

    def __init__(self, readers: Readers[C]) -> None:
        self._readers = readers

    def __enter__(self) -> C:
        self._connection = self._readers.begin()
        return self._connection

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._readers.end(self._connection)
        if isinstance(error, Exception):
            cause = self._readers.unavailable(error)
            if cause is not None:
                raise cause from error
