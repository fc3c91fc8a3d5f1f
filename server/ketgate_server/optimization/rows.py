"""Linear rows lower <= A x <= upper, and how far a point is from keeping them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ketgate_server.cached import cached_property
from ketgate_server.optimization.base import Conflict
from ketgate_server.type.sparse import Sparse

EXACT_MAX = 2.0**53


@dataclass(frozen=True)
class Rows:
    """m rows over n variables. An end without limit is infinite."""

    matrix: Sparse
    lower: NDArray[np.float64]
    """(m,)"""
    upper: NDArray[np.float64]
    """(m,)"""
    names: Sequence[str] = ()
    """None, or m."""

    @property
    def count(self) -> int:
        return len(self.lower)

    @cached_property
    def magnitudes(self) -> NDArray[np.float64]:
        """(m,) sums of |coefficient|."""
        return self._sums(np.abs(self.matrix.value))

    @cached_property
    def exact(self) -> bool:
        """Whether binaries keep these rows in whole numbers, so that no tolerance is needed."""
        ends = np.concatenate(
            [self.lower[np.isfinite(self.lower)], self.upper[np.isfinite(self.upper)]]
        )
        whole = bool((self.matrix.value == np.rint(self.matrix.value)).all())
        whole = whole and bool((ends == np.rint(ends)).all())
        return whole and bool((self.magnitudes < EXACT_MAX).all())

    def activities(self, x: NDArray[np.float64]) -> NDArray[np.float64]:
        """(m,) A x."""
        return self._sums(self.matrix.value * x[self.matrix.column])

    def violation_max(self, x: NDArray[np.float64], rounding: float = 0.0) -> float:
        """Greatest absolute violation of a row; 0.0 where all hold. rounding: the share of the sum
        of its terms' magnitudes that does not count."""
        if not self.count:
            return 0.0
        with np.errstate(over="ignore", invalid="ignore"):
            activities = self.activities(x)
            below, above = self.lower - activities, activities - self.upper
            excess = np.maximum(below, above)
            if rounding:
                excess -= rounding * self._sums(np.abs(self.matrix.value * x[self.matrix.column]))
            worst = float(excess.max())
        return np.inf if np.isnan(worst) else max(worst, 0.0)

    def conflict(self, index: int, path: str) -> Conflict:
        """The row in words, below path (a field of SolveSpec)."""
        name = self.names[index] if self.names else ""
        low, high = float(self.lower[index]), float(self.upper[index])
        terms = int((self.matrix.row == index).sum())
        if low == high:
            demand = f"equals {low:g}"
        elif not np.isfinite(low):
            demand = f"is at most {high:g}"
        elif not np.isfinite(high):
            demand = f"is at least {low:g}"
        else:
            demand = f"lies between {low:g} and {high:g}"
        return Conflict(f"{path}[{index}]", name, f"row {index}, a sum of {terms} terms, {demand}")

    def _sums(self, terms: NDArray[np.float64]) -> NDArray[np.float64]:
        sums = np.bincount(self.matrix.row, weights=terms, minlength=self.count)
        return sums.astype(np.float64, copy=False)


NO_ROWS = Rows(
    Sparse(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0)), np.empty(0), np.empty(0)
)
