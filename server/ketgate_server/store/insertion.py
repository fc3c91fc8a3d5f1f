"""Inserts many rows with few statements. Each statement is a step that gives up the interpreter's
lock and must win it back; with many threads about, that costs more than the row."""

from collections.abc import Sequence
from functools import lru_cache
from itertools import chain

from ketgate_server.store.base import Transaction

ROWS_MAX = 32
"""Rows of one statement. SQLite takes 32,766 parameters, PostgreSQL 65,535."""


def insert(
    tx: Transaction, into: str, rows: Sequence[Sequence[object]], conflict: str = ""
) -> None:
    """Insert rows, all of one length.

    into: "table (column, ...)". conflict: an ON CONFLICT clause.
    """
    start = 0
    while start < len(rows):
        some = rows[start : start + ROWS_MAX]
        if len(some) < ROWS_MAX:  # powers of two, so that few statements are parsed
            some = some[: 1 << (len(some).bit_length() - 1)]
        sql = _statement(into, len(rows[0]), len(some), conflict)
        tx.execute(sql, list(chain.from_iterable(some)))
        start += len(some)


@lru_cache(maxsize=256)
def _statement(into: str, columns: int, rows: int, conflict: str) -> str:
    marks = f"({', '.join('?' * columns)})"
    return f"INSERT INTO {into} VALUES {', '.join([marks] * rows)} {conflict}".rstrip()  # noqa: S608
