"""A log in a file: written from a server, read and checked without one.

JSON lines. The first is the header, with the signed head; then each entry in order, and after every
256 of them, and the last, the hash over these. docs/audit.md describes it.
"""

import base64
import json
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, BinaryIO

from ketgate._audit_check import BLOCK_ENTRIES, LogCheck, VerifiedLog
from ketgate._audit_entry import AuditEntry, Seen, TreeHead, read_entry, read_head
from ketgate._errors import InvalidArgument
from ketgate._merkle import GrowingTree, fold
from ketgate._tree_head import AuditTampered
from ketgate._whole_file import written_whole
from ketgate.audit.v1 import audit_service_pb2 as pb

FORMAT = "ketgate audit export v1"
LINE_BYTES_MAX = 8 << 20
"""A header has some 15 KB for each key that the log was signed with."""


class Export:
    """A log as it is written, checked on the way. Made by export_to."""

    def __init__(self, file: BinaryIO, head: TreeHead) -> None:
        self._file = file
        self._size = head.size
        self._check = LogCheck(head, ())
        self._begin = 0
        _write_line(file, _header(head))

    def add(self, entry: AuditEntry) -> None:
        """The next entry. Raises AuditTampered."""
        check = self._check
        check.add(entry.raw)
        _write_line(self._file, _entry(entry.raw))
        if check.size - self._begin == BLOCK_ENTRIES or check.size == self._size:
            over = {"begin": self._begin, "end": check.size, "hash": check.block_hash().hex()}
            _write_line(self._file, over)
            self._begin = check.size

    def finish(self) -> VerifiedLog:
        """Raises AuditTampered when entries are missing, or are not those that the head stands for."""
        return self._check.finish()


@contextmanager
def export_to(path: Path, head: TreeHead) -> Iterator[Export]:
    """A file of a log, which is there when the block ends without an error. Raises InvalidArgument."""
    try:
        with written_whole(path) as file:
            yield Export(file, head)
    except OSError as error:
        raise InvalidArgument(
            f"path: {path} cannot be written: {error.strerror}", field="path"
        ) from None


def export_head(path: Path) -> TreeHead:
    """The head of an export, its signature verified."""
    with _open(path) as file:
        return _read_header(_Lines(file))


def export_entries(path: Path) -> Iterator[AuditEntry]:
    """The entries of an export, each checked against its own commitment only."""
    with _open(path) as file:
        lines = _Lines(file)
        _read_header(lines)
        for line in lines:
            if "index" in line:
                yield read_entry(_read_entry(line, lines.number))


def verify_export(path: Path, known: Iterable[Seen] = ()) -> VerifiedLog:
    """Check a whole export: every entry, every block, the root and its signature. Whether the key
    is the right one is for the caller to know. known: heads of the log that were seen before.

    Raises AuditTampered, which says where.
    """
    with _open(path) as file:
        lines = _Lines(file)
        head = _read_header(lines)
        check, blocks = LogCheck(head, known), _Blocks()
        for line in lines:
            try:
                if "index" in line:
                    blocks.expect_entry(check.size)
                    check.add(_read_entry(line, lines.number))
                else:
                    blocks.add(line, check)
            except AuditTampered as error:
                raise AuditTampered(f"line {lines.number}: {error.message}") from None
        try:
            verified = check.finish()
        except AuditTampered:
            blocks.explain(head, check)
            raise
        blocks.finish(head)
        return verified


class _Blocks:
    """The hashes over blocks that an export has of itself. They are worth something where they give
    the signed root while the entries do not: then they tell in which block the change is."""

    def __init__(self) -> None:
        self._told = GrowingTree()
        self._rest: list[bytes] = []
        self._end = 0
        self._different: tuple[int, int] | None = None

    def expect_entry(self, size: int) -> None:
        if size - self._end == BLOCK_ENTRIES:
            raise AuditTampered(f"expected the hash over the entries {self._end} to {size - 1}")

    def add(self, line: Mapping[str, Any], check: LogCheck) -> None:
        begin, end = self._end, check.size
        if line.get("begin") != begin or line.get("end") != end or end <= begin:
            raise AuditTampered(
                f"expected an entry, or the hash over the entries {begin} to {end - 1}"
            )
        told = _hex(line, "hash")
        if told != check.block_hash() and self._different is None:
            self._different = begin, end
        if end - begin == BLOCK_ENTRIES:
            self._told.append_subtree(told, BLOCK_ENTRIES)
        else:
            self._rest = [told]
        self._end = end

    def explain(self, head: TreeHead, check: LogCheck) -> None:
        """Raise AuditTampered naming the block, if that can be told."""
        if self._different is None or self._end != head.size or check.size != head.size:
            return
        if fold([*self._told.edge, *self._rest]) == head.root:
            begin, end = self._different
            raise AuditTampered(
                "the entries do not give the root that was signed: "
                f"a commitment of the entries {begin} to {end - 1} was changed"
            )

    def finish(self, head: TreeHead) -> None:
        if self._end != head.size:
            raise AuditTampered(f"the hash over the entries {self._end} and on is missing")
        if self._different is not None:
            begin, end = self._different
            raise AuditTampered(
                f"the hash over the entries {begin} to {end - 1} was changed; "
                "the entries are as they were signed"
            )


class _Lines:
    """Lines of JSON, with the number of the last."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.number = 0

    def __iter__(self) -> Iterator[dict[str, Any]]:
        while content := self._file.readline(LINE_BYTES_MAX):
            self.number += 1
            try:
                line = json.loads(content)
            except ValueError:
                line = None
            if not isinstance(line, dict) or not content.endswith(b"\n"):
                raise AuditTampered(f"line {self.number}: it is cut short, or no JSON object")
            yield line


def _open(path: Path) -> IO[bytes]:
    try:
        return path.open("rb")
    except OSError as error:
        raise InvalidArgument(f"{path} cannot be read: {error.strerror}", field="path") from None


def _header(head: TreeHead) -> dict[str, Any]:
    signed = head.signed
    rotations = {"rotations": [_entry(one) for one in signed.rotations]} if signed.rotations else {}
    return {
        "format": FORMAT,
        "log_id": head.log_id,
        "size": head.size,
        "root": head.root.hex(),
        "time": head.time.isoformat(),
        "tree_head": _text(signed.tree_head),
        "algorithm": signed.algorithm,
        "signature": _text(signed.signature),
        "key_id": signed.key_id,
        "public_key": _text(signed.public_key),
    } | rotations


def _read_header(lines: _Lines) -> TreeHead:
    try:
        line = next(iter(lines), {})
    except AuditTampered:
        line = {}
    if line.get("format") != FORMAT:
        raise InvalidArgument(
            f"expected a file whose first line says {FORMAT!r}; `ketgate audit export` writes one",
            field="path",
            remedy="If it was an export once, its first line was changed: have it exported again.",
        )
    head = read_head(
        pb.SignedTreeHead(
            tree_head=_bytes(line, "tree_head"),
            algorithm=str(line.get("algorithm")),
            signature=_bytes(line, "signature"),
            key_id=str(line.get("key_id")),
            public_key=_bytes(line, "public_key"),
            rotations=_read_rotations(line),
        )
    )
    if {name: line.get(name) for name in _header(head)} != _header(head):
        raise AuditTampered("line 1: the header says other things than the head that was signed")
    return head


def _read_rotations(line: Mapping[str, Any]) -> list[pb.AuditEntry]:
    told = line.get("rotations", [])
    if not isinstance(told, list) or not all(isinstance(one, dict) for one in told):
        raise AuditTampered("line 1: its rotations cannot be read")
    return [_read_entry(one, 1) for one in told]


def _entry(entry: pb.AuditEntry) -> dict[str, Any]:
    line: dict[str, Any] = {"index": entry.index, "commitment": entry.commitment.hex()}
    if entry.redacted:
        line["redacted"] = True
    if entry.salt:
        line |= {"salt": entry.salt.hex(), "payload": _text(entry.payload)}
    return line


def _read_entry(line: Mapping[str, Any], number: int) -> pb.AuditEntry:
    index = line.get("index")
    if type(index) is not int or not 0 <= index < 1 << 63:
        raise AuditTampered(f"line {number}: the index of an entry is no number")
    try:
        entry = pb.AuditEntry(index=index, commitment=_hex(line, "commitment"))
        entry.redacted = line.get("redacted") is True
        if "salt" in line or "payload" in line:
            entry.salt, entry.payload = _hex(line, "salt"), _bytes(line, "payload")
    except AuditTampered as error:
        raise AuditTampered(f"entry {index}: {error.message}") from None
    return entry


def _write_line(file: BinaryIO, line: Mapping[str, Any]) -> None:
    file.write(json.dumps(line, separators=(",", ":")).encode() + b"\n")


def _text(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")


def _bytes(line: Mapping[str, Any], name: str) -> bytes:
    try:
        content = base64.b64decode(line[name], validate=True)
        if _text(content) != line[name]:  # bits that no byte holds
            raise ValueError
        return content
    except (KeyError, TypeError, ValueError):
        raise AuditTampered(f"{name} is missing, or no base64") from None


def _hex(line: Mapping[str, Any], name: str) -> bytes:
    try:
        content = bytes.fromhex(line[name])
        if content.hex() != line[name]:  # spaces, or capitals
            raise ValueError
        return content
    except (KeyError, TypeError, ValueError):
        raise AuditTampered(f"{name} is missing, or not hexadecimal") from None
