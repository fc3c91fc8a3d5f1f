"""Entries of the audit log, written by the operation that has the effect: both are there, or
neither.

An entry's index is its number in the order of commits, from 0, without gaps. What the tree commits
to is SHA-256(salt || payload); salt and payload may be dropped later, the commitment never.
"""

import hashlib
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

from ketgate_server.audit import convert
from ketgate_server.store.base import Transaction
from ketgate_server.store.insertion import insert

COUNTER = "audit"
SALT_BYTES = 32
OK = "OK"

Checkpoint = Callable[[Transaction], Mapping[str, str]]
"""Facts that entries about the server itself tell beside their own, as they are in the transaction: the
state of what the log is to bear witness of, so that its newest word on that is near its end."""

_ENTRIES = "audit_entries (idx, tenant, commitment, salt, payload)"


def new_salt() -> bytes:
    """A salt for one entry. Drawn outside of the operation, which may run twice."""
    return os.urandom(SALT_BYTES)


@dataclass(slots=True)
class Fact:
    """What an entry is to say, apart from when: that is the transaction's time."""

    actor: str
    """Name of a token, "server", or "unknown" for a stranger."""
    tenant: str
    """Empty: the server itself."""
    action: str
    """The full method, or a name as "token.created"."""
    resource: str = ""
    outcome: str = OK
    request_digest: bytes = b""
    """As store.requests makes it. The entry tells the SHA-256 at its end, without the version."""
    call_id: str = ""
    facts: Mapping[str, str] | None = None
    """Never secrets."""
    salt: bytes = field(default_factory=new_salt)


def record(
    tx: Transaction,
    *,
    actor: str,
    tenant: str,
    action: str,
    resource: str = "",
    outcome: str = OK,
    request_digest: bytes = b"",
    call_id: str = "",
    facts: Mapping[str, str] | None = None,
    salt: bytes,
) -> int:
    """Write one entry and return its index. salt: from new_salt(), outside of the operation."""
    fact = Fact(actor, tenant, action, resource, outcome, request_digest, call_id, facts, salt)
    return record_many(tx, (fact,))


def record_many(tx: Transaction, entries: Sequence[Fact]) -> int:
    """Write entries in this order, and return the index of the first; the next index if there are
    none."""
    if not entries:
        return size(tx)
    # All is made before anything is written: what cannot be encoded must refuse its own operation
    # only.
    when = convert.payload_time(tx.now_us)
    rows = []
    for fact in entries:
        if len(fact.salt) != SALT_BYTES:
            raise ValueError(f"salt: expected {SALT_BYTES} bytes, given {len(fact.salt)}")
        payload = convert.payload(fact, when)
        commitment = hashlib.sha256(fact.salt + payload).digest()
        rows.append((fact.tenant, commitment, fact.salt, payload))
    first = tx.take(COUNTER, len(rows)) - 1
    insert(tx, _ENTRIES, [(first + i, *row) for i, row in enumerate(rows)])
    return first


def size(tx: Transaction) -> int:
    """How many entries there are, those of this transaction included."""
    return tx.peek(COUNTER)


def create(salt: bytes) -> Callable[[Transaction], None]:
    """The operation that makes the log, if there is none: its first entry, whose commitment names
    it."""

    def operation(tx: Transaction) -> None:
        if size(tx) == 0:
            record(tx, actor="server", tenant="", action="log.created", salt=salt)

    return operation
