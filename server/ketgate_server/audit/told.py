"""What entries told, read back: the newest word of the log on something."""

from collections.abc import Iterator
from typing import NamedTuple

from ketgate_server.audit import convert
from ketgate_server.audit.log import Fact
from ketgate_server.store.base import Reader

PAGE = 2000

_BACK = """SELECT idx, payload FROM audit_entries WHERE idx < ? AND payload IS NOT NULL
    ORDER BY idx DESC LIMIT ?"""
_END = "SELECT MAX(idx) FROM audit_entries"


class Told(NamedTuple):
    """An entry that says something."""

    entry: int
    """Its index."""
    fact: Fact


def backwards(reader: Reader, name: str) -> Iterator[Told]:
    """Entries with a fact of this name, the newest first."""
    mark = name.encode()
    row = reader.row(_END)
    before = 0 if row is None or row[0] is None else int(row[0]) + 1
    while True:
        found = reader.rows(_BACK, (before, PAGE))
        for index, payload in found:
            content = bytes(payload)
            if mark in content:  # most have not, and reading one costs more
                fact = convert.read_payload(content)
                if name in (fact.facts or {}):
                    yield Told(index, fact)
        if len(found) < PAGE:
            return
        before = found[-1][0]
