"""Checks a whole log, entry by entry, against its signed head and what was seen of it before."""

from collections.abc import Iterable
from dataclasses import dataclass

from ketgate._audit_entry import Seen, TreeHead, read_entry
from ketgate._merkle import GrowingTree, fold, leaf_hash
from ketgate._tree_head import AuditTampered, log_id
from ketgate.audit.v1 import audit_service_pb2 as pb

BLOCK_ENTRIES = 256
"""An export has the hash over each block of this many, which tells where a change is."""


@dataclass(frozen=True)
class VerifiedLog:
    """What was found whole."""

    head: TreeHead
    redacted: int
    """Entries that say nothing any more."""
    withheld: int
    """Entries that say nothing to this caller."""
    compared: tuple[int, ...]
    """Sizes at which the log was compared with heads that were pinned before."""


class LogCheck:
    """Takes the entries of a log in order. known: heads that were seen before; larger ones are of
    a time after this head's, or it has shrunk."""

    def __init__(self, head: TreeHead, known: Iterable[Seen]) -> None:
        self._head = head
        seen = sorted(known, key=lambda one: one.size)
        self._known = {one.size: one.root for one in seen if 0 < one.size < head.size}
        for one in seen:
            if one.size == head.size and one.root != head.root:
                raise AuditTampered(
                    f"this head of {head.size} entries is not the one that was seen before: "
                    "history was rewritten"
                )
            if one.size > head.size and one.time < head.time:
                raise AuditTampered(
                    f"the log has shrunk: on {one.time.isoformat()} it had {one.size} entries, and "
                    f"this later head has {head.size}; entries {head.size} to {one.size - 1} "
                    "are gone",
                    remedy="If a back-up was restored, the server's operator can tell; otherwise "
                    "keep both as evidence.",
                )
        self._rotations = {one.index: one.raw.commitment for one in head.rotations}
        self._tree = GrowingTree()  # of whole blocks
        self._block = GrowingTree()
        self._redacted = self._withheld = 0
        self._agreed = 0  # the largest known size up to which all is as it was

    @property
    def size(self) -> int:
        """Entries so far."""
        return self._tree.size + self._block.size

    def add(self, entry: pb.AuditEntry) -> None:
        """The next entry. Raises AuditTampered, naming it, for one that is not what it should be."""
        expected = self.size
        if entry.index != expected:
            raise AuditTampered(
                f"expected entry {expected}, found entry {entry.index}: "
                f"entry {min(expected, entry.index)} was "
                + ("taken out or moved" if entry.index > expected else "put in twice or moved")
            )
        if expected >= self._head.size:
            raise AuditTampered(
                f"entry {expected} is beyond the head, which is of {self._head.size} entries"
            )
        read = read_entry(entry)
        self._redacted += read.redacted
        self._withheld += read.withheld
        if self._rotations.get(expected, entry.commitment) != entry.commitment:
            raise AuditTampered(
                f"entry {expected} is not the one about a new key of the log that came with the head"
            )
        if expected == 0 and log_id(entry.commitment) != self._head.log_id:
            raise AuditTampered("entry 0 is not the one that the log is named after")
        if self._block.size == BLOCK_ENTRIES:
            self._tree.append_subtree(self._block.root(), BLOCK_ENTRIES)
            self._block = GrowingTree()
        self._block.append(leaf_hash(entry.commitment))
        if self.size in self._known:
            self._compare()

    def block_hash(self) -> bytes:
        """Hash over the block that the last entry is in, as far as it goes."""
        return self._block.root()

    def root(self) -> bytes:
        """Root of the entries so far."""
        return fold([*self._tree.edge, *self._block.edge])

    def finish(self) -> VerifiedLog:
        """Raises AuditTampered when the entries are not all of those that the head stands for."""
        size = self.size
        if size < self._head.size:
            raise AuditTampered(
                f"entries {size} to {self._head.size - 1} are missing: "
                f"the head is of {self._head.size} entries"
            )
        if self.root() != self._head.root:
            raise AuditTampered(
                "the entries do not give the root that was signed: "
                f"a commitment of the entries {self._agreed} to {size - 1} was changed"
            )
        return VerifiedLog(self._head, self._redacted, self._withheld, tuple(self._known))

    def _compare(self) -> None:
        if self.root() != self._known[self.size]:
            raise AuditTampered(
                f"history was rewritten: the first {self.size} entries are not those that were seen "
                f"before, because of one or more of the entries {self._agreed} to {self.size - 1}"
            )
        self._agreed = self.size
