"""Checks of the array arguments of kernels: contiguous arrays of the right dtype, or a ValueError that says which."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray


def doubles(values: ArrayLike, name: str) -> NDArray[np.float64]:
    """One dimension of float64, whatever they are."""
    array: NDArray[np.float64] = np.ascontiguousarray(values, dtype=np.float64)
    if array.ndim != 1 or np.ndim(values) != 1:
        raise ValueError(f"{name}: expected one dimension, given {np.ndim(values)}")
    return array


def integers(values: ArrayLike, name: str) -> NDArray[np.int64]:
    """One dimension of int64, whatever they are."""
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, given {array.ndim}")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers, given {array.dtype}")
    return np.ascontiguousarray(array, dtype=np.int64)


def finite(values: ArrayLike, name: str, *, infinite: bool = False) -> NDArray[np.float64]:
    """One dimension of finite float64; infinite: -inf and +inf are allowed too."""
    array = doubles(values, name)
    good = ~np.isnan(array) if infinite else np.isfinite(array)
    if not good.all():
        at = int(np.flatnonzero(~good)[0])
        raise ValueError(f"{name}[{at}]: expected a finite number, given {array[at]}")
    return array


def indices(values: ArrayLike, name: str, bound: int) -> NDArray[np.int32]:
    """One dimension of integers in [0, bound), as int32."""
    array: NDArray[Any] = np.asarray(values)
    if array.ndim != 1:
        raise ValueError(f"{name}: expected one dimension, given {array.ndim}")
    if array.size and array.dtype.kind not in "iu":
        raise ValueError(f"{name}: expected integers, given {array.dtype}")
    bad = np.flatnonzero((array < 0) | (array >= bound))
    if bad.size:
        at = int(bad[0])
        raise ValueError(f"{name}[{at}]: expected an index in [0, {bound}), given {array[at]}")
    return np.ascontiguousarray(array, dtype=np.int32)


def states(values: ArrayLike, n: int, name: str, low: int, high: int) -> NDArray[np.int8]:
    """(k, n) int8 with only the values low and high, from (k, n) or (n,)."""
    given: NDArray[Any] = np.asarray(values)
    rows = given[None, :] if given.ndim == 1 else given
    if rows.ndim != 2 or rows.shape[1] != n:
        raise ValueError(f"{name}: expected shape (k, {n}) or ({n},), given {given.shape}")
    if not ((rows == low) | (rows == high)).all():
        raise ValueError(f"{name}: expected values {low} and {high}")
    return np.ascontiguousarray(rows, dtype=np.int8)


def same_length(**arrays: NDArray[Any]) -> None:
    lengths = [array.shape[0] for array in arrays.values()]
    if len(set(lengths)) > 1:
        raise ValueError(
            f"{', '.join(arrays)}: expected equal lengths, given {', '.join(map(str, lengths))}"
        )


def count(value: int, name: str, least: int, most: int) -> int:
    """An integer in [least, most]."""
    if (
        isinstance(value, bool)
        or not isinstance(value, (int, np.integer))
        or not least <= value <= most
    ):
        raise ValueError(f"{name}: expected an integer from {least} to {most}, given {value!r}")
    return int(value)
