"""PostgreSQL: the same, for several servers over one database.

Every write transaction first locks the counters, so all of all servers are serial, and revisions
follow the order of commits; READ COMMITTED is enough behind that lock. Needs the extra [postgres].
"""

import os
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import psycopg
from psycopg.pq import TransactionStatus

from ketgate_server.store.base import Row, StoreUnavailable
from ketgate_server.store.clock import Clock
from ketgate_server.store.postgres_connection import Cursor, Door, unavailable
from ketgate_server.store.postgres_notices import Notices, notify
from ketgate_server.store.readers import Readers
from ketgate_server.store.transaction import CLOCK, COUNTERS, PUT_COUNTER, WriteTransaction
from ketgate_server.store.writer import Writer
from ketgate_server.store.written import WrittenStore

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741

READERS_MAX = 16

_BEGIN = f"""BEGIN;
    SELECT name, value, (extract(epoch FROM clock_timestamp()) * 1000000)::bigint FROM counters
    WHERE name IN ({", ".join(f"'{name}'" for name in COUNTERS)}) ORDER BY name FOR UPDATE"""  # noqa: S608


class _Transaction(WriteTransaction):
    def __init__(self, door: Door, clock: Clock, sender: str, *, follow: bool) -> None:
        """sender: of notices to other servers. follow: the database's clock, and not the one
        given."""
        super().__init__()
        self._notify = notify(sender)
        self._door = door
        self._clock = clock
        self._follow = follow
        self._cursor: Cursor | None = None
        self._past_changes = 0

    @property
    def _open(self) -> Cursor:
        assert self._cursor is not None
        return self._cursor

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._open.rows(sql, parameters)

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        return self._open.row(sql, parameters)

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self._open.execute(sql, parameters)

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self._open.execute_many(sql, rows)

    def _rollback(self) -> None:
        if self._cursor is None:
            return
        try:
            if self._cursor.connection.info.transaction_status is not TransactionStatus.IDLE:
                self._cursor.cursor.execute("ROLLBACK", binary=False)
        except psycopg.Error:  # opened anew by the next transaction
            self.close()

    @property
    def intact(self) -> bool:
        if self._cursor is None:
            return False
        return self._cursor.connection.info.transaction_status is TransactionStatus.INTRANS

    def unavailable(self, error: Exception, *, committing: bool) -> StoreUnavailable | None:
        return unavailable(self._door.url, error, committing=committing)

    def close(self) -> None:
        if self._cursor is not None:
            self._past_changes += self._cursor.changes
            self._cursor.connection.close()
            self._cursor = None

    def _connect(self) -> Cursor:
        self._cursor = Cursor(self._door.connect())
        return self._cursor

    def _begin(self, counters: dict[str, int]) -> int:
        for cursor in (self._cursor, None):
            try:
                found = self._lock(cursor or self._connect())
                break
            except psycopg.Error:
                # A connection that was idle may have been lost long ago: nothing has begun yet.
                if cursor is None or not cursor.connection.closed:
                    raise
                self.close()
        counters.update((name, value) for name, value, _ in found)
        if self._follow:
            self._clock.follow(max(row[2] for row in found), counters[CLOCK])
        else:
            self._clock.put_forward(counters[CLOCK])
        return self._clock.now_us()

    @staticmethod
    def _lock(cursor: Cursor) -> list[Row]:
        cursor.cursor.execute(_BEGIN, binary=False)  # one round trip
        cursor.cursor.nextset()
        return cursor.cursor.fetchall()

    def _commit(self, counters: Sequence[tuple[str, int]]) -> None:
        puts = [
            PUT_COUNTER.replace("?, ?", f"'{name}', {value:d}", 1)  # names are COUNTERS
            for name, value in counters
        ]
        if any(name == "revision" for name, _ in counters):
            puts.append(self._notify)
        self._open.cursor.execute("; ".join([*puts, "COMMIT"]).encode(), binary=False)

    def _changed_rows(self) -> int:
        return self._past_changes + (self._cursor.changes if self._cursor is not None else 0)


class _Reader:
    def __init__(self, door: Door) -> None:
        self._cursor = Cursor(door.connect())

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._cursor.rows(sql, parameters)

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        return self._cursor.row(sql, parameters)

    def begin(self) -> None:
        self._cursor.cursor.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")

    def end(self) -> None:
        self._cursor.cursor.execute("ROLLBACK")

    def close(self) -> None:
        self._cursor.connection.close()


class PostgresStore(WrittenStore):
    """A Store that any number of servers share."""

    dialect = "postgresql"

    def __init__(self, url: str, clock: Clock | None = None) -> None:
        """url: of a database that has the schema of this version; clock: instead of the database's,
        for tests. Raises StoreUnavailable."""
        self.url = url
        self._door = Door(url)
        readers = Readers(
            lambda: _Reader(self._door),
            lambda error: unavailable(url, error, committing=False),
            READERS_MAX,
        )
        kept = clock or Clock()
        self._sender = os.urandom(8).hex()
        self._notices: list[Notices] = []
        transaction = _Transaction(self._door, kept, self._sender, follow=clock is None)
        writer = Writer(transaction, "store-writer")
        super().__init__(writer, readers, kept)
        self.run(lambda tx: tx.now_us)  # sets the clock

    def listen(self, callback: Callable[[], None]) -> None:
        notices = Notices(self.url, self._sender, callback)
        self._notices.append(notices)
        notices.start()

    def close(self) -> None:
        for notices in self._notices:
            notices.close()
        self._writer.close()
        self._readers.close()
