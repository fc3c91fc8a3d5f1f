"""What the rest of the server sees of the store: operations that commit together, and reads.

An operation is a function of a Transaction. The writer runs all that wait in one transaction and
commits them with one sync to disk; `Store.run` returns when that is done, so what it returned is
durable. The same SQL runs on SQLite and PostgreSQL: `?` for parameters, names in lower case, and of
the dialects' own only what both have (ON CONFLICT, RETURNING, partial indexes).

Rules for operations, as nobody checks them:
- Check first, write after. An operation may raise a KetgateError as long as it has written nothing;
  the others of its batch are not touched.
- Run again, it does the same: a batch that fails as a whole is repeated one by one. What is random
  or taken from a clock other than the transaction's comes from outside.
- An error of the database is never caught: the transaction may be over. Ask first, or use ON
  CONFLICT.
- No waiting inside. All writers, of all servers, wait for the one that runs: transactions are serial.
"""

from collections.abc import Callable, Iterable, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, TypeVar

from ketgate_server.store.errors import StoreError

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741
Row = tuple[Any, ...]


class Reader(Protocol):
    """Reads. Within one `Store.read` all see the same state."""

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        """All rows."""

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        """The first row, or None."""


class Transaction(Reader, Protocol):
    """The one write transaction. Not kept beyond the operation."""

    now_us: int
    """Microseconds since 1970, of the database's clock (PostgreSQL), or of this process's, which
    never goes back and is never before what is stored (SQLite). The same for all of a batch."""

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        """Run a statement; the number of rows it changed."""

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        """Run a statement for each row of parameters."""

    def take(self, counter: str, count: int = 1) -> int:
        """The first of count new numbers of a counter. Numbers follow the order of commits, start
        at 1 and have no gaps. Counters: "revision", "audit", "fence"."""

    def peek(self, counter: str) -> int:
        """The last number taken; 0 for none."""

    def on_commit(self, callback: Callable[[], None]) -> None:
        """Run callback, on the thread that writes, when the batch is durable. It must be quick."""


Operation = Callable[[Transaction], T]
Outcome = Callable[[], T]
"""Returns what an operation returned, or raises what it raised; to be called once."""

BatchOperation = Callable[[Transaction, Sequence[I]], Sequence[T | Exception]]


class Store(Protocol):
    """One database."""

    dialect: str
    """ "sqlite" or "postgresql"."""

    def run(self, operation: Operation[T]) -> T:
        """Run an operation and return what it returned, once that is durable.

        Raises what the operation raised; StoreUnavailable when it could not be committed (nothing
        of it is stored) or the store is closed.
        """

    def run_batched(self, operation: BatchOperation[I, T], item: I) -> T:
        """As run, for operations that are cheaper together: all items that wait for the same
        function are given to it at once. It returns for each its result, or an exception for that
        item alone.
        """

    def begin_batched(
        self, operation: BatchOperation[I, T], item: I, then: Callable[[Outcome[T]], None]
    ) -> None:
        """As run_batched, without waiting for what others write: then gets the outcome once it is
        durable, on this thread or another. It may wait for operations of its own, though not for
        long: who ended at the same time is told after it.

        Raises StoreUnavailable when the queue stays full, or the store is closed.
        """

    def submit(self, operation: Operation[Any]) -> None:
        """Run an operation soon, and do not wait. An error of it is logged.

        Raises StoreUnavailable when the queue is full.
        """

    @property
    def has_room(self) -> bool:
        """Whether the queue of operations is less than half full: what can be left out should be
        when it is not."""

    def read(self) -> AbstractContextManager[Reader]:
        """A snapshot to read from, of what is committed. Any number at once, each for moments: what
        is read may not be cleared away meanwhile."""

    def now_us(self) -> int:
        """The clock of transactions."""

    def observe(self, callback: Callable[[int, float], None]) -> None:
        """Tell of every batch from now on: its operations, and the seconds until they were
        durable. It runs on the thread that writes: it must be quick."""

    def listen(self, callback: Callable[[], None]) -> None:
        """Call callback, on some thread, soon after another server committed revisions. Now and
        then without need; and not while the database cannot be reached or passes no notices on, so
        look for yourself as well."""

    def close(self) -> None:
        """Commit what waits and close."""


class StoreUnavailable(StoreError):  # noqa: N818 - a state of the store
    """The store cannot be written or reached now: disk full, read-only, connection lost. Nothing of
    the operation is stored, unless `uncertain`: the connection broke while it was being
    committed."""

    def __init__(self, message: str, *, uncertain: bool = False) -> None:
        super().__init__(message)
        self.uncertain = uncertain


class StoreFull(StoreUnavailable):
    """There is no room for this operation; there may be for a smaller one."""


__all__ = [
    "BatchOperation",
    "Operation",
    "Outcome",
    "Reader",
    "Row",
    "Store",
    "StoreFull",
    "StoreUnavailable",
    "Transaction",
]
