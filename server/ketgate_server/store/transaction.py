"""The write transaction of a connection, whichever database it is of.

Counters are read when a transaction begins and written when it commits, once for a whole batch. So
is the time of the newest transaction, from which a clock that was set back goes on.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from ketgate_server.store.base import Row, StoreUnavailable

PUT_COUNTER = """INSERT INTO counters (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""

CLOCK = "clock"
"""The time of the newest transaction."""

COUNTERS = ("revision", "audit", "tokens", "fence", "signing", CLOCK)


class WriteTransaction(ABC):
    """A Transaction that can begin and end, again and again, on one connection."""

    def __init__(self) -> None:
        self.now_us = 0
        self.callbacks: dict[Callable[[], None], None] = {}
        """In order, each once."""
        self._counters: dict[str, int] = {}
        self._stored: dict[str, int] = {}
        self._taken = 0

    # What operations see: base.Transaction.

    @abstractmethod
    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]: ...

    @abstractmethod
    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None: ...

    @abstractmethod
    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int: ...

    @abstractmethod
    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None: ...

    def take(self, counter: str, count: int = 1) -> int:
        first = self._counters[counter] + 1
        self._counters[counter] += count
        self._taken += count
        return first

    def peek(self, counter: str) -> int:
        return self._counters[counter]

    def on_commit(self, callback: Callable[[], None]) -> None:
        self.callbacks[callback] = None

    # What the writer sees.

    @property
    def writes(self) -> int:
        """Rises with everything an operation changed."""
        return self._changed_rows() + self._taken

    def begin(self) -> None:
        """Wait for all other writers, and start. Raises the database's errors."""
        self.callbacks = {}
        self._taken = 0
        self._stored = dict.fromkeys(COUNTERS, 0)
        self.now_us = self._begin(self._stored)
        self._counters = dict(self._stored)
        self._writes_at_begin = self.writes

    def commit(self) -> None:
        """Make it durable. Raises the database's errors; the transaction is over all the same once
        rollback() was called."""
        changed: list[tuple[str, int]] = []
        if self.writes != self._writes_at_begin:
            self._counters[CLOCK] = self.now_us
            changed = [
                (name, value)
                for name, value in self._counters.items()
                if value != self._stored[name]
            ]
        self._commit(changed)

    def rollback(self) -> None:
        """End without a trace, whatever state the connection is in. Never raises; a connection that
        is of no more use is opened anew by the next begin()."""
        self.callbacks = {}
        self._rollback()

    @property
    @abstractmethod
    def intact(self) -> bool:
        """Whether the transaction can go on: the database has not ended it because of an error."""

    @abstractmethod
    def unavailable(self, error: Exception, *, committing: bool) -> StoreUnavailable | None:
        """What an error of the database means for the caller: None if it is the statement's fault,
        and not a state of the store."""

    @abstractmethod
    def close(self) -> None: ...

    @abstractmethod
    def _begin(self, counters: dict[str, int]) -> int:
        """Start, and fill in the value of each counter that is stored; the transaction's time."""

    @abstractmethod
    def _commit(self, counters: Sequence[tuple[str, int]]) -> None:
        """Write the value of each counter that rose, and commit."""

    @abstractmethod
    def _rollback(self) -> None: ...

    @abstractmethod
    def _changed_rows(self) -> int: ...
