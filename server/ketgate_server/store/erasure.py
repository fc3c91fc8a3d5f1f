"""Erasing what is deleted: of a database, deleted usually means that nobody is shown it any more.

SQLite can do it: with secure_delete the bytes are overwritten in their page, and so are pages that
become free; once the WAL is written back and cut to nothing, no older copy of the page is left in its
files. What a file system, a drive or a back-up keeps is beyond its reach. PostgreSQL cannot: old rows
stay in pages and in its own WAL until they are used again.
"""

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from ketgate_server.store.base import Store, StoreUnavailable, Transaction
from ketgate_server.store.sqlite import SECURE_DELETE, SqliteStore, connect, unavailable

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
        tx.row(f"PRAGMA secure_delete={SECURE_DELETE}")


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


class Traces:
    """Whether SQLite's WAL may hold what was erased: also at the start, as a former process may have
    been cut off in between. Any number of threads may use it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._left = True

    def leave(self) -> None:
        """Something was erased, and is committed."""
        self._left = True

    def clear(self) -> bool:
        """Cut the WAL if need be; False: try again. Raises StoreUnavailable, and is to be tried again."""
        if not self._left:
            return True
        self._left = False  # before: what is erased meanwhile may not be in this cut
        try:
            cleared = cut_log(self._store)
        except StoreUnavailable:
            self._left = True
            raise
        if not cleared:
            self._left = True
        return cleared
