"""A store that was put back from a back-up on purpose: keys that were destroyed since do not come back.

What was destroyed is told by the journals and the databases of what is replaced, as far as they can be read.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ketgate_server.settings import Settings
from ketgate_server.signing import rollback
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.journal import FILE, Journal, Version
from ketgate_server.signing.keys.record import SYSTEM_TENANT
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.signing.provider import Providers
from ketgate_server.store.base import Row, Store
from ketgate_server.store.database import FILE_NAME
from ketgate_server.store.errors import StoreError

_THERE = """SELECT v.tenant, k.uid, v.key_id, v.version FROM signing_versions v
    JOIN signing_keys k ON k.tenant = v.tenant AND k.id = v.key_id WHERE v.state <> 'DESTROYED'"""


@dataclass(frozen=True)
class Known:
    """What was destroyed, and what could not be read about it."""

    destroyed: frozenset[Version]
    unread: tuple[str, ...] = ()
    """Why, in words."""


def known(replaced: Iterable[Path]) -> Known:
    """What was destroyed in the stores of data folders that are replaced."""
    destroyed: set[Version] = set()
    unread = []
    for folder in replaced:
        if not folder.is_dir():
            raise StoreError(f"{folder} is no data folder that could be replaced")
        try:
            destroyed.update(Journal(folder))
        except OSError as error:
            unread.append(f"{folder / FILE}: {error.strerror}")
        database = folder / FILE_NAME
        if database.exists():
            try:
                destroyed.update(_of_database(database))
            except (sqlite3.Error, OSError) as error:
                unread.append(f"{database}: {error}")
    return Known(frozenset(destroyed), tuple(unread))


def destroy_again(
    settings: Settings, store: Store, folder: Path, destroyed: Iterable[Version]
) -> list[Version]:
    """Destroy what was destroyed before, in a store that was just restored; those versions.

    settings: by which the key-encryption key is had. folder: the data folder. Raises KeyStoreSealed when that
    is another, and there is something to destroy.
    """
    journal = Journal(folder)
    wanted = {*destroyed, *journal}
    if not wanted or not _has_any(store, wanted):
        return []
    vault = open_vault(settings.signing, folder, store)
    try:
        keys = KeyStore(store, vault, Providers(), settings.limit_values)
        journal.add(*sorted(wanted - set(journal)))
        return rollback.destroy_again(keys, wanted)
    finally:
        vault.close()


def has_keys(store: Store) -> bool:
    """Whether there are private keys of callers."""
    with store.read() as reader:
        return any(row[0] != SYSTEM_TENANT for row in reader.rows(_THERE))


def _has_any(store: Store, wanted: Iterable[Version]) -> bool:
    """Whether some of them are there and not destroyed."""
    with store.read() as reader:
        there = {Version(*row) for row in reader.rows(_THERE)}
    return not there.isdisjoint(wanted)


class _File:
    """A database file that is only read, also one that is damaged in part or of another user."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def rows(self, sql: str, parameters: Sequence[Any] = ()) -> list[Row]:
        return self._connection.execute(sql, parameters).fetchall()

    def row(self, sql: str, parameters: Sequence[Any] = ()) -> Row | None:
        return next(iter(self.rows(sql, parameters)), None)


def _of_database(path: Path) -> list[Version]:
    with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)) as connection:
        return [Version(*row) for row in rows.destroyed(_File(connection))]
