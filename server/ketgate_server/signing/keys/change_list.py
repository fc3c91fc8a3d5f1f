"""Changes that wait for approvals, and those that are over, to be read by those whom they concern."""

from __future__ import annotations

from functools import partial

from ketgate_server.errors import NotFound
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys import changes, page_tokens, rows
from ketgate_server.signing.keys.changes import ChangeRecord
from ketgate_server.signing.keys.names import change_name, key_name
from ketgate_server.signing.keys.record import KeyRecord
from ketgate_server.signing.keys.refusal import even
from ketgate_server.signing.keys.rows import unless_corrupt
from ketgate_server.store.base import Reader, Store

SCAN_MAX = 1_000
"""Changes that are looked at for one page: where the caller may read few of them, pages are short."""


class ChangeList:
    """The changes of a store. Threads share it."""

    def __init__(self, store: Store, vault: Vault) -> None:
        self._store = store
        self._vault = vault

    def get(self, identity: Identity, change_id: str) -> ChangeRecord:
        """Raises NotFound, also for what the caller may not read."""
        with even():
            found = self._find(identity, change_id)
            if found is None:
                raise NotFound(change_name(change_id))
            return found.seen_at(self._store.now_us())

    def may_know(self, identity: Identity, change_id: str) -> bool:
        """Whether a caller may know of a change."""
        return self._find(identity, change_id) is not None

    def _find(self, identity: Identity, change_id: str) -> ChangeRecord | None:
        with self._store.read() as reader:
            found = changes.read_change(reader, self._vault, identity.tenant, change_id)
            if found is not None and _Readable(reader, self._vault, identity).has(found):
                return found
        return None

    def page(
        self, identity: Identity, key_id: str, page_token: str, size: int
    ) -> tuple[list[ChangeRecord], str]:
        """Those that the caller may read, the newest first, and the token of the next page; empty at the end. What is
        corrupt is left out, and named in the server's log. key_id: of this key alone; empty: of all.

        Raises FieldError for the token, and NotFound for a key that the caller has no change of and may not manage.
        """
        of = (identity.tenant, "changes", key_id)
        before = page_tokens.read(self._vault, page_token, *of)
        now_us = self._store.now_us()
        with even(), self._store.read() as reader:
            readable = _Readable(reader, self._vault, identity)
            found, behind = self._scan(reader, readable, identity.tenant, key_id, before, size)
            if key_id and not found and not readable.manages(key_id):
                raise NotFound(key_name(key_id), "key")
        token = page_tokens.write(self._vault, behind, *of) if behind else ""
        return [change.seen_at(now_us) for change in found], token

    def _scan(
        self,
        reader: Reader,
        readable: _Readable,
        tenant: str,
        key_id: str,
        before: str,
        size: int,
    ) -> tuple[list[ChangeRecord], str]:
        """In pieces of a page, as most callers may read all: a row costs more than its place in a list."""
        found: list[ChangeRecord] = []
        seen = 0
        while seen < SCAN_MAX:
            most = min(size + 1, SCAN_MAX - seen)
            piece = changes.read_changes(reader, self._vault, tenant, key_id, before, most)
            for _, change in piece:
                if change is not None and unless_corrupt(partial(readable.has, change)):
                    if len(found) == size:
                        return found, found[-1].id
                    found.append(change)
            if len(piece) < most:
                return found, ""
            seen += most
            before = piece[-1][0]
        return found, before


class _Readable:
    """Which changes a caller may read; keys are looked up once."""

    def __init__(self, reader: Reader, vault: Vault, identity: Identity) -> None:
        self._reader = reader
        self._vault = vault
        self._identity = identity
        self._keys: dict[str, KeyRecord | None] = {}

    def has(self, change: ChangeRecord) -> bool:
        key = self._key(change.key_id)
        return key is not None and changes.may_read(change, key, self._identity)

    def manages(self, key_id: str) -> bool:
        key = self._key(key_id)
        return key is not None and changes.may_manage(key, self._identity)

    def _key(self, key_id: str) -> KeyRecord | None:
        if key_id not in self._keys:
            self._keys[key_id] = rows.read_key(
                self._reader, self._vault, self._identity.tenant, key_id
            )
        return self._keys[key_id]
