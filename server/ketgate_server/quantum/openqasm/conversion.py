"""Values to types: when a variable is declared or assigned, and when a program says so."""

from __future__ import annotations

import math

from ketgate_server.quantum.circuit import Condition
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.values import (
    Bits,
    Formula,
    Memory,
    Value,
    bounded,
    describe,
    integer,
    truth,
)

_INTEGER_BITS = 64
WIDTH_MAX = 4_096


def width_of(name: str, size: int) -> int:
    """Bits of a type; raises Fault."""
    if name in ("int", "uint"):
        if size > _INTEGER_BITS:
            raise Fault(f"{name}[{size}] is not supported", "integers have at most 64 bits")
        return size or _INTEGER_BITS
    if size > WIDTH_MAX:
        raise Fault(f"{name}[{size}] is too wide", f"at most {WIDTH_MAX}")
    return size or 1


def convert(value: Value, name: str, width: int, *, explicit: bool = False) -> Value | Condition:
    """The value as a variable of this type holds it. Numbers are 64 bits wide and angles are not
    reduced, whatever width a float or angle declares: nothing of an angle is lost. Raises Fault."""
    if isinstance(value, Memory):
        if explicit:
            return _measured(value, name, width)
        raise Fault(
            "a variable cannot follow from measured bits", "use the bits themselves, in `if`"
        )
    match name:
        case "float" | "angle":
            if isinstance(value, Formula):
                return value
            if isinstance(value, bool | int | float):
                return float(value)
        case "bool":
            return truth(value, "the value")
        case "int" | "uint":
            return _whole(value, name, width)
        case "bit":
            return _bits(value, width)
    raise Fault(f"expected a value of type {name}, found {describe(value)}")


def _whole(value: Value, name: str, width: int) -> int:
    if isinstance(value, float):
        number = math.trunc(bounded(value))
    elif isinstance(value, Formula):
        raise Fault("an input parameter can only make angles, not an integer")
    else:
        number = integer(value, "the value")
    if name == "uint":
        return number & ((1 << width) - 1)
    if isinstance(value, Bits) and number >> (width - 1) & 1 and number < 1 << width:
        number -= 1 << width  # two's complement
    if not -(1 << (width - 1)) <= number < 1 << (width - 1):
        raise Fault(f"{number} does not fit into {name}[{width}]", "make the type wider")
    return number


def _bits(value: Value, width: int) -> Bits:
    if isinstance(value, Bits):
        if value.width != width:
            raise Fault(f"{value.width} bits are given to bit[{width}]", "give as many as it has")
        return value
    number = integer(value, "the value")
    if not -(1 << (width - 1)) <= number < 1 << width:
        raise Fault(f"{number} does not fit into bit[{width}]")
    return Bits(number & ((1 << width) - 1), width)


def _measured(value: Memory, name: str, width: int) -> Value | Condition:
    """Bits that are known when the program runs, read as a number."""
    match name:
        case "bool":
            if value.single:
                return value
            return Condition(value.bits, "!=", 0)
        case "bit" if width == len(value.bits):
            return Memory(value.bits, value.single)
        case "uint":
            return Memory(value.bits[:width], False)
        case "int":
            return Memory(value.bits, False, signed=width)
    raise Fault(f"{describe(value)} cannot become {name}")
