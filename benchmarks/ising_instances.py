"""Public Ising and QUBO instances as arrays: energy = -cut (G-set), energy = -objective (OR-Library bqp)."""

import gzip
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

IN_TREE = Path(__file__).resolve().parent.parent / "tests" / "instances"
# Best known values: Benlic and Hao 2013, Ma and Hao 2017; Palubeckis 2004.
BEST_KNOWN = {
    "G11": 564,
    "G22": 13359,
    "G43": 6660,
    "G55": 10299,
    "G70": 9591,
    "bqp50_1": 2098,
    "bqp100_1": 7970,
    "bqp250_1": 45607,
    "bqp500_1": 116586,
    "bqp1000_1": 371438,
}


@dataclass(frozen=True)
class Instance:
    """offset + sum linear s + sum weight s_row s_col, to be minimised; value = -energy."""

    name: str
    linear: NDArray[np.float64]
    row: NDArray[np.int64]
    col: NDArray[np.int64]
    weight: NDArray[np.float64]
    offset: float

    @property
    def spins(self) -> int:
        return len(self.linear)

    def value(self, s: NDArray[np.int8]) -> float:
        """What a solution is worth, recomputed here and not by the solver that found it."""
        s = s.astype(np.float64)
        return -float(self.offset + self.linear @ s + (self.weight * s[self.row]) @ s[self.col])


def _text(folder: Path, name: str) -> str | None:
    for path in (folder / name, folder / f"{name}.gz"):
        if path.exists():
            return gzip.open(path, "rt").read() if path.suffix == ".gz" else path.read_text()
    return None


def _maxcut(name: str, text: str) -> Instance:
    numbers = text.split()
    n, m = int(numbers[0]), int(numbers[1])
    edges = np.array(numbers[2 : 2 + 3 * m], dtype=np.int64).reshape(-1, 3)
    weight = edges[:, 2] / 2.0
    return Instance(
        name, np.zeros(n), edges[:, 0] - 1, edges[:, 1] - 1, weight, -float(weight.sum())
    )


def _qubo(name: str, text: str) -> Instance:
    lines = [
        line.split() for line in text.splitlines() if line.strip() and not line.startswith("c")
    ]
    n = int(lines[0][3])
    table = np.array(lines[1:], dtype=np.float64)
    i, j, v = table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), -table[:, 2]
    linear, pair = np.zeros(n), i != j
    np.add.at(linear, i[~pair], v[~pair] / 2)
    quarter = v[pair] / 4
    np.add.at(linear, i[pair], quarter)
    np.add.at(linear, j[pair], quarter)
    return Instance(
        name, linear, i[pair], j[pair], quarter, float(v[~pair].sum() / 2 + quarter.sum())
    )


def load(name: str, folder: Path | None) -> Instance | None:
    """From `folder` (with gset/ and orlib_bqp/) or from the tests' few; None where it is in neither."""
    for root in (folder, IN_TREE):
        if root is None:
            continue
        if name.startswith("G"):
            text = _text(root / "gset", f"{name}.txt")
            if text is not None:
                return _maxcut(name, text)
        else:
            text = _text(root / "orlib_bqp", f"{name}.qubo")
            if text is not None:
                return _qubo(name, text)
    return None
