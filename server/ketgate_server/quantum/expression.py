"""Angles that depend on a program's parameters, with their derivatives.

An Angle is a float, or an Expression over the names of `input` parameters.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from ketgate_server.errors import FieldError


@dataclass(frozen=True, slots=True)
class Expression:
    """An operator and what it is applied to: "parameter" (one str), "+", "-", "*", "/", "**",
    "neg", or a function of FUNCTIONS."""

    operator: str
    arguments: tuple[Expression | float | str, ...]


Angle = float | Expression

FUNCTIONS: dict[str, tuple[Callable[[float], float], Callable[[float], float]]] = {
    "sin": (math.sin, math.cos),
    "cos": (math.cos, lambda x: -math.sin(x)),
    "tan": (math.tan, lambda x: 1.0 / math.cos(x) ** 2),
    "arcsin": (math.asin, lambda x: 1.0 / math.sqrt(1.0 - x * x)),
    "arccos": (math.acos, lambda x: -1.0 / math.sqrt(1.0 - x * x)),
    "arctan": (math.atan, lambda x: 1.0 / (1.0 + x * x)),
    "exp": (math.exp, math.exp),
    "log": (math.log, lambda x: 1.0 / x),
    "sqrt": (math.sqrt, lambda x: 0.5 / math.sqrt(x)),
}
"""Each with its derivative."""


def parameter(name: str) -> Expression:
    return Expression("parameter", (name,))


def evaluate(angle: Angle, values: Mapping[str, float]) -> float:
    """The angle's value. KeyError for a parameter without one; ValueError, ZeroDivisionError or
    OverflowError where mathematics has none."""
    return _dual(angle, values, None)[0]


def derivative(angle: Angle, values: Mapping[str, float], name: str) -> float:
    """d angle / d parameter at values."""
    return _dual(angle, values, name)[1]


def slope(angle: Angle, values: Mapping[str, float], name: str) -> float:
    """As derivative, for a caller's values: raises FieldError where there is none."""
    try:
        found = derivative(angle, values, name)
    except (ValueError, ZeroDivisionError, OverflowError):
        found = math.inf
    if not math.isfinite(found):
        raise FieldError(
            f"parameters[{name}]",
            expected="values at which every angle has a derivative",
            given=values[name],
            hint="move it a little, or leave gradients out",
        )
    return found


def _dual(
    angle: Expression | float | str, values: Mapping[str, float], name: str | None
) -> tuple[float, float]:
    """Value and derivative together: forward differentiation."""
    if not isinstance(angle, Expression):
        return float(angle), 0.0
    if angle.operator == "parameter":
        (which,) = angle.arguments
        assert isinstance(which, str)
        return values[which], 1.0 if which == name else 0.0
    parts = [_dual(argument, values, name) for argument in angle.arguments]
    a, da = parts[0]
    if angle.operator == "neg":
        return -a, -da
    if angle.operator in FUNCTIONS:
        function, slope = FUNCTIONS[angle.operator]
        return function(a), slope(a) * da if da else 0.0
    b, db = parts[1]
    match angle.operator:
        case "+":
            return a + b, da + db
        case "-":
            return a - b, da - db
        case "*":
            return a * b, da * b + a * db
        case "/":
            return a / b, (da * b - a * db) / (b * b)
        case "**":
            value = a**b
            if isinstance(value, complex):
                raise ValueError(f"{a} ** {b} is no real number")
            slope_a = b * a ** (b - 1.0) * da if da else 0.0
            slope_b = value * math.log(a) * db if db else 0.0
            return value, slope_a + slope_b
    raise AssertionError(f"unknown operator {angle.operator!r}")
