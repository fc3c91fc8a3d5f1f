"""Sparse matrices on the wire: coordinates and values, checked."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from ketgate.type.v1 import tensor_pb2
from numpy.typing import NDArray

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.type.tensors import (
    INT32,
    INT64,
    element_at,
    read_float64,
    read_tensor,
)

_UNSIGNED: dict[int, Any] = {4: np.dtype(np.uint32), 8: np.dtype(np.uint64)}


@dataclass(frozen=True)
class Sparse:
    """A checked sparse matrix in coordinate form: value[k] at (row[k], column[k]); no position
    twice."""

    row: NDArray[np.int64]
    column: NDArray[np.int64]
    value: NDArray[np.float64]

    @property
    def entries(self) -> int:
        return len(self.value)


def read_sparse(
    matrix: tensor_pb2.SparseMatrix,
    path: str,
    *,
    rows: int,
    columns: int,
    entries_max: int,
    entries_limit: str,
    symmetric: bool = False,
    diagonal: bool = True,
) -> Sparse:
    """Read coordinates and values; an absent matrix is empty.

    symmetric: (i, j) and (j, i) are one position. diagonal: whether (i, i) is allowed.
    entries_max, entries_limit: the most entries allowed and the limit's name.
    """
    if not (matrix.HasField("row") or matrix.HasField("column") or matrix.HasField("value")):
        return Sparse(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))
    for part in ("row", "column", "value"):
        if not matrix.HasField(part):
            raise FieldError(
                f"{path}.{part}",
                expected="the row, column and value of every entry",
                given="nothing",
            )
    indices = (INT64, INT32)
    row = read_tensor(matrix.row, f"{path}.row", shape=("nnz",), dtypes=indices)
    if len(row) > entries_max:
        raise LimitError(entries_limit, allowed=entries_max, given=len(row), field=path)
    column = read_tensor(matrix.column, f"{path}.column", shape=(len(row),), dtypes=indices)
    value = read_float64(matrix.value, f"{path}.value", shape=(len(row),))
    row = _check_indices(row, f"{path}.row", rows)
    column = _check_indices(column, f"{path}.column", columns)
    if not diagonal and (row == column).any():
        k = int(np.argmax(row == column))
        raise FieldError(
            path, expected="an empty diagonal", given=f"entry {k} at ({row[k]}, {column[k]})"
        )
    _check_distinct(row, column, path, columns, symmetric)
    return Sparse(row, column, value)


def _check_indices(indices: NDArray[Any], path: str, extent: int) -> NDArray[np.int64]:
    # Read as unsigned, what is negative is beyond any extent.
    if indices.size and indices.view(_UNSIGNED[indices.itemsize]).max() >= extent:
        k = int(np.argmax((indices < 0) | (indices >= extent)))
        raise FieldError(
            path, expected=f"positions from 0 to {extent - 1}", given=element_at(indices, k)
        )
    return indices.astype(np.int64, copy=False)


def _check_distinct(
    row: NDArray[np.int64], column: NDArray[np.int64], path: str, columns: int, symmetric: bool
) -> None:
    """Refuse a position given twice. Extents are limited to far below 2^31, so a key fits 64
    bits."""
    if len(row) < 2:
        return
    first, second = row, column
    if symmetric:
        first, second = np.minimum(row, column), np.maximum(row, column)
    keys = first * columns + second
    if (keys[1:] > keys[:-1]).all():
        return
    ordered = np.sort(keys)
    if (ordered[1:] > ordered[:-1]).all():
        return
    order = np.argsort(keys, kind="stable")
    at = int(np.argmax(keys[order][1:] == keys[order][:-1]))
    one, other = int(order[at]), int(order[at + 1])
    pair = f"({row[other]}, {column[other]})"
    expected = "each unordered pair at most once" if symmetric else "each position at most once"
    raise FieldError(path, expected=expected, given=f"{pair} at entries {one} and {other}")
