"""The key store: all there is to read of keys, and to change. Every method may be called from any
thread.

Whoever changes a key says what its reply is to be, as bytes: they are stored with the effect, and a
repeat of the request gets the same. Private keys are made before the transaction that stores them.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import TypeVar

from ketgate_server.errors import NotFound
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.kek.vault import Owner, Vault
from ketgate_server.signing.keys import effects, making, rows, updates
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.change import Change, Done, carry_out, repeated
from ketgate_server.signing.keys.effects import Bounds, Moved
from ketgate_server.signing.keys.making import Fresh
from ketgate_server.signing.keys.names import key_name
from ketgate_server.signing.keys.record import KeyRecord, Policy, VersionRecord
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.updates import Update
from ketgate_server.signing.provider import Provider, Providers
from ketgate_server.store.base import Store, StoreUnavailable

T = TypeVar("T")
Made = tuple[KeyRecord, VersionRecord]
Reply = Callable[[Made], bytes]
Guard = Callable[[Change, KeyRecord], None]

DESTROY_DELAY_US = 30 * 86_400_000_000
NO_POLICY = Policy()


@dataclass(frozen=True)
class NewKey:
    """A key that is to be made."""

    id: str
    algorithm: Algorithm
    labels: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = NO_POLICY
    exportable: bool = False
    rotation_period_us: int = 0
    destroy_delay_us: int = DESTROY_DELAY_US
    provider: str = ""


def no_reply(_: object) -> bytes:
    """Of changes that no client asked for."""
    return b""


class KeyStore:
    """limits: values by name, of which it keeps signing.keys_max and signing.versions_max."""

    def __init__(
        self, store: Store, vault: Vault, providers: Providers, limits: Mapping[str, int]
    ) -> None:
        self.store = store
        self.vault = vault
        self.providers = providers
        self.bounds = Bounds(limits["signing.keys_max"], limits["signing.versions_max"])

    def get(self, tenant: str, key_id: str) -> KeyRecord | None:
        """Raises KEY_CORRUPT, as all that read."""
        with self.store.read() as reader:
            return rows.read_key(reader, self.vault, tenant, key_id)

    def look(self, tenant: str, key_id: str) -> None:
        """Nothing: get() always reads."""

    def version(self, tenant: str, key_id: str, version: int) -> VersionRecord | None:
        with self.store.read() as reader:
            return rows.read_version(reader, self.vault, tenant, key_id, version)

    def versions(self, tenant: str, key_id: str) -> list[VersionRecord]:
        """All of a key, the newest first."""
        with self.store.read() as reader:
            return rows.read_versions(reader, self.vault, tenant, key_id)

    def owner(self, key: KeyRecord, version: VersionRecord) -> Owner:
        """Whose private key the version's envelope holds."""
        return rows.owner(key, version.version)

    def change(
        self,
        asker: Asker,
        operation: Callable[[Change], T],
        reply: Callable[[T], bytes] = no_reply,
    ) -> Done[T]:
        """Any change, in one transaction (see carry_out)."""
        return carry_out(self.store, self.vault, asker, operation, reply)

    def preview(self, asker: Asker, new: NewKey) -> KeyRecord:
        """The key that create() would make now, after the same checks; without uid and etag."""
        making.check_generates(new.algorithm)
        making.provider_for(self.providers, new.algorithm, new.provider)
        with self.store.read() as reader:
            effects.check_new_key(reader, self.vault, asker.tenant, new.id, self.bounds)
        now_us = self.store.now_us()
        key = replace(new_record(asker, new), uid="", create_time_us=now_us)
        return replace(key, next_rotation_us=effects.next_rotation(key, now_us))

    def create(self, asker: Asker, new: NewKey, reply: Reply = no_reply) -> Done[Made]:
        """A key with its first version.

        Raises RESOURCE_EXISTS, QUOTA_EXCEEDED, PART_NOT_INSTALLED, PROVIDER_FAILED, and FieldError for
        a provider that does not make such keys.
        """
        known: Done[Made] | None = repeated(self.store, asker)
        if known is not None:
            return known
        making.check_generates(new.algorithm)
        provider = making.provider_for(self.providers, new.algorithm, new.provider)
        key = new_record(asker, new)
        fresh = making.make(provider, new.algorithm)
        first = making.sealed(self.vault, key, 1, fresh)

        def operation(change: Change) -> Made:
            return effects.add_key(change, key, first, self.bounds)

        return _stored(provider, fresh, lambda: self.change(asker, operation, reply))

    def rotate(
        self,
        asker: Asker,
        key_id: str,
        reply: Reply = no_reply,
        *,
        guard: Guard | None = None,
    ) -> Done[Made]:
        """A new version, which becomes the primary one. guard: asked in the transaction before it is
        written; it may raise.

        Raises NotFound, POLICY_DENIED, QUOTA_EXCEEDED, PART_NOT_INSTALLED, PROVIDER_FAILED.
        """
        known: Done[Made] | None = repeated(self.store, asker)
        if known is not None:
            return known
        with self.store.read() as reader:
            found = rows.read_key(reader, self.vault, asker.tenant, key_id)
            newest = rows.newest_version(reader, asker.tenant, key_id)
        if found is None:
            raise NotFound(key_name(key_id))
        making.check_generates(found.algorithm, "name")
        effects.check_versions(found, newest, self.bounds)
        provider = making.provider_for(self.providers, found.algorithm, found.provider, "name")
        fresh = making.make(provider, found.algorithm)
        return _stored(
            provider,
            fresh,
            lambda: self._add_version(asker, found, newest, fresh, reply, guard),
        )

    def _add_version(
        self,
        asker: Asker,
        found: KeyRecord,
        newest: int,
        fresh: Fresh,
        reply: Reply,
        guard: Guard | None,
    ) -> Done[Made]:
        key_id = found.id
        while True:
            version = making.sealed(self.vault, found, newest + 1, fresh)

            def operation(change: Change, version: VersionRecord = version) -> Made:
                key = change.key(key_id)
                if guard is not None:
                    guard(change, key)
                return effects.add_version(change, key, version, self.bounds)

            try:
                return self.change(asker, operation, reply)
            except Moved:
                with self.store.read() as reader:
                    newest = rows.newest_version(reader, asker.tenant, key_id)

    def update(
        self, asker: Asker, key_id: str, wanted: Update, reply: Callable[[KeyRecord], bytes]
    ) -> Done[KeyRecord]:
        """New values of a key's fields. Raises as updates.update."""
        return self.change(
            asker, lambda change: updates.update(change, key_id, wanted, self.providers), reply
        )

    def act(
        self, asker: Asker, key_id: str, number: int, what: Act, reply: Reply = no_reply
    ) -> Done[Made]:
        """Enable, disable, destroy, restore a version. A quorum is not asked: see quorum.

        Raises NotFound, POLICY_DENIED, KEY_UNUSABLE.
        """

        def operation(change: Change) -> Made:
            key = change.key(key_id)
            return effects.act(change, key, change.version(key, number), what)

        return self.change(asker, operation, reply)


def _stored(provider: Provider, fresh: Fresh, store: Callable[[], Done[Made]]) -> Done[Made]:
    """What store() does with a new private key; where it does not keep it, the key is discarded."""
    try:
        done = store()
    except StoreUnavailable as error:
        if not error.uncertain:
            making.discard(provider, fresh)
        raise
    except Exception:
        making.discard(provider, fresh)
        raise
    if done.value is None:
        making.discard(provider, fresh)
    return done


def new_record(asker: Asker, new: NewKey) -> KeyRecord:
    """The record of a key that is to be made; times are those of its transaction."""
    return KeyRecord(
        tenant=asker.tenant,
        id=new.id,
        uid=os.urandom(16).hex(),
        algorithm=new.algorithm,
        create_time_us=0,
        creator=asker.identity.subject,
        etag="",
        labels=dict(new.labels),
        policy=new.policy,
        exportable=new.exportable,
        rotation_period_us=new.rotation_period_us,
        destroy_delay_us=new.destroy_delay_us,
        provider=new.provider,
    )
