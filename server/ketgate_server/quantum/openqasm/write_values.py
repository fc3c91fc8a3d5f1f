"""Angles and conditions as text that reads back to the same values."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.circuit import Condition, Register
from ketgate_server.quantum.expression import Angle, Expression


def _multiples() -> dict[float, str]:
    """Simple multiples of pi. A reader computes from left to right, as here: the same float."""
    texts: dict[float, str] = {0.0: "0"}
    for below in (1, 2, 3, 4, 6, 8, 12, 16, 32, 64):
        for above in range(1, 33):
            if math.gcd(above, below) != 1:
                continue
            product = math.pi if above == 1 else above * math.pi
            text = "pi" if above == 1 else f"{above}*pi"
            value = product if below == 1 else product / below
            texts.setdefault(value, text if below == 1 else f"{text}/{below}")
            texts.setdefault(-value, "-" + texts[value])
    return texts


_PI = _multiples()


def angle_text(angle: Angle, names: Mapping[str, str]) -> str:
    """names: what parameters are called in the text. Raises KetgateError for what is no number."""
    if not isinstance(angle, Expression):
        text = _PI.get(angle)
        if text is None:
            if not math.isfinite(angle):
                raise KetgateError(
                    Reason.FIELD_INVALID,
                    f"an angle of the circuit is {angle}: it cannot be written",
                )
            text = repr(float(angle))
        return text
    return _term(angle, names)


def _term(part: Expression | float | str, names: Mapping[str, str]) -> str:
    if isinstance(part, str):
        return names[part]
    if not isinstance(part, Expression):
        text = angle_text(part, names)
        return f"({text})" if not text.replace(".", "").isalnum() else text
    if part.operator == "parameter":
        return _term(part.arguments[0], names)
    terms = [_term(argument, names) for argument in part.arguments]
    if part.operator == "neg":
        return f"(-{terms[0]})"
    if len(terms) == 2:
        return f"({terms[0]}{part.operator}{terms[1]})"
    return f"{part.operator}({terms[0]})"


def number_text(value: float) -> str:
    """An exponent."""
    return str(int(value)) if value == int(value) and abs(value) < 1 << 53 else repr(value)


def bits_text(bits: Sequence[int], registers: Sequence[Register]) -> list[tuple[str, int]]:
    """Names of bits as parts of registers: (text, how many bits), in order."""
    parts: list[tuple[str, int]] = []
    at = 0
    while at < len(bits):
        register = next(r for r in registers if r.start <= bits[at] < r.start + r.size)
        end = at
        while end < len(bits) and register.start <= bits[end] < register.start + register.size:
            end += 1
        places = [bit - register.start for bit in bits[at:end]]
        parts.append((_part(register, places), end - at))
        at = end
    return parts


def _part(register: Register, places: list[int]) -> str:
    if len(places) == 1:
        return f"{register.name}[{places[0]}]"
    if places == list(range(register.size)):
        return register.name
    if places == list(range(places[0], places[0] + len(places))):
        return f"{register.name}[{places[0]}:{places[-1]}]"
    return f"{register.name}[{{{', '.join(map(str, places))}}}]"


def condition_text(
    condition: Condition, registers: Sequence[Register], fresh: Callable[[str], str]
) -> tuple[str, str]:
    """(condition, line to stand before it or empty). fresh: a name like the given one that is
    free."""
    parts = bits_text(condition.bits, registers)
    if len(parts) == 1:
        return f"{parts[0][0]} {condition.comparison} {condition.value}", ""
    if condition.comparison == "==" and condition.value >> len(condition.bits) == 0:
        texts, value = [], condition.value
        for text, count in parts:
            texts.append(f"{text} == {value & ((1 << count) - 1)}")
            value >>= count
        return " && ".join(texts), ""
    alias = fresh("bits")
    joined = " ++ ".join(text for text, _ in parts)
    return f"{alias} {condition.comparison} {condition.value}", f"let {alias} = {joined};"
