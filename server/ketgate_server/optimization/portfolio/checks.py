"""Checks of the numbers of a portfolio problem, each naming the field and what to do about it."""

import math
import time

import numpy as np
from ketgate_native import qp
from ketgate_native.monitor import Monitor

from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.optimization.portfolio.covariance import Array

SYMMETRY_TOLERANCE = 1e-12
"""Greatest |C_ij - C_ji|, relative to the greatest entry; what is below it is averaged away."""
PSD_TOLERANCE = 1e-10
"""Least eigenvalue allowed, relative to the greatest variance: that much is rounding of an
estimate.
"""
REPAIR_S = 1e-9
REPAIR_NAMES_FREE = 200
"""Seconds that an eigendecomposition takes, times names cubed; and names up to which it is brief."""
MOMENT_MAX = 1e15
"""Greatest return or covariance: beyond it squares and sums could overflow."""
WEIGHT_MAX = 1e6
"""Greatest weight, bound or coefficient: a thousand thousand times the capital is a slip, not a
position.
"""


def check_magnitude(array: Array, path: str, largest: float) -> None:
    if array.size and float(np.abs(array).max()) > largest:
        k = int(np.abs(array).argmax())
        raise FieldError(
            path,
            expected=f"numbers of magnitude at most {largest:g}",
            given=f"{array.flat[k]} at element {k}",
        )


def check_not_negative(array: Array, path: str) -> None:
    if array.size and float(array.min()) < 0.0:
        k = int(array.argmin())
        raise FieldError(
            path, expected="numbers not below 0", given=f"{array.flat[k]} at element {k}"
        )


def symmetric(matrix: Array, path: str) -> Array:
    """The matrix made exactly symmetric; refused where it is further from it than rounding
    explains.
    """
    check_magnitude(matrix, path, MOMENT_MAX)
    difference = np.abs(matrix - matrix.T)
    if float(difference.max()) > SYMMETRY_TOLERANCE * float(np.abs(matrix).max()):
        i, j = np.unravel_index(int(difference.argmax()), matrix.shape)
        raise FieldError(
            path,
            expected=f"a symmetric matrix (to {SYMMETRY_TOLERANCE:g} of its greatest entry)",
            given=f"{matrix[i, j]} at ({i}, {j}) and {matrix[j, i]} at ({j}, {i})",
            hint="send (C + C') / 2 if the difference is noise",
        )
    return np.ascontiguousarray((matrix + matrix.T) / 2)


def positive_semidefinite(
    matrix: Array, path: str, *, repair: bool = False, until_s: float = math.inf
) -> tuple[Array, str]:
    """The matrix, and a warning if it was repaired. Refused with its least eigenvalue if it is not
    PSD; DEADLINE_EXCEEDED where that is not known until then (time.monotonic()).
    """
    left_s = until_s - time.monotonic()
    watch = Monitor(0, time_limit_s=left_s) if math.isfinite(left_s) else None
    try:
        found = qp.psd_check(matrix, tolerance=PSD_TOLERANCE, monitor=watch)
    except TimeoutError as error:
        raise KetgateError(
            Reason.DEADLINE_EXCEEDED,
            f"{path}: the time limit passed before it was known to be positive semidefinite",
        ) from error
    if found.is_psd:
        return matrix, ""
    if repair:
        _check_repair_time(len(matrix), path, until_s - time.monotonic())
        return nearest_psd(matrix)
    worst = (
        ""
        if found.eigenvector is None
        else f", mostly in position {int(np.abs(found.eigenvector).argmax())}"
    )
    raise FieldError(
        path,
        expected="a positive semidefinite matrix",
        given=f"one with an eigenvalue of {found.min_eigenvalue:.6g}{worst}",
        hint="set nearest_psd to use the nearest matrix that is, or estimate with shrinkage",
    )


def _check_repair_time(size: int, path: str, left_s: float) -> None:
    """A decomposition cannot be stopped, so one that would overrun the limit is not begun."""
    needed_s = REPAIR_S * size**3
    if size > REPAIR_NAMES_FREE and needed_s > left_s:
        raise FieldError(
            path,
            expected=f"about {needed_s:.1g} s of time to find the nearest matrix of {size} names",
            given=f"{max(left_s, 0.0):.1g} s",
            hint="set a longer time_limit, or repair it beforehand",
        )


def nearest_psd(matrix: Array) -> tuple[Array, str]:
    """The nearest positive semidefinite matrix in the Frobenius norm, and by how much it moved.

    For a symmetric matrix that is its eigenvalues with the negative ones set to 0 (Higham 1988).
    Variances grow by it; a correlation matrix would need alternating projections to keep its
    diagonal, which is not asked here.
    """
    values, vectors = np.linalg.eigh(matrix)
    raised = np.maximum(values, 0.0)
    repaired = (vectors * raised) @ vectors.T
    repaired = np.ascontiguousarray((repaired + repaired.T) / 2)
    moved = float(
        np.linalg.norm(repaired - matrix) / max(np.linalg.norm(matrix), np.finfo(float).tiny)
    )
    rise = float(np.max(np.diagonal(repaired) - np.diagonal(matrix)))
    text = (
        f"the covariance was not positive semidefinite (least eigenvalue {values[0]:.6g}); "
        f"the nearest one that is was used, {moved:.3g} of its Frobenius norm away; "
        f"variances rose by at most {rise:.3g}"
    )
    return repaired, text


def check_bounds(lower: Array, upper: Array, names: tuple[str, ...], path: str) -> None:
    """Refuse bounds that cross, naming the name."""
    crossing = lower > upper
    if crossing.any():
        k = int(np.argmax(crossing))
        label = f" ({names[k]})" if names else ""
        raise FieldError(
            f"{path}.lower",
            expected=f"a lower bound of at most the upper, {upper[k]:.10g}, at element {k}{label}",
            given=f"{lower[k]:.10g}",
            hint="without an upper bound it is 1 where the budget does not bound the weight",
        )
