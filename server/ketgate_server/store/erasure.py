"""Erasing what is deleted: of a database, deleted usually means that nobody is shown it any more.

SQLite can do it: with secure_delete the bytes are overwritten in their page, and once the WAL is written
back and cut to nothing, no older copy of the page is left in its files. What a file system, a drive or a
back-up keeps is beyond its reach. PostgreSQL cannot: old rows stay in pages and in its own WAL until they
are used again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ketgate_server.store.base import Store, StoreUnavailable, Transaction
from ketgate_server.store.sqlite import SqliteStore, connect, unavailable

_BUSY_MS = 50
"""Writers wait meanwhile, so this gives up soon; there is a next time."""


@contextmanager
def erasing(store: Store, tx: Transaction) -> Iterator[None]:
    """What is overwritten and deleted inside of this is erased, where the database can do that."""
    if store.dialect != "sqlite":
        yield
        return
    tx.row("PRAGMA secure_delete=ON")
    try:
        yield
    finally:
        tx.row("PRAGMA secure_delete=OFF")


def cut_log(store: Store) -> bool:
    """Write SQLite's WAL back and cut it to nothing, as it holds pages of before. False: somebody is
    reading; try again. Raises StoreUnavailable."""
    if not isinstance(store, SqliteStore):
        return True
    try:
        connection = connect(store.path)
        try:
            connection.execute(f"PRAGMA busy_timeout={_BUSY_MS}")
            busy: int = connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
            return not busy
        finally:
            connection.close()
    except sqlite3.Error as error:
        cause = unavailable(store.path, error, committing=False)
        raise cause or StoreUnavailable(str(error)) from error
