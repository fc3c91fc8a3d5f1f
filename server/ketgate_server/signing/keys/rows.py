"""Keys and versions in their tables, to be read and written inside of transactions.

Each row ends with a code (Vault.mac) over all that it says: a row that another hand wrote, or carried
to another place, is KEY_CORRUPT, and the server's log names it. `generation` is the number of the
change that wrote the row, of the counter "signing".
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import NamedTuple, Protocol, TypeVar

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.kek.vault import Owner, Vault
from ketgate_server.signing.keys import bodies, policy, sums
from ketgate_server.signing.keys.names import key_name, version_name
from ketgate_server.signing.keys.record import KeyRecord, Origin, VersionRecord, VersionState
from ketgate_server.store.base import Reader, Row, Transaction

COUNTER = "signing"
"""Taken once by each change of keys; the audit tells the number."""

_CODE_VERSION = 1

T = TypeVar("T")

_log = logging.getLogger(__name__)


class KeyRow(NamedTuple):
    """As the table has it."""

    tenant: str
    id: str
    uid: str
    algorithm: str
    etag: str
    primary_version: int
    min_version: int
    next_rotation_us: int | None
    body: bytes
    generation: int
    mac: bytes

    def content(self) -> bytes:
        """What the code is made of."""
        body = hashlib.sha256(self.body).hexdigest()
        fields = (*self[:8], body, self.generation)
        return bodies.canonical(["signing_keys", _CODE_VERSION, *fields])


class VersionRow(NamedTuple):
    """As the table has it, but for `kek`, which the code leaves out: which key it is encrypted under
    changes without a change of the version."""

    tenant: str
    key_id: str
    version: int
    state: str
    destroy_time_us: int | None
    envelope: bytes | None
    public_key: bytes
    fingerprint: str
    body: bytes
    generation: int
    mac: bytes

    def content(self) -> bytes:
        """What the code is made of."""
        envelope = None if self.envelope is None else hashlib.sha256(self.envelope).hexdigest()
        public_key = hashlib.sha256(self.public_key).hexdigest()
        body = hashlib.sha256(self.body).hexdigest()
        fields = (*self[:5], envelope, public_key, self.fingerprint, body, self.generation)
        return bodies.canonical(["signing_versions", _CODE_VERSION, *fields])


_KEYS = f"SELECT {', '.join(KeyRow._fields)} FROM signing_keys"  # noqa: S608 - constants
_VERSIONS = f"SELECT {', '.join(VersionRow._fields)} FROM signing_versions"  # noqa: S608 - constants
_KEY = f"{_KEYS} WHERE tenant = ? AND id = ?"
_KEYS_AFTER = f"{_KEYS} WHERE tenant = ? AND id > ? ORDER BY id LIMIT ?"
_VERSION = f"{_VERSIONS} WHERE tenant = ? AND key_id = ? AND version = ?"
_VERSIONS_OF = f"{_VERSIONS} WHERE tenant = ? AND key_id = ? ORDER BY version DESC"
_VERSIONS_BELOW = (
    f"{_VERSIONS} WHERE tenant = ? AND key_id = ? AND version < ? ORDER BY version DESC LIMIT ?"
)
_USABLE = f"""{_VERSIONS} WHERE tenant = ? AND key_id = ? AND state = ? AND version >= ?
    ORDER BY envelope IS NULL, version DESC LIMIT 1"""
_PUT_KEY = f"""INSERT INTO signing_keys ({", ".join(KeyRow._fields)})
    VALUES ({", ".join("?" * len(KeyRow._fields))})
    ON CONFLICT (tenant, id) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in KeyRow._fields[2:])
}"""  # noqa: S608 - constants
_PUT_VERSION = f"""INSERT INTO signing_versions ({", ".join(VersionRow._fields)}, kek)
    VALUES ({", ".join("?" * (len(VersionRow._fields) + 1))})
    ON CONFLICT (tenant, key_id, version) DO UPDATE SET {
    ", ".join(f"{name} = excluded.{name}" for name in VersionRow._fields[3:])
}, kek = CASE
        WHEN excluded.envelope IS NULL THEN NULL
        WHEN signing_versions.envelope = excluded.envelope THEN signing_versions.kek
        ELSE excluded.kek END"""  # noqa: S608 - constants
_GENERATION = "SELECT value FROM counters WHERE name = ?"
_COUNT_KEYS = "SELECT COUNT(*) FROM signing_keys WHERE tenant = ?"
_NEWEST = "SELECT MAX(version) FROM signing_versions WHERE tenant = ? AND key_id = ?"
_CHANGED = """SELECT k.generation, v.generation FROM signing_keys k
    JOIN signing_versions v ON v.tenant = k.tenant AND v.key_id = k.id
    WHERE k.tenant = ? AND k.id = ? AND v.version = ?"""
_DESTROYED = """SELECT v.tenant, k.uid, v.key_id, v.version FROM signing_versions v
    JOIN signing_keys k ON k.tenant = v.tenant AND k.id = v.key_id WHERE v.state = ?
    ORDER BY v.tenant, v.key_id, v.version"""


def read_key(reader: Reader, vault: Vault, tenant: str, key_id: str) -> KeyRecord | None:
    """Raises KEY_CORRUPT."""
    row = reader.row(_KEY, (tenant, key_id))
    return None if row is None else _as_key(reader, vault, row)


def read_keys(
    reader: Reader, vault: Vault, tenant: str, after: str, limit: int
) -> list[tuple[str, KeyRecord | None]]:
    """(id, key) of the next keys by id; None for one that is corrupt, which the server's log names."""
    found = reader.rows(_KEYS_AFTER, (tenant, after, limit))
    return [(row[1], unless_corrupt(partial(_as_key, reader, vault, row))) for row in found]


def read_version(
    reader: Reader, vault: Vault, tenant: str, key_id: str, version: int
) -> VersionRecord | None:
    """Raises KEY_CORRUPT."""
    row = reader.row(_VERSION, (tenant, key_id, version))
    return None if row is None else _as_version(reader, vault, row)


def read_versions(reader: Reader, vault: Vault, tenant: str, key_id: str) -> list[VersionRecord]:
    """All of a key, the newest first. Raises KEY_CORRUPT, also when one is missing: numbers have no
    gaps."""
    found = [_as_version(reader, vault, row) for row in reader.rows(_VERSIONS_OF, (tenant, key_id))]
    if [version.version for version in found] != list(range(len(found), 0, -1)):
        raise corrupt(tenant, key_name(key_id), "some of its versions are missing")
    return found


def read_versions_below(
    reader: Reader, vault: Vault, tenant: str, key_id: str, below: int, limit: int
) -> list[VersionRecord]:
    """The next versions of a list that begins with the newest. Raises KEY_CORRUPT."""
    rows = reader.rows(_VERSIONS_BELOW, (tenant, key_id, below, limit))
    return [_as_version(reader, vault, row) for row in rows]


def newest_usable(reader: Reader, vault: Vault, key: KeyRecord) -> VersionRecord | None:
    """The newest version that may be used, those with a private key before others; None: there is none.
    Raises KEY_CORRUPT."""
    row = reader.row(_USABLE, (key.tenant, key.id, VersionState.ENABLED.value, key.min_version))
    return None if row is None else _as_version(reader, vault, row)


def write_key(tx: Transaction, vault: Vault, key: KeyRecord, generation: int) -> None:
    """Make or replace a key's row."""
    row = KeyRow(
        key.tenant,
        key.id,
        key.uid,
        key.algorithm.id,
        key.etag,
        key.primary_version,
        key.min_version,
        key.next_rotation_us,
        bodies.key_body(key),
        generation,
        b"",
    )
    sums.enter(tx, "signing_keys", (key.tenant, key.id), generation)
    tx.execute(_PUT_KEY, row._replace(mac=vault.mac(row.content())))


def write_version(tx: Transaction, vault: Vault, version: VersionRecord, generation: int) -> None:
    """Make or replace a version's row."""
    row = VersionRow(
        version.tenant,
        version.key_id,
        version.version,
        version.state.value,
        version.destroy_time_us,
        version.envelope,
        version.public_key,
        version.fingerprint,
        bodies.version_body(version),
        generation,
        b"",
    )
    place = (version.tenant, version.key_id, version.version)
    sums.enter(tx, "signing_versions", place, generation)
    kek = None if version.envelope is None else vault.kek_id
    tx.execute(_PUT_VERSION, (*row._replace(mac=vault.mac(row.content())), kek))


def count_keys(reader: Reader, tenant: str) -> int:
    return _number(reader.row(_COUNT_KEYS, (tenant,)))


def newest_version(reader: Reader, tenant: str, key_id: str) -> int:
    """Number of the newest version; 0 for none."""
    return _number(reader.row(_NEWEST, (tenant, key_id)))


def changed(reader: Reader, tenant: str, key_id: str, version: int) -> int | None:
    """Number of the newest change of a key or of this version of it; None where they are not there."""
    row = reader.row(_CHANGED, (tenant, key_id, version))
    return None if row is None else max(int(row[0]), int(row[1]))


def newest_change(reader: Reader) -> int:
    """Number of the newest change of any key; 0 before the first."""
    return _number(reader.row(_GENERATION, (COUNTER,)))


def destroyed(reader: Reader) -> Iterator[tuple[str, str, str, int]]:
    """(tenant, uid of the key, id of the key, version) of all that is destroyed."""
    for row in reader.rows(_DESTROYED, (VersionState.DESTROYED.value,)):
        yield row[0], row[1], row[2], row[3]


def owner(key: KeyRecord, version: int) -> Owner:
    """Whose private key an envelope holds; versions are as their key."""
    return Owner(key.tenant, key.uid, key.id, version, key.algorithm.id)


def _as_key(reader: Reader, vault: Vault, columns: Sequence[object]) -> KeyRecord:
    row = KeyRow._make(plain(columns))
    check_code(reader, vault, row, row.tenant, key_name(row.id))
    try:
        body = bodies.read_body(row.body)
        return KeyRecord(
            tenant=row.tenant,
            id=row.id,
            uid=row.uid,
            algorithm=ALGORITHMS[row.algorithm],
            etag=row.etag,
            primary_version=row.primary_version,
            min_version=row.min_version,
            next_rotation_us=row.next_rotation_us,
            **body | {"policy": policy.from_json(body["policy"])},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise corrupt(row.tenant, key_name(row.id), "its row cannot be read") from error


def _as_version(reader: Reader, vault: Vault, columns: Sequence[object]) -> VersionRecord:
    row = VersionRow._make(plain(columns))
    name = version_name(row.key_id, row.version)
    check_code(reader, vault, row, row.tenant, name)
    try:
        body = bodies.read_body(row.body)
        return VersionRecord(
            tenant=row.tenant,
            key_id=row.key_id,
            version=row.version,
            state=VersionState(row.state),
            public_key=row.public_key,
            fingerprint=row.fingerprint,
            envelope=row.envelope,
            destroy_time_us=row.destroy_time_us,
            **body | {"algorithm": ALGORITHMS[body["algorithm"]], "origin": Origin(body["origin"])},
        )
    except (ValueError, KeyError, TypeError) as error:
        raise corrupt(row.tenant, name, "its row cannot be read") from error


class Coded(Protocol):
    """A row with its code."""

    @property
    def mac(self) -> bytes: ...

    def content(self) -> bytes:
        """What the code is made of."""


def check_code(reader: Reader, vault: Vault, row: Coded, tenant: str, name: str) -> None:
    """Raises KEY_CORRUPT for a row that has not the vault's code, and KEY_STORE_SEALED where that is
    because another server changed the key-encryption key meanwhile."""
    if not vault.matches(row.mac, row.content()):
        vault.check_current(reader)
        raise corrupt(tenant, name, "its row is not as the server wrote it")


def unless_corrupt(read: Callable[[], T]) -> T | None:
    """What was read, or None where it is KEY_CORRUPT: of a list, the others are read."""
    try:
        return read()
    except KetgateError as error:
        if error.reason is not Reason.KEY_CORRUPT:
            raise
        return None


def corrupt(tenant: str, name: str, why: str) -> KetgateError:
    """The refusal of a key that is not as it was stored; the log says which and why."""
    _log.error("tenant %r: %s is corrupt: %s", tenant, name, why)
    return KetgateError(
        Reason.KEY_CORRUPT,
        f"{name} is corrupt: {why}; it is to be put back from a back-up",
        metadata={"resource": name},
    )


def plain(columns: Sequence[object]) -> list[object]:
    """Bytes as bytes, whatever a driver makes of them."""
    return [bytes(value) if isinstance(value, memoryview) else value for value in columns]


def _number(row: Row | None) -> int:
    return int(row[0] or 0) if row else 0
