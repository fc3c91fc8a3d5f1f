"""The slow, obvious Ising model, and readers of the public instances."""

import gzip
import itertools
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from ketgate_native.ising import Ising
from numpy.typing import NDArray

INSTANCES = Path(__file__).parents[2] / "instances"
Array = NDArray[np.float64]
Spins = NDArray[np.int8]


@dataclass(frozen=True)
class Model:
    """offset + h's + sum over pairs of J_ij s_i s_j, with the full symmetric J and no diagonal."""

    linear: Array
    coupling: Array
    offset: float = 0.0

    @property
    def problem(self) -> Ising:
        row, col = np.nonzero(np.triu(self.coupling))
        return Ising(self.linear, row, col, self.coupling[row, col], self.offset)

    def energies(self, spins: Spins) -> Array:
        s = np.atleast_2d(spins).astype(float)
        return self.offset + s @ self.linear + 0.5 * np.einsum("ki,ij,kj->k", s, self.coupling, s)

    def every_state(self) -> Spins:
        return np.array(list(itertools.product((-1, 1), repeat=len(self.linear))), dtype=np.int8)

    def optimum(self) -> float:
        return float(self.energies(self.every_state()).min())

    def frozen_sweeps(self, spins: Spins, sweeps: int) -> Spins:
        """Metropolis at temperature zero: in order, turn every spin whose turn does not raise the
        energy; then descend by strict improvements."""
        s = spins.astype(float)
        moved, left = True, sweeps
        while left > 0 or moved:
            moved = False
            for i in range(len(s)):
                gain = s[i] * (self.linear[i] + self.coupling[i] @ s)
                if gain > 0 or (gain == 0 and left > 0):
                    s[i], moved = -s[i], True
            left -= 1
        return s.astype(np.int8)


def random_model(seed: int, n: int, density: float, kind: str, field: bool = True) -> Model:
    """kind: 'int8', 'int16' (also by how far fields reach) or 'float32' weights."""
    rng = np.random.default_rng(seed)
    if kind == "float32":
        coupling, linear = rng.normal(size=(n, n)), rng.normal(size=n)
    else:
        most = 2 if kind == "int8" else 90
        coupling = rng.integers(-most, most + 1, (n, n)).astype(float)
        linear = rng.integers(-most, most + 1, n).astype(float)
    coupling = np.triu(coupling * (rng.random((n, n)) < density), 1)
    return Model(linear * field, coupling + coupling.T, float(rng.integers(-5, 6)))


def read_maxcut(name: str) -> Ising:
    """Energy = -cut."""
    with gzip.open(INSTANCES / "gset" / f"{name}.txt.gz", "rt") as text:
        numbers = text.read().split()
    n, m = int(numbers[0]), int(numbers[1])
    edges = np.array(numbers[2 : 2 + 3 * m], dtype=np.int64).reshape(-1, 3)
    weight = edges[:, 2].astype(float)
    return Ising(np.zeros(n), edges[:, 0] - 1, edges[:, 1] - 1, weight / 2, -weight.sum() / 2)


def read_qubo(name: str) -> Ising:
    """Energy = -objective, as OR-Library maximises."""
    n, entries = 0, []
    with gzip.open(INSTANCES / "orlib_bqp" / f"{name}.qubo.gz", "rt") as lines:
        for line in lines:
            if line.startswith("p"):
                n = int(line.split()[3])
            elif line.strip() and not line.startswith("c"):
                entries.append(line.split())
    table = np.array(entries, dtype=np.float64)
    row, col = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64)
    return Ising.from_qubo(np.zeros(n), row, col, -table[:, 2])
