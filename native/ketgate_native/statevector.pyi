from collections.abc import Iterable, Sequence
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor

Precision = Literal["double", "single"]

KernelGate = tuple[
    Sequence[int], NDArray[np.complex128], int, int, NDArray[np.complex128] | None
]
"""(qubits, matrix, control, value, generators). Bit k of the matrix' index is qubits[k]; shape (2^k, 2^k) for up to 5
qubits, or the diagonal alone, (2^k,), for up to 9. It acts where (index & control) == value. generators: for gradients,
(m, ...) like the matrix: (dU / d angle) U^dagger for each of m angles, which become the gate's slots."""

class Program:
    """Gates, fused and ordered into passes over memory, for one number of qubits, precision and instruction set.

    Immutable and shareable between threads. Matrices need not be unitary. fuse=False applies gate by gate. gradient: also
    prepare what StateVector.gradient needs. Raises ValueError that names the gate's place.

    >>> import numpy as np
    >>> hadamard = np.array([[1, 1], [1, -1]], dtype=complex) / 2**0.5
    >>> flip = np.array([[0, 1], [1, 0]], dtype=complex)
    >>> bell = Program(2, [((0,), hadamard, 0, 0, None), ((1,), flip, 1, 1, None)])
    >>> state = StateVector(2)
    >>> state.apply(bell)
    >>> state.probabilities([0, 1]).round(12).tolist()
    [0.5, 0.0, 0.0, 0.5]
    """

    def __init__(
        self,
        num_qubits: int,
        gates: Iterable[KernelGate],
        *,
        precision: Precision = "double",
        isa: str | None = None,
        fuse: bool = True,
        gradient: bool = False,
    ) -> None: ...
    @property
    def num_qubits(self) -> int: ...
    @property
    def num_gates(self) -> int:
        """Without identities, and swaps where fused: they only exchange names."""
    @property
    def num_slots(self) -> int:
        """Angles that gradients are taken by."""
    @property
    def num_clusters(self) -> int: ...
    @property
    def num_passes(self) -> int: ...
    @property
    def precision(self) -> Precision: ...
    @property
    def isa(self) -> str: ...
    @property
    def memory_bytes(self) -> int: ...
    @property
    def clusters(self) -> list[tuple[int, bool]]:
        """(targets, whether diagonal) of each cluster."""
    @property
    def cost(self) -> float:
        """Arithmetic of one amplitude, in cycles of a machine of 2023; the passes over memory come on top."""

class StateVector:
    """Amplitudes of n qubits, qubit 0 the least significant bit of the index; |0...0> when made.

    Not to be used by two threads at once; methods run without the GIL. On one instruction set the same calls give the same
    bytes whatever the number of threads. A monitor that stops a call leaves the state without meaning and raises
    monitor.Stopped.
    """

    def __init__(
        self, num_qubits: int, *, precision: Precision = "double", isa: str | None = None
    ) -> None: ...
    @property
    def num_qubits(self) -> int: ...
    @property
    def precision(self) -> Precision: ...
    @property
    def isa(self) -> str: ...
    @property
    def memory_bytes(self) -> int: ...
    def reset(self) -> None:
        """Back to |0...0>."""
    def copy(self) -> StateVector: ...
    def apply(self, program: Program, *, threads: int = 1, monitor: Monitor | None = None) -> None: ...
    def amplitudes(self, *, threads: int = 1, monitor: Monitor | None = None) -> NDArray[Any]:
        """A copy, (2^n,), complex128 or complex64."""
    def set_amplitudes(self, amplitudes: ArrayLike) -> None: ...
    def probabilities(
        self, qubits: Sequence[int], *, threads: int = 1, monitor: Monitor | None = None
    ) -> NDArray[np.float64]:
        """(2^k,): bit j of the index is qubits[j]. Not normalised."""
    def sample(
        self,
        shots: int,
        seed: int,
        *,
        qubits: Sequence[int] | None = None,
        threads: int = 1,
        monitor: Monitor | None = None,
    ) -> NDArray[np.uint64]:
        """(shots,) results of measuring qubits (all of them if None), qubits[j] as bit j; independent draws by the inverse of
        the exact distribution. Draw k depends on the state, the seed and k alone."""
    def collapse(
        self,
        qubits: Sequence[int],
        value: int,
        *,
        threads: int = 1,
        monitor: Monitor | None = None,
    ) -> float:
        """Keep what has bit j of value on qubits[j], normalised; the probability of it."""
    def expectations(
        self, x: ArrayLike, z: ArrayLike, *, threads: int = 1, monitor: Monitor | None = None
    ) -> NDArray[np.float64]:
        """(m,) of Pauli strings: bit q of x and z, (m,) masks, tells the Pauli on qubit q (both: Y)."""
    def gradient(
        self,
        program: Program,
        coefficients: ArrayLike,
        x: ArrayLike,
        z: ArrayLike,
        *,
        threads: int = 1,
        monitor: Monitor | None = None,
    ) -> NDArray[np.float64]:
        """(num_slots,) derivatives of sum_k coefficients[k] <P_k> by the program's slots, where this state is |0...0> or any
        other behind it. Takes memory for two more states."""
