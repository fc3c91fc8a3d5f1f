"""QAOA in plain NumPy: one qubit after the other on the whole state."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass
class Model:
    """An Ising cost: fields, couplings as (row, col, weight), offset."""

    linear: Floats
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    weight: Floats
    offset: float

    @property
    def arguments(self) -> tuple[Floats, NDArray[np.int64], NDArray[np.int64], Floats, float]:
        return self.linear, self.row, self.col, self.weight, self.offset


def random_model(seed: int, n: int, *, fields: bool, density: float = 0.4) -> Model:
    rng = np.random.default_rng(seed)
    pairs = [(i, j) for i in range(n) for j in range(i + 1, n) if rng.random() < density]
    index = np.array(pairs, dtype=np.int64).reshape(-1, 2)
    linear = rng.normal(size=n) if fields else np.zeros(n)
    return Model(linear, index[:, 0], index[:, 1], rng.normal(size=len(index)), 0.3)


def diagonal(model: Model) -> Floats:
    """Cost of every index: bit i set is spin -1."""
    n = len(model.linear)
    spins = 1.0 - 2.0 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1)
    pairs = (spins[:, model.row] * spins[:, model.col]) @ model.weight
    return np.asarray(spins @ model.linear + pairs + model.offset)


def apply(state: NDArray[np.complex128], qubit: int, matrix: NDArray[np.complex128]) -> None:
    view = state.reshape(-1, 2, 1 << qubit)
    view[:] = np.einsum("ab,xbz->xaz", matrix, view)


def evolve(
    cost: Floats,
    gammas: Floats,
    betas: Floats,
    turns: Floats | None = None,
    start: Floats | None = None,
) -> NDArray[np.complex128]:
    """betas: (p,) or (p, n); turns: (p, n); start: (n, 2) amplitudes of each qubit."""
    n = len(cost).bit_length() - 1
    spins = 1.0 - 2.0 * ((np.arange(1 << n)[:, None] >> np.arange(n)) & 1)
    state = np.full(1 << n, 2.0 ** (-n / 2), dtype=np.complex128)
    if start is not None:
        state = np.ones(1, dtype=np.complex128)
        for amplitudes in start:
            state = np.kron(amplitudes, state)
    for k, gamma in enumerate(gammas):
        angle = gamma * cost + (spins @ turns[k] if turns is not None else 0.0)
        state = state * np.exp(-1j * angle)
        for q in range(n):
            beta = betas[k] if np.ndim(betas) == 1 else betas[k][q]
            c, s = np.cos(beta), -1j * np.sin(beta)
            apply(state, q, np.array([[c, s], [s, c]]))
    return state


def expectation(cost: Floats, state: NDArray[np.complex128]) -> float:
    return float(np.abs(state) ** 2 @ cost)
