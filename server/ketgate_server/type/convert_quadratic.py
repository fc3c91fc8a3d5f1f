"""Ising energies and QUBOs of the wire: quadratic functions, checked. Refusals name the field at
fault."""

from collections.abc import Mapping

import numpy as np
from ketgate.type.v1 import ising_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import read_sparse
from ketgate_server.type.tensors import read_float64

MAGNITUDE_MAX = 1e300
"""Sums of magnitudes beyond this could overflow while energies are added up."""

Limits = Mapping[str, Limit]


def read_ising_function(message: ising_pb2.Ising, path: str, limits: Limits) -> QuadraticFunction:
    size = read_size(message.num_spins, f"{path}.num_spins", limits, "optimization.spins_max")
    return _read_function(message, size, path, limits, Alphabet.SPIN)


def read_qubo_function(message: ising_pb2.Qubo, path: str, limits: Limits) -> QuadraticFunction:
    where = f"{path}.num_variables"
    size = read_size(message.num_variables, where, limits, "optimization.spins_max")
    return _read_function(message, size, path, limits, Alphabet.BINARY)


def _read_function(
    message: ising_pb2.Ising | ising_pb2.Qubo,
    size: int,
    path: str,
    limits: Limits,
    alphabet: Alphabet,
) -> QuadraticFunction:
    linear = np.zeros(size)
    if message.HasField("linear"):
        linear = read_float64(message.linear, f"{path}.linear", shape=(size,))
    quadratic = read_sparse(
        message.quadratic,
        f"{path}.quadratic",
        rows=size,
        columns=size,
        entries_max=limits["optimization.couplings_max"].value,
        entries_limit="optimization.couplings_max",
        symmetric=True,
        diagonal=alphabet is Alphabet.BINARY,
    )
    offset = read_finite(message.offset, f"{path}.offset")
    function = QuadraticFunction(alphabet, linear, quadratic, offset)
    if not function.magnitude <= MAGNITUDE_MAX:
        raise FieldError(
            path,
            expected=f"coefficients whose magnitudes sum to at most {MAGNITUDE_MAX:g}",
            given=function.magnitude,
        )
    return function


def read_size(size: int, path: str, limits: Limits, limit: str) -> int:
    if size < 1:
        raise FieldError(path, expected="at least 1 variable", given=size)
    if size > limits[limit].value:
        raise LimitError(limit, allowed=limits[limit].value, given=size, field=path)
    return size


def read_finite(value: float, path: str) -> float:
    if not abs(value) <= MAGNITUDE_MAX:
        raise FieldError(path, expected="a finite number", given=value)
    return value
