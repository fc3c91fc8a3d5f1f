"""Columns and sparse rows of a linear program, gathered one by one."""

from typing import TYPE_CHECKING

import numpy as np
from scipy import sparse

from ketgate_server.optimization.portfolio.covariance import Array

if TYPE_CHECKING:
    import highspy


class RowBuilder:
    """Gathers columns and rows; gives them as HiGHS or SciPy takes them."""

    def __init__(self) -> None:
        self._lower: list[Array] = []
        self._upper: list[Array] = []
        self._integer: list[np.ndarray] = []
        self._places: list[np.ndarray] = []
        self._values: list[Array] = []
        self._ends: list[tuple[float, float]] = []
        self.size = 0

    def columns(self, lower: Array, upper: Array, *, integer: bool = False) -> np.ndarray:
        """Add columns; returns their positions."""
        positions = np.arange(self.size, self.size + len(lower))
        self._lower.append(lower)
        self._upper.append(upper)
        self._integer.append(np.full(len(lower), integer))
        self.size += len(lower)
        return positions

    def row(self, positions: np.ndarray, values: Array, lower: float, upper: float) -> None:
        """Add lower <= sum values * x[positions] <= upper."""
        self._places.append(np.asarray(positions, dtype=np.int64))
        self._values.append(np.asarray(values, dtype=np.float64))
        self._ends.append((lower, upper))

    @property
    def count(self) -> int:
        """Rows so far."""
        return len(self._ends)

    @property
    def bounds(self) -> tuple[Array, Array]:
        return np.concatenate(self._lower), np.concatenate(self._upper)

    @property
    def ends(self) -> tuple[Array, Array]:
        ends = np.array(self._ends, dtype=np.float64).reshape(-1, 2)
        return np.ascontiguousarray(ends[:, 0]), np.ascontiguousarray(ends[:, 1])

    @property
    def matrix(self) -> sparse.csr_matrix:
        starts = np.concatenate(([0], np.cumsum([len(p) for p in self._places]))).astype(np.int64)
        places = np.concatenate(self._places) if self._places else np.empty(0, np.int64)
        values = np.concatenate(self._values) if self._values else np.empty(0)
        return sparse.csr_matrix((values, places, starts), shape=(len(self._places), self.size))

    def highs_lp(self, cost: Array | None = None) -> "highspy.HighsLp":
        """A linear program in HiGHS' form; no cost: any feasible point will do."""
        import highspy

        matrix = self.matrix
        lp = highspy.HighsLp()
        lp.num_col_, lp.num_row_ = self.size, matrix.shape[0]
        lp.col_cost_ = np.zeros(self.size) if cost is None else cost
        lp.col_lower_, lp.col_upper_ = self.bounds
        lp.row_lower_, lp.row_upper_ = self.ends
        lp.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
        lp.a_matrix_.start_ = matrix.indptr.astype(np.int32)
        lp.a_matrix_.index_ = matrix.indices.astype(np.int32)
        lp.a_matrix_.value_ = matrix.data
        integer = np.concatenate(self._integer)
        if integer.any():
            kinds = (highspy.HighsVarType.kContinuous, highspy.HighsVarType.kInteger)
            lp.integrality_ = [kinds[int(flag)] for flag in integer]
        return lp
