"""The keys that signed the log's heads, in order, and the entries by which each vouches for the next.

Which one signs now is in the store, as servers may share it; no head is signed by a key before the entry
about it is durable.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

from ketgate._key_rotation import ROTATED, Rotation, as_facts, statement
from ketgate._tree_head import log_id

from ketgate_server.audit import entries, log, nodes
from ketgate_server.audit.log import Fact
from ketgate_server.audit.signer import Signer
from ketgate_server.store.base import Reader, Row, Store, Transaction

CREATED, REPLACED = "audit.key.created", "audit.key.replaced"
"""Actions of the entries of a first key, and of one that the key before did not sign, as it is lost."""

_NEWEST = "SELECT number, key_id FROM audit_keys ORDER BY number DESC LIMIT 1"
_ALL = "SELECT key_id, previous_key_id, idx FROM audit_keys ORDER BY number DESC"
_INSERT = "INSERT INTO audit_keys (number, key_id, previous_key_id, idx) VALUES (?, ?, ?, ?)"
_IS_OF_A_KEY = "SELECT 1 FROM audit_keys WHERE idx = ?"


@dataclass(frozen=True)
class Succession:
    """A key that is about to sign in the place of another; nothing of it is written yet."""

    action: str
    facts: dict[str, str]
    key_id: str
    previous_key_id: str
    """Empty: none signed before."""


def active(reader: Reader) -> str:
    """Id of the key that signs; empty before the first."""
    row = reader.row(_NEWEST)
    return "" if row is None else str(row[1])


def succession(
    reader: Reader, signer: Signer, previous_key_id: str, previous: Signer | None
) -> Succession:
    """How signer comes after the key that signed until now. previous: that key; None where it cannot be
    had any more, which clients that know it will ask about."""
    facts = {"key_id": signer.key_id, "algorithm": signer.algorithm}
    if not previous_key_id:
        return Succession(CREATED, facts, signer.key_id, "")
    if previous is None:
        facts["previous_key_id"] = previous_key_id
        return Succession(REPLACED, facts, signer.key_id, previous_key_id)
    rotation = Rotation(
        previous.key_id,
        previous.algorithm,
        previous.public_key,
        signer.key_id,
        signer.algorithm,
        signer.public_key,
    )
    first = bytes(nodes.commitments(reader, 0, 1)[0])
    signature = previous.sign(statement(log_id(first), rotation))
    facts = as_facts(replace(rotation, signature=signature))
    return Succession(ROTATED, facts, signer.key_id, previous.key_id)


def enter(tx: Transaction, new: Succession, until_now: str) -> bool:
    """Make the key that which signs. The entry about it must be the next one of this transaction.
    until_now: active() when the succession was made. Whether it is still so; otherwise nothing is
    written."""
    row = tx.row(_NEWEST)
    if until_now != ("" if row is None else row[1]):
        return False
    number = 1 if row is None else row[0] + 1
    tx.execute(_INSERT, (number, new.key_id, new.previous_key_id, log.size(tx)))
    return True


def use(store: Store, signer: Signer, previous: Callable[[str], Signer | None]) -> None:
    """Record, where it is not so yet, that a key from elsewhere than the store signs from now on.
    previous: the key of an id, of those that are there; of an empty id, that which an earlier version
    of the log was signed with."""
    salt = log.new_salt()
    while True:
        with store.read() as reader:
            until_now = active(reader)
            if until_now == signer.key_id:
                return
            before = previous(until_now)
            known = until_now or ("" if before is None else before.key_id)
            new = succession(reader, signer, "" if known == signer.key_id else known, before)

        def operation(tx: Transaction, new: Succession = new, until_now: str = until_now) -> bool:
            if not enter(tx, new, until_now):
                return False
            fact = Fact("server", "", new.action, facts=new.facts, salt=salt)
            log.record_many(tx, (fact,))
            return True

        if store.run(operation):
            return


def rotations(reader: Reader, known_key_id: str) -> list[Row]:
    """Rows (as entries.COLUMNS) of the rotations since a key, oldest first; all of them where it is not
    known to the store, or empty."""
    found = []
    for key_id, previous_key_id, index in reader.rows(_ALL):
        if key_id == known_key_id:
            break
        row = entries.get(reader, index) if previous_key_id else None
        if row is not None:
            found.append(row)
        if previous_key_id == known_key_id:
            break
    return found[::-1]


def is_about_a_key(reader: Reader, index: int) -> bool:
    """Whether an entry is one that proves a key."""
    return reader.row(_IS_OF_A_KEY, (index,)) is not None
