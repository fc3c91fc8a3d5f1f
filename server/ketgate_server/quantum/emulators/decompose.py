"""Gates as gates on one qubit and one entangler of a device; global phases are dropped.

What is on two qubits goes through cx; what is wider, or controlled twice, is not done here.
"""

from __future__ import annotations

import cmath
import math
from dataclasses import dataclass, replace

import numpy as np

from ketgate_server.quantum import gates
from ketgate_server.quantum.circuit import NOWHERE, Gate, Place
from ketgate_server.quantum.gates import GATES, Matrix

ZERO = 1e-10
"""Angles below it are rounding."""
_CONTROLLED = {"cx", "cz", "cy", "ch", "csx", "cp", "crx", "cry", "crz", "cu"}


@dataclass(frozen=True)
class Cx:
    """An entangler, before it is turned into the device's."""

    control: int
    target: int


@dataclass(frozen=True)
class Local:
    """A unitary on one qubit."""

    qubit: int
    matrix: Matrix


Piece = Cx | Local


def pieces(gate: Gate) -> list[Piece] | None:
    """None for what is not done here."""
    if not gate.qubits:
        return []
    if len(gate.qubits) == 1:
        return [Local(gate.qubits[0], gates.matrix(gate))]
    if len(gate.qubits) > 2:
        return None
    if len(gate.controls) == 1 or gate.name in _CONTROLLED:
        return _controlled(gate)
    if gate.controls or gate.power not in (1.0, -1.0):
        return None
    sequence = _two(gate)
    if sequence is None:
        return None
    if gate.power == 1.0:
        return sequence
    return [
        piece if isinstance(piece, Cx) else replace(piece, matrix=piece.matrix.conj().T)
        for piece in reversed(sequence)
    ]


def _gate(name: str, qubit: int, *angles: float) -> Local:
    return Local(qubit, GATES[name].matrix(*angles))


def _controlled(gate: Gate) -> list[Piece]:
    """A unitary on the second qubit where the first has a value: at most two cx."""
    a, b = gate.qubits
    whole = gates.matrix(replace(gate, qubits=(0, 1)))
    value = gate.controls[0] if gate.controls else 1
    rest = whole[1 - value :: 2, 1 - value :: 2]
    if np.abs(rest - np.eye(2)).max() > ZERO:
        raise AssertionError(f"{gate.name} is not controlled by its first qubit")
    flips = [_gate("x", a)] if value == 0 else []
    inner = whole[value::2, value::2]
    if np.abs(inner - GATES["x"].matrix()).max() < ZERO:
        return [*flips, Cx(a, b), *flips]
    if np.abs(inner - GATES["z"].matrix()).max() < ZERO:
        return [*flips, _gate("h", b), Cx(a, b), _gate("h", b), *flips]
    theta, phi, lam, phase = euler(inner)
    return [
        *flips,
        _gate("p", a, phase + (lam + phi) / 2),
        _gate("p", b, (lam - phi) / 2),
        Cx(a, b),
        _gate("u", b, -theta / 2, 0.0, -(phi + lam) / 2),
        Cx(a, b),
        _gate("u", b, theta / 2, phi, 0.0),
        *flips,
    ]


def _two(gate: Gate) -> list[Piece] | None:
    a, b = gate.qubits
    angles = [float(angle) for angle in gate.parameters]  # type: ignore[arg-type]
    match gate.name:
        case "swap":
            return [Cx(a, b), Cx(b, a), Cx(a, b)]
        case "iswap":
            return [
                _gate("s", a),
                _gate("s", b),
                _gate("h", a),
                Cx(a, b),
                Cx(b, a),
                _gate("h", b),
            ]
        case "ecr":
            return [_gate("s", a), _gate("sx", b), Cx(a, b), _gate("x", a)]
        case "rzz" | "rxx" | "ryy" | "rzx":
            return _ising(gate.name, a, b, angles[0])
        case "xx_plus_yy" | "xx_minus_yy":
            theta, beta = angles
            sign = 1.0 if gate.name == "xx_plus_yy" else -1.0
            return [
                _gate("rz", a, sign * beta),
                *_ising("rxx", a, b, theta / 2),
                *_ising("ryy", a, b, sign * theta / 2),
                _gate("rz", a, -sign * beta),
            ]
    return None


def _ising(name: str, a: int, b: int, angle: float) -> list[Piece]:
    """exp(-i angle P Q / 2): turned to Z Z and back."""
    into = {"z": None, "x": "h", "y": "rx"}
    letters = (name[1], name[2])
    before: list[Piece] = []
    after: list[Piece] = []
    for qubit, letter in zip((a, b), letters, strict=True):
        turn = into[letter]
        if turn == "h":
            before.append(_gate("h", qubit))
            after.append(_gate("h", qubit))
        elif turn == "rx":
            before.append(_gate("rx", qubit, math.pi / 2))
            after.append(_gate("rx", qubit, -math.pi / 2))
    return [*before, Cx(a, b), _gate("rz", b, angle), Cx(a, b), *after]


def euler(unitary: Matrix) -> tuple[float, float, float, float]:
    """(theta, phi, lambda, phase): exp(i phase) u(theta, phi, lambda)."""
    theta = 2.0 * math.atan2(abs(unitary[1, 0]), abs(unitary[0, 0]))
    if abs(unitary[0, 0]) > ZERO:
        phase = cmath.phase(unitary[0, 0])
        phi = cmath.phase(unitary[1, 0]) - phase if abs(unitary[1, 0]) > ZERO else 0.0
        lam = cmath.phase(unitary[1, 1]) - phase - phi
    else:
        phase, lam = cmath.phase(unitary[1, 0]), 0.0
        phi = 0.0
        lam = cmath.phase(-unitary[0, 1]) - phase
    return theta, phi, lam, phase


def local_gates(unitary: Matrix, qubit: int, basis: tuple[str, ...]) -> list[Gate]:
    """A unitary on one qubit in the basis (rz, sx and x; or u), as few pulses as it takes."""
    theta, phi, lam, _ = euler(unitary)
    if abs(math.remainder(theta, 2 * math.pi)) < ZERO:
        return _turn(phi + lam, qubit, basis)
    if "u" in basis:
        return [Gate("u", (qubit,), (theta, phi, lam), place=NOWHERE)]
    if abs(theta - math.pi) < ZERO and "x" in basis:
        return [Gate("x", (qubit,)), *_turn(phi - lam - math.pi, qubit, basis)]
    pulse = Gate("sx", (qubit,))
    if abs(theta - math.pi / 2) < ZERO:
        return [
            *_turn(lam - math.pi / 2, qubit, basis),
            pulse,
            *_turn(phi + math.pi / 2, qubit, basis),
        ]
    return [
        *_turn(lam, qubit, basis),
        pulse,
        *_turn(theta + math.pi, qubit, basis),
        pulse,
        *_turn(phi + math.pi, qubit, basis),
    ]


def _turn(angle: float, qubit: int, basis: tuple[str, ...]) -> list[Gate]:
    angle = math.remainder(angle, 2 * math.pi)
    if abs(angle) < ZERO:
        return []
    name = "rz" if "rz" in basis else "p"
    if name in basis:
        return [Gate(name, (qubit,), (angle,))]
    return [Gate("u", (qubit,), (0.0, 0.0, angle))]


def entangled(
    control: int, target: int, name: str, on: tuple[int, int], place: Place
) -> list[Piece | Gate]:
    """cx by the device's gate on a pair, in the order that the device has it."""
    first, second = on
    swapped = (first, second) != (control, target)
    h = [_gate("h", control), _gate("h", target)]
    gate = Gate(name, on, place=place)
    if name == "cz":
        return [_gate("h", target), gate, _gate("h", target)]
    if name == "cx":
        return [*h, gate, *h] if swapped else [gate]
    if name == "ecr":
        inner: list[Piece | Gate] = [
            _gate("sdg", first),
            Local(second, GATES["sx"].matrix().conj().T),
            gate,
            _gate("x", first),
        ]
        return [*h, *inner, *h] if swapped else inner
    assert name == "xx_plus_yy", name
    # exp(i pi/8 (XX + YY)) and, between two X, exp(i pi/8 (XX - YY)): together exp(i pi/4 XX),
    # which is cz up to gates on single qubits.
    gate = replace(gate, parameters=(-math.pi / 2, 0.0))
    half = [_gate("h", first), _gate("h", second)]
    turns = [_gate("rz", first, math.pi / 2), _gate("rz", second, math.pi / 2)]
    cz: list[Piece | Gate] = [
        *half,
        gate,
        _gate("x", first),
        gate,
        _gate("x", first),
        *half,
        *turns,
    ]
    return [_gate("h", target), *cz, _gate("h", target)]
