"""Parts of registers and of known bits."""

from __future__ import annotations

from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.values import Bits, Memory, Qubits, Value, describe

_INTEGER_BITS = 64
RANGE_MAX = 1 << 20


def length(base: Value, what: str) -> int:
    """How many parts a value has. Raises Fault."""
    match base:
        case Qubits(indices=indices, single=False):
            return len(indices)
        case Memory(bits=bits, single=False):
            return len(bits)
        case Bits(width=width):
            return width
        case int() if not isinstance(base, bool):
            return _INTEGER_BITS
    raise Fault(f"{what} is {describe(base)} and has no parts")


def positions(bounds: tuple[int | None, int, int | None], base: Value, what: str) -> list[int]:
    """What a range means: both ends are in it, negative numbers count from the end."""
    size = length(base, what)
    first, step, last = bounds
    start = (0 if step > 0 else size - 1) if first is None else _place(first, size, what)
    stop = (size - 1 if step > 0 else 0) if last is None else _place(last, size, what)
    chosen = range(start, stop + (1 if step > 0 else -1), step)
    if not chosen:
        raise Fault(f"the range of {what} is empty", "both ends belong to a range")
    return list(chosen)


def _place(index: int, size: int, what: str) -> int:
    if not -size <= index < size:
        raise Fault(
            f"index {index} is beyond {what}, which has {size} part{'s' * (size != 1)}",
            f"the last is {size - 1}",
        )
    return index % size


def select(base: Value, indices: list[int], single: bool, what: str) -> Value:
    """Some parts, in the order given; single: one that is no register. Raises Fault."""
    size = length(base, what)
    places = [_place(index, size, what) for index in indices]
    if not places:
        raise Fault(f"no part of {what} is chosen")
    if isinstance(base, Qubits | Memory) and len(set(places)) != len(places):
        raise Fault(f"a part of {what} is there twice")
    match base:
        case Qubits(indices=of):
            return Qubits(tuple(of[k] for k in places), single)
        case Memory(bits=of):
            return Memory(tuple(of[k] for k in places), single)
        case Bits(value=value):
            return _picked(value, places, single)
    assert isinstance(base, int)
    return _picked(base, places, single)


def _picked(value: int, places: list[int], single: bool) -> Value:
    if single:
        return value >> places[0] & 1
    return Bits(sum((value >> k & 1) << j for j, k in enumerate(places)), len(places))
