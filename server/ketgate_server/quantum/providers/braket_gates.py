"""Every gate of the library written with the gates that a Braket device takes, up to a phase of the
whole state."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.circuit import Gate

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

Part = tuple[str, tuple[int, ...], tuple[float, ...]]
"""A gate, on places in the list of qubits of the one that it is part of, with angles."""

_Q = math.pi / 4


def _g(name: str, *places: int, angles: tuple[float, ...] = ()) -> Part:
    return name, places, angles


def _r(name: str, *places: int, by: float) -> Part:
    return name, places, (by,)


def _u(theta: float, phi: float, lam: float) -> list[Part]:
    return [_r("rz", 0, by=lam), _r("ry", 0, by=theta), _r("rz", 0, by=phi)]


def _cp(lam: float) -> list[Part]:
    half = lam / 2
    return [
        _r("rz", 0, by=half),
        _g("cx", 0, 1),
        _r("rz", 1, by=-half),
        _g("cx", 0, 1),
        _r("rz", 1, by=half),
    ]


def _turned(axis: str, by: float) -> list[Part]:
    """A controlled rotation about an axis that x turns round."""
    half = by / 2
    return [_r(axis, 1, by=half), _g("cx", 0, 1), _r(axis, 1, by=-half), _g("cx", 0, 1)]


def _cu(theta: float, phi: float, lam: float, gamma: float) -> list[Part]:
    return [
        _r("rz", 0, by=gamma + (lam + phi) / 2),
        _r("rz", 1, by=(lam - phi) / 2),
        _g("cx", 0, 1),
        _g("u", 1, angles=(-theta / 2, 0.0, -(phi + lam) / 2)),
        _g("cx", 0, 1),
        _g("u", 1, angles=(theta / 2, phi, 0.0)),
    ]


def _ising(first: list[Part], by: float, last: list[Part]) -> list[Part]:
    return [*first, _r("rzz", 0, 1, by=by), *last]


def _xx_plus_yy(theta: float, beta: float) -> list[Part]:
    core = [_r("rxx", 0, 1, by=theta / 2), _r("ryy", 0, 1, by=theta / 2)]
    return [_r("rz", 0, by=beta), *core, _r("rz", 0, by=-beta)]


def _xx_minus_yy(theta: float, beta: float) -> list[Part]:
    core = [_r("rxx", 0, 1, by=theta / 2), _r("ryy", 0, 1, by=-theta / 2)]
    return [_r("rz", 0, by=-beta), *core, _r("rz", 0, by=beta)]


_H0, _H1 = _g("h", 0), _g("h", 1)
_CCX = [
    _g("h", 2),
    _g("cx", 1, 2),
    _g("tdg", 2),
    _g("cx", 0, 2),
    _g("t", 2),
    _g("cx", 1, 2),
    _g("tdg", 2),
    _g("cx", 0, 2),
    _g("t", 1),
    _g("t", 2),
    _g("h", 2),
    _g("cx", 0, 1),
    _g("t", 0),
    _g("tdg", 1),
    _g("cx", 0, 1),
]

_RULES: dict[str, Callable[..., list[Part]]] = {
    "gphase": lambda _angle: [],  # no measurement sees it
    "id": list,
    "sx": lambda: [_r("rx", 0, by=math.pi / 2)],
    "sxdg": lambda: [_r("rx", 0, by=-math.pi / 2)],
    "p": lambda lam: [_r("rz", 0, by=lam)],
    "u": _u,
    "cy": lambda: [_g("sdg", 1), _g("cx", 0, 1), _g("s", 1)],
    "cz": lambda: [_H1, _g("cx", 0, 1), _H1],
    "ch": lambda: [_r("ry", 1, by=-_Q), _g("cz", 0, 1), _r("ry", 1, by=_Q)],
    "csx": lambda: [_H1, _r("cp", 0, 1, by=math.pi / 2), _H1],
    "cp": _cp,
    "crz": lambda by: _turned("rz", by),
    "cry": lambda by: _turned("ry", by),
    "crx": lambda by: [_H1, *_turned("rz", by), _H1],
    "cu": _cu,
    "swap": lambda: [_g("cx", 0, 1), _g("cx", 1, 0), _g("cx", 0, 1)],
    "iswap": lambda: [_g("s", 0), _g("s", 1), _H0, _g("cx", 0, 1), _g("cx", 1, 0), _H1],
    "ecr": lambda: [_r("rzx", 0, 1, by=_Q), _g("x", 0), _r("rzx", 0, 1, by=-_Q)],
    "rzz": lambda by: [_g("cx", 0, 1), _r("rz", 1, by=by), _g("cx", 0, 1)],
    "rxx": lambda by: _ising([_H0, _H1], by, [_H0, _H1]),
    "ryy": lambda by: _ising(
        [_r("rx", 0, by=math.pi / 2), _r("rx", 1, by=math.pi / 2)],
        by,
        [_r("rx", 0, by=-math.pi / 2), _r("rx", 1, by=-math.pi / 2)],
    ),
    "rzx": lambda by: _ising([_H1], by, [_H1]),
    "xx_plus_yy": _xx_plus_yy,
    "xx_minus_yy": _xx_minus_yy,
    "ccx": lambda: _CCX,
    "ccz": lambda: [_g("h", 2), _g("ccx", 0, 1, 2), _g("h", 2)],
    "cswap": lambda: [_g("cx", 2, 1), _g("ccx", 0, 1, 2), _g("cx", 2, 1)],
}
"""What a gate is in simpler ones; in the end of h, s, t and their inverses, x, y, z, rotations and
cx, which every device takes."""


def reduced(backend: str, gate: Gate, supported: frozenset[str]) -> Iterator[Gate]:
    """Gates of the device that do the same.

    supported: names of the device's gates, lower case. Raises Unsuitable where it lacks one.
    """
    if gate.controls or gate.power != 1.0:
        why = "write it with gates of the standard library, without modifiers"
        raise Unsuitable(backend, f"ctrl or pow on {gate.name!r}", why, gate.place)
    native = NATIVE.get(gate.name)
    if native is not None and native.lower() in supported:
        yield gate
        return
    rule = _RULES.get(gate.name)
    if rule is None:
        raise Unsuitable(
            backend,
            f"the gate {gate.name!r}",
            "it does not offer it, nor others for it",
            gate.place,
        )
    for name, places, angles in rule(*gate.parameters):
        qubits = tuple(gate.qubits[place] for place in places)
        yield from reduced(backend, Gate(name, qubits, angles, place=gate.place), supported)
