"""Arrays on the wire: Tensor to NumPy and back.

Nothing is allocated before its size was checked against the bytes that really came. Every refusal
names the tensor's path, what was expected and what was given.
"""

from collections.abc import Collection, Sequence
from typing import Any

import numpy as np
from google.protobuf.message import Message
from ketgate.type.v1 import tensor_pb2
from numpy.typing import NDArray

from ketgate_server.arrays import current
from ketgate_server.errors import FieldError

FLOAT64 = tensor_pb2.DATA_TYPE_FLOAT64
FLOAT32 = tensor_pb2.DATA_TYPE_FLOAT32
INT64 = tensor_pb2.DATA_TYPE_INT64
INT32 = tensor_pb2.DATA_TYPE_INT32
INT8 = tensor_pb2.DATA_TYPE_INT8
UINT8 = tensor_pb2.DATA_TYPE_UINT8
COMPLEX128 = tensor_pb2.DATA_TYPE_COMPLEX128
COMPLEX64 = tensor_pb2.DATA_TYPE_COMPLEX64

FLOATS = frozenset({FLOAT64, FLOAT32})
INTEGERS = frozenset({INT64, INT32, INT8, UINT8})
NUMBERS = FLOATS | INTEGERS
"""What an array may hold where its field says nothing of complex numbers."""

DIMENSIONS_MAX = 8
EXACT_INTEGER_MAX = 2**53
"""Integers up to this are exact as float64."""

_WIRE: dict[int, np.dtype[Any]] = {
    FLOAT64: np.dtype("<f8"),
    FLOAT32: np.dtype("<f4"),
    INT64: np.dtype("<i8"),
    INT32: np.dtype("<i4"),
    INT8: np.dtype("i1"),
    UINT8: np.dtype("u1"),
    COMPLEX128: np.dtype("<c16"),
    COMPLEX64: np.dtype("<c8"),
}
_NAMES = {number: name.removeprefix("DATA_TYPE_") for name, number in tensor_pb2.DataType.items()}
_NUMBERS_BY_DTYPE = {dtype.newbyteorder("="): number for number, dtype in _WIRE.items()}

Shape = Sequence[int | str | None]
"""Expected extents: a number, None for any, or a letter for any, the same wherever the letter
stands."""


def read_tensor(
    tensor: tensor_pb2.Tensor,
    path: str,
    *,
    shape: Shape | None = None,
    dtypes: Collection[int] | None = None,
    finite: bool = True,
    broadcast_scalar: bool = False,
) -> NDArray[Any]:
    """The array a Tensor holds, in native byte order; read-only where it is a view of the message's
    bytes.

    shape: expected extents; None: any. dtypes: accepted element types (default: all numbers); a
    list of integers is cast to the accepted type that holds it. finite: refuse infinities too; NaN
    is always refused. broadcast_scalar: a single element stands for an array of the expected shape,
    whose extents must then be known.
    """
    accepted = NUMBERS if dtypes is None else frozenset(dtypes)
    flat = _elements(tensor, path, accepted)
    extents = _extents(tensor, path, len(flat))
    if broadcast_scalar and len(flat) == 1 and len(extents) <= 1 and shape is not None:
        _check_finite(flat, path, finite)
        return np.broadcast_to(flat[0], _known_extents(shape))
    array = flat.reshape(extents)
    if shape is not None:
        _check_shape(array.shape, shape, path, broadcast_scalar)
    _check_finite(flat, path, finite)
    return array


def read_float64(
    tensor: tensor_pb2.Tensor,
    path: str,
    *,
    shape: Shape | None = None,
    finite: bool = True,
    broadcast_scalar: bool = False,
) -> NDArray[np.float64]:
    """read_tensor for any element type, as float64. Integers beyond 2^53 are refused, not
    rounded."""
    array = read_tensor(tensor, path, shape=shape, finite=finite, broadcast_scalar=broadcast_scalar)
    if array.dtype == np.int64 and array.size:
        outside = (array > EXACT_INTEGER_MAX) | (array < -EXACT_INTEGER_MAX)
        if outside.any():
            k = int(np.argmax(outside))
            raise FieldError(
                path,
                expected="integers of at most 2^53 in magnitude",
                given=element_at(array.reshape(-1), k),
            )
    return array.astype(np.float64, copy=False)


def write_tensor(array: NDArray[Any]) -> tensor_pb2.Tensor:
    """A Tensor in bytes form. Booleans travel as UINT8."""
    if array.dtype == np.bool_:
        array = array.astype(np.uint8)
    number = _NUMBERS_BY_DTYPE[array.dtype.newbyteorder("=")]
    wire = np.ascontiguousarray(array, dtype=_WIRE[number])
    return tensor_pb2.Tensor(dtype=number, shape=array.shape, data=wire.tobytes())  # type: ignore[arg-type]


def spell_out(message: Message) -> None:
    """Turn every array below a message from bytes into a list of numbers, in place."""
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        for below in value if field.is_repeated else [value]:
            if isinstance(below, tensor_pb2.Tensor):
                _list_elements(below)
            else:
                spell_out(below)


def _list_elements(tensor: tensor_pb2.Tensor) -> None:
    if tensor.WhichOneof("values") != "data":
        return
    if tensor.dtype in (COMPLEX128, COMPLEX64):
        return  # there is no list form of complex numbers
    elements = np.frombuffer(tensor.data, dtype=_WIRE[tensor.dtype])
    if tensor.dtype in FLOATS:
        tensor.doubles.values.extend(elements.tolist())
    else:
        tensor.integers.values.extend(elements.tolist())


def _elements(tensor: tensor_pb2.Tensor, path: str, accepted: frozenset[int]) -> NDArray[Any]:
    """The elements as one dimension, of an accepted type."""
    kind = tensor.WhichOneof("values")
    if kind is None:
        if list(tensor.shape).count(0):
            return np.empty(0, _native(_widest(accepted)))
        raise FieldError(
            path, expected="the elements in data, doubles or integers", given="none of them"
        )
    if tensor.dtype not in _NAMES:
        raise FieldError(f"{path}.dtype", expected=_choice(accepted), given=tensor.dtype)
    if kind == "data":
        return _from_bytes(tensor, path, accepted)
    if kind == "artifact":
        return _from_artifact(tensor, path, accepted)
    implied = FLOAT64 if kind == "doubles" else INT64
    if tensor.dtype not in (0, implied) and not (kind == "integers" and tensor.dtype in INTEGERS):
        raise FieldError(
            f"{path}.dtype",
            expected=f"no dtype, or {_NAMES[implied]}, with {kind}",
            given=_NAMES[tensor.dtype],
        )
    if kind == "doubles":
        if FLOAT64 not in accepted:
            raise FieldError(
                path, expected=f"elements of type {_choice(accepted)}", given="a list of doubles"
            )
        return np.array(tensor.doubles.values, dtype=np.float64)
    return _from_integers(tensor, path, accepted)


def _from_bytes(tensor: tensor_pb2.Tensor, path: str, accepted: frozenset[int]) -> NDArray[Any]:
    if tensor.dtype not in accepted:
        raise FieldError(f"{path}.dtype", expected=_choice(accepted), given=_NAMES[tensor.dtype])
    wire = _WIRE[tensor.dtype]
    content = tensor.data
    if len(content) % wire.itemsize:
        raise FieldError(
            f"{path}.data",
            expected=f"a multiple of {wire.itemsize} bytes, as {_NAMES[tensor.dtype]} has",
            given=content,
        )
    return np.frombuffer(content, dtype=wire).astype(_native(tensor.dtype), copy=False)


def _from_artifact(tensor: tensor_pb2.Tensor, path: str, accepted: frozenset[int]) -> NDArray[Any]:
    """A view of the artifact in memory; read-only."""
    if tensor.dtype not in accepted:
        raise FieldError(f"{path}.dtype", expected=_choice(accepted), given=_NAMES[tensor.dtype])
    wire = _WIRE[tensor.dtype]
    size = _count(_checked_extents(tensor, path)) * wire.itemsize
    content = current().read(tensor.artifact, size, f"{path}.artifact")
    return np.frombuffer(content, dtype=wire).astype(_native(tensor.dtype), copy=False)


def _from_integers(tensor: tensor_pb2.Tensor, path: str, accepted: frozenset[int]) -> NDArray[Any]:
    values = np.array(tensor.integers.values, dtype=np.int64)
    number = _widest(accepted & INTEGERS) if accepted & INTEGERS else FLOAT64
    if number == FLOAT64 or not values.size:
        return values.astype(_native(number), copy=False)
    info = np.iinfo(_native(number))
    outside = (values < info.min) | (values > info.max)
    if outside.any():
        k = int(np.argmax(outside))
        raise FieldError(
            path, expected=f"integers from {info.min} to {info.max}", given=element_at(values, k)
        )
    return values.astype(_native(number), copy=False)


def _extents(tensor: tensor_pb2.Tensor, path: str, count: int) -> tuple[int, ...]:
    """The shape that the message states, whose product is the number of elements."""
    extents = _checked_extents(tensor, path)
    if not extents and tensor.WhichOneof("values") not in ("data", "artifact"):
        return (count,)
    if _count(extents) != count:
        raise FieldError(
            f"{path}.shape",
            expected=f"a shape of {count} elements, as many as were sent",
            given=list(extents),
        )
    return extents


def _checked_extents(tensor: tensor_pb2.Tensor, path: str) -> tuple[int, ...]:
    extents = tuple(tensor.shape)
    if len(extents) > DIMENSIONS_MAX:
        raise FieldError(
            f"{path}.shape", expected=f"at most {DIMENSIONS_MAX} extents", given=len(extents)
        )
    if any(extent < 0 for extent in extents):
        raise FieldError(
            f"{path}.shape", expected="extents that are not negative", given=list(extents)
        )
    return extents


def _count(extents: tuple[int, ...]) -> int:
    """Python integers: no overflow."""
    product = 1
    for extent in extents:
        product *= extent
    return product


def _check_shape(
    actual: tuple[int, ...], expected: Shape, path: str, broadcast_scalar: bool
) -> None:
    letters: dict[str, int] = {}
    fits = len(actual) == len(expected)
    if fits:
        for extent, wanted in zip(actual, expected, strict=True):
            if isinstance(wanted, str):
                fits = fits and letters.setdefault(wanted, extent) == extent
            elif wanted is not None:
                fits = fits and extent == wanted
    if not fits:
        text = ", ".join("any" if e is None else str(e) for e in expected)
        comma = "," if len(expected) == 1 else ""
        scalar = " or (1,)" if broadcast_scalar else ""
        raise FieldError(path, expected=f"shape ({text}{comma}){scalar}", given=f"shape {actual}")


def _known_extents(shape: Shape) -> tuple[int, ...]:
    assert all(isinstance(extent, int) for extent in shape), "broadcasting needs known extents"
    return tuple(int(extent) for extent in shape)  # type: ignore[arg-type]


def _check_finite(flat: NDArray[Any], path: str, finite: bool) -> None:
    if flat.dtype.kind not in "fc":
        return
    if finite and np.logical_and.reduce(np.isfinite(flat)):
        return
    bad = ~np.isfinite(flat) if finite else np.isnan(flat)
    if bad.any():
        expected = "finite numbers" if finite else "numbers (infinities allowed)"
        raise FieldError(path, expected=expected, given=element_at(flat, int(np.argmax(bad))))


def _native(number: int) -> np.dtype[Any]:
    return _WIRE[number].newbyteorder("=")


def _widest(accepted: Collection[int]) -> int:
    return next(
        number
        for number in (INT64, INT32, INT8, UINT8, FLOAT64, FLOAT32, COMPLEX128, COMPLEX64)
        if number in accepted
    )


def _choice(accepted: Collection[int]) -> str:
    return " or ".join(_NAMES[number] for number in sorted(accepted))


def element_at(flat: NDArray[Any], k: int) -> str:
    """An element as a refusal names it."""
    return f"{flat[k]} at element {k}"
