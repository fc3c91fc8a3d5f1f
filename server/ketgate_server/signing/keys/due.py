"""What is due by its time: destructions, rotations, changes and wrapping keys that expired.

Each effect is a change of its own that looks again, by the clock of its transaction: any number of
servers may try it, and one does it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ketgate_server.signing.keys import changes, effects, quorum, rows, states
from ketgate_server.signing.keys.asker import server_asker
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.record import KeyRecord
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.store.base import Transaction
from ketgate_server.store.erasure import erasing

DESTROYED = "signing.key_version.destroyed"
ROTATED = "signing.key.rotated"
CHANGE_EXPIRED = "signing.key_change.expired"
"""Actions of the audit."""

PIECE = 200

_DESTRUCTIONS = """SELECT v.tenant, k.uid, v.key_id, v.version FROM signing_versions v
    JOIN signing_keys k ON k.tenant = v.tenant AND k.id = v.key_id
    WHERE v.destroy_time_us IS NOT NULL AND v.destroy_time_us <= ?
    AND (v.tenant, v.key_id, v.version) > (?, ?, ?) ORDER BY v.tenant, v.key_id, v.version LIMIT ?"""
_ROTATIONS = """SELECT tenant, id FROM signing_keys
    WHERE next_rotation_us IS NOT NULL AND next_rotation_us <= ? AND primary_version > 0
    AND (tenant, id) > (?, ?) ORDER BY tenant, id LIMIT ?"""
_WRAPPING_KEYS = "SELECT 1 FROM signing_wrapping_keys WHERE expire_time_us <= ? LIMIT 1"
_DROP_WRAPPING_KEYS = "DELETE FROM signing_wrapping_keys WHERE expire_time_us <= ?"


class NotDue(Exception):  # noqa: N818 - a state of the key
    """It was done by somebody else, or cancelled."""


@dataclass(frozen=True)
class Destruction:
    """A version whose moment has come."""

    tenant: str
    key_uid: str
    key_id: str
    version: int


def destructions(keys: KeyStore) -> Iterator[Destruction]:
    """Versions that are to be destroyed by now."""
    now_us, after = keys.store.now_us(), ("", "", 0)
    while True:
        with keys.store.read() as reader:
            found = reader.rows(_DESTRUCTIONS, (now_us, *after, PIECE))
        for tenant, uid, key_id, version in found:
            yield Destruction(tenant, uid, key_id, version)
        if len(found) < PIECE:
            return
        after = (found[-1][0], found[-1][2], found[-1][3])


def rotations(keys: KeyStore) -> Iterator[tuple[str, str]]:
    """(tenant, id) of keys that are to be rotated by now, and have a usable version."""
    now_us, after = keys.store.now_us(), ("", "")
    while True:
        with keys.store.read() as reader:
            found = reader.rows(_ROTATIONS, (now_us, *after, PIECE))
        yield from ((row[0], row[1]) for row in found)
        if len(found) < PIECE:
            return
        after = (found[-1][0], found[-1][1])


def expirations(keys: KeyStore) -> list[tuple[str, str]]:
    """(tenant, id) of some changes that expired."""
    with keys.store.read() as reader:
        return changes.expired(reader, keys.store.now_us(), PIECE)


def confirm(keys: KeyStore, due: Destruction) -> None:
    """That a version's moment has come by the clock of transactions, which restorations go by too: from then on
    nothing cancels its destruction. Raises NotDue."""

    def operation(tx: Transaction) -> bool:
        version = rows.read_version(tx, keys.vault, due.tenant, due.key_id, due.version)
        return version is not None and states.has_elapsed(version, tx.now_us)

    if not keys.store.run(operation):
        raise NotDue


def destroy(keys: KeyStore, due: Destruction) -> None:
    """Destroy a version whose moment has come: its private key is erased. Raises NotDue."""

    def operation(change: Change) -> None:
        key = change.key(due.key_id)
        version = change.version(key, due.version)
        if key.uid != due.key_uid or not states.has_elapsed(version, change.now_us):
            raise NotDue
        effects.act(change, key, version, Act.ELAPSE)

    keys.change(server_asker(due.tenant, DESTROYED), operation)


def rotate(keys: KeyStore, tenant: str, key_id: str) -> None:
    """Rotate a key whose time has come; once, however often it was missed. Raises NotDue, and as
    KeyStore.rotate."""

    def guard(change: Change, key: KeyRecord) -> None:
        due = key.next_rotation_us is not None and key.next_rotation_us <= change.now_us
        if not due or not key.primary_version:
            raise NotDue

    keys.rotate(server_asker(tenant, ROTATED), key_id, guard=guard)


def expire(keys: KeyStore, tenant: str, change_id: str) -> None:
    """Write down that a change got too few approvals in time. Raises NotDue."""

    def operation(change: Change) -> None:
        if not quorum.expire(change, change_id):
            raise NotDue

    keys.change(server_asker(tenant, CHANGE_EXPIRED), operation)


def drop_wrapping_keys(keys: KeyStore) -> bool:
    """Erase wrapping keys that expired; whether there were any. That they were made is in the audit,
    and until when."""
    with keys.store.read() as reader:
        if reader.row(_WRAPPING_KEYS, (keys.store.now_us(),)) is None:
            return False

    def operation(tx: Transaction) -> bool:
        with erasing(keys.store, tx):
            return bool(tx.execute(_DROP_WRAPPING_KEYS, (tx.now_us,)))

    return keys.store.run(operation)
