"""What QAOA minimises, and how it mixes.

Qubit i is spin i; a set bit is spin -1, and binary 1. A layer is exp(-i gamma C), then exp(-i beta M). The start is the
state that M multiplies by +1, so minimising wants gamma > 0 and beta < 0, as an annealing from -M to C would.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from ketgate_server.cached import cached_property

Floats = NDArray[np.float64]
Indices = NDArray[np.int64]
Angles = NDArray[np.float64]
"""(2, p): gammas, then betas, in radians."""


class Mixer(StrEnum):
    X = "x"
    XY_RING = "xy-ring"
    XY_COMPLETE = "xy-complete"


@dataclass(frozen=True, eq=False)
class QaoaProblem:
    """offset + sum linear_i s_i + sum weight_k s_row[k] s_col[k], to be minimised. Arrays as native.qaoa takes them."""

    linear: Floats
    row: Indices
    col: Indices
    weight: Floats
    offset: float = 0.0
    mixer: Mixer = Mixer.X
    hamming_weight: int = 0
    """Ones that every state has; XY mixers."""
    tilts: Floats | None = None
    """(n,) angles t of a warm start, cos(t/2)|0> + sin(t/2)|1>, with the mixer about that axis
    (Egger, Marecek, Woerner, Quantum 5, 479); X mixer."""

    def __post_init__(self) -> None:
        if self.mixer is Mixer.X and self.hamming_weight:
            raise ValueError("hamming_weight: expected 0 with the X mixer")
        if self.mixer is not Mixer.X and not 0 <= self.hamming_weight <= self.size:
            raise ValueError(f"hamming_weight: expected 0 to {self.size}")
        if self.tilts is not None and (
            self.mixer is not Mixer.X or self.tilts.shape != (self.size,)
        ):
            raise ValueError(f"tilts: expected shape ({self.size},) and the X mixer")

    @property
    def size(self) -> int:
        return len(self.linear)

    @property
    def terms(self) -> tuple[Floats, Indices, Indices, Floats, float]:
        """As the kernels take them."""
        return self.linear, self.row, self.col, self.weight, self.offset

    @cached_property
    def even(self) -> bool:
        """Whether all spins flipped give the same energy."""
        return not self.linear.any()

    def energies(self, states: NDArray[np.uint64]) -> Floats:
        """Of states, bit i of which is qubit i. (m,)"""
        out = np.full(len(states), self.offset)

        def spin(i: int) -> Floats:
            return 1.0 - 2.0 * ((states >> np.uint64(i)) & np.uint64(1)).astype(np.float64)

        for i in np.flatnonzero(self.linear).tolist():
            out += self.linear[i] * spin(i)
        for i in np.unique(self.row).tolist():
            at = np.flatnonzero(self.row == i)
            field = np.zeros(len(states))
            for k in at.tolist():
                field += self.weight[k] * spin(int(self.col[k]))
            out += spin(i) * field
        return out


def mixing_pairs(size: int, mixer: Mixer) -> list[tuple[int, int]]:
    """Pairs of an XY mixer in the order in which they act: even, odd, then the one that closes the ring."""
    if mixer is Mixer.XY_COMPLETE:
        return list(combinations(range(size), 2))
    pairs = [(q, q + 1) for q in range(0, size - 1, 2)] + [
        (q, q + 1) for q in range(1, size - 1, 2)
    ]
    return pairs + ([(size - 1, 0)] if size > 2 else [])
