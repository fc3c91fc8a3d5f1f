"""A program's text, places in it, and the one way to refuse it."""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches

from ketgate_server.cached import cached_property
from ketgate_server.errors import KetgateError, Reason, echo
from ketgate_server.quantum.circuit import Place

EXCERPT_CHARACTERS = 48
_NEWLINE = re.compile("\n")


@dataclass(frozen=True)
class ReadLimits:
    """What a program may be. Over one: LimitError with its name."""

    program_bytes_max: int = 1 << 20
    """`quantum.program_bytes_max`: bytes of the text as UTF-8."""
    operations_max: int = 200_000
    """`quantum.operations_max`: operations when loops, gates and subroutines are written out."""
    qubits_max: int = 4_096
    """`quantum.program_qubits_max`: qubits that a program declares, and as many bits."""
    nesting_max: int = 48
    """Blocks, calls and conditions inside of one another. More than any program that is written by
    people; it keeps recursion, also of what reads the circuit later, far from Python's limit."""


DEFAULT_LIMITS = ReadLimits()


class ProgramError(KetgateError):
    """The program cannot be read. line, column: from 1."""

    def __init__(self, message: str, place: Place, field: str) -> None:
        super().__init__(
            Reason.PROGRAM_INVALID,
            f"{field}, {message}" if field else message,
            field=field or None,
            metadata={"line": str(place.line), "column": str(place.column)},
        )
        self.place = place


class Source:
    """The text with the field of the request that it came in."""

    def __init__(self, text: str, field: str) -> None:
        self.text = text
        self.field = field

    @cached_property
    def _line_starts(self) -> list[int]:
        return [0, *(match.end() for match in _NEWLINE.finditer(self.text))]

    def place(self, at: int) -> Place:
        """Line and column of an offset."""
        starts = self._line_starts
        line = bisect_right(starts, at)
        return Place(line, at - starts[line - 1] + 1)

    def excerpt(self, at: int) -> str:
        """What stands there, to the end of its line; empty at the end of the program."""
        end = self.text.find("\n", at)
        return echo(self.text[at : end if end >= 0 else None][:EXCERPT_CHARACTERS].rstrip())

    def fault(self, at: int, problem: str, remedy: str = "") -> ProgramError:
        """To be raised: what is wrong at an offset, and what to do."""
        place = self.place(at)
        there = self.excerpt(at)
        shown = f" at `{there}`" if there else " at the end of the program"
        tail = f"; {remedy}" if remedy else ""
        return ProgramError(
            f"line {place.line}, column {place.column}: {problem}{shown}{tail}", place, self.field
        )


class Fault(Exception):  # noqa: N818 - becomes a ProgramError where the place is known
    """Something is wrong with a value; whoever knows the place makes a ProgramError of it."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem = problem
        self.remedy = remedy


def nearest(name: str, known: Iterable[str]) -> str:
    """A hint: the known name that a wrong one is most like, or nothing."""
    if len(name) > 64:
        return ""
    found = get_close_matches(name, [k for k in known if len(k) <= 64][:2_000], n=1, cutoff=0.6)
    return f"did you mean `{found[0]}`?" if found else ""
