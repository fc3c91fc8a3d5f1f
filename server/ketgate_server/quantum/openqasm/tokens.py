"""Text to tokens. One regular expression, in linear time whatever the text."""

from __future__ import annotations

import re
from dataclasses import dataclass

from ketgate_server.quantum.openqasm.source import Source

NAME, OPERATOR, TIMING, REAL, INTEGER, TEXT, HARDWARE, ANNOTATION, PRAGMA, BROKEN, END = range(
    1, 12
)

_REAL = (
    r"(?:[0-9][0-9_]*\.[0-9_]*|\.[0-9][0-9_]*)(?:[eE][+-]?[0-9][0-9_]*)?"
    r"|[0-9][0-9_]*[eE][+-]?[0-9][0-9_]*"
)
_PATTERN = re.compile(
    # Alternatives in the order of how often they are. Every character is matched by one, so that
    # nothing is looked at twice; what is not closed takes all that follows it.
    r"[ \t\r\n]*(?:"
    r"([^\W\d]\w*)"
    r"|(->|\+\+|\*\*=?|<<=?|>>=?|&&|\|\||(?!//|/\*)(?:[-+*/%&|^=!<>]=|[-+*/%&|^=!<>~()\[\]{},;:])"
    r"|@(?![^\W\d]))"
    rf"|((?:{_REAL}|[0-9][0-9_]*)[ \t]*(?:dt|ns|us|µs|μs|ms|s|im)(?!\w))"
    rf"|({_REAL})"
    r"|(0[bB][01][01_]*|0[oO][0-7][0-7_]*|0[xX][0-9a-fA-F][0-9a-fA-F_]*|[0-9][0-9_]*)"
    r"|(\"[^\"\n]*\"|'[^'\n]*')"
    r"|(\$[0-9]+)"
    r"|(@[^\W\d][^\n]*)"
    r"|(#[ \t]*pragma\b[^\n]*)"
    r"|//[^\n]*|/\*[\s\S]*?\*/"
    r"|\Z|(/\*[\s\S]*|\"[^\n]*|[\s\S]))"
)


@dataclass(slots=True)
class Tokens:
    """Three lists of one length; the last token is END, whose text is empty."""

    kinds: list[int]
    texts: list[str]
    starts: list[int]


def tokenize(source: Source) -> Tokens:
    """Raises ProgramError at what is no token."""
    found = [
        (kind, match[kind], match.start(kind))
        for match in _PATTERN.finditer(source.text)
        if (kind := match.lastindex)
    ]
    found.append((END, "", len(source.text)))
    kinds, texts, starts = map(list, zip(*found, strict=True))
    if BROKEN in kinds:
        k = kinds.index(BROKEN)
        raise source.fault(starts[k], *_complaint(texts[k]))
    return Tokens(kinds, texts, starts)


def _complaint(text: str) -> tuple[str, str]:
    if text.startswith("/*"):
        return "a comment is not closed", "write */ where it ends"
    if text.startswith(('"', "'")):
        return "a text is not closed on its line", 'write " where it ends'
    return (
        f"the character {text!r} has no meaning",
        "remove it; a comment begins with //",
    )
