"""Angles to begin with: from typical instances by degree and weight, and from fewer layers.

Gammas scale with the inverse of the local field's size, as in Shaydulin, Lotshaw, Larson, Ostrowski, Humble, ACM TQC 4
(2023) 19, and Sureshbabu, Herman, Shaydulin, Basso, Chakrabarti, Sun, Pistoia, Quantum 8 (2024) 1231; between the
sparse and the dense table lies what a spin's number of neighbours says.
"""

from __future__ import annotations

import numpy as np

from ketgate_server.quantum.qaoa.fixed_angles import DENSE, SPARSE, Table
from ketgate_server.quantum.qaoa.problem import Angles, Floats, QaoaProblem

SPARSE_DEGREE = 3.0
"""Neighbours in the instances of the sparse table."""


def local_moments(problem: QaoaProblem, power: int) -> Floats:
    """Sum of |coefficient|^power over the couplings and the field of each spin, (n,)."""
    out = np.abs(problem.linear) ** power
    part = np.abs(problem.weight) ** power
    np.add.at(out, problem.row, part)
    np.add.at(out, problem.col, part)
    return np.asarray(out)


def coefficient_scale(problem: QaoaProblem) -> float:
    """Root mean square of the spins' local fields; 1 where there is nothing to minimise."""
    square = float(local_moments(problem, 2).mean())
    return float(np.sqrt(square)) if square > 0.0 else 1.0


def neighbours(problem: QaoaProblem) -> float:
    """How many coefficients of one size a spin's would be worth: (sum w^2)^2 / sum w^4, in the mean of those that have
    any."""
    second, fourth = local_moments(problem, 2), local_moments(problem, 4)
    some = fourth > 0.0
    return float((second[some] ** 2 / fourth[some]).mean()) if some.any() else SPARSE_DEGREE


def interpolated(angles: Angles, layers: int) -> Angles:
    """The same course over more layers, one after the other: INTERP of Zhou, Wang, Choi, Pichler, Lukin, PRX 10 (2020)
    021067. angles: (2, p), p <= layers."""
    out = np.asarray(angles, dtype=np.float64)
    while out.shape[1] < layers:
        p = out.shape[1]
        k = np.arange(p + 1)
        wide = np.concatenate([np.zeros((2, 1)), out, np.zeros((2, 1))], axis=1)
        out = k / p * wide[:, k] + (p - k) / p * wide[:, k + 1]
    return out


def transferred(problem: QaoaProblem, layers: int) -> Angles:
    """(2, layers) for a problem, without looking at its states. Beyond the tables' depth interpolated."""
    depth = min(layers, max(SPARSE))
    share = min(SPARSE_DEGREE / max(neighbours(problem), 1.0), 1.0)
    typical = share * _row(SPARSE, depth) + (1.0 - share) * _row(DENSE, depth)
    return interpolated(typical * np.array([[1.0 / coefficient_scale(problem)], [1.0]]), layers)


def _row(table: Table, layers: int) -> Angles:
    return np.array([angles.split() for angles in table[layers]], dtype=np.float64)
