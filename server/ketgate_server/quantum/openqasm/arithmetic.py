"""Operators and functions on known numbers, known bits, and formulas over parameters."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import cast

from ketgate_server.quantum.expression import FUNCTIONS
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.values import (
    Bits,
    Formula,
    Memory,
    Number,
    Qubits,
    Value,
    bounded,
    describe,
    formula,
    integer,
    truth,
)

NAMED: dict[str, float] = {
    "pi": math.pi,
    "π": math.pi,
    "tau": math.tau,
    "τ": math.tau,
    "euler": math.e,
    "ℇ": math.e,
}

_COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_BITWISE: dict[str, Callable[[int, int], int]] = {
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}


def unary(sign: str, value: Value) -> Value:
    """-, !, ~. Raises Fault."""
    if sign == "!":
        return not truth(value, "what follows `!`")
    if sign == "~":
        if isinstance(value, Bits):
            return Bits(~value.value & ((1 << value.width) - 1), value.width)
        raise Fault(f"`~` is for bits of a known number, not for {describe(value)}")
    if isinstance(value, Formula):
        return formula("neg", value)
    return -_number(value, sign)


def binary(sign: str, left: Value, right: Value, *, real_division: bool = False) -> Value:
    """Everything else. Raises Fault. real_division: 1/2 is 0.5, as in OpenQASM 2; in OpenQASM 3
    integers divide to an integer, towards zero."""
    if isinstance(left, Formula) or isinstance(right, Formula):
        return _symbolic(sign, left, right)
    if sign in _BITWISE or sign in ("<<", ">>"):
        return _on_bits(sign, left, right)
    if sign in ("&&", "||"):
        before, after = truth(left, f"what stands before `{sign}`"), truth(right, "what follows it")
        return (before and after) if sign == "&&" else (before or after)
    a, b = _number(left, sign), _number(right, sign)
    if sign in _COMPARISONS:
        return _COMPARISONS[sign](a, b)
    try:
        return bounded(_arithmetic(sign, a, b, real_division))
    except ZeroDivisionError:
        raise Fault("division by zero") from None
    except OverflowError:
        raise Fault("the result is too large") from None


def _arithmetic(sign: str, a: Number, b: Number, real_division: bool) -> Number:
    match sign:
        case "+":
            return a + b
        case "-":
            return a - b
        case "*":
            return a * b
        case "/":
            if real_division or isinstance(a, float) or isinstance(b, float):
                return a / b
            quotient = abs(a) // abs(b)
            return quotient if (a < 0) == (b < 0) else -quotient
        case "%":
            if isinstance(a, float) or isinstance(b, float):
                return math.fmod(a, b)
            rest = abs(a) % abs(b)  # of the quotient above: it has the sign of a
            return rest if a >= 0 else -rest
        case "**":
            return _power(a, b)
    raise Fault(f"`{sign}` is not understood here")


def _power(a: Number, b: Number) -> Number:
    if isinstance(a, int) and isinstance(b, int) and b >= 0:
        if abs(a) > 1 and b > 64:
            raise OverflowError
        return cast(int, a**b)
    value = float(a) ** float(b)
    if isinstance(value, complex):
        raise Fault(f"{a} ** {b} is no real number")
    return cast(float, value)


def _on_bits(sign: str, left: Value, right: Value) -> Value:
    width = max((v.width for v in (left, right) if isinstance(v, Bits)), default=0)
    for value in (left, right):
        if isinstance(value, float):
            raise Fault(f"`{sign}` is for integers and bits, not for {describe(value)}")
    a, b = integer(left, f"what stands before `{sign}`"), integer(right, f"what follows `{sign}`")
    if sign in _BITWISE:
        result = _BITWISE[sign](a, b)
    elif b < 0:
        raise Fault("a shift is to be by a number that is not negative")
    elif sign == "<<":
        width = left.width if isinstance(left, Bits) else 0
        if not width and b > 64 and a:
            raise Fault("the result is too large", "integers have 64 bits")
        result = a << b if not width or b < width else 0
    else:
        width = left.width if isinstance(left, Bits) else 0
        result = a >> b
    if width:
        return Bits(result & ((1 << width) - 1), width)
    return bounded(result)


def _symbolic(sign: str, left: Value, right: Value) -> Value:
    if sign not in ("+", "-", "*", "/", "**"):
        raise Fault(
            f"`{sign}` cannot be decided for a value that depends on an input parameter",
            "parameters can only make angles",
        )
    sides = [v if isinstance(v, Formula) else float(_number(v, sign)) for v in (left, right)]
    if sign == "/" and sides[1] == 0.0:
        raise Fault("division by zero")
    return formula(sign, *sides)


def _number(value: Value, sign: str) -> Number:
    if isinstance(value, bool | int | float):
        return int(value) if isinstance(value, bool) else value
    if isinstance(value, Bits):
        return value.value
    raise Fault(f"`{sign}` is for numbers, not for {describe(value)}")


FUNCTION_NAMES = frozenset(
    (*FUNCTIONS, "ln", "ceiling", "floor", "mod", "popcount", "pow", "rotl", "rotr", "sizeof")
)


def call(name: str, arguments: list[Value]) -> Value:
    """A function of the language. Raises Fault."""
    if name == "ln":  # OpenQASM 2's name
        name = "log"
    if name in FUNCTIONS:
        _count(name, arguments, 1)
        (value,) = arguments
        if isinstance(value, Formula):
            return formula(name, value)
        try:
            return bounded(FUNCTIONS[name][0](float(_number(value, name))))
        except (ValueError, OverflowError):
            raise Fault(f"{name}({_number(value, name)}) is no real number") from None
    if name in ("rotl", "rotr"):
        return _rotate(name, arguments)
    if name == "sizeof":
        return _size(arguments)
    if name in ("pow", "mod"):
        _count(name, arguments, 2)
        return binary("**" if name == "pow" else "%", *arguments)
    _count(name, arguments, 1)
    if name == "popcount":
        return integer(arguments[0], "the argument of popcount").bit_count()
    number = _number(arguments[0], name)
    return math.ceil(number) if name == "ceiling" else math.floor(number)


def _count(name: str, arguments: list[Value], count: int) -> None:
    if len(arguments) != count:
        raise Fault(f"{name} takes {count} values, {len(arguments)} are given")


def _rotate(name: str, arguments: list[Value]) -> Value:
    _count(name, arguments, 2)
    bits = arguments[0]
    if not isinstance(bits, Bits):
        raise Fault(f"{name} is for known bits, not for {describe(bits)}")
    by = integer(arguments[1], "the second value") % bits.width
    if name == "rotr":
        by = (bits.width - by) % bits.width
    turned = (bits.value << by | bits.value >> (bits.width - by)) & ((1 << bits.width) - 1)
    return Bits(turned, bits.width)


def _size(arguments: list[Value]) -> int:
    _count("sizeof", arguments, 1)
    match arguments[0]:
        case Qubits(indices=indices):
            return len(indices)
        case Memory(bits=bits):
            return len(bits)
        case Bits(width=width):
            return width
    raise Fault(f"{describe(arguments[0])} has no size")
