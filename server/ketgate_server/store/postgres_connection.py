"""Ways into a PostgreSQL database, and what its errors mean. Needs the extra [postgres]."""

import random
import threading
import time
from collections.abc import Iterable, Sequence
from functools import cache
from typing import Any, TypeVar

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.numeric import NumericBinaryLoader

from ketgate_server.store.base import (
    Row,
    StoreFull,
    StoreUnavailable,
)

T = TypeVar("T")
I = TypeVar("I")  # noqa: E741

RETRY_S_MIN, RETRY_S_MAX = 0.1, 5.0
"""Between attempts to reach a database that was lost; in between, callers are refused at once."""

_DEFAULTS = {
    "connect_timeout": "5",
    "tcp_user_timeout": "10000",
    "application_name": "ketgate",
    # A server that stops in the middle of a transaction must not hold up the others.
    "options": "-c idle_in_transaction_session_timeout=10s -c lock_timeout=5s -c timezone=UTC",
}

_STATES = {
    "08": "the connection was lost",
    "25006": "the database is read-only",
    "28": "the database refuses this user or password",
    "3D": "there is no such database",
    "40": "the database ended the transaction in favour of another",
    "53": "the database is out of a resource",
    "53100": "the database's disk is full; make room",
    "55P03": "another server has been writing for too long",
    "57": "the database is stopping or starting",
    "58": "the database's disk failed to read or write",
    "F0": "the database is damaged",
    "XX": "the database is damaged",
}
"""What an SQLSTATE, or its class, says of the store."""


def place(url: str) -> str:
    """Where a database is, without the password, for messages."""
    parts = conninfo_to_dict(url)
    host = parts.get("host") or parts.get("hostaddr") or "localhost"
    port = f":{parts['port']}" if parts.get("port") else ""
    return f"postgresql://{host}{port}/{parts.get('dbname') or ''}"


def connect(url: str) -> "psycopg.Connection[Row]":
    """A connection in autocommit mode. Raises psycopg.Error."""
    given = conninfo_to_dict(url)
    options = f"{_DEFAULTS['options']} {given.get('options') or ''}"
    connection: psycopg.Connection[Row] = psycopg.connect(
        make_conninfo(url, **{**_DEFAULTS, **given, "options": options}), autocommit=True
    )
    # Off, a commit may be lost; what is stronger than on is left as it is.
    connection.execute(
        "SELECT set_config('synchronous_commit', 'on', false)"
        " WHERE current_setting('synchronous_commit') = 'off'"
    )
    connection.adapters.register_loader("numeric", _IntegerLoader)
    return connection


def revision(url: str) -> str | None:
    """The schema's revision; None for a database that has none yet. Raises StoreUnavailable."""
    try:
        with connect(url) as connection:
            found = connection.execute("SELECT to_regclass('alembic_version') IS NOT NULL")
            if not (found.fetchone() or (False,))[0]:
                return None
            row = connection.execute("SELECT version_num FROM alembic_version").fetchone()
            return row[0] if row else None
    except psycopg.Error as error:
        raise unavailable(url, error, committing=False) or StoreUnavailable(
            f"the store {place(url)} cannot be used: {error}"
        ) from error


class _IntegerLoader(NumericBinaryLoader):
    """A sum of integers is an integer, as in SQLite."""

    def load(self, data: Any) -> Any:
        value = super().load(data)
        return int(value) if value == value.to_integral_value() else float(value)


@cache
def translate(sql: str) -> str:
    """The driver's marks for parameters. Statements are constants of the program, so the cache is
    bounded."""
    parts = sql.replace("%", "%%").split("'")
    parts[::2] = [outside.replace("?", "%s") for outside in parts[::2]]  # not within literals
    return "'".join(parts)


def unavailable(url: str, error: Exception, *, committing: bool) -> StoreUnavailable | None:
    """What an error says of the store; None if it is the statement's fault."""
    if not isinstance(error, psycopg.Error):
        return None
    state = error.sqlstate
    if state is None:
        if not isinstance(error, psycopg.OperationalError | psycopg.InterfaceError):
            return None
        meaning: str | None = "the database cannot be reached"
    else:
        meaning = _STATES.get(state) or _STATES.get(state[:2])
    if meaning is None:
        return None
    text = " ".join(str(error).split())
    message = f"the store {place(url)} cannot be used now: {meaning} ({text})"
    if state == "53100":
        return StoreFull(message)
    lost = state is None or state[:2] in ("08", "57", "58", "XX")
    return StoreUnavailable(message, uncertain=committing and lost)


class Door:
    """The way into a database. While it is shut, most callers are refused at once, and now and then
    one tries, with jitter, as all servers lost it together."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.retry_s = RETRY_S_MIN
        self.retry_at_s = 0.0
        self._shut: str | None = None
        self._lock = threading.Lock()

    def connect(self) -> "psycopg.Connection[Row]":
        """Raises StoreUnavailable."""
        with self._lock:
            if self._shut is not None:
                now_s = time.monotonic()
                if now_s < self.retry_at_s:
                    raise StoreUnavailable(self._shut)
                self.retry_at_s = now_s + self.retry_s * random.uniform(0.5, 1.0)  # noqa: S311
        try:
            connection = connect(self.url)
        except psycopg.Error as error:
            cause = unavailable(self.url, error, committing=False)
            cause = cause or StoreUnavailable(f"the store {place(self.url)} refuses us: {error}")
            with self._lock:
                self._shut = str(cause)
                self.retry_at_s = time.monotonic() + self.retry_s * random.uniform(0.5, 1.0)  # noqa: S311
                self.retry_s = min(RETRY_S_MAX, 2 * self.retry_s)
            raise cause from error
        with self._lock:
            self._shut, self.retry_s = None, RETRY_S_MIN
        return connection


class Cursor:
    """Statements on a connection."""

    def __init__(self, connection: "psycopg.Connection[Row]") -> None:
        self.connection = connection
        self.cursor = connection.cursor(binary=True)
        self.changes = 0

    def run(self, sql: str, parameters: Sequence[Any]) -> "psycopg.Cursor[Row]":
        cursor = self.cursor
        # Always a sequence, so that %% means the same whether there are parameters or not.
        cursor.execute(translate(sql), parameters)
        if not (cursor.statusmessage or "").startswith("SELECT"):
            self.changes += max(0, cursor.rowcount)
        return cursor

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self.run(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        return self.run(sql, parameters).fetchone()

    def execute(self, sql: str, parameters: Sequence[Any] = ()) -> int:
        return self.run(sql, parameters).rowcount

    def execute_many(self, sql: str, rows: Iterable[Sequence[Any]]) -> None:
        self.cursor.executemany(translate(sql), rows)
        self.changes += 1
