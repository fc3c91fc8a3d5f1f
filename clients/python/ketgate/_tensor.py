"""NumPy arrays and SciPy sparse matrices to and from the contract's tensors."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ketgate._errors import InternalError, InvalidArgument
from ketgate.type.v1 import tensor_pb2

_CODES: dict[np.dtype[Any], tensor_pb2.DataType] = {
    np.dtype("<f8"): tensor_pb2.DATA_TYPE_FLOAT64,
    np.dtype("<f4"): tensor_pb2.DATA_TYPE_FLOAT32,
    np.dtype("<i8"): tensor_pb2.DATA_TYPE_INT64,
    np.dtype("<i4"): tensor_pb2.DATA_TYPE_INT32,
    np.dtype("i1"): tensor_pb2.DATA_TYPE_INT8,
    np.dtype("u1"): tensor_pb2.DATA_TYPE_UINT8,
    np.dtype("<c16"): tensor_pb2.DATA_TYPE_COMPLEX128,
    np.dtype("<c8"): tensor_pb2.DATA_TYPE_COMPLEX64,
}
_DTYPES = {code: dtype for dtype, code in _CODES.items()}


def to_tensor(array: NDArray[Any]) -> tensor_pb2.Tensor:
    """The array as a Tensor: little-endian bytes in C order. Its dtype must be one of the
    contract's.
    """
    dtype = array.dtype.newbyteorder("<")
    code = _CODES[dtype]
    return tensor_pb2.Tensor(
        dtype=code, shape=array.shape, data=np.ascontiguousarray(array, dtype=dtype).tobytes()
    )


def from_tensor(message: tensor_pb2.Tensor) -> NDArray[Any]:
    """The Tensor as an array of its own shape; an array of the caller's own, that may be written
    to.
    """
    form = message.WhichOneof("values")
    if form == "doubles":
        flat: NDArray[Any] = np.array(message.doubles.values, dtype=np.float64)
    elif form == "integers":
        flat = np.array(message.integers.values, dtype=np.int64)
    elif message.dtype in _DTYPES:
        flat = np.frombuffer(message.data, dtype=_DTYPES[message.dtype]).copy()
    else:
        raise InternalError(f"the server sent a tensor of an unknown element type {message.dtype}")
    shape = tuple(message.shape) or flat.shape
    if flat.size != int(np.prod(shape)):
        raise InternalError(
            f"the server sent a tensor of {flat.size} elements for the shape {shape}"
        )
    return flat.reshape(shape)


def float_array(values: ArrayLike, field: str, *, ndim: int | None = None) -> NDArray[np.float64]:
    """values as float64; field names the argument in the error when they are no numbers or of other
    dimension.
    """
    try:
        given = np.asarray(values)
        if given.dtype.kind == "c":  # a cast would drop the imaginary parts
            raise TypeError("complex numbers")
        array = given.astype(np.float64, copy=False)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(
            f"{field}: expected numbers, given {_echo(values)} ({error})", field=field
        ) from None
    if ndim is not None and array.ndim != ndim:
        raise InvalidArgument(
            f"{field}: expected {ndim} dimension{'s' if ndim > 1 else ''}, given shape {array.shape}",
            field=field,
        )
    return array


def to_sparse(
    rows: NDArray[Any], columns: NDArray[Any], values: NDArray[np.float64]
) -> tensor_pb2.SparseMatrix:
    """Coordinates as the contract's SparseMatrix; positions travel in 32 bits where they fit."""
    top = max(int(rows.max(initial=0)), int(columns.max(initial=0)))
    position = np.int32 if top < 2**31 else np.int64
    return tensor_pb2.SparseMatrix(
        row=to_tensor(rows.astype(position)),
        column=to_tensor(columns.astype(position)),
        value=to_tensor(values),
    )


def is_scipy_sparse(value: object) -> bool:
    """Whether value is a SciPy sparse matrix or array, without importing SciPy."""
    return type(value).__module__.startswith("scipy.sparse") and hasattr(value, "tocoo")


def coordinates(
    matrix: Any, field: str
) -> tuple[tuple[int, int], NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
    """Shape, rows, columns and values of the nonzeros of a dense array or SciPy sparse matrix,
    duplicates summed.
    """
    if is_scipy_sparse(matrix):
        coo = matrix.tocoo(copy=True)
        coo.sum_duplicates()
        if coo.ndim != 2:
            raise InvalidArgument(
                f"{field}: expected a matrix, given shape {coo.shape}", field=field
            )
        shape = (int(coo.shape[0]), int(coo.shape[1]))
        values = float_array(coo.data, field)
        row, column = coo.coords if hasattr(coo, "coords") else (coo.row, coo.col)
        return shape, np.asarray(row, dtype=np.int64), np.asarray(column, dtype=np.int64), values
    dense = float_array(matrix, field, ndim=2)
    row, column = np.nonzero(dense)
    return (dense.shape[0], dense.shape[1]), row, column, dense[row, column]


def _echo(value: object) -> str:
    text = repr(value)
    return text if len(text) <= 100 else text[:100] + "…"
