"""inv, pow, ctrl and negctrl on gates, to one form for each meaning.

A gate with controls is the library's own where there is one (cx, ccx, cp, …), else its base with
all controls; so equal programs give equal circuits.
"""

from __future__ import annotations

import math
from dataclasses import replace

from ketgate_server.quantum.circuit import Gate
from ketgate_server.quantum.expression import Angle, Expression
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.openqasm.source import Fault

_BASES: dict[str, tuple[str, int]] = {
    "cx": ("x", 1),
    "ccx": ("x", 2),
    "cy": ("y", 1),
    "cz": ("z", 1),
    "ccz": ("z", 2),
    "ch": ("h", 1),
    "csx": ("sx", 1),
    "cp": ("p", 1),
    "crx": ("rx", 1),
    "cry": ("ry", 1),
    "crz": ("rz", 1),
    "cswap": ("swap", 1),
}
"""The library's controlled gates: what they control, and with how many qubits."""

_INVERSE_APART = frozenset(("csx",))
"""Controlled gates whose inverse has no name but that of their base."""

_CONTROLLED = {base: name for name, base in _BASES.items()}


def controlled(gate: Gate, values: tuple[int, ...], qubits: tuple[int, ...]) -> Gate:
    """The gate where each of the qubits has its value."""
    if gate.name == "gphase" and not gate.controls and gate.power == 1.0 and values[-1] == 1:
        # A phase where the qubits are so is a phase gate on the last of them.
        gate = replace(gate, name="p", qubits=qubits[-1:])
        values, qubits = values[:-1], qubits[:-1]
        if not values:
            return gate
    gate = unfolded(gate)
    return folded(replace(gate, qubits=(*qubits, *gate.qubits), controls=(*values, *gate.controls)))


def unfolded(gate: Gate) -> Gate:
    """The same gate with all of its controls apart."""
    if gate.name in _BASES:
        base, count = _BASES[gate.name]
        return replace(gate, name=base, controls=(*gate.controls, *(1,) * count))
    if gate.name == "cu" and gate.parameters[3] == 0.0:
        return replace(gate, name="u", parameters=gate.parameters[:3], controls=(*gate.controls, 1))
    return gate


def folded(gate: Gate) -> Gate:
    """The same gate as the library's own controlled one, if there is one."""
    controls = gate.controls
    if not controls or gate.power != 1.0 or not all(controls):
        return gate
    name = _CONTROLLED.get((gate.name, len(controls)))
    if name is not None:
        return replace(gate, name=name, controls=())
    if gate.name == "u" and len(controls) == 1:
        return replace(gate, name="cu", parameters=(*gate.parameters, 0.0), controls=())
    return gate


def inverse(gate: Gate) -> Gate:
    """The gate that undoes it."""
    if gate.power != 1.0:
        return folded(replace(gate, power=-gate.power))
    if gate.name in _INVERSE_APART:
        return folded(inverse(unfolded(gate)))
    spec = GATES[gate.name]
    if spec.inverse:
        return replace(gate, name=spec.inverse)
    if spec.negated:
        return replace(gate, parameters=tuple(times(a, -1.0) for a in gate.parameters))
    angles = [times(a, -1.0) for a in gate.parameters]
    match gate.name:
        case "u":
            return replace(gate, parameters=(angles[0], angles[2], angles[1]))
        case "cu":
            return replace(gate, parameters=(angles[0], angles[2], angles[1], angles[3]))
        case "xx_plus_yy" | "xx_minus_yy":
            return replace(gate, parameters=(angles[0], gate.parameters[1]))
    return replace(gate, power=-1.0)


def raised(gate: Gate, exponent: float) -> Gate:
    """The gate to a power. Raises Fault for a root of a power, which is not unique, and for what
    is no finite number any more."""
    if exponent == 1.0:
        return gate
    if exponent == -1.0:
        return inverse(gate)
    if exponent == int(exponent):
        if gate.power == 1.0 and GATES[gate.name].negated:
            angles = tuple(times(a, exponent) for a in gate.parameters)
            if not all(isinstance(a, Expression) or math.isfinite(a) for a in angles):
                raise Fault(f"an angle of {gate.name}, times the exponent, is too large")
            return replace(gate, parameters=angles)
        product = gate.power * exponent + 0.0  # not -0.0
        if not math.isfinite(product):
            raise Fault("the product of the exponents is too large")
        if gate.power != 1.0 and product == int(product):  # as if it were written so
            return raised(folded(replace(gate, power=1.0)), product)
        return folded(replace(unfolded(gate), power=product))
    if gate.power != 1.0:
        raise Fault(
            f"pow({exponent}) of a gate that is raised to {gate.power} already has several meanings",
            "write one power",
        )
    return replace(unfolded(gate), power=exponent)


def times(angle: Angle, factor: float) -> Angle:
    """A multiple of an angle. Multiples of multiples become one, so that formulas do not grow."""
    if not isinstance(angle, Expression):
        return angle * factor + 0.0  # not -0.0, which is written otherwise
    if angle.operator == "neg":
        angle, factor = _inner(angle), -factor
    elif angle.operator == "*" and isinstance(known := angle.arguments[1], float):
        angle, factor = _inner(angle), factor * known
    if factor == 1.0:
        return angle
    return Expression("neg", (angle,)) if factor == -1.0 else Expression("*", (angle, factor))


def _inner(angle: Expression) -> Expression:
    first = angle.arguments[0]
    return first if isinstance(first, Expression) else Expression("*", (first, 1.0))
