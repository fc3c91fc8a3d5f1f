"""Binary quadratic programs: a QUBO under linear rows, which are kept as they are."""

import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.optimization.base import Evaluation, ProblemKind, Sense
from ketgate_server.optimization.rows import Rows
from ketgate_server.type.quadratic import QuadraticFunction

if TYPE_CHECKING:
    from ketgate_native.binary import BinaryProgram


class BinaryProblem:
    """Minimise a quadratic function of binaries subject to linear rows."""

    kind = ProblemKind.BINARY_QUADRATIC
    sense = Sense.MINIMIZE
    wants_frontier = False
    rows_path = "binary_quadratic.rows"

    def __init__(self, function: QuadraticFunction, rows: Rows, tolerance: float) -> None:
        """tolerance: greatest absolute violation of a row whose numbers are not whole."""
        self.function = function
        self.rows = rows
        self.size = function.size
        self.num_constraints = rows.count
        self.tolerance = 0.0 if rows.exact else tolerance
        self.warnings: Sequence[str] = ()
        self._kernel: BinaryProgram | None = None
        self._kernel_lock = threading.Lock()

    @property
    def terms(self) -> int:
        """Coefficients of the function and of the rows."""
        return self.function.quadratic.entries + self.rows.matrix.entries

    def kernel(self) -> "BinaryProgram":
        """What the native local search takes; built once."""
        from ketgate_native.binary import BinaryProgram

        with self._kernel_lock:
            if self._kernel is None:
                f, a = self.function, self.rows.matrix
                # The kernel's tolerance is relative to a row's magnitude; ours is absolute.
                largest = float(self.rows.magnitudes.max(initial=1.0))
                self._kernel = BinaryProgram(
                    f.linear,
                    f.quadratic.row,
                    f.quadratic.column,
                    f.quadratic.value,
                    a.row,
                    a.column,
                    a.value,
                    self.rows.lower,
                    self.rows.upper,
                    f.offset,
                    feasibility_tolerance=self.tolerance / max(largest, 1.0),
                )
            return self._kernel

    def evaluate(self, values: NDArray[Any]) -> Evaluation:
        if not self.function.holds(values):
            return Evaluation(np.inf, np.inf)
        violation = self.rows.violation_max(values.astype(np.float64))
        if self.rows.exact and violation > 0.0:
            violation = np.inf
        return Evaluation(self.function(values), violation)

    def polish(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.function.snap(values)

    def fallback(self) -> None:
        """Rows take a search."""
