"""A log in a file, checked without a server: whatever is done to it is noticed, and the error says where."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate._audit_check import BLOCK_ENTRIES
from ketgate._audit_entry import Seen, TreeHead, read_entry, read_head
from ketgate._audit_export import export_entries, export_head, export_to, verify_export
from ketgate._errors import InvalidArgument
from ketgate._tree_head import AuditTampered
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.service import create_service
from ketgate_server.audit.signer import open_signer
from ketgate_server.rpc.call import Identity
from ketgate_server.store.database import open_store

from tests.unit.audit.conftest import Caller, append

SIZE = 600
Lines = list[dict[str, Any]]


class Exported:
    """An export of 600 entries, the last hundred of another tenant, of which one is redacted."""

    def __init__(self, folder: Path) -> None:
        store = open_store(folder)
        append(store, 500)
        append(store, 99, tenant="other", first=500)
        service = create_service(store, Sequencer(store, "one"), open_signer(folder / "audit.pem"))
        admin = Caller(service, Identity("root", "default", frozenset({"admin"})))
        admin("RedactEntry", pb.RedactEntryRequest(index=5, reason="erasure"))
        reader = Caller(service, Identity("auditor", "default", frozenset({"audit.reader"})))
        self.head = read_head(reader("GetSignedTreeHead", pb.GetSignedTreeHeadRequest()).head)
        page = reader("ListEntries", pb.ListEntriesRequest(page_size=1000))
        self.path = folder / "export.jsonl"
        with export_to(self.path, self.head) as export:
            for entry in page.entries:
                export.add(read_entry(entry))
            export.finish()
        self.lines: Lines = [json.loads(line) for line in self.path.read_text().splitlines()]
        store.close()

    def changed(self, lines: Lines) -> Path:
        path = self.path.with_name("changed.jsonl")
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        return path

    def at(self, index: int) -> int:
        """The line of an entry."""
        return next(n for n, line in enumerate(self.lines) if line.get("index") == index)


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Exported:
    return Exported(tmp_path_factory.mktemp("export"))


def seen(head: TreeHead, size: int, root: bytes, days: float = -1.0) -> Seen:
    return Seen(size, root, head.time + timedelta(days=days))


def test_an_export_is_verified(exported: Exported) -> None:
    found = verify_export(exported.path, [seen(exported.head, SIZE, exported.head.root)])
    assert (found.head.size, found.redacted, found.withheld) == (SIZE, 1, 99)
    assert found.head == exported.head == export_head(exported.path)
    assert [entry.index for entry in export_entries(exported.path)] == list(range(SIZE))
    assert not list(exported.path.parent.glob(".export*"))


def test_what_it_looks_like(exported: Exported) -> None:
    header, first, *rest = exported.lines
    assert header["format"] == "ketgate audit export v1"
    assert (header["size"], header["root"]) == (SIZE, exported.head.root.hex())
    assert set(first) == {"index", "commitment", "salt", "payload"}
    hashes = [line for line in rest if "hash" in line]
    assert [(line["begin"], line["end"]) for line in hashes] == [
        (0, BLOCK_ENTRIES),
        (BLOCK_ENTRIES, 2 * BLOCK_ENTRIES),
        (2 * BLOCK_ENTRIES, SIZE),
    ]
    assert exported.lines[exported.at(5)] == {
        "index": 5,
        "commitment": exported.lines[exported.at(5)]["commitment"],
        "redacted": True,
    }


def flip(text: str) -> str:
    """Hexadecimal or base64 with another digit in the middle."""
    at = len(text) // 2
    return text[:at] + ("1" if text[at] != "1" else "2") + text[at + 1 :]


def edit(index: int, /, **fields: Any) -> Callable[[Exported], Lines]:
    def apply(exported: Exported) -> Lines:
        lines = [dict(line) for line in exported.lines]
        line = lines[exported.at(index)]
        for name, value in fields.items():
            line[name] = value(line[name]) if callable(value) else value
        return lines

    return apply


def drop(index: int) -> Callable[[Exported], Lines]:
    return lambda exported: [line for line in exported.lines if line.get("index") != index]


def swap(index: int) -> Callable[[Exported], Lines]:
    def apply(exported: Exported) -> Lines:
        lines, at = list(exported.lines), exported.at(index)
        lines[at], lines[at + 1] = lines[at + 1], lines[at]
        return lines

    return apply


def double(index: int) -> Callable[[Exported], Lines]:
    def apply(exported: Exported) -> Lines:
        at = exported.at(index)
        return [*exported.lines[: at + 1], exported.lines[at], *exported.lines[at + 1 :]]

    return apply


def cut(index: int) -> Callable[[Exported], Lines]:
    return lambda exported: exported.lines[: exported.at(index)]


def header(**fields: Any) -> Callable[[Exported], Lines]:
    return lambda exported: [exported.lines[0] | fields, *exported.lines[1:]]


def hash_line(
    change: Callable[[dict[str, Any]], dict[str, Any] | None],
) -> Callable[[Exported], Lines]:
    """Change the hash over the entries 256 to 511."""

    def apply(exported: Exported) -> Lines:
        lines = []
        for line in exported.lines:
            changed = change(dict(line)) if line.get("begin") == BLOCK_ENTRIES else line
            if changed is not None:
                lines.append(changed)
        return lines

    return apply


def both(*changes: Callable[[Exported], Lines]) -> Callable[[Exported], Lines]:
    """The first change, and the hash lines of the second."""

    def apply(exported: Exported) -> Lines:
        first, second = (change(exported) for change in changes)
        return [b if "hash" in a else a for a, b in zip(first, second, strict=True)]

    return apply


TAMPERINGS = {
    "payload flipped": (edit(300, payload=flip), "entry 300: what it says is not"),
    "salt flipped": (edit(300, salt=flip), "entry 300: what it says is not"),
    "commitment flipped": (edit(300, commitment=flip), "entry 300: what it says is not"),
    "salt cut": (edit(300, salt=""), "entry 300: what it says is not"),
    "no longer redacted": (edit(5, redacted=False), None),
    "redacted commitment flipped": (edit(5, commitment=flip), "entries 0 to 255 was changed"),
    "withheld commitment flipped": (edit(540, commitment=flip), "entries 512 to 599 was changed"),
    "first commitment flipped": (edit(0, commitment=flip), "entry 0: what it says is not"),
    "dropped": (drop(300), "expected entry 300, found entry 301: entry 300 was taken out"),
    "dropped first": (drop(0), "expected entry 0, found entry 1"),
    "dropped last": (drop(599), "expected an entry, or the hash|entries 599 to 599 are missing"),
    "swapped": (swap(300), "expected entry 300, found entry 301"),
    "doubled": (double(300), "entry 300 was put in twice"),
    "truncated": (cut(550), "entries 550 to 599 are missing"),
    "truncated at a block": (cut(512), "entries 512 to 599 are missing"),
    "size in the header": (header(size=599), "line 1: the header says other things"),
    "root in the header": (header(root="00" * 32), "line 1: the header says other things"),
    "time in the header": (header(time="2020-01-01"), "line 1: the header says other things"),
    "key in the header": (header(key_id="00" * 32), "not the one that it names"),
    "signature": (header(signature="AAAA"), "the head was changed after it was signed"),
    "block's hash": (
        hash_line(lambda line: line | {"hash": flip(line["hash"])}),
        "the hash over the entries 256 to 511 was changed",
    ),
    "block's hash gone": (hash_line(lambda line: None), "expected the hash over the entries 256"),
    "block's place": (hash_line(lambda line: line | {"begin": 0}), "or the hash over the entries"),
    "block's hash no hash": (hash_line(lambda line: line | {"hash": 5}), "not hexadecimal"),
    "index no number": (edit(300, index="300"), "the index of an entry is no number"),
    "commitment no text": (edit(300, commitment=None), "commitment is missing"),
    "payload no base64": (edit(300, payload="!"), "entry 300: payload is missing, or no base64"),
    "entry and its block": (
        both(
            edit(540, commitment=flip),
            hash_line(lambda line: line | {"hash": flip(line["hash"])}),
        ),
        "a commitment of the entries 0 to 599 was changed",
    ),
}


@pytest.mark.parametrize("name", TAMPERINGS)
def test_tampering_is_noticed(exported: Exported, name: str) -> None:
    change, message = TAMPERINGS[name]
    path = exported.changed(change(exported))
    if message is None:  # what is redacted has nothing left to lie about
        verify_export(path)
        return
    with pytest.raises(AuditTampered, match=message):
        verify_export(path)


def test_a_file_that_is_cut_in_a_line(exported: Exported) -> None:
    content = exported.path.read_bytes()
    path = exported.path.with_name("cut.jsonl")
    for size in (len(content) - 1, len(content) // 2):
        path.write_bytes(content[:size])
        with pytest.raises(AuditTampered, match="it is cut short, or no JSON object"):
            verify_export(path)


def test_more_after_the_end(exported: Exported) -> None:
    last = exported.lines[exported.at(599)]
    lines = [*exported.lines, last | {"index": 600}]
    with pytest.raises(AuditTampered, match="entry 600 is beyond the head"):
        verify_export(exported.changed(lines))


@pytest.mark.parametrize("content", ["", "{}\n", "[]\n", '{"format": "other"}\n'])
def test_what_is_no_export(tmp_path: Path, content: str) -> None:
    path = tmp_path / "file"
    path.write_text(content)
    with pytest.raises((InvalidArgument, AuditTampered)):
        verify_export(path)
    with pytest.raises(InvalidArgument, match="cannot be read: No such file"):
        verify_export(tmp_path / "missing")


def test_heads_seen_before_are_compared(exported: Exported) -> None:
    head = exported.head
    entries = [entry.raw for entry in export_entries(exported.path)]
    from ketgate._audit_check import LogCheck

    check = LogCheck(head, ())
    for entry in entries[:100]:
        check.add(entry)
    found = verify_export(exported.path, [seen(head, 100, check.root()), seen(head, 900, b"", 1)])
    assert found.compared == (100,)
    with pytest.raises(AuditTampered, match="one or more of the entries 0 to 99"):
        verify_export(exported.path, [seen(head, 100, bytes(32))])
    with pytest.raises(AuditTampered, match="not the one that was seen before"):
        verify_export(exported.path, [seen(head, SIZE, bytes(32))])
    with pytest.raises(AuditTampered, match="entries 600 to 899 are gone"):
        verify_export(exported.path, [seen(head, 900, bytes(32))])


@given(st.data())
def test_any_change_of_a_byte_that_counts_is_noticed(
    exported: Exported, data: st.DataObject
) -> None:
    """Of entries, hashes and header; what is left of a line that says the same is the same."""
    lines = exported.path.read_bytes().splitlines(keepends=True)
    number = data.draw(st.integers(0, len(lines) - 1))
    at = data.draw(st.integers(0, len(lines[number]) - 1))
    byte = data.draw(st.integers(0, 255))
    changed = lines[number][:at] + bytes([byte]) + lines[number][at + 1 :]
    same = False
    try:
        same = json.loads(changed) == json.loads(lines[number]) and changed.endswith(b"\n")
    except ValueError:
        pass
    if same or (b'"redacted":' in changed and b'"redacted":true' not in changed):
        return
    path = exported.path.with_name("flipped.jsonl")
    path.write_bytes(b"".join([*lines[:number], changed, *lines[number + 1 :]]))
    with pytest.raises((AuditTampered, InvalidArgument)):
        verify_export(path)


def test_an_export_that_cannot_be_written(exported: Exported, tmp_path: Path) -> None:
    unwritable = tmp_path / "none" / "file"
    with (
        pytest.raises(InvalidArgument, match="cannot be written"),
        export_to(unwritable, exported.head),
    ):
        pass


def test_an_export_that_is_not_finished_leaves_nothing(exported: Exported, tmp_path: Path) -> None:
    def begun() -> None:
        with export_to(tmp_path / "file", exported.head) as export:
            export.add(next(export_entries(exported.path)))
            export.finish()

    with pytest.raises(AuditTampered, match="entries 1 to 599 are missing"):
        begun()
    assert not list(tmp_path.iterdir())
