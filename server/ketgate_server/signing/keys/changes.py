"""Changes that wait for approvals, in their table; each row ends with a code, as those of keys do."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

from ketgate_server.rpc.call import ADMIN_ROLE, Identity
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys import bodies, sums
from ketgate_server.signing.keys import policy as policies
from ketgate_server.signing.keys.names import change_name, version_name
from ketgate_server.signing.keys.record import ChangeState, KeyRecord, Policy, Use
from ketgate_server.signing.keys.rows import check_code, corrupt, plain, unless_corrupt
from ketgate_server.store.base import Reader, Row, Transaction

MANAGER_ROLE = "signing.admin"
"""Role of those who may read all changes of the keys that they manage."""

_CODE_VERSION = 1


@dataclass(frozen=True)
class ChangeRecord:
    """A change of a key with a quorum. Either version or policy says what it would do."""

    tenant: str
    id: str
    key_id: str
    state: ChangeState
    requester: str
    approvers: tuple[str, ...]
    """As the key's policy named them when it was asked for."""
    approvals_needed: int
    create_time_us: int
    expire_time_us: int
    version: int = 0
    """To be destroyed; 0: none."""
    policy: Policy | None = None
    """To be set."""
    approvals: tuple[str, ...] = ()
    """Who approved, in order."""
    justification: str = ""
    end_time_us: int | None = None

    @property
    def name(self) -> str:
        return change_name(self.id)

    @property
    def subject(self) -> str:
        """What it is about: a version or a policy."""
        return version_name(self.key_id, self.version) if self.version else f"keys/{self.key_id}"

    def seen_at(self, now_us: int) -> ChangeRecord:
        """As it is at a time: what has expired is so, even if nobody wrote that down yet."""
        if self.state is not ChangeState.PENDING or now_us < self.expire_time_us:
            return self
        return replace(self, state=ChangeState.EXPIRED, end_time_us=self.expire_time_us)


class ChangeRow(NamedTuple):
    """As the table has it."""

    tenant: str
    id: str
    key_id: str
    state: str
    create_time_us: int
    expire_time_us: int
    body: bytes
    generation: int
    mac: bytes

    def content(self) -> bytes:
        """What the code is made of."""
        body = hashlib.sha256(self.body).hexdigest()
        fields = (*self[:6], body, self.generation)
        return bodies.canonical(["signing_changes", _CODE_VERSION, *fields])


_CHANGES = f"SELECT {', '.join(ChangeRow._fields)} FROM signing_changes"  # noqa: S608 - constants
_CHANGE = f"{_CHANGES} WHERE tenant = ? AND id = ?"
_BEFORE = f"{_CHANGES} WHERE tenant = ? AND id < ? ORDER BY id DESC LIMIT ?"
_OF_KEY_BEFORE = f"{_CHANGES} WHERE tenant = ? AND key_id = ? AND id < ? ORDER BY id DESC LIMIT ?"
# The state stands in the text, as the index of what is pending has it.
_PENDING_OF_KEY = f"{_CHANGES} WHERE tenant = ? AND key_id = ? AND state = 'PENDING' ORDER BY id"
_COUNT = """SELECT COUNT(*) FROM signing_changes
    WHERE tenant = ? AND state = 'PENDING' AND expire_time_us > ?"""
_EXPIRED = """SELECT tenant, id FROM signing_changes WHERE state = 'PENDING' AND expire_time_us <= ?
    ORDER BY expire_time_us LIMIT ?"""
_PUT = f"""INSERT INTO signing_changes ({", ".join(ChangeRow._fields)})
    VALUES ({", ".join("?" * len(ChangeRow._fields))})
    ON CONFLICT (tenant, id) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in ChangeRow._fields[3:])
}"""  # noqa: S608 - constants

_AFTER_ALL = "g"
"""Greater than every id: they are hexadecimal."""


def read_change(reader: Reader, vault: Vault, tenant: str, change_id: str) -> ChangeRecord | None:
    """Raises KEY_CORRUPT."""
    row = reader.row(_CHANGE, (tenant, change_id))
    return None if row is None else _as_change(reader, vault, row)


def read_changes(
    reader: Reader, vault: Vault, tenant: str, key_id: str, before: str, limit: int
) -> list[tuple[str, ChangeRecord | None]]:
    """(id, change) of the next of a list that begins with the newest; None for one that is corrupt, which the server's
    log names. key_id and before may be empty."""
    before = before or _AFTER_ALL
    if key_id:
        found = reader.rows(_OF_KEY_BEFORE, (tenant, key_id, before, limit))
    else:
        found = reader.rows(_BEFORE, (tenant, before, limit))
    return [(row[1], unless_corrupt(partial(_as_change, reader, vault, row))) for row in found]


def pending_of_key(reader: Reader, vault: Vault, tenant: str, key_id: str) -> list[ChangeRecord]:
    """Those that were not decided yet, the oldest first. Raises KEY_CORRUPT."""
    rows = reader.rows(_PENDING_OF_KEY, (tenant, key_id))
    return [_as_change(reader, vault, row) for row in rows]


def count_pending(reader: Reader, tenant: str, now_us: int) -> int:
    """How many of a tenant wait for approvals; what has expired does not, even if nobody wrote that down."""
    row = reader.row(_COUNT, (tenant, now_us))
    return int(row[0]) if row else 0


def expired(reader: Reader, now_us: int, limit: int) -> list[tuple[str, str]]:
    """(tenant, id) of changes that got too few approvals in time, and still stand as pending."""
    return [(tenant, change_id) for tenant, change_id in reader.rows(_EXPIRED, (now_us, limit))]


def write_change(tx: Transaction, vault: Vault, change: ChangeRecord, generation: int) -> None:
    """Make or replace a change's row."""
    row = ChangeRow(
        change.tenant,
        change.id,
        change.key_id,
        change.state.value,
        change.create_time_us,
        change.expire_time_us,
        _body(change),
        generation,
        b"",
    )
    sums.enter(tx, "signing_changes", (change.tenant, change.id), generation)
    tx.execute(_PUT, row._replace(mac=vault.mac(row.content())))


def may_read(found: ChangeRecord, key: KeyRecord, identity: Identity) -> bool:
    """Whether a caller may know of a change: who asked, who may decide, and who may manage its key."""
    return (
        identity.subject == found.requester
        or identity.subject in found.approvers
        or may_manage(key, identity)
    )


def may_manage(key: KeyRecord, identity: Identity) -> bool:
    """Whether a caller, of whatever role, may manage a key or set its policy."""
    if ADMIN_ROLE in identity.roles:
        return True
    return MANAGER_ROLE in identity.roles and policies.grants(key.policy, identity, Use.MANAGE)


def _body(change: ChangeRecord) -> bytes:
    return bodies.canonical(
        {
            "requester": change.requester,
            "approvers": change.approvers,
            "approvals_needed": change.approvals_needed,
            "version": change.version,
            "policy": None if change.policy is None else policies.as_json(change.policy),
            "approvals": change.approvals,
            "justification": change.justification,
            "end_time_us": change.end_time_us,
        }
    )


def _as_change(reader: Reader, vault: Vault, columns: Row) -> ChangeRecord:
    row = ChangeRow._make(plain(columns))
    check_code(reader, vault, row, row.tenant, change_name(row.id))
    try:
        body = bodies.read_body(row.body)
        policy = body["policy"]
        return ChangeRecord(
            tenant=row.tenant,
            id=row.id,
            key_id=row.key_id,
            state=ChangeState(row.state),
            create_time_us=row.create_time_us,
            expire_time_us=row.expire_time_us,
            **body
            | {
                "policy": None if policy is None else policies.from_json(policy),
                "approvers": tuple(body["approvers"]),
                "approvals": tuple(body["approvals"]),
            },
        )
    except (ValueError, KeyError, TypeError) as error:
        raise corrupt(row.tenant, change_name(row.id), "its row cannot be read") from error
