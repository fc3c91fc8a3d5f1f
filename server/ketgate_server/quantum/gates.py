"""The gates of the standard library and their matrices: what each name means, for every back end.

Conventions: index bit k of a matrix belongs to the gate's k-th qubit, so the first qubit is the
least significant bit. `cx` has its control first, as OpenQASM writes it. Phases are those of
OpenQASM 3: U(theta, phi, lambda) has the entry cos(theta/2) at 0, 0, and rz is exp(-i theta Z/2).
"""

import cmath
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.circuit import Gate

Matrix = NDArray[np.complex128]


@dataclass(frozen=True)
class GateSpec:
    """A gate of the library."""

    name: str
    num_qubits: int
    num_parameters: int
    matrix: Callable[..., Matrix]
    """Of the parameters; shape (2^k, 2^k)."""
    inverse: str = ""
    """Name of the inverse, with the same parameters; empty: `power` -1, or negated angles where
    negated is True."""
    negated: bool = False
    """Whether the inverse is the gate itself with all angles negated."""


def _m(*rows: tuple[complex, ...]) -> Matrix:
    return np.array(rows, dtype=np.complex128)


def _constant(matrix: Matrix) -> Callable[..., Matrix]:
    matrix.setflags(write=False)
    return lambda: matrix


_I = np.eye(2, dtype=np.complex128)
_X = _m((0, 1), (1, 0))
_Y = _m((0, -1j), (1j, 0))
_Z = _m((1, 0), (0, -1))
_H = _m((1, 1), (1, -1)) / math.sqrt(2)
_SX = _m((1 + 1j, 1 - 1j), (1 - 1j, 1 + 1j)) / 2


def _phase(angle: float) -> Matrix:
    return _m((1, 0), (0, cmath.exp(1j * angle)))


def _rotation(pauli: Matrix) -> Callable[[float], Matrix]:
    """exp(-i angle P / 2) for a P that is its own inverse."""
    identity = np.eye(len(pauli), dtype=np.complex128)

    def rotation(angle: float) -> Matrix:
        out = math.cos(angle / 2) * identity - 1j * math.sin(angle / 2) * pauli
        return np.asarray(out, dtype=np.complex128)

    return rotation


def _u(theta: float, phi: float, lam: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return _m(
        (c, -cmath.exp(1j * lam) * s),
        (cmath.exp(1j * phi) * s, cmath.exp(1j * (phi + lam)) * c),
    )


def controlled(matrix: Matrix, value: int = 1) -> Matrix:
    """The gate, where a further qubit, the new least significant bit, has the value."""
    size = len(matrix)
    out = np.eye(2 * size, dtype=np.complex128)
    index = 2 * np.arange(size) + value
    out[np.ix_(index, index)] = matrix
    return out


def _c(matrix: Callable[..., Matrix]) -> Callable[..., Matrix]:
    return lambda *angles: controlled(matrix(*angles))


def _cu(theta: float, phi: float, lam: float, gamma: float) -> Matrix:
    return controlled(cmath.exp(1j * gamma) * _u(theta, phi, lam))


def _two(a: Matrix, b: Matrix) -> Matrix:
    """a on the first qubit, b on the second."""
    return np.asarray(np.kron(b, a), dtype=np.complex128)


_SWAP = _m((1, 0, 0, 0), (0, 0, 1, 0), (0, 1, 0, 0), (0, 0, 0, 1))
_ISWAP = _m((1, 0, 0, 0), (0, 0, 1j, 0), (0, 1j, 0, 0), (0, 0, 0, 1))
_ECR = _m((0, 1, 0, 1j), (1, 0, -1j, 0), (0, 1j, 0, 1), (-1j, 0, 1, 0)) / math.sqrt(2)


def _xx_plus_yy(theta: float, beta: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return _m(
        (1, 0, 0, 0),
        (0, c, -1j * s * cmath.exp(-1j * beta), 0),
        (0, -1j * s * cmath.exp(1j * beta), c, 0),
        (0, 0, 0, 1),
    )


def _xx_minus_yy(theta: float, beta: float) -> Matrix:
    c, s = math.cos(theta / 2), math.sin(theta / 2)
    return _m(
        (c, 0, 0, -1j * s * cmath.exp(-1j * beta)),
        (0, 1, 0, 0),
        (0, 0, 1, 0),
        (-1j * s * cmath.exp(1j * beta), 0, 0, c),
    )


def _global_phase(angle: float) -> Matrix:
    return _m((cmath.exp(1j * angle),))


def _table() -> dict[str, GateSpec]:
    s, t = _phase(math.pi / 2), _phase(math.pi / 4)
    entries = [
        GateSpec("gphase", 0, 1, _global_phase, negated=True),
        GateSpec("id", 1, 0, _constant(_I), "id"),
        GateSpec("x", 1, 0, _constant(_X), "x"),
        GateSpec("y", 1, 0, _constant(_Y), "y"),
        GateSpec("z", 1, 0, _constant(_Z), "z"),
        GateSpec("h", 1, 0, _constant(_H), "h"),
        GateSpec("s", 1, 0, _constant(s), "sdg"),
        GateSpec("sdg", 1, 0, _constant(s.conj()), "s"),
        GateSpec("t", 1, 0, _constant(t), "tdg"),
        GateSpec("tdg", 1, 0, _constant(t.conj()), "t"),
        GateSpec("sx", 1, 0, _constant(_SX), "sxdg"),
        GateSpec("sxdg", 1, 0, _constant(_SX.conj().T), "sx"),
        GateSpec("p", 1, 1, _phase, negated=True),
        GateSpec("rx", 1, 1, _rotation(_X), negated=True),
        GateSpec("ry", 1, 1, _rotation(_Y), negated=True),
        GateSpec("rz", 1, 1, _rotation(_Z), negated=True),
        GateSpec("u", 1, 3, _u),
        GateSpec("cx", 2, 0, _constant(controlled(_X)), "cx"),
        GateSpec("cy", 2, 0, _constant(controlled(_Y)), "cy"),
        GateSpec("cz", 2, 0, _constant(controlled(_Z)), "cz"),
        GateSpec("ch", 2, 0, _constant(controlled(_H)), "ch"),
        GateSpec("csx", 2, 0, _constant(controlled(_SX))),
        GateSpec("cp", 2, 1, _c(_phase), negated=True),
        GateSpec("crx", 2, 1, _c(_rotation(_X)), negated=True),
        GateSpec("cry", 2, 1, _c(_rotation(_Y)), negated=True),
        GateSpec("crz", 2, 1, _c(_rotation(_Z)), negated=True),
        GateSpec("cu", 2, 4, _cu),
        GateSpec("swap", 2, 0, _constant(_SWAP), "swap"),
        GateSpec("iswap", 2, 0, _constant(_ISWAP)),
        GateSpec("ecr", 2, 0, _constant(_ECR), "ecr"),
        GateSpec("rxx", 2, 1, _rotation(_two(_X, _X)), negated=True),
        GateSpec("ryy", 2, 1, _rotation(_two(_Y, _Y)), negated=True),
        GateSpec("rzz", 2, 1, _rotation(_two(_Z, _Z)), negated=True),
        GateSpec("rzx", 2, 1, _rotation(_two(_Z, _X)), negated=True),
        GateSpec("xx_plus_yy", 2, 2, _xx_plus_yy),
        GateSpec("xx_minus_yy", 2, 2, _xx_minus_yy),
        GateSpec("ccx", 3, 0, _constant(controlled(controlled(_X))), "ccx"),
        GateSpec("ccz", 3, 0, _constant(controlled(controlled(_Z))), "ccz"),
        GateSpec("cswap", 3, 0, _constant(controlled(_SWAP)), "cswap"),
    ]
    return {entry.name: entry for entry in entries}


GATES: dict[str, GateSpec] = _table()
"""By name. What OpenQASM's files call otherwise (phase, cphase, u1, u2, u3, U, CX) is read as one of
these."""


@cache
def is_symmetric(name: str) -> bool:
    """Whether it is a gate of two qubits that may be given in either order, whatever its angles."""
    spec = GATES[name]
    if spec.num_qubits != 2:
        return False
    angles = tuple(0.7 + 0.4 * k for k in range(spec.num_parameters))
    plain = matrix(Gate(name, (0, 1), angles))
    order = [0, 2, 1, 3]
    return bool(np.allclose(plain, plain[np.ix_(order, order)], atol=1e-12))


def matrix(gate: Gate) -> Matrix:
    """The matrix of a bound gate on its qubits, power and controls included; shape (2^k, 2^k)."""
    spec = GATES[gate.name]
    angles = [float(angle) for angle in gate.parameters]  # type: ignore[arg-type]
    out = spec.matrix(*angles)
    if gate.power != 1.0:
        out = _raised(out, gate.power if angles else _shortened(gate.power))
    for value in reversed(gate.controls):
        out = controlled(out, value)
    return out


ORDER = 8
"""Every gate of the library without parameters is the identity to this power."""


def _shortened(power: float) -> float:
    """An equal integer power of such a gate that is small: eigenphases times large powers would
    lose all their digits."""
    return power % ORDER if abs(power) > 64 and power == int(power) else power


def _raised(unitary: Matrix, power: float) -> Matrix:
    """By the principal logarithm: eigenphases in (-pi, pi]."""
    if power == int(power) and abs(power) <= 64:
        return np.linalg.matrix_power(unitary if power >= 0 else unitary.conj().T, abs(int(power)))
    # A unitary is normal: its Schur form is diagonal, also where eigenvalues repeat.
    from scipy.linalg import schur

    triangle, vectors = schur(unitary, output="complex")
    phases = np.angle(np.diagonal(triangle))
    phases = np.where(phases <= -np.pi + 1e-12, np.pi, phases)
    return np.asarray((vectors * np.exp(1j * power * phases)) @ vectors.conj().T)
