"""Linear and mixed-integer programs."""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.optimization.base import Evaluation, ProblemKind, Sense
from ketgate_server.optimization.rows import Rows

INTEGRALITY_SNAP = 1e-5
"""A solver's integer this near to a whole number is meant to be it; rows are checked again
after."""

ROUNDING = 1e-13
"""Some hundred units in the last place: what no solver can do better in float64. A row whose terms
are 10^10 large is kept to 10^-3, however small the tolerance."""


class LinearProblem:
    """Minimise or maximise offset + c'x under rows, bounds and integrality."""

    rows_path = "linear.rows"
    wants_frontier = False

    def __init__(
        self,
        sense: Sense,
        objective: NDArray[np.float64],
        offset: float,
        rows: Rows,
        lower: NDArray[np.float64],
        upper: NDArray[np.float64],
        integer: NDArray[np.bool_],
    ) -> None:
        """objective, lower, upper, integer: (n,). An infinite bound is none."""
        self.sense = sense
        self.objective = objective
        self.offset = offset
        self.rows = rows
        self.lower = lower
        self.upper = upper
        self.integer = integer
        self.size = len(objective)
        self.num_constraints = rows.count
        self.kind = ProblemKind.MIXED_INTEGER if integer.any() else ProblemKind.LINEAR
        self.warnings: Sequence[str] = ()

    @property
    def terms(self) -> int:
        return self.rows.matrix.entries

    def evaluate(self, values: NDArray[Any]) -> Evaluation:
        x = np.asarray(values, dtype=np.float64)
        if x.shape != (self.size,) or not np.isfinite(x).all():
            return Evaluation(math.nan, math.inf)
        whole = x[self.integer]
        if not (whole == np.rint(whole)).all():
            return Evaluation(math.nan, math.inf)
        outside = np.maximum(self.lower - x, x - self.upper)
        violation = max(float(outside.max(initial=0.0)), self.rows.violation_max(x, ROUNDING), 0.0)
        with np.errstate(over="ignore", invalid="ignore"):
            value = float((self.objective * x).sum()) + self.offset
        return Evaluation(value, violation if math.isfinite(value) else math.inf)

    def polish(self, values: NDArray[Any]) -> NDArray[Any]:
        """Whole numbers where they are meant, and no bound missed by a rounding error."""
        x = np.array(values, dtype=np.float64)
        whole = np.rint(x)
        near = self.integer & (np.abs(x - whole) <= INTEGRALITY_SNAP)
        x[near] = whole[near]
        near_lower = (x < self.lower) & (self.lower - x <= INTEGRALITY_SNAP)
        near_upper = (x > self.upper) & (x - self.upper <= INTEGRALITY_SNAP)
        x[near_lower] = self.lower[near_lower]
        x[near_upper] = self.upper[near_upper]
        return x + 0.0  # -0.0 becomes 0.0, so that equal solutions have equal bytes

    def fallback(self) -> None:
        """Rows take a search."""
