"""The tree of a program. `at` is an offset in the text: where a thing begins."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from ketgate_server.quantum.circuit import Place
from ketgate_server.quantum.openqasm.values import Bits


@dataclass(slots=True)
class Literal:
    at: int
    value: bool | int | float | Bits


@dataclass(slots=True)
class Name:
    at: int
    name: str


@dataclass(slots=True)
class Element:
    """name[index] with a number written out: what most operands are."""

    at: int
    name: str
    index: int


@dataclass(slots=True)
class Hardware:
    """$index."""

    at: int
    index: int


@dataclass(slots=True)
class Index:
    at: int
    base: Expr
    items: list[Expr]


@dataclass(slots=True)
class Range:
    at: int
    start: Expr | None
    step: Expr | None
    stop: Expr | None


@dataclass(slots=True)
class Group:
    """{a, b, c}."""

    at: int
    items: list[Expr]


@dataclass(slots=True)
class Unary:
    at: int
    operator: str
    operand: Expr


@dataclass(slots=True)
class Binary:
    at: int
    operator: str
    left: Expr
    right: Expr


@dataclass(slots=True)
class Call:
    at: int
    name: str
    arguments: list[Expr]


@dataclass(slots=True)
class Type:
    """A type as it is written: qubit, bit, bool, int, uint, float or angle."""

    at: int
    name: str
    size: Expr | None


@dataclass(slots=True)
class Cast:
    at: int
    type: Type
    operand: Expr


@dataclass(slots=True)
class Measurement:
    at: int
    operand: Expr


Expr = (
    Literal
    | Name
    | Element
    | Hardware
    | Index
    | Range
    | Group
    | Unary
    | Binary
    | Call
    | Cast
    | Measurement
)


@dataclass(slots=True)
class Modifier:
    """inv, pow, ctrl or negctrl."""

    at: int
    kind: str
    argument: Expr | None


@dataclass(slots=True)
class GateCall:
    at: int
    name: str
    arguments: list[Expr]
    operands: list[Expr]
    modifiers: list[Modifier]
    place: Place | None = None


@dataclass(slots=True)
class Include:
    at: int
    file: str


@dataclass(slots=True)
class Declare:
    """kind: "", "const", "input" or "output"."""

    at: int
    kind: str
    type: Type
    name: str
    name_at: int
    value: Expr | None


@dataclass(slots=True)
class Alias:
    """let name = a ++ b ++ c."""

    at: int
    name: str
    parts: list[Expr]


@dataclass(slots=True)
class Assign:
    """operator: "=" or one as "+=". `measure a -> b` is the assignment of a measurement."""

    at: int
    target: Expr
    operator: str
    value: Expr


@dataclass(slots=True)
class DefineGate:
    at: int
    name: str
    parameters: list[str]
    qubits: list[str]
    body: list[Statement]


@dataclass(slots=True)
class Opaque:
    at: int
    name: str


@dataclass(slots=True)
class Argument:
    type: Type
    name: str


@dataclass(slots=True)
class DefineSubroutine:
    at: int
    name: str
    arguments: list[Argument]
    result: Type | None
    body: list[Statement]


@dataclass(slots=True)
class ResetQubits:
    at: int
    operand: Expr


@dataclass(slots=True)
class BarrierQubits:
    at: int
    operands: list[Expr]


@dataclass(slots=True)
class Branch:
    at: int
    condition: Expr
    then: list[Statement]
    otherwise: list[Statement]


@dataclass(slots=True)
class For:
    at: int
    name: str
    type: Type
    values: Expr
    body: list[Statement]


@dataclass(slots=True)
class While:
    at: int
    condition: Expr
    body: list[Statement]


@dataclass(slots=True)
class Switch:
    at: int
    value: Expr
    cases: list[tuple[list[Expr], list[Statement]]]
    default: list[Statement]


@dataclass(slots=True)
class Jump:
    """break, continue, end or return."""

    at: int
    kind: str
    value: Expr | None


@dataclass(slots=True)
class Evaluate:
    """An expression by itself: a call of a subroutine."""

    at: int
    value: Expr


Statement = (
    GateCall
    | Include
    | Declare
    | Alias
    | Assign
    | DefineGate
    | Opaque
    | DefineSubroutine
    | ResetQubits
    | BarrierQubits
    | Branch
    | For
    | While
    | Switch
    | Jump
    | Evaluate
)


@dataclass(slots=True)
class Program:
    """version: (3, minor) or (2, 0)."""

    version: tuple[int, int]
    statements: Iterator[Statement]
    """Read as they are asked for."""
