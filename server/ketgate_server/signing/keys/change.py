"""A change of keys: one transaction with its effect, the request that it was, and its audit entry.

Whoever writes one gives an operation of a Change, which first reads and checks, and then writes. It
may run twice, so what is random or slow comes from outside.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

from ketgate_server.audit import log
from ketgate_server.errors import NotFound
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys import policy, rows, sums
from ketgate_server.signing.keys.access import is_usable
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.names import key_name, version_name
from ketgate_server.signing.keys.record import KeyRecord, Use, VersionRecord
from ketgate_server.store import requests
from ketgate_server.store.base import Reader, Store, Transaction
from ketgate_server.store.erasure import erasing

T = TypeVar("T")

ETAG_CHARACTERS = 16


@dataclass(frozen=True)
class Done(Generic[T]):
    """What a change did."""

    reply: bytes
    """What its requester is answered; of a repeat, what was answered first."""
    value: T | None
    """What the operation returned; None for a repeat, which does nothing."""


class Change:
    """What an operation sees: the keys of the asker's tenant, as they are in this transaction."""

    def __init__(self, store: Store, tx: Transaction, vault: Vault, asker: Asker) -> None:
        self._store = store
        self.tx = tx
        self.vault = vault
        self.asker = asker
        self.resource = ""
        """What the request is about, for the audit and for those who use its id again."""
        self.facts: dict[str, str] = {}
        """For the audit. Never secrets."""
        self._generation = 0

    @property
    def now_us(self) -> int:
        return self.tx.now_us

    @property
    def generation(self) -> int:
        """The number of this change, for the rows that it writes. Raises KEY_STORE_SEALED. To be asked
        for when all is checked: it is a write."""
        if not self._generation:
            self.vault.check_current(self.tx)
            self._generation = self.tx.take(rows.COUNTER)
            self.facts["generation"] = str(self._generation)
        return self._generation

    def sum_now(self) -> dict[str, str]:
        """For the audit: what tells rows of before this change from those of now."""
        return {"sum": sums.told(self.tx)} if self._generation else {}

    def key(
        self,
        key_id: str,
        use: Use = Use.MANAGE,
        *,
        name: str = "",
        field: str = "name",
        for_policy: bool = False,
    ) -> KeyRecord:
        """A key that the asker may use so; the server itself may all. name: as the caller wrote it.

        Raises NotFound, POLICY_DENIED, KEY_CORRUPT.
        """
        key = rows.read_key(self.tx, self.vault, self.asker.tenant, key_id)
        name = name or key_name(key_id)
        if not self.asker.by_server:
            key = policy.require(key, self.asker.identity, use, name, field, for_policy=for_policy)
        if key is None:
            raise NotFound(name, field)
        self._about(key)
        return key

    def version(self, key: KeyRecord, number: int, field: str = "name") -> VersionRecord:
        """A version of a key. Raises NotFound, KEY_CORRUPT."""
        found = rows.read_version(self.tx, self.vault, key.tenant, key.id, number)
        if found is None:
            raise NotFound(version_name(key.id, number), field)
        self._about(key, number)
        return found

    def put_key(self, key: KeyRecord) -> KeyRecord:
        """Make or replace a key; as it is stored, with its new etag."""
        generation = self.generation
        stored = replace(key, etag=etag(key.uid, generation))
        rows.write_key(self.tx, self.vault, stored, generation)
        self._about(stored)
        return stored

    def put_version(self, version: VersionRecord) -> VersionRecord:
        """Make or replace a version. No copy of the row before is left in its place: nothing of a
        private key is to be found there once it is destroyed."""
        generation = self.generation
        with erasing(self._store, self.tx):
            rows.write_version(self.tx, self.vault, version, generation)
        self.facts |= {"version": str(version.version), "state": version.state.value}
        self.resource = version.name
        return version

    def settle(self, key: KeyRecord) -> KeyRecord:
        """After its versions, or its minimum, changed: the key with another primary version where the
        present one is not usable any more. To be called when all else is written."""
        if key.primary_version:
            present = rows.read_version(
                self.tx, self.vault, key.tenant, key.id, key.primary_version
            )
            if present is not None and is_usable(key, present):
                return key
        newest = rows.newest_usable(self.tx, self.vault, key)
        primary = 0 if newest is None else newest.version
        if primary == key.primary_version:
            return key
        resource = self.resource
        stored = self.put_key(replace(key, primary_version=primary))
        self.resource = resource
        self.facts["primary_version"] = str(primary)
        return stored

    def _about(self, key: KeyRecord, version: int = 0) -> None:
        self.resource = version_name(key.id, version) if version else key.name
        self.facts |= {"key": key.id, "key_uid": key.uid}
        if version:
            self.facts["version"] = str(version)


def etag(uid: str, generation: int) -> str:
    """Another one for each state of a key."""
    return hashlib.sha256(f"{uid}.{generation}".encode()).hexdigest()[:ETAG_CHARACTERS]


def carry_out(
    store: Store,
    vault: Vault,
    asker: Asker,
    operation: Callable[[Change], T],
    reply: Callable[[T], bytes] = lambda _: b"",
) -> Done[T]:
    """Run a change; what was returned is durable. reply: makes what is answered, and stored for
    repeats: public facts only. Whether the asker may have the reply of a repeat is asked before.

    Raises what the operation raised, REQUEST_ID_REUSED, REPLY_EXPIRED, StoreUnavailable.
    """
    salt = log.new_salt()

    def run(tx: Transaction) -> Done[T]:
        before: Done[T] | None = _repeated(tx, asker)
        if before is not None:
            return before
        change = Change(store, tx, vault, asker)
        value = operation(change)
        change.facts |= change.sum_now()
        answer = reply(value)
        requests.remember(
            tx,
            asker.tenant,
            asker.method,
            asker.request_id,
            asker.request_digest,
            change.resource,
            answer,
        )
        log.record(
            tx,
            actor=asker.identity.subject,
            tenant=asker.tenant,
            action=asker.method,
            resource=change.resource,
            request_digest=asker.request_digest,
            call_id=asker.call_id,
            facts=change.facts,
            salt=salt,
        )
        return Done(answer, value)

    return store.run(run)


def repeated(store: Store, asker: Asker) -> Done[Any] | None:
    """What the same request did before; None for a new one. To be asked before what is slow is done;
    carry_out asks again.

    Raises REQUEST_ID_REUSED, REPLY_EXPIRED.
    """
    if not asker.request_id:
        return None
    with store.read() as reader:
        return _repeated(reader, asker)


def _repeated(reader: Reader, asker: Asker) -> Done[Any] | None:
    known = requests.find(
        reader, asker.tenant, asker.method, asker.request_id, asker.request_digest
    )
    if known is None:
        return None
    if known.reply is None:
        raise requests.reply_expired(known.resource)
    return Done(bytes(known.reply), None)
