from collections.abc import Callable

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate_native.monitor import Monitor
from ketgate_native.qaoa import Gradient

QUBITS_MAX: int

def num_states(num_qubits: int, ones: int) -> int:
    """How many states of so many qubits have so many ones."""

class XyQaoa:
    """QAOA among the states with `ones` ones, from their uniform superposition (the Dicke state).

    A layer is exp(-i gamma cost), then exp(-i beta (XX + YY)/2) on each of pairs, (m, 2), in their order: the number of
    ones is kept exactly, as no other state is stored. cost: values, (size,), of the states it is given. 16 bytes an
    amplitude, 32 in gradients, and 8 for its cost. One call at a time runs; others wait. Raises ValueError, naming the
    argument, and MemoryError.

    >>> round(XyQaoa(2, 1, [(0, 1)], lambda states: states.astype(float)).expectation([0.0], [0.3]), 12)
    1.5
    """

    def __init__(
        self,
        num_qubits: int,
        ones: int,
        pairs: ArrayLike,
        cost: Callable[[NDArray[np.uint64]], NDArray[np.float64]],
    ) -> None: ...
    @property
    def size(self) -> int: ...
    @property
    def costs(self) -> NDArray[np.float64]:
        """(size,), by state; read-only."""
    def states(self) -> NDArray[np.uint64]:
        """(size,), ascending; bit i is qubit i."""
    def expectation(
        self, gammas: ArrayLike, betas: ArrayLike, *, keep: bool = False, monitor: Monitor | None = None
    ) -> float:
        """keep: amplitudes() may be asked for afterwards. Raises monitor.Stopped."""
    def gradient(self, gammas: ArrayLike, betas: ArrayLike, *, monitor: Monitor | None = None) -> Gradient:
        """Expectation and its derivatives by every angle, in the time of about four expectations."""
    def amplitudes(self) -> NDArray[np.complex128]:
        """(size,), in the order of states()."""
