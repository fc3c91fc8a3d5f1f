"""The line that says which OpenQASM a program is."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ketgate_server.quantum.openqasm.parse_expressions import PRECEDENCE_2
from ketgate_server.quantum.openqasm.tokens import ANNOTATION, INTEGER, REAL

if TYPE_CHECKING:
    from ketgate_server.quantum.openqasm.parse_statements import Parser

VERSIONS = {"3": (3, 0), "3.0": (3, 0), "3.1": (3, 1), "2.0": (2, 0), "2": (2, 0)}


def read_version(parser: Parser) -> tuple[int, int]:
    """Step over the header. Without one a program is OpenQASM 3, as that allows."""
    while parser.kinds[parser.i] == ANNOTATION:
        parser.i += 1
    if parser.texts[parser.i] != "OPENQASM":
        return 3, 0
    parser.i += 1
    text = parser.texts[parser.i]
    if parser.kinds[parser.i] not in (REAL, INTEGER) or text not in VERSIONS:
        raise parser.fault(
            f"expected the version 3.0 or 2.0, found {parser.found()}",
            "these are the versions that are read",
        )
    parser.i += 1
    parser.expect(";")
    version = VERSIONS[text]
    if version[0] == 2:
        parser.two = True
        parser.precedence = PRECEDENCE_2
    return version
