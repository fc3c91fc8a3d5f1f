from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

PAULI_QUBITS_MAX: int
"""Of a Pauli vector; 4^14 numbers are 2 GiB."""
TRAJECTORY_QUBITS_MAX: int
CHANNEL_QUBITS_MAX: int
"""Of one channel in a trajectory."""
UNITARY_QUBITS_MAX: int
"""Of one gate in a trajectory, controls not counted."""
STEP_COLUMNS: int
"""Columns of the table of steps, see src/dm_trajectory.h."""

def pauli_apply(
    vector: NDArray[np.float64],
    num_qubits: int,
    sizes: ArrayLike,
    qubits: ArrayLike,
    matrices: ArrayLike,
    *,
    threads: int = 1,
    monitor: Monitor | None = None,
    isa: str | None = None,
) -> None:
    """Apply maps, one after the other, to a density matrix in the Pauli basis; in place.

    vector: (4^n,), r_P = Tr(P rho), index sum 4^q * letter on qubit q (0 I, 1 X, 2 Y, 3 Z). sizes: (m,) qubits of each
    map, 1 to 5; qubits: their numbers, joined, the first the least significant digit of the map's matrix; matrices: Pauli
    transfer matrices (4^k, 4^k), row-major, joined. The same bytes for every number of threads and instruction set.

    Raises ValueError (naming what is wrong), monitor.Stopped (the vector is then between two maps), MemoryError.
    """

class Trajectories(NamedTuple):
    sampled: NDArray[np.int64]
    """(shots, samples) basis states drawn from the last state of each shot."""
    memory: NDArray[np.uint64]
    """(shots, words) recorded bits, 64 a word."""
    values: NDArray[np.float64]
    """(shots, observables) expectations in the last state of each shot."""

def run_trajectories(
    num_qubits: int,
    steps: ArrayLike,
    flips: ArrayLike,
    numbers: ArrayLike,
    matrices: ArrayLike,
    effects: ArrayLike,
    weights: ArrayLike,
    *,
    shots: int,
    seed: int,
    num_bits: int = 0,
    samples: int = 0,
    terms: ArrayLike = (0,),
    coefficients: ArrayLike = (),
    x: ArrayLike = (),
    z: ArrayLike = (),
    threads: int = 1,
    copies_max: int = 16,
    monitor: Monitor | None = None,
    isa: str | None = None,
) -> Trajectories:
    """Run a program of gates, channels, measurements and branches once for each shot, from |0...0>.

    steps: (m, STEP_COLUMNS), flips: (m, 2), numbers, matrices, effects, weights: as src/dm_trajectory.h tells. terms:
    (k + 1,) first Pauli string of each observable; coefficients, x, z: of the strings. copies_max: states that each thread
    keeps beside the one it works on; fewer cost time, never another result. Shots whose random choices agree are simulated
    once. Same seed, same bytes, whatever the threads, copies_max and instruction set.

    Raises ValueError (naming the step), monitor.Stopped, MemoryError.
    """
