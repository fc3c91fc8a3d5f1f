"""Messages of Ising energies, QUBOs, binary and linear programs to the domain. Refusals name the
field at fault."""

import math
from collections.abc import Mapping

import numpy as np
from ketgate.optimization.v1 import program_pb2
from ketgate.type.v1 import ising_pb2, tensor_pb2
from numpy.typing import NDArray

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.optimization.base import Sense
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.linear import LinearProblem
from ketgate_server.optimization.rows import NO_ROWS, Rows
from ketgate_server.type.convert_quadratic import (
    read_finite,
    read_ising_function,
    read_qubo_function,
    read_size,
)
from ketgate_server.type.sparse import Sparse, read_sparse
from ketgate_server.type.tensors import (
    UINT8,
    read_float64,
    read_tensor,
)

COEFFICIENT_MAX = 1e15
BOUND_MAX = 1e20
"""HiGHS refuses larger coefficients, and takes larger bounds for infinite."""
NAME_CHARACTERS_MAX = 200

Limits = Mapping[str, Limit]


def read_ising(message: ising_pb2.Ising, path: str, limits: Limits) -> IsingProblem:
    return IsingProblem(read_ising_function(message, path, limits))


def read_qubo(message: ising_pb2.Qubo, path: str, limits: Limits) -> IsingProblem:
    return IsingProblem(read_qubo_function(message, path, limits))


def read_binary_quadratic(
    message: program_pb2.BinaryQuadraticProgram, path: str, limits: Limits, tolerance: float
) -> BinaryProblem:
    """tolerance: greatest absolute violation of a row whose numbers are not whole."""
    if not message.HasField("objective"):
        raise FieldError(f"{path}.objective", expected="the function to minimise", given="nothing")
    function = read_qubo_function(message.objective, f"{path}.objective", limits)
    rows = _read_rows(message.rows, f"{path}.rows", function.size, limits)
    return BinaryProblem(function, rows, tolerance)


def read_linear(message: program_pb2.LinearProgram, path: str, limits: Limits) -> LinearProblem:
    if not message.HasField("objective"):
        raise FieldError(f"{path}.objective", expected="coefficients, shape (n,)", given="nothing")
    senses = {
        program_pb2.OBJECTIVE_SENSE_UNSPECIFIED: Sense.MINIMIZE,
        program_pb2.OBJECTIVE_SENSE_MINIMIZE: Sense.MINIMIZE,
        program_pb2.OBJECTIVE_SENSE_MAXIMIZE: Sense.MAXIMIZE,
    }
    if message.sense not in senses:
        raise FieldError(f"{path}.sense", expected="MINIMIZE or MAXIMIZE", given=message.sense)
    objective = read_float64(message.objective, f"{path}.objective", shape=("n",))
    size = read_size(len(objective), f"{path}.objective", limits, "optimization.variables_max")
    _check_magnitude(objective, BOUND_MAX, f"{path}.objective")
    rows = _read_rows(message.rows, f"{path}.rows", size, limits)
    lower = _read_bounds(message, "lower", size, path, 0.0)
    upper = _read_bounds(message, "upper", size, path, math.inf)
    _check_intervals(lower, upper, path, "variable")
    integer = np.zeros(size, dtype=np.bool_)
    if message.HasField("integrality"):
        flags = read_tensor(
            message.integrality, f"{path}.integrality", shape=(size,), dtypes={UINT8}
        )
        if (flags > 1).any():
            k = int(np.argmax(flags > 1))
            raise FieldError(
                f"{path}.integrality", expected="0 or 1", given=f"{flags[k]} at element {k}"
            )
        integer = flags.astype(np.bool_)
    _check_integer_bounds(lower, upper, integer, path)
    offset = read_finite(message.offset, f"{path}.offset")
    return LinearProblem(senses[message.sense], objective, offset, rows, lower, upper, integer)


def _read_rows(message: program_pb2.LinearRows, path: str, columns: int, limits: Limits) -> Rows:
    given = [name for name in ("lower", "upper") if message.HasField(name)]
    if not given:
        if message.HasField("matrix") or message.names:
            raise FieldError(
                f"{path}.lower", expected="the ends of the rows in lower or upper", given="neither"
            )
        return NO_ROWS
    first = read_float64(
        getattr(message, given[0]), f"{path}.{given[0]}", shape=("m",), finite=False
    )
    count, allowed = len(first), limits["optimization.rows_max"].value
    if count > allowed:
        raise LimitError("optimization.rows_max", allowed=allowed, given=count, field=path)
    lower = _read_row_ends(message, "lower", count, path, -math.inf)
    upper = _read_row_ends(message, "upper", count, path, math.inf)
    _check_intervals(lower, upper, path, "row")
    matrix = read_sparse(
        message.matrix,
        f"{path}.matrix",
        rows=count,
        columns=columns,
        entries_max=limits["optimization.nonzeros_max"].value,
        entries_limit="optimization.nonzeros_max",
    )
    _check_magnitude(matrix.value, COEFFICIENT_MAX, f"{path}.matrix.value")
    matrix = _without_zeros(matrix)
    return Rows(matrix, lower, upper, _read_names(message, count, path))


def _read_names(message: program_pb2.LinearRows, count: int, path: str) -> tuple[str, ...]:
    names = tuple(message.names)
    if names and len(names) != count:
        raise FieldError(f"{path}.names", expected=f"none or {count} names", given=len(names))
    for k, name in enumerate(names):
        if len(name) > NAME_CHARACTERS_MAX:
            raise FieldError(
                f"{path}.names[{k}]",
                expected=f"at most {NAME_CHARACTERS_MAX} characters",
                given=len(name),
            )
    return names


def _without_zeros(matrix: Sparse) -> Sparse:
    kept = matrix.value != 0.0
    if kept.all():
        return matrix
    return Sparse(matrix.row[kept], matrix.column[kept], matrix.value[kept])


def _read_bounds(
    message: program_pb2.LinearProgram, name: str, size: int, path: str, default: float
) -> NDArray[np.float64]:
    if not message.HasField(name):
        return np.full(size, default)
    tensor: tensor_pb2.Tensor = getattr(message, name)
    where = f"{path}.{name}"
    ends = read_float64(tensor, where, shape=(size,), finite=False, broadcast_scalar=True)
    return _check_ends(ends, where, lower=name == "lower")


def _read_row_ends(
    message: program_pb2.LinearRows, name: str, count: int, path: str, default: float
) -> NDArray[np.float64]:
    if not message.HasField(name):
        return np.full(count, default)
    where = f"{path}.{name}"
    ends = read_float64(getattr(message, name), where, shape=(count,), finite=False)
    return _check_ends(ends, where, lower=name == "lower")


def _check_ends(ends: NDArray[np.float64], path: str, *, lower: bool) -> NDArray[np.float64]:
    """Refuse a lower end of +inf, an upper end of -inf, and finite ends that a solver would take
    for infinite."""
    impossible = ends == (math.inf if lower else -math.inf)
    large = np.isfinite(ends) & (np.abs(ends) >= BOUND_MAX)
    bad = impossible | large
    if bad.any():
        k = int(np.argmax(bad))
        allowed = "-inf" if lower else "+inf"
        raise FieldError(
            path,
            expected=f"numbers below {BOUND_MAX:g} in magnitude, or {allowed}",
            given=f"{ends[k]} at element {k}",
        )
    return ends


def _check_intervals(
    lower: NDArray[np.float64], upper: NDArray[np.float64], path: str, what: str
) -> None:
    crossed = lower > upper
    if crossed.any():
        k = int(np.argmax(crossed))
        raise FieldError(
            f"{path}.lower",
            expected=f"bounds that do not cross: at most the upper one, {upper[k]:g}",
            given=f"{lower[k]:g} for {what} {k}",
        )


def _check_integer_bounds(
    lower: NDArray[np.float64], upper: NDArray[np.float64], integer: NDArray[np.bool_], path: str
) -> None:
    """Finite bounds of integers beyond 2^53 could not be told apart."""
    ends = np.where(np.isfinite(lower), np.abs(lower), 0.0)
    ends = np.maximum(ends, np.where(np.isfinite(upper), np.abs(upper), 0.0))
    large = integer & (ends > 2.0**53)
    if large.any():
        k = int(np.argmax(large))
        raise FieldError(
            f"{path}.upper",
            expected="bounds of integers within 2^53",
            given=f"{ends[k]:g} for variable {k}",
        )


def _check_magnitude(values: NDArray[np.float64], allowed: float, path: str) -> None:
    large = np.abs(values) >= allowed
    if large.any():
        k = int(np.argmax(large))
        raise FieldError(
            path,
            expected=f"numbers below {allowed:g} in magnitude",
            given=f"{values[k]} at element {k}",
        )
