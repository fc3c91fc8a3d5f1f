"""The filter language of lists of keys: terms joined by AND.

    algorithm = ML_DSA_65          purpose = SIGN          labels.desk = "fx"

Values of labels need quotes unless they are words of letters, digits, _, - and .
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import ALGORITHMS, Purpose
from ketgate_server.signing.keys.record import KeyRecord

CHARACTERS_MAX = 2_000
TERMS_MAX = 20

_TERM = re.compile(
    r"""\s*(?P<name>[A-Za-z][\w.-]*)\s*=\s*(?:"(?P<text>[^"\\]*)"|(?P<word>[\w.-]+))\s*""", re.ASCII
)
_AND = re.compile(r"AND(?=\s)")
_LABEL = re.compile(r"labels\.([a-z][a-z0-9_-]{0,62})")


@dataclass
class Filter:
    """What a filter asks for."""

    algorithms: set[str] = field(default_factory=set)
    """A key has all of them: with two, none matches."""
    purposes: set[str] = field(default_factory=set)
    labels: set[tuple[str, str]] = field(default_factory=set)

    def matches(self, key: KeyRecord) -> bool:
        return (
            all(name == key.algorithm.id for name in self.algorithms)
            and all(name == key.algorithm.purpose.value for name in self.purposes)
            and all(key.labels.get(name) == value for name, value in self.labels)
        )


def parse(text: str) -> Filter:
    """Raises FIELD_INVALID, with the position, for what is no filter."""
    if len(text) > CHARACTERS_MAX:
        raise FieldError("filter", expected=f"at most {CHARACTERS_MAX} characters", given=len(text))
    found, position, terms = Filter(), 0, 0
    while text[position:].strip():
        if terms:
            joint = _AND.match(text, position)
            if joint is None:
                raise _error("AND between two terms", text, position)
            position = joint.end()
        terms += 1
        if terms > TERMS_MAX:
            raise FieldError("filter", expected=f"at most {TERMS_MAX} terms", given=terms)
        term = _TERM.match(text, position)
        if term is None:
            raise _error("a term", text, position)
        value = term["word"] if term["text"] is None else term["text"]
        _add(found, term["name"], value, text, position)
        position = term.end()
    return found


def _add(found: Filter, name: str, value: str, text: str, position: int) -> None:
    label = _LABEL.fullmatch(name)
    if label is not None:
        found.labels.add((label[1], value))
    elif name == "algorithm":
        value = value.removeprefix("ALGORITHM_")
        if value not in ALGORITHMS:
            raise _error("an algorithm, as ML_DSA_65,", text, position)
        found.algorithms.add(value)
    elif name == "purpose":
        value = value.removeprefix("KEY_PURPOSE_")
        if value not in Purpose.__members__:
            raise _error(f"a purpose, one of {', '.join(Purpose.__members__)},", text, position)
        found.purposes.add(value)
    else:
        raise _error("algorithm, purpose or labels.KEY", text, position)


def _error(expected: str, text: str, position: int) -> FieldError:
    rest = text[position:]
    start = position + len(rest) - len(rest.lstrip())
    return FieldError(
        "filter",
        expected=f"{expected} at character {start + 1}",
        given=text[start : start + 40] or "the end",
        hint='for example: algorithm = ML_DSA_65 AND labels.desk = "fx"',
    )
