"""Opens a store, made or brought to the schema of this version first."""

import fcntl
import os
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ketgate_server.errors import PartMissing
from ketgate_server.files import make_private_folder
from ketgate_server.parts import require_part
from ketgate_server.store import elsewhere
from ketgate_server.store.base import Store, StoreUnavailable
from ketgate_server.store.clock import Clock
from ketgate_server.store.errors import StoreError
from ketgate_server.store.sqlite import SqliteStore, connect

FILE_NAME = "ketgate.db"
SCHEMA_HEAD = "0006"
"""Revision that this version reads and writes; a test holds it equal to the newest migration."""


def open_store(
    data_dir: Path, url: str | None = None, clock: Callable[[], int] | None = None
) -> Store:
    """The store of a server: SQLite in its data folder, or PostgreSQL by URL.

    clock: microseconds since 1970, for tests. Raises StoreError: no
    such folder, no rights, not a database, not reached, or written by a newer version.
    """
    if url is not None:
        return _open_postgres(url, None if clock is None else Clock(clock))
    open_database(data_dir).close()
    path = data_dir / FILE_NAME
    try:
        return SqliteStore(path, Clock(clock))
    except sqlite3.Error as error:
        raise StoreError(f"cannot use the store {path}: {error}") from error


def place_of(data_dir: Path, url: str | None) -> str:
    """Where a store is, for people: without a password."""
    if url is None:
        return str(data_dir / FILE_NAME)
    from ketgate_server.store import postgres_connection

    return postgres_connection.place(url)


def _open_postgres(url: str, clock: Clock | None) -> Store:
    try:
        require_part("postgres")
    except PartMissing as error:
        raise StoreError(f"a PostgreSQL database is asked for, but {error}") from error
    from ketgate_server.store import postgres, postgres_connection

    try:
        if postgres_connection.revision(url) != SCHEMA_HEAD:
            from ketgate_server.store import migrations

            migrations.upgrade_postgres(url)
        return postgres.PostgresStore(url, clock)
    except StoreUnavailable as error:
        raise StoreError(str(error)) from error


def open_database(data_dir: Path) -> sqlite3.Connection:
    """A connection in autocommit mode that threads may share under a lock of their own.

    Raises StoreError: no such folder, no rights, not a database, written by a newer version, or the
    store of the folder's server is elsewhere.
    """
    elsewhere.check_here(data_dir)
    path = data_dir / FILE_NAME
    try:
        make_private_folder(data_dir)
        os.close(os.open(path, os.O_CREAT | os.O_RDWR, 0o600))
        connection = connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(f"cannot open the store {path}: {error}") from error
    try:
        if not _is_ready(connection):
            with _exclusive(data_dir):
                _prepare(connection, path)
    except sqlite3.Error as error:
        connection.close()
        raise StoreError(f"cannot use the store {path}: {error}") from error
    except BaseException:
        connection.close()
        raise
    return connection


def _is_ready(connection: sqlite3.Connection) -> bool:
    mode: str = connection.execute("PRAGMA journal_mode").fetchone()[0]
    return mode == "wal" and _revision(connection) == SCHEMA_HEAD


def _revision(connection: sqlite3.Connection) -> str | None:
    """The store's revision; None for one that has none yet."""
    table = connection.execute(
        "SELECT 1 FROM sqlite_master WHERE name = 'alembic_version'"
    ).fetchone()
    row = (
        connection.execute("SELECT version_num FROM alembic_version").fetchone() if table else None
    )
    return row[0] if row else None


def _prepare(connection: sqlite3.Connection, path: Path) -> None:
    connection.execute("PRAGMA journal_mode=WAL")
    if _revision(connection) == SCHEMA_HEAD:
        return  # another process was first
    if connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0] == 0:
        _create(connection)
        return
    from ketgate_server.store import migrations  # slow to import, seldom needed

    migrations.upgrade_sqlite(path)


def _create(connection: sqlite3.Connection) -> None:
    script = Path(__file__).with_name("schema.sql").read_text(encoding="utf-8")
    connection.execute("BEGIN IMMEDIATE")
    try:
        for statement in script.split(";\n"):
            connection.execute(statement)
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


@contextmanager
def _exclusive(data_dir: Path) -> Iterator[None]:
    """One process at a time makes or migrates the store. The lock ends with the process, so none is
    ever stale."""
    descriptor = os.open(data_dir / "migrate.lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
