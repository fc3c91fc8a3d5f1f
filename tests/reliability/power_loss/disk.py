"""A disk that forgets: what it holds when the power fails after so many of the recorded writes.

What was synced is there. Of what was written since, everything, nothing or any part may be, in
pieces of a sector; a change of a folder counts as written to the folder, as POSIX has it, and the
changes of one folder reach the disk in order. That is stricter than the file systems in use.
"""

import random
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

SECTOR_BYTES = 512
_HEAD = struct.Struct("<cQqI")
_SIZE = struct.Struct("<I")


@dataclass(frozen=True)
class Record:
    """A call, as record_writes.c tells it."""

    kind: str
    file: int
    offset: int
    first: bytes
    """Content, or a path below the folder."""
    second: bytes


class Kept(Enum):
    """What of the writes that were not synced survives."""

    NOTHING = "nothing"
    SOME = "some"
    ALL = "all"


@dataclass(eq=False)
class Inode:
    """A file: what is on the disk, and what was written since."""

    content: bytearray = field(default_factory=bytearray)
    pending: list[tuple[int, bytes | None]] = field(default_factory=list)
    """(offset, content), or (size, None) for a truncation."""


@dataclass(frozen=True)
class Change:
    """A change of a folder: these paths are now those files; None: not there. A folder is a file
    without content."""

    folder: str
    names: tuple[tuple[str, Inode | None], ...]
    is_folder: bool = False


def read_log(path: Path) -> list[Record]:
    log, at, records = path.read_bytes(), 0, []
    while at < len(log):
        kind, file, offset, size = _HEAD.unpack_from(log, at)
        at += _HEAD.size
        first, at = log[at : at + size], at + size
        (size,) = _SIZE.unpack_from(log, at)
        at += _SIZE.size
        second, at = log[at : at + size], at + size
        records.append(Record(kind.decode(), file, offset, first, second))
    return records


class Disk:
    """Takes records one after the other."""

    def __init__(self) -> None:
        self._inodes: dict[int, Inode] = {}
        self._names: dict[str, Inode] = {}
        """As the process sees them."""
        self._durable: dict[str, Inode] = {}
        self._folders: set[str] = set()
        self._durable_folders = {""}
        self._pending: list[Change] = []

    def take(self, record: Record) -> None:
        name = record.first.decode("utf-8", "replace") if record.kind in "CDMRLU" else ""
        if record.kind == "W":
            self._inodes[record.file].pending.append((record.offset, record.first))
        elif record.kind == "T":
            self._inodes[record.file].pending.append((record.offset, None))
        elif record.kind == "S":
            inode = self._inodes[record.file]
            inode.content, inode.pending = _written(inode, Kept.ALL, random.Random(0)), []
        elif record.kind == "C":
            self._inodes[record.file] = Inode()
            self._change(name, (name, self._inodes[record.file]))
        elif record.kind == "M":
            self._folders.add(name)
            self._pending.append(Change(_parent(name), ((name, None),), is_folder=True))
        elif record.kind == "U":
            self._change(name, (name, None))
        elif record.kind == "L":
            to = record.second.decode()
            self._change(to, (to, self._names[name]))
        elif record.kind == "R":
            to, moved = record.second.decode(), self._names[name]
            if self._names.get(to) is not moved:  # of two links to one file, both stay
                self._change(to, (to, moved), (name, None))
        elif record.kind == "D":
            synced = [change for change in self._pending if change.folder == name]
            self._pending = [change for change in self._pending if change.folder != name]
            _apply(synced, self._durable, self._durable_folders)

    def image(self, kept: Kept, generator: random.Random, folder: Path) -> None:
        """Write into an empty folder what the disk may hold if the power fails now."""
        names, folders = dict(self._durable), set(self._durable_folders)
        _apply(self._surviving(kept, generator), names, folders)
        for name in sorted(folders - {""}):
            if (folder / name).parent.exists():
                (folder / name).mkdir()
        for name, inode in names.items():
            if (folder / name).parent.exists():
                (folder / name).write_bytes(_written(inode, kept, generator))

    def _change(self, name: str, *names: tuple[str, Inode | None]) -> None:
        change = Change(_parent(name), names)
        _apply([change], self._names, self._folders)
        self._pending.append(change)

    def _surviving(self, kept: Kept, generator: random.Random) -> Iterator[Change]:
        left = {
            change.folder: len(self._pending) if kept is Kept.ALL else 0 for change in self._pending
        }
        if kept is Kept.SOME:
            left = {name: generator.randrange(len(self._pending) + 1) for name in left}
        for change in self._pending:
            left[change.folder] -= 1
            if left[change.folder] >= 0:
                yield change


def _apply(changes: Iterable[Change], names: dict[str, Inode], folders: set[str]) -> None:
    for change in changes:
        for name, inode in change.names:
            if change.is_folder:
                folders.add(name)
            elif inode is None:
                names.pop(name, None)
            else:
                names[name] = inode


def _written(inode: Inode, kept: Kept, generator: random.Random) -> bytearray:
    """Content with those of the pending writes that survive."""
    content = bytearray(inode.content)
    if kept is Kept.NOTHING:
        return content
    for offset, piece in inode.pending:
        if piece is None:
            if kept is Kept.ALL or generator.random() < 0.5:
                _resize(content, offset)
        elif kept is Kept.ALL:
            _put(content, offset, piece)
        else:
            for start in range(0, len(piece), SECTOR_BYTES):
                if generator.random() < 0.5:
                    _put(content, offset + start, piece[start : start + SECTOR_BYTES])
    return content


def _put(content: bytearray, offset: int, piece: bytes) -> None:
    if len(content) < offset:
        _resize(content, offset)
    content[offset : offset + len(piece)] = piece


def _resize(content: bytearray, size: int) -> None:
    del content[size:]
    content.extend(bytes(size - len(content)))


def _parent(name: str) -> str:
    return name.rpartition("/")[0]
