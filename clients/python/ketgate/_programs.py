"""Requests for Ising energies, QUBOs, binary programs and linear programs, from NumPy, SciPy or
mappings.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Unpack

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate._errors import InvalidArgument
from ketgate._labels import Labels, is_frame, is_series
from ketgate._options import Prepared, SolveOptions, fill_options, number
from ketgate._result import BinaryResult, IsingResult, LinearResult
from ketgate._tensor import coordinates, float_array, to_sparse, to_tensor
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import program_pb2
from ketgate.type.v1 import ising_pb2


def qubo(
    Q: Any, *, linear: ArrayLike | None = None, offset: float = 0.0, **options: Unpack[SolveOptions]
) -> Prepared[BinaryResult]:
    """Minimise offset + linear'x + x'Qx over binaries x.

    Q: a matrix (NumPy, SciPy sparse, DataFrame) or a mapping {(i, j): value}, whose labels may be
    anything hashable. Every entry counts once as it stands: Q_ij and Q_ji are added up, so a
    symmetric Q and the upper triangle that holds twice its off-diagonal entries are the same
    problem. linear: shape (n,).

    >>> client.optimize.qubo({("a", "a"): -1, ("b", "b"): -1, ("a", "b"): 3}).by_name
    {'a': 1, 'b': 0}
    """
    spec = service_pb2.SolveSpec()
    labels = fill_qubo(spec.qubo, Q, linear, offset)
    progress = fill_options(spec, options)
    return Prepared(spec, lambda outcome: BinaryResult(outcome, labels), progress)


def ising(
    h: Any = None, J: Any = None, *, offset: float = 0.0, **options: Unpack[SolveOptions]
) -> Prepared[IsingResult]:
    """Minimise offset + h's + s'Js over spins s of -1 and +1.

    h: shape (n,), or a mapping {i: value}. J: a matrix (NumPy, SciPy sparse, DataFrame) or a
    mapping {(i, j): value}. Every entry of J counts once as it stands: J_ij and J_ji are added up,
    so give each pair once (one triangle), or halve a symmetric J. A diagonal entry only adds to the
    offset, as s^2 = 1.
    """
    spec = service_pb2.SolveSpec()
    labels = fill_ising(spec.ising, h, J, offset)
    progress = fill_options(spec, options)
    return Prepared(spec, lambda outcome: IsingResult(outcome, labels), progress)


def binary(
    Q: Any,
    A: Any = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    linear: ArrayLike | None = None,
    offset: float = 0.0,
    row_names: Sequence[str] | None = None,
    **options: Unpack[SolveOptions],
) -> Prepared[BinaryResult]:
    """Minimise offset + linear'x + x'Qx over binaries x with lower <= Ax <= upper.

    Q, linear as for `qubo`. A: shape (m, n), dense or SciPy sparse; lower, upper: one number or m
    of them, None or an infinity for no bound, equal for an equation. The rows are held exactly; no
    penalty weights are needed.
    """
    spec = service_pb2.SolveSpec()
    program = spec.binary_quadratic
    labels = fill_qubo(program.objective, Q, linear, offset)
    _fill_rows(program.rows, A, lower, upper, row_names, program.objective.num_variables)
    progress = fill_options(spec, options)
    return Prepared(spec, lambda outcome: BinaryResult(outcome, labels), progress)


def linear(
    c: Any,
    A: Any = None,
    lower: ArrayLike | None = None,
    upper: ArrayLike | None = None,
    *,
    bounds: tuple[Any, Any] | None = None,
    integrality: Any = None,
    maximize: bool = False,
    offset: float = 0.0,
    names: Sequence[str] | None = None,
    row_names: Sequence[str] | None = None,
    **options: Unpack[SolveOptions],
) -> Prepared[LinearResult]:
    """Minimise, or maximise, offset + c'x with lower <= Ax <= upper and bounds on x.

    c: shape (n,) or a Series. A: shape (m, n), dense, SciPy sparse or DataFrame. bounds: (least,
    greatest) of x, each one number or n of them; default 0 and no upper bound. integrality: True,
    or n truth values: where x is whole.
    """
    labels = Labels.find(names, c, A)
    spec = service_pb2.SolveSpec()
    program = spec.linear
    cost = float_array(c, "c", ndim=1)
    size = len(cost)
    program.objective.CopyFrom(to_tensor(cost))
    program.offset = number(offset, "offset", float)
    program.sense = (
        program_pb2.OBJECTIVE_SENSE_MAXIMIZE if maximize else program_pb2.OBJECTIVE_SENSE_MINIMIZE
    )
    _fill_rows(program.rows, A, lower, upper, row_names, size)
    for field, bound in zip((program.lower, program.upper), _pair(bounds, "bounds"), strict=True):
        if bound is not None:
            field.CopyFrom(to_tensor(labels.vector(bound, "bounds", size)))
    if integrality is not None:
        whole = np.broadcast_to(np.asarray(integrality, dtype=bool), (size,))
        program.integrality.CopyFrom(to_tensor(whole.astype(np.uint8)))
    progress = fill_options(spec, options)
    return Prepared(spec, lambda outcome: LinearResult(outcome, labels), progress)


def fill_qubo(message: ising_pb2.Qubo, Q: Any, linear: ArrayLike | None, offset: float) -> Labels:
    """Write a function as `qubo` takes it. Returns the names of its variables."""
    labels, size, (row, column, value), diagonal = _quadratic(Q, "Q", linear)
    message.num_variables = size
    message.offset = number(offset, "offset", float)
    coefficients = diagonal
    if linear is not None:
        coefficients = coefficients + _full(
            labels.vector(linear, "linear", size, default=0.0), size
        )
    if coefficients.any():
        message.linear.CopyFrom(to_tensor(coefficients))
    if row.size:
        message.quadratic.CopyFrom(to_sparse(row, column, value))
    return labels


def fill_ising(message: ising_pb2.Ising, h: Any, J: Any, offset: float) -> Labels:
    """Write an energy as `ising` takes it. Returns the names of its spins."""
    if h is None and J is None:
        raise InvalidArgument("ising: expected h, J or both, given neither", field="h")
    labels, size, pairs, diagonal = _quadratic(J, "J", h)
    message.num_spins = size
    message.offset = number(offset, "offset", float) + float(diagonal.sum())
    if h is not None:
        message.linear.CopyFrom(to_tensor(_full(labels.vector(h, "h", size, default=0.0), size)))
    if pairs[0].size:
        message.quadratic.CopyFrom(to_sparse(*pairs))
    return labels


def _fill_rows(
    message: program_pb2.LinearRows,
    A: Any,
    lower: Any,
    upper: Any,
    names: Sequence[str] | None,
    size: int,
) -> None:
    if A is None:
        if lower is not None or upper is not None:
            raise InvalidArgument(
                "A: expected a matrix with the rows' bounds, given none", field="A"
            )
        return
    if is_frame(A):
        names = [str(key) for key in A.index] if names is None else names
    if not hasattr(A, "tocoo"):
        A = np.atleast_2d(np.asarray(A))
    shape, row, column, value = coordinates(A, "A")
    if shape[1] != size:
        raise InvalidArgument(f"A: expected {size} columns, given shape {shape}", field="A")
    message.matrix.CopyFrom(to_sparse(row, column, value))
    for field, bound, name in ((message.lower, lower, "lower"), (message.upper, upper, "upper")):
        if bound is not None:
            array = float_array(bound, name)
            if array.ndim > 1 or array.size not in (1, shape[0]):
                raise InvalidArgument(
                    f"{name}: expected one number or {shape[0]}, given shape {array.shape}",
                    field=name,
                )
            field.CopyFrom(to_tensor(np.broadcast_to(array, (shape[0],))))
    if lower is None and upper is None:
        raise InvalidArgument(
            "lower: expected lower, upper or both with A, given neither", field="lower"
        )
    message.names.extend(str(name) for name in names or ())


Pairs = tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]


def _quadratic(
    matrix: Any, field: str, linear: Any
) -> tuple[Labels, int, Pairs, NDArray[np.float64]]:
    """Labels, n, the pairs i < j with their summed entries, and the diagonal, shape (n,)."""
    labels, size = _linear_labels(linear)
    if matrix is None:
        matrix = {}
    if isinstance(matrix, Mapping):
        labels, found, row, column, value = _from_mapping(matrix, field, labels, size)
        size = max(found, size)
    else:
        if is_frame(matrix):
            labels = Labels.find(None, matrix)
            matrix = labels.square(matrix, field)
        shape, row, column, value = coordinates(matrix, field)
        if shape[0] != shape[1]:
            raise InvalidArgument(
                f"{field}: expected a square matrix, given shape {shape}", field=field
            )
        if size > shape[0]:
            raise InvalidArgument(
                f"{field}: expected {size} rows, as many as linear terms, given shape {shape}",
                field=field,
            )
        size = shape[0]
    on = row == column
    diagonal = np.bincount(row[on], weights=value[on], minlength=size).astype(np.float64)
    return labels, size, _summed(row[~on], column[~on], value[~on], size), diagonal


def _summed(
    row: NDArray[np.int64], column: NDArray[np.int64], value: NDArray[np.float64], size: int
) -> Pairs:
    """Each unordered pair once, i < j, with the sum of its entries, sorted; sums of 0 are kept
    out.
    """
    low, high = np.minimum(row, column), np.maximum(row, column)
    key, where = np.unique(low * size + high, return_inverse=True)
    total = np.bincount(where, weights=value, minlength=len(key)) if len(key) else np.empty(0)
    keep = total != 0  # NaN is kept: the server names it
    key, total = key[keep], total[keep]
    return key // max(size, 1), key % max(size, 1), total.astype(np.float64)


def _from_mapping(
    entries: Mapping[Any, Any], field: str, labels: Labels, size: int
) -> tuple[Labels, int, NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Coordinates of {(i, j): value}; whole numbers are positions, other labels are numbered as
    they appear.
    """
    for key in entries:
        if not (isinstance(key, tuple) and len(key) == 2):
            raise InvalidArgument(f"{field}: expected keys (i, j), given {key!r}", field=field)
    ends = [end for key in entries for end in key]
    if (
        all(isinstance(end, (int, np.integer)) and not isinstance(end, bool) for end in ends)
        and not labels.named
    ):
        positions = np.array(ends, dtype=np.int64)
        if positions.min(initial=0) < 0:
            raise InvalidArgument(
                f"{field}: expected positions from 0, given {positions.min()}", field=field
            )
        count = int(positions.max(initial=-1)) + 1
    else:
        labels = Labels(list(dict.fromkeys([*(labels.keys or range(size)), *ends])))
        count = len(labels.keys or ())
        positions = np.array([labels.position(end, field, count) for end in ends], dtype=np.int64)
    values = float_array(list(entries.values()), field, ndim=1)
    return labels, count, positions[0::2], positions[1::2], values


def _linear_labels(values: Any) -> tuple[Labels, int]:
    """Labels and the least n that linear terms tell of."""
    if values is None or (np.ndim(values) == 0 and not isinstance(values, Mapping)):
        return Labels(None), 0
    if is_series(values):
        return Labels.find(None, values), len(values)
    if not isinstance(values, Mapping):
        return Labels(None), len(values)
    if all(isinstance(key, (int, np.integer)) for key in values):
        return Labels(None), int(max(values, default=-1)) + 1
    return Labels(list(values)), len(values)


def _full(values: NDArray[np.float64], size: int) -> NDArray[np.float64]:
    return np.ascontiguousarray(np.broadcast_to(values, (size,)))


def _pair(value: Any, field: str) -> tuple[Any, Any]:
    if value is None:
        return None, None
    if isinstance(value, (tuple, list)) and len(value) == 2:
        return value[0], value[1]
    raise InvalidArgument(f"{field}: expected a pair (lower, upper), given {value!r}", field=field)
