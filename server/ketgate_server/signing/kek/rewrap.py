"""Everything that is stored under one key-encryption key, brought under another.

Some rows at a time, each step a transaction of its own: a server that is killed goes on where it was, as each
row tells by its code under which key it is. Of several servers over one database any may do it, or all.
Rows that were corrupt before stay as they are, and are told: nothing else would wait for them.
"""

import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple, Protocol

from ketgate_server.errors import KetgateError
from ketgate_server.signing.kek.vault import Owner, Vault, wrapping_owner
from ketgate_server.signing.keys.changes import ChangeRow
from ketgate_server.signing.keys.rows import KeyRow, VersionRow
from ketgate_server.store.base import Row, Store, Transaction
from ketgate_server.store.erasure import erasing

ROWS_PER_STEP = 100
"""A few milliseconds of the writer's time."""

_log = logging.getLogger(__name__)


@dataclass
class Counts:
    """What a walk over the key store found."""

    rows: int = 0
    """That are under the new key now, whoever brought them there."""
    corrupt: int = 0
    """That are under none."""


class _SignedRow(Protocol):
    """A row with a code over it."""

    @property
    def mac(self) -> bytes: ...

    def content(self) -> bytes: ...


class _Walk(NamedTuple):
    """How a table is gone through: by its primary key."""

    select: str
    """With a place for the condition, and what stands before WHERE."""
    key: tuple[str, ...]
    step: Callable[[Transaction, "Rewrap", Row], bool]
    """Bring one row over. Whether it is under the new key now."""


class Rewrap:
    """A change of the key-encryption key."""

    def __init__(self, store: Store, before: Iterable[Vault], after: Vault) -> None:
        """before: of all keys that something may still be encrypted under."""
        self.store = store
        self.before = {vault.kek_id: vault for vault in before}
        self.after = after

    def run(self, rows_per_step: int = ROWS_PER_STEP) -> Counts:
        """Go through all tables. Raises StoreUnavailable; what was done until then is kept."""
        counts = Counts()
        for walk in _WALKS:
            position: tuple[object, ...] | None = None
            while True:
                step = partial(_run, walk, self, position, rows_per_step)
                position, rows, corrupt = self.store.run(step)
                counts.rows += rows
                counts.corrupt += corrupt
                if position is None:
                    break
        return counts

    def of(self, row: _SignedRow) -> Vault | None:
        """The vault that a row's code is of; None: of none."""
        content = row.content()
        vaults = (self.after, *self.before.values())
        return next((vault for vault in vaults if vault.matches(row.mac, content)), None)


def _run(
    walk: _Walk, rewrap: Rewrap, after: tuple[object, ...] | None, limit: int, tx: Transaction
) -> tuple[tuple[object, ...] | None, int, int]:
    """The next rows: (where to go on, rows under the new key, corrupt rows)."""
    condition = ""
    if after is not None:
        condition = f"WHERE ({', '.join(walk.key)}) > ({', '.join('?' * len(after))})"
    order = ", ".join(walk.key)
    rows = tx.rows(f"{walk.select} {condition} ORDER BY {order} LIMIT ?", (*(after or ()), limit))
    with erasing(
        rewrap.store, tx
    ):  # what is replaced may be under a key that is not secret any more
        brought = sum(walk.step(tx, rewrap, _plain(row)) for row in rows)
    position = tuple(rows[-1][: len(walk.key)]) if len(rows) == limit else None
    return position, brought, len(rows) - brought


def _key(tx: Transaction, rewrap: Rewrap, columns: Row) -> bool:
    row = KeyRow._make(columns)
    return _recode(tx, rewrap, row, "signing_keys", (row.tenant, row.id), f"keys/{row.id}")


def _change(tx: Transaction, rewrap: Rewrap, columns: Row) -> bool:
    row = ChangeRow._make(columns)
    return _recode(tx, rewrap, row, "signing_changes", (row.tenant, row.id), f"changes/{row.id}")


def _recode(
    tx: Transaction,
    rewrap: Rewrap,
    row: _SignedRow,
    table: str,
    key: tuple[str, str],
    name: str,
) -> bool:
    """Give a row without an envelope the new code."""
    vault = rewrap.of(row)
    if vault is None:
        return _corrupt(key[0], name)
    if vault is not rewrap.after:
        mac = rewrap.after.mac(row.content())
        tx.execute(f"UPDATE {table} SET mac = ? WHERE tenant = ? AND id = ?", (mac, *key))  # noqa: S608
    return True


def _version(tx: Transaction, rewrap: Rewrap, columns: Row) -> bool:
    *fields, uid, algorithm = columns
    row = VersionRow._make(fields)
    vault = rewrap.of(row)
    name = f"keys/{row.key_id}/versions/{row.version}"
    if vault is None or uid is None:
        return _corrupt(row.tenant, name)
    if vault is rewrap.after:
        return True
    if row.envelope is not None:
        owner = Owner(row.tenant, uid, row.key_id, row.version, algorithm)
        try:
            row = row._replace(envelope=rewrap.after.reseal(owner, row.envelope, vault))
        except KetgateError:
            return _corrupt(row.tenant, name)
    tx.execute(
        "UPDATE signing_versions SET envelope = ?, kek = ?, mac = ? "
        "WHERE tenant = ? AND key_id = ? AND version = ?",
        (
            row.envelope,
            None if row.envelope is None else rewrap.after.kek_id,
            rewrap.after.mac(row.content()),
            row.tenant,
            row.key_id,
            row.version,
        ),
    )
    return True


def _wrapping_key(tx: Transaction, rewrap: Rewrap, columns: Row) -> bool:
    tenant, key_id, algorithm, envelope, kek = columns
    if kek == rewrap.after.kek_id:
        return True
    owner = wrapping_owner(tenant, key_id, algorithm)
    try:
        envelope = rewrap.after.reseal(owner, envelope, rewrap.before[kek])
    except (KeyError, KetgateError):
        return _corrupt(tenant, f"wrappingKeys/{key_id}")
    tx.execute(
        "UPDATE signing_wrapping_keys SET envelope = ?, kek = ? WHERE tenant = ? AND id = ?",
        (envelope, rewrap.after.kek_id, tenant, key_id),
    )
    return True


def _corrupt(tenant: str, name: str) -> bool:
    _log.error("tenant %r: %s is corrupt, and was not rewrapped", tenant, name)
    return False


def _plain(columns: Row) -> Row:
    """Bytes as bytes, whatever a driver makes of them."""
    return tuple(bytes(value) if isinstance(value, memoryview) else value for value in columns)


def _select(fields: Sequence[str], table: str) -> str:
    return f"SELECT {', '.join(fields)} FROM {table}"  # noqa: S608 - constants


_WALKS = (
    # Versions first: their envelopes are bound to what the rows of their keys say.
    _Walk(
        _select([f"v.{name}" for name in VersionRow._fields], "signing_versions v").replace(
            " FROM", ", k.uid, k.algorithm FROM"
        )
        + " LEFT JOIN signing_keys k ON k.tenant = v.tenant AND k.id = v.key_id",
        ("v.tenant", "v.key_id", "v.version"),
        _version,
    ),
    _Walk(_select(KeyRow._fields, "signing_keys"), ("tenant", "id"), _key),
    _Walk(_select(ChangeRow._fields, "signing_changes"), ("tenant", "id"), _change),
    _Walk(
        _select(("tenant", "id", "algorithm", "envelope", "kek"), "signing_wrapping_keys"),
        ("tenant", "id"),
        _wrapping_key,
    ),
)
