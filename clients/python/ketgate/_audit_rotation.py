"""From a key of a log that is trusted to the one that signs by now, as far as each vouches for the next."""

from collections.abc import Sequence

from ketgate._audit_entry import AuditEntry, TreeHead
from ketgate._key_rotation import ROTATED, read_rotation
from ketgate._tree_head import AuditTampered


def follow(head: TreeHead, known_key_id: str, remedy: str = "") -> Sequence[AuditEntry]:
    """The entries by which the head's key follows the known one, oldest first; none where it is that.

    That they are in the log is for the caller to see. Raises AuditTampered, with remedy, where the new
    key is not proven by the old one.
    """
    current = known_key_id
    followed = []
    for entry in head.rotations:
        if current == head.key_id:
            break
        if entry.facts.get("previous_key_id") != current:
            continue
        if entry.action != ROTATED:
            break  # it was replaced, as the key before was lost
        if entry.index >= head.size:
            raise AuditTampered(f"entry {entry.index} about a new key of the log is not in it")
        current = read_rotation(head.log_id, entry.facts).key_id
        followed.append(entry)
    if current != head.key_id:
        raise AuditTampered(
            f"the head is signed by another key than before: {head.key_id}, and was {known_key_id}; "
            "that key did not sign for the new one",
            remedy=remedy,
        )
    return followed
