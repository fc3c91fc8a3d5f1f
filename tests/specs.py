"""Small requests that tests of the optimisation domain share, and a call to send them with."""

import itertools
import time
from collections.abc import Callable

import numpy as np
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.type.v1 import tensor_pb2
from ketgate_server.rpc.call import Identity
from numpy.typing import ArrayLike, NDArray

DTYPES = {"f8": 1, "f4": 2, "i8": 3, "i4": 4, "i1": 5, "u1": 6}


def tensor(values: ArrayLike, dtype: str = "f8") -> tensor_pb2.Tensor:
    """A tensor in bytes form, made here by hand so that it does not depend on the code under test."""
    array = np.ascontiguousarray(values, dtype="<" + dtype)
    return tensor_pb2.Tensor(dtype=DTYPES[dtype], shape=array.shape, data=array.tobytes())


def fill_sparse(message: tensor_pb2.SparseMatrix, matrix: ArrayLike) -> None:
    """Write the nonzeros of a dense matrix."""
    dense = np.asarray(matrix, dtype=np.float64)
    row, column = np.nonzero(dense)
    message.row.CopyFrom(tensor(row, "i4"))
    message.column.CopyFrom(tensor(column, "i4"))
    message.value.CopyFrom(tensor(dense[row, column]))


def ising(
    couplings: ArrayLike, linear: ArrayLike | None = None, offset: float = 0.0
) -> pb.SolveSpec:
    """couplings: (n, n), one triangle."""
    spec = pb.SolveSpec()
    spec.time_limit.seconds = 20
    spec.ising.num_spins = len(np.asarray(couplings))
    spec.ising.offset = offset
    fill_sparse(spec.ising.quadratic, couplings)
    if linear is not None:
        spec.ising.linear.CopyFrom(tensor(linear))
    return spec


def qubo(matrix: ArrayLike, linear: ArrayLike | None = None) -> pb.SolveSpec:
    """matrix: (n, n), one triangle and the diagonal."""
    spec = pb.SolveSpec()
    spec.time_limit.seconds = 20
    spec.qubo.num_variables = len(np.asarray(matrix))
    fill_sparse(spec.qubo.quadratic, matrix)
    if linear is not None:
        spec.qubo.linear.CopyFrom(tensor(linear))
    return spec


def binary(matrix: ArrayLike, rows: ArrayLike, lower: ArrayLike, upper: ArrayLike) -> pb.SolveSpec:
    spec = pb.SolveSpec()
    spec.time_limit.seconds = 20
    objective = spec.binary_quadratic.objective
    objective.num_variables = len(np.asarray(matrix))
    fill_sparse(objective.quadratic, matrix)
    fill_sparse(spec.binary_quadratic.rows.matrix, rows)
    spec.binary_quadratic.rows.lower.CopyFrom(tensor(lower))
    spec.binary_quadratic.rows.upper.CopyFrom(tensor(upper))
    return spec


def linear(
    objective: ArrayLike,
    rows: ArrayLike,
    lower: ArrayLike,
    upper: ArrayLike,
    *,
    x_lower: ArrayLike | None = None,
    x_upper: ArrayLike | None = None,
    integrality: ArrayLike | None = None,
    maximize: bool = False,
) -> pb.SolveSpec:
    spec = pb.SolveSpec()
    spec.time_limit.seconds = 20
    program = spec.linear
    program.sense = 2 if maximize else 1
    program.objective.CopyFrom(tensor(objective))
    if np.size(lower):
        fill_sparse(program.rows.matrix, rows)
        program.rows.lower.CopyFrom(tensor(lower))
        program.rows.upper.CopyFrom(tensor(upper))
    if x_lower is not None:
        program.lower.CopyFrom(tensor(x_lower))
    if x_upper is not None:
        program.upper.CopyFrom(tensor(x_upper))
    if integrality is not None:
        program.integrality.CopyFrom(tensor(integrality, "u1"))
    return spec


def random_couplings(size: int, density: float, seed: int) -> NDArray[np.float64]:
    """(n, n) upper triangle of small whole numbers."""
    rng = np.random.default_rng(seed)
    values = rng.integers(-3, 4, (size, size)) * (rng.random((size, size)) < density)
    return np.triu(values, 1).astype(np.float64)


def assignments(size: int, alphabet: tuple[int, int]) -> NDArray[np.float64]:
    """(2^n, n) every assignment."""
    return np.array(list(itertools.product(alphabet, repeat=size)), dtype=np.float64)


def energies(
    points: NDArray[np.float64], matrix: ArrayLike, linear: ArrayLike = 0.0
) -> NDArray[np.float64]:
    """(k,) x'Mx + linear'x, the slow and obvious way."""
    dense = np.asarray(matrix, dtype=np.float64)
    found: NDArray[np.float64] = np.einsum("ki,ij,kj->k", points, dense, points) + points @ (
        np.broadcast_to(np.asarray(linear, dtype=np.float64), (len(dense),))
    )
    return found


class LocalCall:
    """A rpc.call.Call without a wire."""

    method = "/ketgate.optimization.v1.OptimizationService/Solve"
    request_id = "test"
    identity = Identity("test", "default", frozenset({"admin"}))

    def __init__(self, remaining_s: float = float("inf")) -> None:
        self.arrival_s = time.monotonic()
        self.metadata: dict[str, str] = {}
        self._end_s = self.arrival_s + remaining_s
        self._callbacks: list[Callable[[], None]] = []
        self._cancelled = False

    def remaining_s(self) -> float:
        return self._end_s - time.monotonic()

    @property
    def cancelled(self) -> bool:
        return self._cancelled

    def on_cancel(self, callback: Callable[[], None]) -> None:
        if self._cancelled:
            callback()
        else:
            self._callbacks.append(callback)

    def set_trailer(self, key: str, value: str) -> None:
        pass

    def abandon(self) -> None:
        pass

    def cancel(self) -> None:
        self._cancelled = True
        for callback in self._callbacks:
            callback()
