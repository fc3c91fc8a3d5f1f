"""Between what the log keeps and the contract's messages."""

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING

from google.protobuf.timestamp_pb2 import Timestamp
from ketgate.audit.v1 import audit_service_pb2 as pb

from ketgate_server.errors import FieldError
from ketgate_server.store.base import Row
from ketgate_server.store.requests import read_request_id

if TYPE_CHECKING:
    from ketgate_server.audit.heads import Head
    from ketgate_server.audit.log import Fact

PAGE_SIZE = 100
SHA256_BYTES = 32
PAGE_SIZE_MAX = 1_000
PAGE_TOKEN = re.compile(r"[0-9]{1,18}")
KEY_ID = re.compile(r"([0-9a-f]{64})?")
REASON_CHARACTERS_MAX = 200


def timestamp(time_us: int) -> Timestamp:
    """time_us: microseconds since 1970."""
    seconds, micros = divmod(time_us, 1_000_000)
    return Timestamp(seconds=seconds, nanos=micros * 1000)


def payload_time(time_us: int) -> bytes:
    """The start of an AuditPayload: when it happened. A message may come in pieces, so that entries
    of one transaction share this one."""
    return pb.AuditPayload(time=timestamp(time_us)).SerializeToString()


def payload(fact: "Fact", when: bytes) -> bytes:
    """Bytes of an AuditPayload. when: payload_time() of the transaction."""
    begin = when + _who_did_what(fact.tenant, fact.actor, fact.action, fact.outcome)
    message = pb.AuditPayload(
        resource=fact.resource,
        request_digest=fact.request_digest[-SHA256_BYTES:],
        call_id=fact.call_id,
    )
    if fact.facts:
        message.facts.update(fact.facts)
        return begin + message.SerializeToString(deterministic=True)
    return begin + message.SerializeToString()


@lru_cache(maxsize=1024)
def _who_did_what(tenant: str, actor: str, action: str, outcome: str) -> bytes:
    """What a caller's entries have in common; to make it is half of the work."""
    return pb.AuditPayload(
        tenant=tenant, actor=actor, action=action, outcome=outcome
    ).SerializeToString()


def read_payload(content: bytes) -> "Fact":
    """What an entry says, apart from when."""
    from ketgate_server.audit.log import Fact

    said = pb.AuditPayload.FromString(content)
    facts = dict(said.facts)
    return Fact(said.actor, said.tenant, said.action, said.resource, said.outcome, facts=facts)


def tree_head(log_id: str, size: int, root: bytes, time_us: int) -> bytes:
    """Bytes of a TreeHead."""
    head = pb.TreeHead(log_id=log_id, size=size, root_hash=root, time=timestamp(time_us))
    return head.SerializeToString(deterministic=True)


def signed_head(head: "Head", rotations: Iterable[Row] = ()) -> pb.SignedTreeHead:
    return pb.SignedTreeHead(
        tree_head=head.tree_head,
        algorithm=head.signer.algorithm,
        signature=head.signature,
        key_id=head.signer.key_id,
        public_key=head.signer.public_key,
        rotations=[entry(row, visible=True) for row in rotations],
    )


def entry(row: Row, *, visible: bool) -> pb.AuditEntry:
    """row: of entries.COLUMNS. visible: whether the caller may see what it says."""
    index, _, commitment, salt, content = row
    message = pb.AuditEntry(index=index, commitment=commitment, redacted=salt is None)
    if visible and salt is not None:
        message.salt, message.payload = salt, content
    return message


def read_known_key(request: pb.GetSignedTreeHeadRequest) -> str | None:
    """The key that the caller knows; empty: none, but how the key came to be is asked for; None: it is
    not."""
    if not request.HasField("known_key_id"):
        return None
    if not KEY_ID.fullmatch(request.known_key_id):
        raise FieldError(
            "known_key_id", expected="64 hexadecimal digits, or nothing", given=request.known_key_id
        )
    return request.known_key_id


def read_index(index: int, size: int, field: str = "index") -> int:
    """An entry's index, checked. size: how many there are."""
    if not 0 <= index < size:
        expected = f"0 to {size - 1}, as the log has {size} entries" if size else "nothing yet"
        raise FieldError(field, expected=expected, given=index)
    return index


def read_size(size: int, newest: int, field: str) -> int:
    """The size of a tree, checked; 0: the newest."""
    if not 0 <= size <= newest:
        raise FieldError(field, expected=f"0 to {newest}, the size of the log", given=size)
    return size or newest


def read_page(request: pb.ListEntriesRequest) -> tuple[int, int]:
    """(first index, size) of a page. A token is the index that the next page starts with."""
    if request.start_index < 0:
        raise FieldError("start_index", expected="0 or more", given=request.start_index)
    if request.page_size < 0:
        raise FieldError("page_size", expected="0 or more", given=request.page_size)
    start = request.start_index
    if request.page_token:
        if not PAGE_TOKEN.fullmatch(request.page_token):
            raise FieldError(
                "page_token", expected="a token from the response before", given=request.page_token
            )
        start = int(request.page_token)
    return start, min(request.page_size or PAGE_SIZE, PAGE_SIZE_MAX)


def read_redaction(request: pb.RedactEntryRequest) -> tuple[int, str, str]:
    """(index, reason, request id), as far as they can be checked without the log."""
    if request.index < 0:
        raise FieldError("index", expected="0 or more", given=request.index)
    reason = request.reason
    if not 1 <= len(reason) <= REASON_CHARACTERS_MAX or not reason.isprintable():
        raise FieldError(
            "reason",
            expected=f"1 to {REASON_CHARACTERS_MAX} printable characters",
            given=f"{len(reason)} characters" if len(reason) > REASON_CHARACTERS_MAX else reason,
            hint="it is kept in the log for good",
        )
    return request.index, reason, read_request_id(request)


def read_old_size(size: int, newer: int) -> int:
    """The size of an earlier tree, checked. newer: that of the later one."""
    if not 0 <= size <= newer:
        raise FieldError("old_size", expected=f"0 to {newer}, the later size", given=size)
    return size
