"""The audit log of a server: `client.audit`."""

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ketgate import _wire
from ketgate._audit_check import LogCheck, VerifiedLog
from ketgate._audit_entry import AuditEntry, Seen, TreeHead, read_entry, read_head
from ketgate._audit_export import write_export
from ketgate._audit_pins import Pins, server_name
from ketgate._audit_rotation import follow
from ketgate._errors import InvalidArgument
from ketgate._merkle import leaf_hash, verify_consistency, verify_inclusion
from ketgate._tree_head import AuditTampered
from ketgate.audit.v1 import audit_service_pb2 as pb

if TYPE_CHECKING:
    from ketgate._client import Client

_SERVICE = "/ketgate.audit.v1.AuditService"
_PAGE_SIZE = 1000


def _method(name: str) -> "_wire.Method[Any, Any]":
    return _wire.Method(
        f"{_SERVICE}/{name}", getattr(pb, f"{name}Request"), getattr(pb, f"{name}Response")
    )


_GET_HEAD = _method("GetSignedTreeHead")
_GET_INCLUSION = _method("GetInclusionProof")
_GET_CONSISTENCY = _method("GetConsistencyProof")
_LIST = _method("ListEntries")
_REDACT = _method("RedactEntry")


@dataclass(frozen=True)
class InclusionProof:
    """A proof, verified, that an entry is in the tree of a head."""

    entry: AuditEntry
    head: TreeHead
    hashes: tuple[bytes, ...]
    """Siblings from the leaf to the root."""


class Audit:
    """The server's record of everything that matters, and the proof that it is whole.

    Each head is compared with the last one that this user saw of the log and remembered in its
    place ("pinned", in $XDG_STATE_HOME/ketgate/audit-pins.json): a log that was rewritten since is
    an AuditTampered. Needs the role "audit.reader".

    >>> for entry in client.audit.entries():
    ...     print(entry.time, entry.actor, entry.action, entry.outcome)
    >>> client.audit.verify().head.size
    """

    def __init__(self, client: "Client") -> None:
        self._client = client
        self._server = server_name(client._endpoint)

    def head(self, *, accept: bool = False) -> TreeHead:
        """The newest head: signed, and consistent with the last one seen.

        accept: forget what was seen of this server's log before, after its operator has explained
        the change: a new key, a back-up restored, a server set up anew. Raises AuditTampered.
        """
        pins = Pins()
        before = pins.log_of(self._server)
        pin = None if before is None else pins.log(before)
        head = self._newest(None if pin is None else pin.key_id)
        followed: list[str] = []
        if accept:
            pins.forget(self._server, head.log_id)
        else:
            followed = self._compare(head, pins)
        pins.add(self._server, head, followed)
        return head

    def _newest(self, known_key_id: str | None) -> TreeHead:
        """The newest head; with how its key came after a known one, unless that is None."""
        request = pb.GetSignedTreeHeadRequest(known_key_id=known_key_id)
        return read_head(self._client._call(_GET_HEAD, request).head)

    def entries(self, start: int = 0, end: int | None = None) -> Iterator[AuditEntry]:
        """The entries from start on, up to end, in the order of the log; read as they are needed.

        What an entry says is checked against its commitment; verify() checks all of them against
        the head.
        """
        if start < 0:
            raise InvalidArgument(f"start: expected 0 or more, given {start}", field="start")
        if end is not None and end <= start:
            return
        request = pb.ListEntriesRequest(start_index=start)
        while True:
            left = _PAGE_SIZE if end is None else end - start
            request.page_size = min(left, _PAGE_SIZE)
            page = self._client._call(_LIST, request)
            for entry in page.entries:
                yield read_entry(entry)
            start += len(page.entries)
            if not page.entries or not page.next_page_token or (end is not None and start >= end):
                return
            request.page_token = page.next_page_token

    def verify(self, *, key_id: str | None = None) -> VerifiedLog:
        """Read the whole log and check it against its head, and against every head that was pinned.

        key_id: SHA-256 of the key that must have signed, or of one before it that vouches for it.
        Raises AuditTampered, which says where.
        """
        head = self.head()
        if key_id not in (None, head.key_id):
            head = self._newest(key_id)
            for entry in follow(head, str(key_id)):
                self._prove(entry, head)
        pin = Pins().log(head.log_id)
        check = LogCheck(head, pin.heads if pin else ())
        for entry in islice(self.entries(0, head.size), head.size):
            check.add(entry.raw)
        return check.finish()

    def export(self, path: str | os.PathLike[str]) -> VerifiedLog:
        """Write the whole log to a file, checked on the way. `ketgate audit verify FILE` checks it
        again, anywhere and without a server."""
        self.head()
        head = self._newest("")  # with all keys, for those who know an older one
        return write_export(Path(path), head, self.entries(0, head.size))

    def prove(self, index: int) -> InclusionProof:
        """The entry, and the proof that it is in the log."""
        head = self.head()
        if not 0 <= index < head.size:
            raise InvalidArgument(
                f"index: expected 0 to {head.size - 1}, given {index}", field="index"
            )
        [entry] = self.entries(index, index + 1)
        if entry.index != index:
            raise AuditTampered(f"asked for entry {index}, the server gave entry {entry.index}")
        return InclusionProof(entry, head, self._prove(entry, head))

    def _prove(self, entry: AuditEntry, head: TreeHead) -> tuple[bytes, ...]:
        """The proof, verified, that an entry is in the tree of a head. Raises AuditTampered."""
        request = pb.GetInclusionProofRequest(index=entry.index, size=head.size)
        hashes = tuple(self._client._call(_GET_INCLUSION, request).hashes)
        leaf = leaf_hash(entry.raw.commitment)
        if not verify_inclusion(leaf, entry.index, head.size, hashes, head.root):
            raise AuditTampered(
                f"entry {entry.index}: the server cannot prove that it is in the log"
            )
        return hashes

    def redact(self, index: int, reason: str) -> AuditEntry:
        """Drop what an entry says, for good; its place in the tree stays. Needs the role "admin".

        reason: kept in the log, in an entry of its own.
        """
        request = pb.RedactEntryRequest(index=index, reason=reason, request_id=uuid.uuid4().hex)
        return read_entry(self._client._call(_REDACT, request).entry)

    def _compare(self, head: TreeHead, pins: Pins) -> list[str]:
        """Ids of the keys that led to the head's from the one that was seen. Raises AuditTampered when the log is not
        the one that was seen, or not its continuation."""
        before = pins.log_of(self._server)
        explain = (
            "Ask the server's operator. If the change is explained (a new key, a back-up restored, "
            "a server set up anew): `ketgate audit head --accept`."
        )
        if before not in (None, head.log_id):
            raise AuditTampered(
                f"the log of {self._client.address} is another than before: {head.log_id}, "
                f"and was {before}",
                remedy=explain,
            )
        pin = pins.log(head.log_id)
        if pin is None:
            return []
        followed = follow(head, pin.key_id, explain)
        for entry in followed:
            self._prove(entry, head)
        last = pin.heads[-1]
        if not self._agree(head, last):
            what = "has shrunk or was" if head.size < last.size else "was"
            raise AuditTampered(
                f"the log {what} rewritten: its {head.size} entries do not agree with the "
                f"{last.size} that were seen before; `ketgate audit verify` tells more",
                remedy=explain,
            )
        return [entry.facts["previous_key_id"] for entry in followed]

    def _agree(self, head: TreeHead, seen: Seen) -> bool:
        """Whether two heads are of one log that only grew. The one that was seen before may be the
        later, as another call may have been quicker to pin."""
        older, newer = (head, seen) if head.size < seen.size else (seen, head)
        proof: tuple[bytes, ...] = ()
        if 0 < older.size < newer.size:
            request = pb.GetConsistencyProofRequest(old_size=older.size, new_size=newer.size)
            try:
                proof = tuple(self._client._call(_GET_CONSISTENCY, request).hashes)
            except InvalidArgument:  # it has not as many entries as it once had
                return False
        return verify_consistency(older.size, older.root, newer.size, newer.root, proof)
