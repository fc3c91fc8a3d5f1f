"""What is asked of a server's audit log, and how its answers are checked: for both clients, all but the waiting."""

from __future__ import annotations

import os
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from ketgate import _wire
from ketgate._ask import Ask
from ketgate._audit_check import LogCheck, VerifiedLog
from ketgate._audit_entry import AuditEntry, Seen, TreeHead, read_entry, read_head
from ketgate._audit_export import export_to
from ketgate._audit_pins import Pins
from ketgate._audit_rotation import follow
from ketgate._errors import InvalidArgument
from ketgate._flow import Flow
from ketgate._merkle import leaf_hash, verify_consistency, verify_inclusion
from ketgate._options import number
from ketgate._tree_head import AuditTampered
from ketgate.audit.v1 import audit_service_pb2 as pb

R = TypeVar("R")

PAGE_SIZE = 1000
EXPLAIN = (
    "Ask the server's operator. If the change is explained (a new key, a back-up restored, "
    "a server set up anew): `ketgate audit head --accept`."
)


@dataclass(frozen=True)
class InclusionProof:
    """A proof, verified, that an entry is in the tree of a head."""

    entry: AuditEntry
    head: TreeHead
    hashes: tuple[bytes, ...]
    """Siblings from the leaf to the root."""


class EntryPages:
    """The entries from start on, up to end, page by page. Raises InvalidArgument."""

    def __init__(self, start: int = 0, end: int | None = None) -> None:
        start = number(start, "start", int)
        end = None if end is None else number(end, "end", int)
        if start < 0:
            raise InvalidArgument(f"start: expected 0 or more, given {start}", field="start")
        self.over = end is not None and end <= start
        self._next, self._end = start, end
        self._request = pb.ListEntriesRequest(start_index=start)

    def ask(self) -> Ask[list[AuditEntry]]:
        """The question for the next page, unless it is over."""
        left = PAGE_SIZE if self._end is None else self._end - self._next
        self._request.page_size = min(left, PAGE_SIZE)
        return _ask("ListEntries", self._request, self._read)

    def _read(self, page: pb.ListEntriesResponse) -> list[AuditEntry]:
        found = page.entries if self._end is None else page.entries[: self._end - self._next]
        self._next += len(found)
        ended = self._end is not None and self._next >= self._end
        self.over = not found or not page.next_page_token or ended
        self._request.page_token = page.next_page_token
        return [read_entry(entry) for entry in found]


class AuditLog:
    """The log of one server, as this user knows it. server: how the pins name it."""

    def __init__(self, address: str, server: str) -> None:
        self._address = address
        self.server = server

    def head(self, *, accept: bool = False) -> Flow[TreeHead]:
        """The newest head: signed, and consistent with the last one seen.

        accept: forget what was seen of this server's log before, after its operator has explained
        the change: a new key, a back-up restored, a server set up anew. Raises AuditTampered.
        """
        pins = Pins()
        before = pins.log_of(self.server)
        pin = None if before is None else pins.log(before)
        head = yield from newest(None if pin is None else pin.key_id)
        known = pins.log(head.log_id)
        if known is not None and pin is None and known.key_id != head.key_id:
            head = yield from newest(known.key_id)  # the log was seen at another address
        followed: list[str] = []
        if accept:
            pins.forget(self.server, head.log_id)
        else:
            followed = yield from self._compare(head, pins)
        pins.add(self.server, head, followed)
        return head

    def verify(self, *, key_id: str | None = None) -> Flow[VerifiedLog]:
        """Read the whole log and check it against its head, and against every head that was pinned.

        key_id: SHA-256 of the key that must have signed, or of one before it that vouches for it.
        Raises AuditTampered, which says where.
        """
        head = yield from self.head()
        if key_id not in (None, head.key_id):
            head = yield from newest(key_id)
            for entry in follow(head, str(key_id)):
                yield from _proven(entry, head)
        pin = Pins().log(head.log_id)
        check = LogCheck(head, pin.heads if pin else ())
        pages = EntryPages(0, head.size)
        while not pages.over:
            for entry in (yield pages.ask()):
                check.add(entry.raw)
        return check.finish()

    def export(self, path: str | os.PathLike[str]) -> Flow[VerifiedLog]:
        """Write the whole log to a file, checked on the way. `ketgate audit verify FILE` checks it
        again, anywhere and without a server."""
        yield from self.head()
        head = yield from newest("")  # with all keys, for those who know an older one
        with export_to(Path(path), head) as export:
            pages = EntryPages(0, head.size)
            while not pages.over:
                for entry in (yield pages.ask()):
                    export.add(entry)
            return export.finish()

    def prove(self, index: int) -> Flow[InclusionProof]:
        """The entry, and the proof that it is in the log."""
        index = number(index, "index", int)
        head = yield from self.head()
        if not 0 <= index < head.size:
            raise InvalidArgument(
                f"index: expected 0 to {head.size - 1}, given {index}", field="index"
            )
        found = yield EntryPages(index, index + 1).ask()
        if [entry.index for entry in found] != [index]:
            raise AuditTampered(
                f"asked for entry {index}, the server gave {[entry.index for entry in found]}"
            )
        hashes = yield from _proven(found[0], head)
        return InclusionProof(found[0], head, hashes)

    def redact(self, index: int, reason: str) -> Flow[AuditEntry]:
        """Drop what an entry says, for good; its place in the tree stays. Needs the role "admin".

        reason: kept in the log, in an entry of its own.
        """
        index = number(index, "index", int)
        request = pb.RedactEntryRequest(index=index, reason=reason, request_id=uuid.uuid4().hex)
        entry: AuditEntry = yield _ask("RedactEntry", request, lambda a: read_entry(a.entry))
        return entry

    def _compare(self, head: TreeHead, pins: Pins) -> Flow[list[str]]:
        """Ids of the keys that led to the head's from the one that was seen. Raises AuditTampered when the log is not
        the one that was seen, or not its continuation."""
        before = pins.log_of(self.server)
        if before not in (None, head.log_id):
            raise AuditTampered(
                f"the log of {self._address} is another than before: {head.log_id}, and was {before}",
                remedy=EXPLAIN,
            )
        pin = pins.log(head.log_id)
        if pin is None:
            return []
        followed = follow(head, pin.key_id, EXPLAIN)
        for entry in followed:
            yield from _proven(entry, head)
        last = pin.heads[-1]
        agree = yield from _agree(head, last)
        if not agree:
            what = "has shrunk or was" if head.size < last.size else "was"
            raise AuditTampered(
                f"the log {what} rewritten: its {head.size} entries do not agree with the "
                f"{last.size} that were seen before; `ketgate audit verify` tells more",
                remedy=EXPLAIN,
            )
        return [entry.facts["previous_key_id"] for entry in followed]


def _ask(name: str, request: Any, read: Callable[[Any], R]) -> Ask[R]:
    method: _wire.Method[Any, Any] = _wire.Method(
        f"/ketgate.audit.v1.AuditService/{name}",
        getattr(pb, f"{name}Request"),
        getattr(pb, f"{name}Response"),
    )
    return Ask(method, request, read)


def newest(known_key_id: str | None) -> Flow[TreeHead]:
    """The newest head; with how its key came after a known one, unless that is None."""
    request = pb.GetSignedTreeHeadRequest(known_key_id=known_key_id)
    head: TreeHead = yield _ask("GetSignedTreeHead", request, lambda a: read_head(a.head))
    return head


def _proven(entry: AuditEntry, head: TreeHead) -> Flow[tuple[bytes, ...]]:
    """The proof, verified, that an entry is in the tree of a head. Raises AuditTampered."""
    request = pb.GetInclusionProofRequest(index=entry.index, size=head.size)
    hashes = yield _ask("GetInclusionProof", request, lambda a: tuple(a.hashes))
    leaf = leaf_hash(entry.raw.commitment)
    if not verify_inclusion(leaf, entry.index, head.size, hashes, head.root):
        raise AuditTampered(f"entry {entry.index}: the server cannot prove that it is in the log")
    return tuple(hashes)


def _agree(head: TreeHead, seen: Seen) -> Flow[bool]:
    """Whether two heads are of one log that only grew. The one that was seen before may be the
    later, as another call may have been quicker to pin."""
    older, newer = (head, seen) if head.size < seen.size else (seen, head)
    proof: tuple[bytes, ...] = ()
    if 0 < older.size < newer.size:
        request = pb.GetConsistencyProofRequest(old_size=older.size, new_size=newer.size)
        try:
            proof = yield _ask("GetConsistencyProof", request, lambda a: tuple(a.hashes))
        except InvalidArgument:  # it has not as many entries as it once had
            return False
    return verify_consistency(older.size, older.root, newer.size, newer.root, proof)
