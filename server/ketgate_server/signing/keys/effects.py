"""What changes do to keys, inside of their transaction (see change.Change)."""

from __future__ import annotations

from dataclasses import dataclass, replace

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys import rows, states
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.record import KeyRecord, VersionRecord, VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.store.base import Reader


@dataclass(frozen=True)
class Bounds:
    """How much there may be."""

    keys_max: int
    """Of one tenant."""
    versions_max: int
    """Of one key."""


def add_key(
    change: Change, key: KeyRecord, first: VersionRecord, bounds: Bounds
) -> tuple[KeyRecord, VersionRecord]:
    """A new key with its first version; times are those of the transaction.

    Raises RESOURCE_EXISTS, QUOTA_EXCEEDED.
    """
    check_new_key(change.tx, change.vault, key.tenant, key.id, bounds)
    now_us = change.now_us
    key = replace(
        key,
        create_time_us=now_us,
        primary_version=first.version,
        next_rotation_us=next_rotation(key, now_us),
    )
    version = change.put_version(replace(first, create_time_us=now_us))
    return change.put_key(key), version


def check_new_key(reader: Reader, vault: Vault, tenant: str, key_id: str, bounds: Bounds) -> None:
    """Raises RESOURCE_EXISTS, QUOTA_EXCEEDED."""
    if rows.read_key(reader, vault, tenant, key_id) is not None:
        raise exists(key_id)
    if rows.count_keys(reader, tenant) >= bounds.keys_max:
        raise KetgateError(
            Reason.QUOTA_EXCEEDED,
            f"the tenant has {bounds.keys_max} keys, which is the limit signing.keys_max",
            limit="signing.keys_max",
        )


def exists(key_id: str) -> KetgateError:
    """The refusal of an id that is taken, whoever may use that key."""
    return KetgateError(
        Reason.RESOURCE_EXISTS,
        f"key_id: keys/{key_id} is there already; choose another id, or RotateKey for a new version",
        field="key_id",
        metadata={"resource": f"keys/{key_id}"},
    )


def add_version(
    change: Change, key: KeyRecord, version: VersionRecord, bounds: Bounds, *, primary: bool = True
) -> tuple[KeyRecord, VersionRecord]:
    """The next version of a key, with the number that follows its newest; Moved when it has another
    number. primary: it becomes the primary version; otherwise only where there is none. The time of
    rotation starts anew.

    Raises Moved, QUOTA_EXCEEDED.
    """
    newest = rows.newest_version(change.tx, key.tenant, key.id)
    if version.version != newest + 1:
        raise Moved
    check_versions(key, newest, bounds)
    now_us = change.now_us
    primary = primary or not key.primary_version
    key = replace(
        key,
        primary_version=version.version if primary else key.primary_version,
        next_rotation_us=next_rotation(key, now_us),
    )
    stored = change.put_key(key)
    return stored, change.put_version(replace(version, create_time_us=now_us))


def check_versions(key: KeyRecord, newest: int, bounds: Bounds) -> None:
    """Raises QUOTA_EXCEEDED for a key that may have no more versions."""
    if newest >= bounds.versions_max:
        raise KetgateError(
            Reason.QUOTA_EXCEEDED,
            f"{key.name} has {newest} versions, and the limit is signing.versions_max = "
            f"{bounds.versions_max}; go on with a new key",
            limit="signing.versions_max",
            metadata={"key": key.name},
        )


def act(
    change: Change, key: KeyRecord, version: VersionRecord, what: Act, field: str = "name"
) -> tuple[KeyRecord, VersionRecord]:
    """Do something to the state of a version; the key gets another primary version where that is
    needed. Raises KEY_UNUSABLE for what its state does not allow."""
    state = states.after(what, version, change.now_us, field)
    if state is version.state:
        return key, version
    if state is VersionState.DESTROYED:
        return end(change, key, version)
    due_us = change.now_us + key.destroy_delay_us
    scheduled = state is VersionState.DESTROY_SCHEDULED
    version = change.put_version(
        replace(version, state=state, destroy_time_us=due_us if scheduled else None)
    )
    return change.settle(key), version


def end(change: Change, key: KeyRecord, version: VersionRecord) -> tuple[KeyRecord, VersionRecord]:
    """Destroy a version now, whatever its state: its private key is erased."""
    version = change.put_version(
        replace(
            version,
            state=VersionState.DESTROYED,
            destroy_time_us=None,
            destroyed_time_us=change.now_us,
            envelope=None,
        )
    )
    return change.settle(key), version


def next_rotation(key: KeyRecord, now_us: int) -> int | None:
    """When it is rotated next, after a rotation now."""
    return now_us + key.rotation_period_us if key.rotation_period_us else None


class Moved(Exception):  # noqa: N818 - a state of the key
    """Another version was added meanwhile: seal the new one again, under the next number."""
