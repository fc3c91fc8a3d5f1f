from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

QUBITS_MAX: int
"""More than this is refused; memory ends far below."""
SHOTS_MAX: int

class Gradient(NamedTuple):
    """An expectation and its derivatives."""

    expectation: float
    gammas: NDArray[np.float64]
    """(p,)"""
    betas: NDArray[np.float64]
    """As the betas given: (p,) or (p, n)."""
    turns: NDArray[np.float64] | None
    """(p, n), where turns were given."""

class Extremes(NamedTuple):
    """Of the observable over every index."""

    least: float
    greatest: float
    least_at: int
    """First index with the least value; bit i set: spin i is -1."""

class Samples(NamedTuple):
    """Outcomes that were drawn, ascending, and how often."""

    outcomes: NDArray[np.uint64]
    counts: NDArray[np.int64]

def state_bytes(num_qubits: int, *, folded: bool = False, single: bool = False) -> int:
    """Memory of a state; a gradient takes twice that."""

class Qaoa:
    """QAOA's states of an Ising cost, offset + sum h_i s_i + sum J_ij s_i s_j + table[index], exactly.

    Bit i of an index is qubit i, and spin i is 1 - 2 bit. A layer is exp(-i (gamma (cost - offset) + sum turn_i Z_i)), then
    exp(-i beta_i X_i) on every qubit. linear: (n,), 1 <= n <= QUBITS_MAX. row, col, weight: (m,); repeated pairs are
    summed. table: (2^n,) further costs. observable: (linear, row, col, weight, offset) of what is expected, where that
    is not the cost itself. fold: keep half the state, as all bits flipped give the same amplitude; by default where
    there is neither field nor table. single: complex64. isa: 'base', 'avx2' or 'avx512'; default: the best here.
    Memory: state_bytes(n), once; twice that after gradients. One call at a time runs, others wait. Same result
    whatever the number of threads, on one instruction set. Raises ValueError, naming the argument, and MemoryError.

    >>> round(Qaoa([0.0, 0.0], [0], [1], [1.0]).expectation([0.7853981633974483], [-0.39269908169872414]), 12)
    -1.0
    """

    num_qubits: int
    folded: bool
    single: bool
    def __init__(
        self,
        linear: ArrayLike,
        row: ArrayLike,
        col: ArrayLike,
        weight: ArrayLike,
        offset: float = 0.0,
        *,
        table: ArrayLike | None = None,
        observable: Sequence[Any] | None = None,
        fold: bool | None = None,
        single: bool = False,
        isa: str | None = None,
    ) -> None: ...
    def expectation(
        self,
        gammas: ArrayLike,
        betas: ArrayLike,
        *,
        turns: ArrayLike | None = None,
        start: ArrayLike | None = None,
        keep: bool = False,
        threads: int = 1,
        monitor: Monitor | None = None,
    ) -> float:
        """gammas: (p,). betas: (p,) or, by qubit, (p, n). turns: (p, n). start: (n, 2) real amplitudes of 0 and 1 of each
        qubit; default uniform. turns and start need fold=False. keep: the state can be asked about afterwards. Raises
        monitor.Stopped."""
    def gradient(
        self,
        gammas: ArrayLike,
        betas: ArrayLike,
        *,
        turns: ArrayLike | None = None,
        start: ArrayLike | None = None,
        threads: int = 1,
        monitor: Monitor | None = None,
    ) -> Gradient:
        """Expectation and its derivatives by every angle, in the time of three to four expectations."""
    def state_vector(self) -> NDArray[np.complex128] | NDArray[np.complex64]:
        """(2^n,), of the state that was kept."""
    def sample(self, shots: int, seed: int) -> Samples:
        """Measure the state that was kept; same seed, same outcomes."""
    def extremes(self, *, monitor: Monitor | None = None) -> Extremes:
        """Least and greatest value of the observable."""
    def probability_at_most(self, value: float, *, monitor: Monitor | None = None) -> float:
        """Probability, in the state that was kept, of outcomes whose observable is at most value."""
    @property
    def isa(self) -> str: ...
    @property
    def bytes(self) -> int:
        """Memory of one state here."""
