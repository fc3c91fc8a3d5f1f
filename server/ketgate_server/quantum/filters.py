"""The filter of ListBackends: conditions joined by AND.

    kind = "simulator" AND num_qubits >= 20        name = emulator/*        status != OFFLINE

Kinds and statuses are the contract's names, in any case, with or without their prefix.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from ketgate_server.errors import FieldError
from ketgate_server.quantum.base import BackendKind, BackendStatus, Description
from ketgate_server.quantum.work import matches

CHARACTERS_MAX = 2_000
TERMS_MAX = 20
NUMBER_MAX = 1_000_000_000
FIELDS = "kind, provider, status, region, name or num_qubits"

_TERM = re.compile(
    r"""\s*(?P<name>[a-z_]+)\s*(?P<operator><=|>=|!=|=|<|>)\s*
    (?:"(?P<text>(?:[^"\\]|\\.)*)"|(?P<word>[\w.:*/@+-]+))\s*""",
    re.ASCII | re.VERBOSE,
)
_AND = re.compile(r"AND(?=\s|$)")
_ESCAPE = re.compile(r"\\(.)")
_COMPARE: dict[str, Callable[[int, int], bool]] = {
    "=": lambda a, b: a == b,
    "!=": lambda a, b: a != b,
    "<": lambda a, b: a < b,
    "<=": lambda a, b: a <= b,
    ">": lambda a, b: a > b,
    ">=": lambda a, b: a >= b,
}


@dataclass(frozen=True)
class Term:
    name: str
    operator: str
    value: str

    def holds(self, of: Description) -> bool:
        if self.name == "num_qubits":
            return _COMPARE[self.operator](of.num_qubits, int(self.value))
        if self.name == "name":
            same = (
                matches(self.value, of.name) if self.value.endswith("*") else self.value == of.name
            )
        else:
            same = str(getattr(of, self.name)) == self.value
        return same is (self.operator == "=")


def parse(text: str) -> tuple[Term, ...]:
    """Raises FIELD_INVALID, with the position, for what is no filter."""
    if len(text) > CHARACTERS_MAX:
        raise FieldError("filter", expected=f"at most {CHARACTERS_MAX} characters", given=len(text))
    terms: list[Term] = []
    position = 0
    while text[position:].strip():
        if terms:
            joined = _AND.match(text, position)
            if joined is None:
                raise _error("AND between two conditions", text, position)
            position = joined.end()
        found = _TERM.match(text, position)
        if found is None:
            raise _error(f"a condition on {FIELDS}, as num_qubits >= 20", text, position)
        terms.append(_term(found, text, position))
        position = found.end()
        if len(terms) > TERMS_MAX:
            raise FieldError("filter", expected=f"at most {TERMS_MAX} conditions", given=len(terms))
    return tuple(terms)


def _term(found: re.Match[str], text: str, position: int) -> Term:
    name, operator = found["name"], found["operator"]
    value = found["word"] if found["text"] is None else _ESCAPE.sub(r"\1", found["text"])
    if name == "num_qubits":
        if not value.isascii() or not value.isdigit() or int(value[:12]) > NUMBER_MAX:
            raise _error(f"a number of qubits, 0 to {NUMBER_MAX}", text, found.start("operator"))
        return Term(name, operator, value)
    if operator not in ("=", "!="):
        raise _error("= or !=", text, found.start("operator"))
    if name == "kind":
        value = _one_of(value, "BACKEND_KIND_", [k.value for k in BackendKind], text, position)
    elif name == "status":
        value = _one_of(value, "BACKEND_STATUS_", [s.value for s in BackendStatus], text, position)
    elif name not in ("provider", "region", "name"):
        raise _error(FIELDS, text, position)
    return Term(name, operator, value)


def _one_of(value: str, prefix: str, known: list[str], text: str, position: int) -> str:
    plain = value.upper().removeprefix(prefix).lower()
    if plain not in known:
        raise _error(f"one of {', '.join(known)}", text, position)
    return plain


def _error(expected: str, text: str, position: int) -> FieldError:
    while position < len(text) and text[position].isspace():
        position += 1
    found = text[position : position + 40] or "the end"
    return FieldError("filter", expected=f"{expected} at character {position + 1}", given=found)
