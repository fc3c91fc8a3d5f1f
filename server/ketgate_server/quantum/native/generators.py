"""How gates turn with their angles: G = (dU / d angle) U^dagger, exactly, for adjoint gradients."""

from __future__ import annotations

import cmath
import math
from collections.abc import Callable
from functools import lru_cache

import numpy as np

from ketgate_server.quantum.gates import GATES, Matrix

ROTATIONS = frozenset({"rx", "ry", "rz", "rxx", "ryy", "rzz", "rzx"})
CONTROLLED = {"cp": "p", "crx": "rx", "cry": "ry", "crz": "rz"}
_PHASE: Matrix = np.diag([0, 1j])


@lru_cache(maxsize=4096)
def generators(name: str, angles: tuple[float, ...], power: float = 1.0) -> tuple[Matrix, ...]:
    """One for each angle, of the gate without further controls, raised to a power."""
    made = _generators(name, angles)
    if power == 1.0:
        return made
    unitary = GATES[name].matrix(*angles)
    return tuple(_of_power(unitary, one @ unitary, power) for one in made)


def _generators(name: str, angles: tuple[float, ...]) -> tuple[Matrix, ...]:
    if name in ROTATIONS:
        return (GATES[name].matrix(math.pi) / 2.0,)  # exp(-i pi P / 2) = -i P
    if name in CONTROLLED:
        (base,) = _generators(CONTROLLED[name], angles)
        return (_where_controlled(base),)
    return _OTHERS[name](*angles)


def _where_controlled(generator: Matrix) -> Matrix:
    """Nothing happens where the control, the new least significant bit, is 0."""
    size = len(generator)
    out = np.zeros((2 * size, 2 * size), dtype=np.complex128)
    out[1::2, 1::2] = generator
    return out


def _u(theta: float, phi: float, lam: float) -> tuple[Matrix, ...]:
    """U(theta, phi, lambda) = P(phi) RY(theta) P(lambda)."""
    unitary = GATES["u"].matrix(theta, phi, lam)
    turn = np.array([[0, -cmath.exp(-1j * phi) / 2], [cmath.exp(1j * phi) / 2, 0]])
    return turn, _PHASE, unitary @ _PHASE @ unitary.conj().T


def _cu(theta: float, phi: float, lam: float, _gamma: float) -> tuple[Matrix, ...]:
    whole: Matrix = np.diag([1j, 1j])
    return tuple(_where_controlled(one) for one in (*_u(theta, phi, lam), whole))


def _exchange(
    name: str, row: int, column: int, theta: float, beta: float, sign: int
) -> tuple[Matrix, ...]:
    """A rotation between two basis states, whose axis turns with beta; sign: that of i beta in the
    entry at (row, column)."""
    unitary = GATES[name].matrix(theta, beta)
    turn = np.zeros((4, 4), dtype=np.complex128)
    turn[row, column] = -0.5j * cmath.exp(sign * 1j * beta)
    turn[column, row] = -0.5j * cmath.exp(-sign * 1j * beta)
    slope = np.zeros((4, 4), dtype=np.complex128)
    slope[row, column] = sign * 1j * unitary[row, column]
    slope[column, row] = -sign * 1j * unitary[column, row]
    return turn, slope @ unitary.conj().T


_OTHERS: dict[str, Callable[..., tuple[Matrix, ...]]] = {
    "gphase": lambda _: (np.array([[1j]]),),
    "p": lambda _: (_PHASE,),
    "u": _u,
    "cu": _cu,
    "xx_plus_yy": lambda theta, beta: _exchange("xx_plus_yy", 1, 2, theta, beta, -1),
    "xx_minus_yy": lambda theta, beta: _exchange("xx_minus_yy", 0, 3, theta, beta, -1),
}


def _of_power(unitary: Matrix, slope: Matrix, power: float) -> Matrix:
    """By divided differences of x^power between eigenvalues (Daleckii and Krein); the branch is
    that of gates.matrix: eigenphases in (-pi, pi]."""
    from scipy.linalg import schur

    triangle, vectors = schur(unitary, output="complex")
    eigenvalues = np.diagonal(triangle)
    phases = np.angle(eigenvalues)
    phases = np.where(phases <= -np.pi + 1e-12, np.pi, phases)
    raised = np.exp(1j * power * phases)
    apart = eigenvalues[:, None] - eigenvalues[None, :]
    same = np.abs(apart) < 1e-7
    steps = (raised[:, None] - raised[None, :]) / np.where(same, 1.0, apart)
    steps = np.where(same, power * raised[:, None] / eigenvalues[:, None], steps)
    inner = steps * (vectors.conj().T @ slope @ vectors)
    return np.asarray(vectors @ (inner * raised.conj()[None, :]) @ vectors.conj().T)
