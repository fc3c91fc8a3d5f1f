"""What makes a repeated request harmless: its id, a digest of what it asked, and what it did, stored
in the transaction of the effect. Ids are kept for ever; replies as long as retention says."""

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from google.protobuf.message import Message

from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.store.base import Reader, Transaction
from ketgate_server.store.insertion import insert

DIGEST_VERSION = b"\x01"
"""Of the canonical form: the deterministic bytes of the message with request_id left out."""

_REQUEST_ID = re.compile(r"[\x20-\x7e]{0,128}")

_QUESTION_MARKS = 64
"""Ids that one query asks for. One length, so that the statement is parsed once."""

_FIND = "SELECT digest, resource, reply FROM requests WHERE tenant = ? AND method = ? AND request_id = ?"
_FIND_MANY = f"""SELECT request_id, digest, resource, reply FROM requests
    WHERE tenant = ? AND method = ? AND request_id IN ({", ".join("?" * _QUESTION_MARKS)})"""  # noqa: S608 - no value is in the text
_INTO = "requests (tenant, method, request_id, digest, resource, reply, create_time_us)"


@dataclass(frozen=True, slots=True)
class Known:
    """A request that was done before."""

    digest: bytes
    resource: str
    reply: bytes | None
    """None: not kept, or not any more."""


def read_request_id(request: Message) -> str:
    """The request_id of a request; empty where it has none, or the contract gives it none. Raises FieldError."""
    request_id: str = getattr(request, "request_id", "")
    if not _REQUEST_ID.fullmatch(request_id):
        raise FieldError(
            "request_id", expected="at most 128 printable ASCII characters", given=request_id
        )
    return request_id


def request_digest(request: Message) -> bytes:
    """Digest of what a request asks for; its request_id, if the contract gives it one, does not
    count."""
    request_id: str = getattr(request, "request_id", "")
    if not request_id:
        return DIGEST_VERSION + _sha256(request)
    request.ClearField("request_id")  # and put back: a copy of a large request would cost more
    try:
        return DIGEST_VERSION + _sha256(request)
    finally:
        request.request_id = request_id  # type: ignore[attr-defined]


def _sha256(request: Message) -> bytes:
    return hashlib.sha256(request.SerializeToString(deterministic=True)).digest()


def find(reader: Reader, tenant: str, method: str, request_id: str, digest: bytes) -> Known | None:
    """What a request did when it was done before; None when it is new, as those without an id are.

    Raises REQUEST_ID_REUSED when the id belongs to another request.
    """
    if not request_id:
        return None
    row = reader.row(_FIND, (tenant, method, request_id))
    if row is None:
        return None
    known = Known(bytes(row[0]), row[1], row[2])
    if known.digest != digest:
        raise reused(request_id, known.resource)
    return known


def find_many(
    reader: Reader, tenant: str, method: str, request_ids: Sequence[str]
) -> dict[str, Known]:
    """Those of the ids that were used. The caller compares digests."""
    known = {}
    for start in range(0, len(request_ids), _QUESTION_MARKS):
        some = list(request_ids[start : start + _QUESTION_MARKS])
        some += some[-1:] * (_QUESTION_MARKS - len(some))
        for request_id, digest, resource, reply in reader.rows(_FIND_MANY, (tenant, method, *some)):
            known[request_id] = Known(bytes(digest), resource, reply)
    return known


def remember(
    tx: Transaction,
    tenant: str,
    method: str,
    request_id: str,
    digest: bytes,
    resource: str,
    reply: bytes | None,
) -> None:
    """Store what a request did. Without a request_id there is nothing to store."""
    if request_id:
        remember_many(tx, [(tenant, method, request_id, digest, resource, reply)])


def remember_many(
    tx: Transaction, rows: Iterable[tuple[str, str, str, bytes, str, bytes | None]]
) -> None:
    """Store what requests did: tenant, method, request id, digest, resource, reply."""
    insert(tx, _INTO, [(*row, tx.now_us) for row in rows])


def reused(request_id: str = "", resource: str = "") -> KetgateError:
    """The refusal of a request whose id belongs to another one. resource: of that one; empty where the caller may not
    know of it."""
    given = repr(request_id) if request_id else "it"
    made = f", which made or changed {resource}" if resource else ""
    return KetgateError(
        Reason.REQUEST_ID_REUSED,
        f"request_id: {given} was used for another request{made}; a new request needs a new id",
        field="request_id",
        metadata={"resource": resource} if resource else {},
    )


def reply_expired(resource: str) -> KetgateError:
    """The refusal of a repeat whose reply is gone."""
    return KetgateError(
        Reason.REPLY_EXPIRED,
        f"the request was done before, but its reply is not kept any more; look at {resource}",
        metadata={"resource": resource},
    )
