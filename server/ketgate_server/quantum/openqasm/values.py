"""What an expression can be while a program is read: known numbers and bits, formulas over `input`
parameters, qubits, and bits that are only known when the program runs."""

from __future__ import annotations

import math
from dataclasses import dataclass

from ketgate_server.quantum.expression import Expression
from ketgate_server.quantum.expression import parameter as parameter_expression
from ketgate_server.quantum.openqasm.source import Fault

FORMULA_NODES_MAX = 2_000
FORMULA_DEPTH_MAX = 64
"""Deeper ones could not be pickled or differentiated within Python's limit of recursion."""


@dataclass(frozen=True, slots=True)
class Bits:
    """Known bits; bit k of value is bit k."""

    value: int
    width: int


@dataclass(frozen=True, slots=True)
class Formula:
    """A number that depends on parameters, with the size of its tree."""

    expression: Expression
    nodes: int = 1
    depth: int = 1


@dataclass(frozen=True, slots=True)
class Qubits:
    """Some qubits. single: one qubit, not a register of one."""

    indices: tuple[int, ...]
    single: bool


@dataclass(frozen=True, slots=True)
class Memory:
    """Some bits of the running program, the least significant first.

    single: one bit, not a register of one. signed: read as a number in two's complement of so many
    bits (0: unsigned).
    """

    bits: tuple[int, ...]
    single: bool
    signed: int = 0


Number = bool | int | float
Value = Number | Bits | Formula | Qubits | Memory


def describe(value: object) -> str:
    """A value for people."""
    match value:
        case bool():
            return "a truth value"
        case int() | float():
            return f"the number {value}" if abs(value) < 1e30 else "a number"
        case Bits():
            return f"{value.width} bits"
        case Formula():
            return "a value that depends on an input parameter"
        case Qubits():
            return "a qubit" if value.single else f"a register of {len(value.indices)} qubits"
        case Memory():
            return "a measured bit" if value.single else f"{len(value.bits)} measured bits"
    return "no value"


def parameter(name: str) -> Formula:
    return Formula(parameter_expression(name))


def integer(value: object, what: str) -> int:
    """A known integer. Raises Fault with what it was to be."""
    if isinstance(value, bool | int):
        return int(value)
    if isinstance(value, Bits):
        return value.value
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return int(value)
    raise Fault(f"{what} is to be a known integer, not {describe(value)}")


def truth(value: object, what: str) -> bool:
    """A known truth value."""
    if isinstance(value, bool | int | float):
        return bool(value)
    if isinstance(value, Bits):
        return value.value != 0
    if isinstance(value, Formula):
        raise Fault(
            f"{what} depends on an input parameter", "only angles can: decide it with a constant"
        )
    raise Fault(f"{what} is to be a truth value, not {describe(value)}")


def formula(operator: str, *arguments: Formula | float) -> Formula:
    """An operator or function of expression.Expression applied to what depends on parameters."""
    nodes, depth = 1, 0
    plain: list[Expression | float | str] = []
    for argument in arguments:
        if isinstance(argument, Formula):
            nodes += argument.nodes
            depth = max(depth, argument.depth)
            plain.append(argument.expression)
        else:
            nodes += 1
            plain.append(float(argument))
    if nodes > FORMULA_NODES_MAX or depth >= FORMULA_DEPTH_MAX:
        raise Fault(
            f"a formula over parameters has more than {FORMULA_NODES_MAX} terms or is nested more "
            f"than {FORMULA_DEPTH_MAX} deep",
            "make it simpler, or more parameters",
        )
    return Formula(Expression(operator, tuple(plain)), nodes, depth + 1)


_INTEGER_BITS = 64


def bounded(value: Number) -> Number:
    """The number, if it is one that a variable can hold."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise Fault("the result is no finite number")
        return value
    if not -(1 << _INTEGER_BITS) < value < 1 << _INTEGER_BITS:
        raise Fault("the result is too large", "integers have 64 bits")
    return value
