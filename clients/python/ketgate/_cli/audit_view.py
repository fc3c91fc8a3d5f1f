"""How entries and heads of an audit log are shown: a line an entry, or JSON, which has all of it."""

import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from ketgate._audit_entry import AuditEntry, TreeHead
from ketgate._cli.show import console, print_table

_METHOD = re.compile(r"/ketgate\.\w+\.\w+\.(\w+)/(\w+)")
_SEPARATORS = 2
"""Characters between two columns."""
_BOOKKEEPING = {"generation", "sum"}
"""Facts by which a server notices an older copy of its keys."""
_NARROWEST = 8
_FACTS_NARROWEST = 20
"""Fewer characters tell nothing."""
_FACT_MAX = 16
_COLUMNS = ("entry", "time (UTC)", "tenant", "who", "what", "to", "outcome", "more")
_SHRINKING = ("who", "what", "to", "outcome")


def print_entries(entries: Sequence[AuditEntry]) -> None:
    """A table of a line an entry; what does not fit is cut from the middle."""
    rows = [dict(zip(_COLUMNS, _cells(entry), strict=True)) for entry in entries]
    shown = [name for name in _COLUMNS if _tells(name, rows)]
    widths = _widths(shown, rows, console().width)
    print_table(
        "Audit log",
        list(widths),
        [[_fitted(name, row[name], width) for name, width in widths.items()] for row in rows],
        right=(0,),
        whole=range(len(widths)),
    )


def cut(text: str, width: int) -> str:
    """The text in at most so many characters: without its middle, as names differ at their ends."""
    if len(text) <= width:
        return text
    head = (width - 1) // 2
    return f"{text[:head]}\N{HORIZONTAL ELLIPSIS}{text[len(text) - (width - 1 - head) :]}"


def entry_document(entry: AuditEntry) -> dict[str, Any]:
    """All of an entry, for JSON."""
    return {
        "index": entry.index,
        "time": None if entry.time is None else entry.time.isoformat(),
        "tenant": entry.tenant,
        "actor": entry.actor,
        "action": entry.action,
        "resource": entry.resource,
        "outcome": entry.outcome,
        "request_digest": entry.request_digest.hex(),
        "call_id": entry.call_id,
        "facts": dict(entry.facts),
        "redacted": entry.redacted,
        "withheld": entry.withheld,
    }


def head_document(found: TreeHead) -> dict[str, Any]:
    """A head, for JSON."""
    return {
        "log_id": found.log_id,
        "size": found.size,
        "root": found.root.hex(),
        "time": found.time.isoformat(),
        "algorithm": found.algorithm,
        "key_id": found.key_id,
    }


def shown_time(time: datetime) -> str:
    """To the millisecond, with its zone."""
    return time.isoformat(sep=" ", timespec="milliseconds")


def _cells(entry: AuditEntry) -> tuple[str, ...]:
    """In the order of _COLUMNS."""
    facts = [
        f"{name}={cut(value, _FACT_MAX)}"
        for name, value in sorted(entry.facts.items())
        if name not in _BOOKKEEPING and value not in entry.resource
    ]
    return (
        str(entry.index),
        "" if entry.time is None else f"{entry.time:%Y-%m-%d %H:%M:%S}",
        entry.tenant,
        "(redacted)" if entry.redacted else "(withheld)" if entry.withheld else entry.actor,
        _METHOD.sub(r"\1.\2", entry.action),
        entry.resource,
        entry.outcome,
        " ".join(facts),
    )


def _tells(name: str, rows: Sequence[dict[str, str]]) -> bool:
    """Whether a column is worth its room: one tenant alone is that of whoever asks."""
    if name == "tenant":
        return len({row[name] for row in rows} - {""}) > 1
    return name != "more" or any(row[name] for row in rows)


def _widths(
    shown: Sequence[str], rows: Sequence[dict[str, str]], line_width: int
) -> dict[str, int]:
    """Columns with their widths: each what it needs, and where the line is too short for all, first the facts give,
    then the widest."""
    widths = {name: max(len(name), *(len(row[name]) for row in rows), 0) for name in shown}

    def missing() -> int:
        return sum(widths.values()) + _SEPARATORS * (len(widths) - 1) - line_width

    if "more" in widths and missing() > 0:
        widths["more"] -= missing()
        if widths["more"] < _FACTS_NARROWEST:
            del widths["more"]
    while missing() > 0:
        widest = max(_SHRINKING, key=lambda name: widths[name])
        if widths[widest] <= _NARROWEST:
            break
        widths[widest] -= 1
    return widths


def _fitted(name: str, text: str, width: int) -> str:
    if name != "more" or len(text) <= width:
        return cut(text, width)
    return text[: width - 1] + "\N{HORIZONTAL ELLIPSIS}"
