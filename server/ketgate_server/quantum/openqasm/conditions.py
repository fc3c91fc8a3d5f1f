"""Conditions on measured bits, to nested If operations."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from ketgate_server.quantum.circuit import Condition, If, Operation, Place
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.values import Memory

Comparison = Literal["==", "!=", "<", "<=", ">", ">="]
_OPPOSITE: dict[str, Comparison] = {
    "==": "!=",
    "!=": "==",
    "<": ">=",
    ">=": "<",
    ">": "<=",
    "<=": ">",
}
_MIRRORED: dict[str, Comparison] = {
    "==": "==",
    "!=": "!=",
    "<": ">",
    ">": "<",
    "<=": ">=",
    ">=": "<=",
}


TESTS_MAX = 512
"""Comparisons in one condition, written out."""


@dataclass(frozen=True, slots=True)
class Both:
    left: Test
    right: Test
    size: int


@dataclass(frozen=True, slots=True)
class Either:
    left: Test
    right: Test
    size: int


Test = Condition | Both | Either
"""What is decided when the program runs."""


def compare(memory: Memory, sign: str, number: int, *, mirrored: bool = False) -> Test | bool:
    """memory sign number (mirrored: number sign memory); a truth value where every outcome of the
    bits gives the same. Raises Fault."""
    comparison = _MIRRORED[sign] if mirrored else _MIRRORED[_MIRRORED[sign]]
    bits = memory.bits
    if memory.signed and memory.signed <= len(bits):
        if comparison not in ("==", "!="):
            raise Fault(
                f"`{sign}` of measured bits as a signed number is not supported",
                "compare them as uint",
            )
        bits = bits[: memory.signed]
        if number < 0 and number >= -(1 << (len(bits) - 1)):
            number += 1 << len(bits)
    top = (1 << len(bits)) - 1
    if not 0 <= number <= top:
        below = number < 0
        return comparison in (("!=", ">", ">=") if below else ("!=", "<", "<="))
    if (comparison, number) in ((">=", 0), ("<=", top)):
        return True
    if (comparison, number) in (("<", 0), (">", top)):
        return False
    return Condition(bits, comparison, number)


def negated(test: Test) -> Test:
    """! test."""
    match test:
        case Condition(bits=bits, comparison=comparison, value=value):
            if len(bits) == 1 and comparison in ("==", "!="):
                return Condition(bits, "==", value ^ 1 if comparison == "==" else value)
            return Condition(bits, _OPPOSITE[comparison], value)
        case Both(left, right):
            return either(negated(left), negated(right))
        case Either(left, right):
            return both(negated(left), negated(right))


def both(left: Test, right: Test) -> Test:
    """left && right; two equalities of different bits become one."""
    if (
        isinstance(left, Condition)
        and isinstance(right, Condition)
        and left.comparison == right.comparison == "=="
        and not set(left.bits) & set(right.bits)
    ):
        value = left.value | right.value << len(left.bits)
        return Condition((*left.bits, *right.bits), "==", value)
    return Both(left, right, _size(left, right))


def either(left: Test, right: Test) -> Test:
    """left || right."""
    return Either(left, right, _size(left, right))


def exclusive(left: Test, right: Test) -> Test:
    """left ^ right."""
    return either(both(left, negated(right)), both(negated(left), right))


def junction(sign: str, a: Test | bool, b: Test | bool) -> Test | bool:
    """&& or ||, where either side may be known."""
    if isinstance(a, bool):
        a, b = b, a
    if isinstance(b, bool):
        return a if b == (sign == "&&") else b
    assert not isinstance(a, bool)
    return both(a, b) if sign == "&&" else either(a, b)


def _size(*tests: Test) -> int:
    size = sum(1 if isinstance(test, Condition) else test.size for test in tests)
    if size > TESTS_MAX:
        raise Fault(f"a condition has more than {TESTS_MAX} comparisons, written out")
    return size


Block = tuple[tuple[Operation, ...], int, int]
"""Operations, how many with those inside of them, and how deep they are nested."""


def block(operations: list[Operation]) -> Block:
    """Counted."""
    count = depth = 0
    for operation in operations:
        count += 1
        if isinstance(operation, If):
            for inside in (operation.then, operation.otherwise):
                _, more, deep = block(list(inside))
                count += more
                depth = max(depth, deep + 1)
    return tuple(operations), count, depth


def branch(test: Test, then: Block, otherwise: Block, place: Place, count_max: int) -> Block:
    """If operations for the test. What both sides of a test lead to is there twice; more than
    count_max operations: Fault."""
    match test:
        case Condition():
            operation = If(test, then[0], otherwise[0], place)
            count, depth = then[1] + otherwise[1] + 1, max(then[2], otherwise[2]) + 1
            if count > count_max:
                raise Fault(
                    "the condition and what depends on it write out to too many operations",
                    "make the condition simpler",
                )
            return (operation,), count, depth
        case Both(left, right):
            inner = branch(right, then, otherwise, place, count_max)
            return branch(left, inner, otherwise, place, count_max)
        case Either(left, right):
            inner = branch(right, then, otherwise, place, count_max)
            return branch(left, then, inner, place, count_max)
