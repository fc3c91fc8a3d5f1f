"""The Markovian process that makes a channel in unit time, where there is one.

The channel's superoperator is exp(L). Gorini, Kossakowski and Sudarshan (J. Math. Phys. 17, 821,
1976): L is such a process if, in a basis of traceless operators, its coefficients c are positive.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]
TOLERANCE = 1e-9
PAULIS = (
    np.eye(2, dtype=np.complex128),
    np.array([[0, 1], [1, 0]], dtype=np.complex128),
    np.array([[0, -1j], [1j, 0]], dtype=np.complex128),
    np.array([[1, 0], [0, -1]], dtype=np.complex128),
)


@dataclass(frozen=True, eq=False)
class Generator:
    """d rho/dt = -i [H, rho] + sum of J rho J^dagger - {J^dagger J, rho} / 2, for unit time."""

    hamiltonian: Matrix
    jumps: tuple[Matrix, ...]


def generator(kraus: Matrix) -> Generator | None:
    """Of the channel with these (m, d, d) operators; None: no Markovian process makes it."""
    whole = np.ascontiguousarray(kraus, dtype=np.complex128)
    return _generator(whole.tobytes(), whole.shape)


@lru_cache(maxsize=256)
def _generator(content: bytes, shape: tuple[int, ...]) -> Generator | None:
    from scipy.linalg import expm, logm

    kraus = np.frombuffer(content, dtype=np.complex128).reshape(shape)
    size = shape[1]
    # Columns stacked: vec(K rho K^dagger) = (K* (x) K) vec(rho).
    channel = sum(np.kron(one.conj(), one) for one in kraus)
    if np.linalg.cond(channel) > 1e12:
        return None
    logarithm = logm(channel)
    if not np.allclose(expm(logarithm), channel, atol=TOLERANCE):
        return None
    basis = _basis(size)
    # c[i, j]: L(rho) = sum of c[i, j] F_i rho F_j^dagger.
    images = np.array([np.kron(b.conj(), a).ravel() for a in basis for b in basis])
    c = (images.conj() @ logarithm.ravel()).reshape(len(basis), len(basis))
    rates, vectors = np.linalg.eigh((c[1:, 1:] + c[1:, 1:].conj().T) / 2)
    if not np.allclose(c, c.conj().T, atol=TOLERANCE) or rates.min(initial=0.0) < -TOLERANCE:
        return None
    part = sum(c[i, 0] * basis[i] for i in range(1, len(basis))) / np.sqrt(size)
    jumps = tuple(
        np.sqrt(rate) * np.tensordot(vectors[:, i], np.array(basis[1:]), axes=1)
        for i, rate in enumerate(rates)
        if rate > 1e-14
    )
    return Generator((part.conj().T - part) / 2j, jumps)


def _basis(size: int) -> list[NDArray[Any]]:
    """Orthonormal operators, the identity first."""
    qubits = size.bit_length() - 1
    basis = []
    for letters in product(PAULIS, repeat=qubits):
        one: NDArray[Any] = np.eye(1, dtype=np.complex128)
        for letter in letters:
            one = np.kron(one, letter)
        basis.append(one / np.sqrt(size))
    return basis
