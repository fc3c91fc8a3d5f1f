"""The index of artifacts: who has which content, and which uploads are under way. All of it are
operations of the store, so servers that share one agree.

How content is never deleted while somebody puts it there: whoever is to put it has a row in uploads
from before the first byte until its row in artifacts is written. Whoever is to delete it writes a
row of nobody ("") in artifacts, with its name, which it may do only while the content has no other row in either
table, and which it removes when the content is gone; meanwhile no upload of it can begin.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from ketgate_server.audit.log import record as record_audit
from ketgate_server.errors import FieldError, KetgateError, NotFound, Reason
from ketgate_server.store import requests
from ketgate_server.store.base import Reader, Transaction

NOBODY = ""
"""The tenant of content that is being deleted."""
RETRY_AFTER_S = 1.0
SERVER_CHARACTERS_MAX = 100
"""Of who deletes, which stands in the column of the media type."""

_COLUMNS = "sha256, size_bytes, media_type, create_time_us, used_time_us"
_REFERENCES = """(SELECT COUNT(*) FROM artifact_references r
    WHERE r.tenant = artifacts.tenant AND r.sha256 = artifacts.sha256)"""
_SELECT = f"SELECT {_COLUMNS}, {_REFERENCES} FROM artifacts"  # noqa: S608 - constants
_GET = f"{_SELECT} WHERE tenant = ? AND sha256 = ?"
_NEWEST = f"{_SELECT} WHERE tenant = ? ORDER BY create_time_us DESC, sha256 DESC LIMIT ?"
_NEXT = f"""{_SELECT} WHERE tenant = ? AND (create_time_us, sha256) < (?, ?)
    ORDER BY create_time_us DESC, sha256 DESC LIMIT ?"""
_INSERT = f"""INSERT INTO artifacts (tenant, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?)
    ON CONFLICT (tenant, sha256) DO UPDATE SET used_time_us = excluded.used_time_us"""  # noqa: S608
_TOUCH = (
    "UPDATE artifacts SET used_time_us = ? WHERE tenant = ? AND sha256 = ? AND used_time_us < ?"
)
_DELETE = "DELETE FROM artifacts WHERE tenant = ? AND sha256 = ?"
_ANY_ARTIFACT = "SELECT 1 FROM artifacts WHERE sha256 = ? LIMIT 1"
_ANY_UPLOAD = "SELECT 1 FROM uploads WHERE sha256 = ? LIMIT 1"
_UPLOAD_COLUMNS = "id, tenant, sha256, size_bytes, media_type, update_time_us"
_SELECT_UPLOAD = f"SELECT {_UPLOAD_COLUMNS} FROM uploads"  # noqa: S608 - constants
_UPLOAD = f"{_SELECT_UPLOAD} WHERE id = ?"
_UPLOAD_OF = f"{_SELECT_UPLOAD} WHERE tenant = ? AND sha256 = ?"
_INSERT_UPLOAD = f"""INSERT INTO uploads ({_UPLOAD_COLUMNS}, offset_bytes)
    VALUES (?, ?, ?, ?, ?, ?, ?)"""  # noqa: S608 - constants
_TOUCH_UPLOAD = "UPDATE uploads SET offset_bytes = ?, update_time_us = ? WHERE id = ?"
_DELETE_UPLOAD = "DELETE FROM uploads WHERE id = ?"
_UPLOADING = "SELECT COUNT(*), SUM(size_bytes) FROM uploads WHERE tenant = ?"
_ADD = """INSERT INTO counters (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value"""
_COUNTED = "SELECT value FROM counters WHERE name = ?"


@dataclass(frozen=True, slots=True)
class Asker:
    """Who asks, for the audit and so that a repeat is known."""

    tenant: str
    subject: str
    method: str
    call_id: str = ""
    request_id: str = ""
    digest: bytes = b""
    """Of the request."""


@dataclass(frozen=True, slots=True)
class Quota:
    """What one tenant may have."""

    bytes_max: int
    uploads_max: int


class ArtifactRow(NamedTuple):
    """An artifact of a tenant. Times in microseconds since 1970."""

    sha256: str
    size_bytes: int
    media_type: str
    create_time_us: int
    used_time_us: int
    references: int


class UploadRow(NamedTuple):
    """An upload under way. update_time_us: when it was last heard of, about."""

    id: str
    tenant: str
    sha256: str
    size_bytes: int
    media_type: str
    update_time_us: int


def name_of(sha256: str) -> str:
    """ "artifacts/SHA256"."""
    return f"artifacts/{sha256}"


def upload_name(upload: str) -> str:
    """ "uploads/ID"."""
    return f"uploads/{upload}"


def get(reader: Reader, tenant: str, sha256: str) -> ArtifactRow | None:
    row = reader.row(_GET, (tenant, sha256))
    return ArtifactRow._make(row) if row else None


def page(
    reader: Reader, tenant: str, after: tuple[int, str] | None, limit: int
) -> list[ArtifactRow]:
    """The newest, or those that follow the one of this time and digest."""
    sql, position = (_NEWEST, ()) if after is None else (_NEXT, after)
    rows = reader.rows(sql, (tenant, *position, limit))
    return [ArtifactRow._make(row) for row in rows]


def upload(reader: Reader, tenant: str, upload_id: str) -> UploadRow | None:
    """The tenant's upload of this id. Another tenant's is none."""
    row = reader.row(_UPLOAD, (upload_id,))
    found = UploadRow._make(row) if row else None
    return found if found is not None and found.tenant == tenant else None


def touch(tx: Transaction, tenant: str, sha256: str) -> None:
    """It is used: it stays for a while."""
    tx.execute(_TOUCH, (tx.now_us, tenant, sha256, tx.now_us))


def touch_upload(tx: Transaction, upload_id: str, offset: int) -> None:
    """It goes on, and so much has arrived at least."""
    tx.execute(_TOUCH_UPLOAD, (offset, tx.now_us, upload_id))


def begin(
    tx: Transaction, asker: Asker, wanted: UploadRow, quota: Quota, salt: bytes
) -> ArtifactRow | UploadRow:
    """The artifact, where the tenant has this content already; otherwise the upload of it: the one
    under way, or wanted.

    Raises REQUEST_ID_REUSED, QUOTA_EXCEEDED, and SERVER_BUSY while just this content is deleted.
    """
    tenant, sha256 = asker.tenant, wanted.sha256
    known = requests.find(tx, tenant, asker.method, asker.request_id, asker.digest)
    found = get(tx, tenant, sha256)
    if found is not None:
        if found.size_bytes != wanted.size_bytes:
            raise FieldError(
                "size_bytes",
                expected=f"{found.size_bytes}, as the content of this digest has",
                given=wanted.size_bytes,
            )
        touch(tx, tenant, sha256)
        if known is None:
            _remember(tx, asker, name_of(sha256), salt)
        return found._replace(used_time_us=tx.now_us)
    row = tx.row(_UPLOAD_OF, (tenant, sha256))
    under_way = UploadRow._make(row) if row else None
    if under_way is not None and under_way.size_bytes == wanted.size_bytes:
        tx.execute(_TOUCH_UPLOAD, (0, tx.now_us, under_way.id))
        if known is None:
            _remember(tx, asker, upload_name(under_way.id), salt)
        return under_way
    if get(tx, NOBODY, sha256) is not None:
        raise KetgateError(
            Reason.SERVER_BUSY,
            "sha256: the content cannot be taken at this moment; try again",
            retry_after_s=RETRY_AFTER_S,
        )
    _check_quota(tx, tenant, wanted, under_way, quota)
    if under_way is not None:  # one of the two sizes is a mistake, and this is the newer
        tx.execute(_DELETE_UPLOAD, (under_way.id,))
    tx.execute(_INSERT_UPLOAD, (*wanted._replace(update_time_us=tx.now_us), 0))
    if known is None:
        _remember(tx, asker, upload_name(wanted.id), salt)
    else:  # what the request began before is gone, and this is another
        _record(tx, asker, upload_name(wanted.id), salt)
    return wanted


def complete(tx: Transaction, asker: Asker, upload_id: str, salt: bytes) -> ArtifactRow:
    """The upload's content is here: make it an artifact. Raises RESOURCE_NOT_FOUND,
    REQUEST_ID_REUSED."""
    known = completed(tx, asker)
    if known is not None:
        return known
    row = upload(tx, asker.tenant, upload_id)
    if row is None:
        raise NotFound(upload_name(upload_id), "upload")
    if get(tx, row.tenant, row.sha256) is None:
        tx.execute(_ADD, (_counter(row.tenant), row.size_bytes))
    made = (row.tenant, row.sha256, row.size_bytes, row.media_type, tx.now_us, tx.now_us)
    tx.execute(_INSERT, made)
    tx.execute(_DELETE_UPLOAD, (upload_id,))
    _remember(tx, asker, name_of(row.sha256), salt)
    artifact = get(tx, row.tenant, row.sha256)
    assert artifact is not None
    return artifact


def completed(reader: Reader, asker: Asker) -> ArtifactRow | None:
    """What the same request made before; None when it is new. Raises REQUEST_ID_REUSED, and
    REPLY_EXPIRED when that is gone."""
    known = requests.find(reader, asker.tenant, asker.method, asker.request_id, asker.digest)
    if known is None:
        return None
    artifact = get(reader, asker.tenant, known.resource.rpartition("/")[2])
    if artifact is None:
        raise requests.reply_expired(known.resource)
    return artifact


def delete(tx: Transaction, asker: Asker, sha256: str, salt: bytes, server: str) -> bool:
    """Delete the tenant's artifact. Whether its content is now marked as to be deleted, by server.

    Raises RESOURCE_NOT_FOUND, ARTIFACT_IN_USE, REQUEST_ID_REUSED.
    """
    if requests.find(tx, asker.tenant, asker.method, asker.request_id, asker.digest):
        return False
    artifact = get(tx, asker.tenant, sha256)
    if artifact is None:
        raise NotFound(name_of(sha256))
    if artifact.references:
        raise KetgateError(
            Reason.ARTIFACT_IN_USE,
            f"name: {artifact.references} jobs refer to {name_of(sha256)}; delete those first",
            field="name",
        )
    remove(tx, asker.tenant, [artifact])
    marked = mark(tx, sha256, server)
    _remember(tx, asker, name_of(sha256), salt)
    return marked


def remove(tx: Transaction, tenant: str, artifacts: Sequence[ArtifactRow]) -> None:
    """Take artifacts, which nothing refers to, from a tenant."""
    tx.execute_many(_DELETE, [(tenant, artifact.sha256) for artifact in artifacts])
    freed = sum(artifact.size_bytes for artifact in artifacts)
    tx.execute(_ADD, (_counter(tenant), -freed))


def mark(tx: Transaction, sha256: str, server: str) -> bool:
    """Mark content as to be deleted by a server, if nobody has it or puts it there. Whether that was
    done."""
    if tx.row(_ANY_ARTIFACT, (sha256,)) or tx.row(_ANY_UPLOAD, (sha256,)):
        return False
    tx.execute(_INSERT, (NOBODY, sha256, 0, server[:SERVER_CHARACTERS_MAX], tx.now_us, tx.now_us))
    return True


def unmark(tx: Transaction, sha256: str) -> None:
    """The content is gone."""
    tx.execute(_DELETE, (NOBODY, sha256))


def tenant_bytes(reader: Reader, tenant: str) -> int:
    """Size of all artifacts of a tenant."""
    row = reader.row(_COUNTED, (_counter(tenant),))
    return int(row[0]) if row else 0


def _check_quota(
    tx: Transaction, tenant: str, wanted: UploadRow, instead_of: UploadRow | None, quota: Quota
) -> None:
    row = tx.row(_UPLOADING, (tenant,))
    count, uploading = (row[0], int(row[1] or 0)) if row else (0, 0)
    if instead_of is not None:
        count, uploading = count - 1, uploading - instead_of.size_bytes
    if count >= quota.uploads_max:
        raise KetgateError(
            Reason.QUOTA_EXCEEDED,
            f"the tenant has {count} uploads under way, which is the limit artifacts.uploads_max; "
            "finish some first",
            limit="artifacts.uploads_max",
        )
    total = tenant_bytes(tx, tenant) + uploading + wanted.size_bytes
    if total > quota.bytes_max:
        raise KetgateError(
            Reason.QUOTA_EXCEEDED,
            f"size_bytes: with these {wanted.size_bytes} bytes the tenant would have {total}, over the "
            f"limit artifacts.tenant_bytes_max = {quota.bytes_max}; delete some artifacts",
            field="size_bytes",
            limit="artifacts.tenant_bytes_max",
        )


def _counter(tenant: str) -> str:
    return f"artifact bytes {tenant}"


def _remember(tx: Transaction, asker: Asker, resource: str, salt: bytes) -> None:
    requests.remember(
        tx, asker.tenant, asker.method, asker.request_id, asker.digest, resource, None
    )
    _record(tx, asker, resource, salt)


def _record(tx: Transaction, asker: Asker, resource: str, salt: bytes) -> None:
    record_audit(
        tx,
        actor=asker.subject,
        tenant=asker.tenant,
        action=asker.method,
        resource=resource,
        request_digest=asker.digest,
        call_id=asker.call_id,
        salt=salt,
    )
