"""SQLite: one connection that writes, on the writer's thread, and some that read.

WAL with synchronous=FULL: what was committed survives a power loss, and readers never wait for a
writer.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

from ketgate_server.store.base import (
    Row,
    StoreFull,
    StoreUnavailable,
)
from ketgate_server.store.clock import Clock
from ketgate_server.store.readers import Readers
from ketgate_server.store.transaction import CLOCK, COUNTERS, PUT_COUNTER, WriteTransaction
from ketgate_server.store.writer import Writer
from ketgate_server.store.written import WrittenStore

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741

# What sqlite3 finds for None and bytes when it looks for a conversion that is not there: several
# failed lookups of attributes, a microsecond for each parameter. These are found at once, change
# nothing and copy nothing.
sqlite3.register_adapter(bytes, memoryview)
sqlite3.register_adapter(type(None), {}.get)  # type: ignore[arg-type]

BUSY_TIMEOUT_S = 5.0
"""How long to wait for another process that writes, for example `ketgate token create`."""

READERS_MAX = 32

WAL_BYTES_KEPT_MAX = 64 << 20
"""What a WAL that grew during a long read is cut to when it is empty again."""

SECURE_DELETE = "FAST"
"""What is free within a page is overwritten, whatever SQLite was built to do: rows that a page was too
full for leave copies where they were, which no later erasure finds. It costs no access to the disk."""

STATEMENTS_CACHED_MAX = 256

WRITER_CACHE_KIB_MAX = 32 * 1024
"""Pages that the writer keeps; used as needed. SQLite's own 2 MiB are too few for the ends of all
indices, and each page that is missing is a call to the system."""

_COUNTERS = f"SELECT name, value FROM counters WHERE name IN ({', '.join(map(repr, COUNTERS))})"  # noqa: S608

_FULL = {sqlite3.SQLITE_FULL, sqlite3.SQLITE_NOMEM}
_STATES = {
    sqlite3.SQLITE_FULL: "the disk is full, or a quota is reached; make room",
    sqlite3.SQLITE_NOMEM: "there is not enough memory",
    sqlite3.SQLITE_READONLY: "the file system or the file is read-only; make it writable",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write; see the system's log",
    sqlite3.SQLITE_CANTOPEN: "the file cannot be opened; check that it is there, and its rights",
    sqlite3.SQLITE_BUSY: "another process has been writing for too long",
    sqlite3.SQLITE_LOCKED: "another connection holds a lock",
    sqlite3.SQLITE_PERM: "the rights of the file do not allow it",
    sqlite3.SQLITE_CORRUPT: "the file is damaged; restore a back-up",
    sqlite3.SQLITE_NOTADB: "the file is no SQLite database; restore a back-up",
}


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a database that there is, in autocommit mode, that threads may use one after
    the other. Raises sqlite3.Error."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=rw",  # where the disk is missing none is to be made
        uri=True,
        timeout=BUSY_TIMEOUT_S,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=STATEMENTS_CACHED_MAX,
    )
    connection.execute("PRAGMA synchronous=FULL")
    connection.execute("PRAGMA foreign_keys=ON")
    connection.execute(f"PRAGMA journal_size_limit={WAL_BYTES_KEPT_MAX}")
    connection.execute(f"PRAGMA secure_delete={SECURE_DELETE}")
    return connection


def unavailable(path: Path, error: Exception, *, committing: bool) -> StoreUnavailable | None:
    """What an error says of the store; None if it is the statement's fault."""
    code = getattr(error, "sqlite_errorcode", None)
    if not isinstance(error, sqlite3.Error) or code is None or code & 0xFF not in _STATES:
        return None
    message = f"the store {path} cannot be used now: {_STATES[code & 0xFF]} ({error})"
    if code & 0xFF in _FULL:
        return StoreFull(message)
    # A commit whose sync failed is undone here, but may be found whole after a crash.
    uncertain = committing and code & 0xFF == sqlite3.SQLITE_IOERR
    return StoreUnavailable(message, uncertain=uncertain)


class _Transaction(WriteTransaction):
    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Clock) -> None:
        super().__init__()
        self._path = path
        self._connection: sqlite3.Connection | None = connection
        self._cursor = _cursor_of_writer(connection)
        self._clock = clock

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._cursor.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        found: Row | None = self._cursor.execute(sql, parameters).fetchone()
        return found

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._cursor.execute(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._cursor.executemany(sql, rows)

    def _rollback(self) -> None:
        connection = self._connection
        if connection is None:
            return
        try:
            if connection.in_transaction:
                self._cursor.execute("ROLLBACK")
        except sqlite3.Error:  # opened anew by the next transaction
            self.close()

    @property
    def intact(self) -> bool:
        return self._connection is not None and self._connection.in_transaction

    def unavailable(self, error: Exception, *, committing: bool) -> StoreUnavailable | None:
        cause = unavailable(self._path, error, committing=committing)
        if cause is not None and not isinstance(cause, StoreFull):
            self.close()  # a file system that was mounted anew needs new descriptors
        return cause

    def close(self) -> None:
        if self._connection is not None:
            connection, self._connection = self._connection, None
            connection.close()

    def _begin(self, counters: dict[str, int]) -> int:
        if self._connection is None:
            self._connection = connect(self._path)
            self._cursor = _cursor_of_writer(self._connection)
        self._cursor.execute("BEGIN IMMEDIATE")
        counters.update(self._cursor.execute(_COUNTERS).fetchall())
        self._clock.put_forward(counters[CLOCK])
        return self._clock.now_us()

    def _commit(self, counters: Sequence[tuple[str, int]]) -> None:
        self._cursor.executemany(PUT_COUNTER, counters)
        self._cursor.execute("COMMIT")

    def _changed_rows(self) -> int:
        return self._connection.total_changes if self._connection is not None else 0


def _cursor_of_writer(connection: sqlite3.Connection) -> sqlite3.Cursor:
    return connection.execute(f"PRAGMA cache_size=-{WRITER_CACHE_KIB_MAX}")


class _Reader:
    """One cursor for all: its next statement ends the one before, which would else hold the
    snapshot."""

    def __init__(self, path: Path) -> None:
        self._connection = connect(path)
        self._connection.execute("PRAGMA query_only=ON")
        self._cursor = self._connection.cursor()

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._cursor.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        found: Row | None = self._cursor.execute(sql, parameters).fetchone()
        return found

    def begin(self) -> None:
        self._cursor.execute("BEGIN")

    def end(self) -> None:
        self._cursor.execute("COMMIT")

    def close(self) -> None:
        self._connection.close()


class SqliteStore(WrittenStore):
    """A Store in one file, of one server; commands beside it may write too."""

    dialect = "sqlite"

    def __init__(self, path: Path, clock: Clock) -> None:
        """path: of a database that has the schema of this version. Raises sqlite3.Error."""
        self.path = path
        connection = connect(path)
        stored = connection.execute("SELECT value FROM counters WHERE name = ?", (CLOCK,))
        clock.put_forward(stored.fetchone()[0])
        readers = Readers(
            lambda: _Reader(path),
            lambda error: unavailable(path, error, committing=False),
            READERS_MAX,
        )
        writer = Writer(_Transaction(path, connection, clock), "store-writer")
        super().__init__(writer, readers, clock)

    def close(self) -> None:
        # The writer last: the last connection to close writes the WAL back into the file.
        self._readers.close()
        self._writer.close()
