from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

class Samples(NamedTuple):
    """The best distinct solutions of a run, lowest energy first."""

    spins: NDArray[np.int8]
    """(k, n) values -1 and +1, 1 <= k <= pool."""
    energies: NDArray[np.float64]
    """(k,) in the units of the input, evaluated in float64 from the weights given."""
    occurrences: NDArray[np.int64]
    """(k,) how often the run ended at exactly this solution."""
    stats: dict[str, Any]
    """solver, work (moves evaluated, see search), isa, layout, lane, seed, completed (False after a stop) and
    what the solver adds: beta_start, beta_end, sweeps, replicas, ladders, iterations, restarts."""

class Ising:
    """An immutable problem: minimise offset + sum h_i s_i + sum_{i<j} J_ij s_i s_j over s in {-1, +1}^n.

    linear: (n,) fields h. row, col, weight: (m,) couplings; (i, j) and (j, i) are the same pair, repeated pairs are
    summed, zero sums dropped. Raises ValueError (an index out of range or i == j, a value that is not finite, lengths
    that differ, a sum of magnitudes beyond 1e300) and MemoryError. monitor: its deadline and its cancel end the
    building, some 0.6 s for a million spins, with Stopped; of any size of solution.

    >>> problem = Ising([0.0, 0.0], [0], [1], [1.0])
    >>> search(problem, work=10_000, seed=1).energies
    array([-1.])
    """

    def __init__(
        self,
        linear: ArrayLike,
        row: ArrayLike,
        col: ArrayLike,
        weight: ArrayLike,
        offset: float = 0.0,
        *,
        monitor: Monitor | None = None,
    ) -> None: ...
    @classmethod
    def from_qubo(
        cls,
        linear: ArrayLike,
        row: ArrayLike,
        col: ArrayLike,
        weight: ArrayLike,
        offset: float = 0.0,
        *,
        monitor: Monitor | None = None,
    ) -> Ising:
        """The same problem as: minimise offset + sum c_i x_i + sum q_k x_row[k] x_col[k] with x = (1 + s) / 2.

        An entry with row == col is linear (x x = x).
        """
    @property
    def num_spins(self) -> int: ...
    @property
    def num_couplings(self) -> int:
        """Pairs with a weight other than zero."""
    @property
    def offset(self) -> float: ...
    @property
    def layout(self) -> str:
        """'sparse' (replicas across SIMD lanes) or 'dense' (spins across SIMD lanes)."""
    @property
    def lane(self) -> str:
        """Number type of the search: 'int8' or 'int16' (exact) or 'float32'."""
    @property
    def is_integer(self) -> bool:
        """Whether one power of two makes every weight an integer small enough for exact arithmetic."""
    def energies(self, spins: ArrayLike) -> NDArray[np.float64]:
        """Energies of (k, n) or (n,) spins, in float64, whatever the search uses."""

def anneal(
    problem: Ising,
    *,
    sweeps: int,
    replicas: int = 32,
    seed: int = 0,
    beta_start: float | None = None,
    beta_end: float | None = None,
    initial: ArrayLike | None = None,
    threads: int = 1,
    pool: int = 1,
    monitor: Monitor | None = None,
    isa: str | None = None,
) -> Samples:
    """Simulated annealing: exactly `sweeps` Metropolis sweeps for each replica, then a descent, unless stopped.

    beta_start, beta_end: inverse temperatures in 1/energy of the input; None: from the weights. initial: (m, n) or (n,)
    states; replica r starts from state r mod m. The same seed gives the same bytes on any thread count and instruction
    set. monitor: for solutions of n bytes (int8 spins). isa: 'base', 'avx2', 'avx512'; None: the best this CPU has.
    """

def parallel_tempering(
    problem: Ising,
    *,
    sweeps: int,
    ladders: int = 1,
    seed: int = 0,
    beta_start: float | None = None,
    beta_end: float | None = None,
    initial: ArrayLike | None = None,
    threads: int = 1,
    pool: int = 1,
    monitor: Monitor | None = None,
    isa: str | None = None,
) -> Samples:
    """Replica exchange. A ladder is one block of SIMD lanes (dense: 16 states), its temperatures geometric from
    beta_start (hottest) to beta_end; exactly `sweeps` sweeps for each replica of each ladder. Sparse problems: every few
    sweeps copies of two cold replicas are quenched and their better parts put together. Otherwise as anneal.
    """

def tabu(
    problem: Ising,
    *,
    iterations: int,
    restarts: int = 1,
    seed: int = 0,
    tenure: int | None = None,
    initial: ArrayLike | None = None,
    threads: int = 1,
    pool: int = 1,
    monitor: Monitor | None = None,
    isa: str | None = None,
) -> Samples:
    """One-flip tabu search, exactly `iterations` flips for each of `restarts` independent trajectories. When a
    trajectory stalls it is perturbed from its elite solutions. tenure: None: from n. Otherwise as anneal.
    """

def search(
    problem: Ising,
    *,
    work: int | None = None,
    seed: int = 0,
    initial: ArrayLike | None = None,
    threads: int = 1,
    pool: int = 1,
    monitor: Monitor | None = None,
    isa: str | None = None,
) -> Samples:
    """The default solver: stages of doubling length. Sparse: annealing, then seven times as long replica exchange from
    what it found. Dense: an elite of annealed states, then tabu search that recombines it.

    First of all it offers a greedy state, unless there are warm starts. The order of stages depends on the problem and the seed alone, never on a time limit or on threads: after w units
    the result is a pure function of (problem, seed, initial, w), and more work is never worse. One unit is one move
    evaluated (a sweep over n spins in one replica: n units). work None: until the monitor stops it; with neither a
    work limit nor a monitor ValueError is raised. initial: (m, n) or (n,) warm starts; the result is never worse.
    """
