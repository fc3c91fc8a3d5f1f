"""Ising energies and QUBOs: one kind of problem with two alphabets."""

import threading
from collections.abc import Sequence
from typing import Any

import numpy as np
from ketgate_native.ising import Ising
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

from ketgate_server.optimization.base import Evaluation, ProblemKind, Sense
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction


class IsingProblem:
    """Minimise a quadratic function of spins or binaries without constraints."""

    kind = ProblemKind.ISING
    sense = Sense.MINIMIZE
    num_constraints = 0
    wants_frontier = False

    def __init__(self, function: QuadraticFunction) -> None:
        self.function = function
        self.size = function.size
        self.warnings: Sequence[str] = ()
        self._kernel: Ising | None = None
        self._kernel_lock = threading.Lock()

    @property
    def terms(self) -> int:
        return self.function.quadratic.entries

    def kernel(self, monitor: Monitor) -> Ising:
        """What the native solvers take; built once, by the first that asks. Raises Stopped where
        the monitor ends the building."""
        with self._kernel_lock:
            if self._kernel is None:
                f, q = self.function, self.function.quadratic
                build = Ising if f.alphabet is Alphabet.SPIN else Ising.from_qubo
                self._kernel = build(f.linear, q.row, q.column, q.value, f.offset, monitor=monitor)
            return self._kernel

    def evaluate(self, values: NDArray[Any]) -> Evaluation:
        if not self.function.holds(values):
            return Evaluation(np.inf, np.inf)
        return Evaluation(self.function(values), 0.0)

    def polish(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.function.snap(values)

    def fallback(self) -> NDArray[Any]:
        """Each variable as its own linear coefficient likes it."""
        return self.function.from_binaries((self.function.linear < 0.0).astype(np.uint8))

    def from_spins(self, spins: NDArray[np.int8]) -> NDArray[Any]:
        return self.function.from_spins(spins)

    def to_spins(self, values: NDArray[Any]) -> NDArray[np.int8]:
        return self.function.to_spins(values)
