"""Every gate of the library written with the gates that a Braket device takes, up to a phase of the
whole state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace

from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.transpile.basis import written

NATIVE = {
    "id": "I",
    "x": "X",
    "y": "Y",
    "z": "Z",
    "h": "H",
    "s": "S",
    "sdg": "Si",
    "t": "T",
    "tdg": "Ti",
    "sx": "V",
    "sxdg": "Vi",
    "p": "PhaseShift",
    "rx": "Rx",
    "ry": "Ry",
    "rz": "Rz",
    "u": "U",
    "cx": "CNot",
    "cy": "CY",
    "cz": "CZ",
    "csx": "CV",
    "cp": "CPhaseShift",
    "swap": "Swap",
    "iswap": "ISwap",
    "ecr": "ECR",
    "rxx": "XX",
    "ryy": "YY",
    "rzz": "ZZ",
    "ccx": "CCNot",
    "cswap": "CSwap",
}
"""Class in braket.circuits.gates, by our name; the matrices are the same but for the order of the
qubits in an index. A device names it in lower case among its supportedOperations."""


def _u(theta: float, phi: float, lam: float) -> list[tuple[str, float]]:
    return [("rz", lam), ("ry", theta), ("rz", phi)]


_LEAST = {"cx", "rx", "ry", "rz"}
_WRITTEN = (Gate("u", (0,), (0.5, 0.5, 0.5)), Gate("cx", (0, 1)))
"""What gates with controls and powers are written in."""

_TURNS: dict[str, Callable[..., list[tuple[str, float]]]] = {
    "id": list,
    "sx": lambda: [("rx", math.pi / 2)],
    "sxdg": lambda: [("rx", -math.pi / 2)],
    "p": lambda lam: [("rz", lam)],
    "u": _u,
}
"""Gates of one qubit as rotations, which every device takes. All others are written in u and cx."""


def reduced(backend: str, gate: Gate, supported: frozenset[str]) -> Iterator[Gate]:
    """Gates of the device that do the same.

    supported: names of the device's gates, lower case. Raises Unsuitable where it lacks one.
    """
    plain = not gate.controls and gate.power == 1.0
    native = NATIVE.get(gate.name, "") if plain else ""
    if native.lower() in supported:
        yield gate
    elif plain and gate.name in _TURNS:
        for name, angle in _TURNS[gate.name](*gate.parameters):
            yield from reduced(
                backend, Gate(name, gate.qubits, (angle,), place=gate.place), supported
            )
    elif plain and gate.name in _LEAST:
        why = "it does not offer it, nor others for it"
        raise Unsuitable(backend, f"the gate {gate.name!r}", why, gate.place)
    else:
        for simple in written(gate)[0]:
            yield from reduced(backend, replace(simple, place=gate.place), supported)


def check(backend: str, circuit: Circuit, supported: frozenset[str]) -> None:
    """Raises Unsuitable, with the place, for what cannot be written with the device's gates. The
    circuit may be unbound."""
    known: set[str] = set()
    for operation in circuit.walk():
        if not isinstance(operation, Gate):
            continue
        plain = not operation.controls and operation.power == 1.0
        if plain and operation.name in known:
            continue
        if plain:
            known.add(operation.name)
            angles = (0.5,) * len(operation.parameters)
            tried = [replace(operation, parameters=angles)]
        else:
            tried = [replace(one, place=operation.place) for one in _WRITTEN]
        for gate in tried:
            for _ in reduced(backend, gate, supported):
                pass
