"""A data folder with keys, whose server starts and stops within the test, without an edge."""

from pathlib import Path
from typing import Any

from ketgate_server import audit_signer
from ketgate_server.audit import seen
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.rpc.call import Identity
from ketgate_server.settings import Settings
from ketgate_server.signing import shared
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.due import destroy, destructions
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import NewKey
from ketgate_server.signing.shared import Foundation
from ketgate_server.store.base import Row, Store
from ketgate_server.store.database import open_store

TABLES = ("signing_keys", "signing_versions", "signing_changes", "signing_sums", "counters")
EMMA = Identity("emma", "red", frozenset({"signing.admin", "signing.user"}))
MINUTE_US = 60_000_000


class DataFolder:
    """A data folder whose server starts and stops, without an edge."""

    def __init__(self, folder: Path, url: str | None) -> None:
        self.folder = folder
        self.url = url
        self.settings = Settings(data_dir=folder, store_url=url)
        self.now_us = 1_900_000_000_000_000
        self.start()

    def start(self) -> None:
        self.store: Store = open_store(self.folder, self.url, lambda: self.now_us)
        audit_signer.open_signer(self.settings, self.store)

    def stop(self) -> None:
        Sequencer(self.store, "test").catch_up(60.0)
        if self.base.rollback is None:
            seen.Seen(self.folder, self.store).update()
        self.close()

    def close(self) -> None:
        shared.close(self.store)
        self.store.close()

    @property
    def base(self) -> Foundation:
        return shared.foundation(self.settings, self.store)

    def restart(self) -> None:
        self.stop()
        self.start()

    def asker(self) -> Asker:
        return Asker(EMMA, "call", "/Change")

    def create(self, key_id: str) -> None:
        new = NewKey(key_id, ALGORITHMS["ED25519"], destroy_delay_us=MINUTE_US)
        self.base.keys.create(self.asker(), new)

    def act(self, what: Act, key_id: str = "a", version: int = 1) -> None:
        self.base.keys.act(self.asker(), key_id, version, what)

    def destroy(self, key_id: str = "a") -> None:
        """As the timers do."""
        self.act(Act.DESTROY, key_id)
        self.now_us += 2 * MINUTE_US
        for due in destructions(self.base.keys):
            self.base.journal.add(due)
            destroy(self.base.keys, due)

    def state(self, key_id: str = "a") -> VersionState:
        found = self.base.keys.version("red", key_id, 1)
        assert found is not None
        return found.state

    def rows(self, table: str) -> list[Row]:
        with self.store.read() as reader:
            return reader.rows(f"SELECT * FROM {table}")

    def copy(self) -> dict[str, list[Row]]:
        return {table: self.rows(table) for table in TABLES}

    def put_back(self, copied: dict[str, list[Row]]) -> None:
        """As somebody with the database, but not the key-encryption key."""

        def operation(tx: Any) -> None:
            for table, found in copied.items():
                tx.execute(f"DELETE FROM {table}")
                for row in found:
                    marks = ", ".join("?" * len(row))
                    tx.execute(f"INSERT INTO {table} VALUES ({marks})", row)

        self.store.run(operation)
