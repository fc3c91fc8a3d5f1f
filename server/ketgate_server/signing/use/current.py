"""Keys as they are now, without asking the store for each use.

What was read holds for one generation, the number of the newest change of any key. A use of a private key is
written down in a transaction that compares it; what leaves no trace asks for it first.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TypeVar

from ketgate_server.signing.kek.vault import Owner
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord
from ketgate_server.signing.keys.store import KeyStore

T = TypeVar("T")
RECORDS_MAX = 10_000


class CurrentKeys:
    """Reads keys as KeyStore does. Threads may share it."""

    def __init__(self, keys: KeyStore, changed: Callable[[], object] = lambda: None) -> None:
        """changed: is called when what was read is dropped."""
        self._keys = keys
        self._changed = changed
        self._lock = threading.Lock()
        self._kept: dict[object, object] = {}
        self.generation = self._read_generation()
        """Of what is kept. Read it before the keys."""

    def refresh(self) -> int:
        """The generation now; what is older is dropped."""
        now = self._read_generation()
        if now != self.generation:
            with self._lock:
                self._kept = {}
                self.generation = now
            self._changed()
        return now

    def get(self, tenant: str, key_id: str) -> KeyRecord | None:
        return self._kept_or(("key", tenant, key_id), lambda: self._keys.get(tenant, key_id))

    def look(self, tenant: str, key_id: str) -> None:
        """Read a key that was known, and whom it is hidden from must not learn that."""
        self._keys.get(tenant, key_id)

    def version(self, tenant: str, key_id: str, number: int) -> VersionRecord | None:
        return self._kept_or(
            ("version", tenant, key_id, number), lambda: self._keys.version(tenant, key_id, number)
        )

    def versions(self, tenant: str, key_id: str) -> list[VersionRecord]:
        return self._kept_or(
            ("versions", tenant, key_id), lambda: self._keys.versions(tenant, key_id)
        )

    def owner(self, key: KeyRecord, version: VersionRecord) -> Owner:
        return self._keys.owner(key, version)

    def _kept_or(self, name: object, read: Callable[[], T]) -> T:
        kept = self._kept
        if name in kept:
            return kept[name]  # type: ignore[return-value]
        # Into the dictionary from before the read: if keys changed since, it is dropped already.
        found = read()
        if found:  # absence is not kept: guesses would fill the memory
            with self._lock:
                if len(kept) >= RECORDS_MAX:
                    kept.clear()
                kept[name] = found
        return found

    def _read_generation(self) -> int:
        with self._keys.store.read() as reader:
            return rows.newest_change(reader)
