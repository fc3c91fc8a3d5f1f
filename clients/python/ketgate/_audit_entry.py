"""Entries and heads of an audit log, as a client sees them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256

from ketgate._merkle import HASH_BYTES
from ketgate._tree_head import AuditTampered, open_head
from ketgate.audit.v1 import audit_service_pb2 as pb


@dataclass(frozen=True)
class TreeHead:
    """A head whose signature was verified."""

    log_id: str
    size: int
    """Entries in the tree."""
    root: bytes = field(repr=False)
    time: datetime
    """When the server signed it, in UTC."""
    key_id: str
    """SHA-256 of the key's DER, hexadecimal."""
    signed: pb.SignedTreeHead = field(repr=False)
    rotations: "tuple[AuditEntry, ...]" = field(default=(), repr=False)
    """Entries about the keys that signed before, oldest first, where they were asked for."""

    @property
    def algorithm(self) -> str:
        """Of the signature."""
        return self.signed.algorithm


@dataclass(frozen=True)
class Seen:
    """A head that was seen before."""

    size: int
    root: bytes = field(repr=False)
    time: datetime


@dataclass(frozen=True)
class AuditEntry:
    """One entry. What it says is None or empty where it was withheld, as another tenant's, or
    redacted, for good."""

    index: int
    time: datetime | None
    tenant: str
    actor: str
    action: str
    resource: str
    outcome: str
    request_digest: bytes = field(repr=False)
    """SHA-256 of the canonical request."""
    call_id: str
    facts: Mapping[str, str]
    redacted: bool
    withheld: bool
    raw: pb.AuditEntry = field(repr=False)
    """Commitment, salt and payload, as the log has them."""


def read_head(signed: pb.SignedTreeHead) -> TreeHead:
    """Raises AuditTampered when the signature is not of the key that comes with it."""
    head = open_head(signed)
    return TreeHead(
        log_id=head.log_id,
        size=head.size,
        root=head.root_hash,
        time=_time(head.time.seconds, head.time.nanos),
        key_id=signed.key_id,
        signed=signed,
        rotations=tuple(read_entry(entry) for entry in signed.rotations),
    )


def read_entry(entry: pb.AuditEntry) -> AuditEntry:
    """Raises AuditTampered when what it says is not what its commitment stands for."""
    open_ = bool(entry.payload or entry.salt)
    if len(entry.commitment) != HASH_BYTES:
        raise AuditTampered(f"entry {entry.index}: its commitment is no SHA-256")
    if open_ and (
        len(entry.salt) != HASH_BYTES
        or sha256(entry.salt + entry.payload).digest() != entry.commitment
    ):
        raise AuditTampered(
            f"entry {entry.index}: what it says is not what the log committed to: it was changed"
        )
    if open_ and entry.redacted:
        raise AuditTampered(f"entry {entry.index}: it is marked as redacted, and still says things")
    try:
        said = pb.AuditPayload.FromString(entry.payload)
    except ValueError:
        raise AuditTampered(f"entry {entry.index}: what it says cannot be read") from None
    return AuditEntry(
        index=entry.index,
        time=_time(said.time.seconds, said.time.nanos) if open_ else None,
        tenant=said.tenant,
        actor=said.actor,
        action=said.action,
        resource=said.resource,
        outcome=said.outcome,
        request_digest=said.request_digest,
        call_id=said.call_id,
        facts=dict(said.facts),
        redacted=entry.redacted,
        withheld=not open_ and not entry.redacted,
        raw=entry,
    )


def _time(seconds: int, nanos: int) -> datetime:
    try:
        return datetime.fromtimestamp(seconds, UTC).replace(microsecond=nanos // 1000)
    except (OverflowError, ValueError, OSError):
        raise AuditTampered(f"{seconds} seconds after 1970 is no time of an audit log") from None
