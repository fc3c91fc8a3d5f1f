"""Arrays of a message that travel apart from it, as artifacts. Pure: who sends and fetches them is
the client.
"""

from collections.abc import Iterator
from functools import cache
from typing import Any, TypeVar

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message

from ketgate.type.v1 import tensor_pb2

ARRAY_BYTES_MAX = 4 << 20
"""Larger arrays are uploaded, once, and referred to."""

M = TypeVar("M", bound=Message)
_TENSOR = tensor_pb2.Tensor.DESCRIPTOR.full_name


def large(message: Message) -> list[tensor_pb2.Tensor]:
    """Tensors below a message that are too large to travel in it."""
    return [tensor for tensor in tensors(message) if _is_large(tensor)]


def referred(message: Message) -> list[tensor_pb2.Tensor]:
    """Tensors below a message that refer to an artifact."""
    return [t for t in tensors(message) if t.WhichOneof("values") == "artifact"]


def referring(message: M, names: Iterator[str]) -> M:
    """A copy in which each of large(message), in that order, refers to the artifact of the next
    name. The message itself, which may be the caller's, stays as it is."""
    copy = type(message)()
    if isinstance(message, tensor_pb2.Tensor) and _is_large(message):
        return type(message)(dtype=message.dtype, shape=message.shape, artifact=next(names))
    for field, value in message.ListFields():
        target = getattr(copy, field.name)
        if field.message_type is None or not _holds_tensors(field.message_type):
            _copy(copy, field, value)
        elif not field.is_repeated:
            target.CopyFrom(referring(value, names))
        elif field.message_type.GetOptions().map_entry:
            for key in value:
                target[key].CopyFrom(referring(value[key], names))
        else:
            target.extend(referring(below, names) for below in value)
    return copy


def tensors(message: Message) -> Iterator[tensor_pb2.Tensor]:
    """Every tensor below a message, in a fixed order."""
    if isinstance(message, tensor_pb2.Tensor):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is None or not _holds_tensors(field.message_type):
            continue
        if not field.is_repeated:
            yield from tensors(value)
        elif field.message_type.GetOptions().map_entry:
            for key in value:
                yield from tensors(value[key])
        else:
            for below in value:
                yield from tensors(below)


def _copy(copy: Message, field: Any, value: Any) -> None:
    target = getattr(copy, field.name)
    is_map = field.message_type is not None and field.message_type.GetOptions().map_entry
    if is_map:
        target.MergeFrom(value)
    elif field.is_repeated:
        target.extend(value)
    elif field.message_type is not None:
        target.CopyFrom(value)
    else:
        setattr(copy, field.name, value)


def _is_large(tensor: tensor_pb2.Tensor) -> bool:
    return tensor.WhichOneof("values") == "data" and len(tensor.data) > ARRAY_BYTES_MAX


@cache
def _holds_tensors(kind: Descriptor) -> bool:
    """Whether a message of this type can have tensors below it."""
    seen: set[str] = set()
    waiting = [kind]
    while waiting:
        one = waiting.pop()
        if one.full_name == _TENSOR:
            return True
        if one.full_name not in seen:
            seen.add(one.full_name)
            waiting += [field.message_type for field in one.fields if field.message_type]
    return False
