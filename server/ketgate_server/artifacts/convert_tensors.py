"""Tensors of any message that are, or become, references to artifacts."""

from collections.abc import Callable, Iterator
from functools import cache

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from ketgate.type.v1 import tensor_pb2

from ketgate_server.arrays import Content
from ketgate_server.artifacts.tenant_arrays import digest_of

_TENSOR = tensor_pb2.Tensor.DESCRIPTOR.full_name


def referenced(message: Message, path: str) -> list[str]:
    """SHA-256 of each artifact that a message refers to, each once. path: of the message. Raises
    FieldError for what is no name of one."""
    found: dict[str, None] = {}
    for tensor, where in _tensors(message, path):
        if tensor.WhichOneof("values") == "artifact":
            found[digest_of(tensor.artifact, f"{where}.artifact")] = None
    return list(found)


def refer(message: Message, bytes_max: int, keep: Callable[[Content], str]) -> list[str]:
    """Put references in the place of arrays of more than bytes_max bytes. keep: makes content an
    artifact and tells its name. Returns the digests of those, each once."""
    found: dict[str, None] = {}
    for tensor, _ in _tensors(message, ""):
        if tensor.WhichOneof("values") == "data" and len(tensor.data) > bytes_max:
            tensor.artifact = keep(tensor.data)
            found[digest_of(tensor.artifact, "")] = None
    return list(found)


def _tensors(message: Message, path: str) -> Iterator[tuple[tensor_pb2.Tensor, str]]:
    """Every tensor below a message, and where."""
    if isinstance(message, tensor_pb2.Tensor):
        yield message, path
        return
    for field, value in message.ListFields():
        kind = field.message_type
        if kind is None or not _holds_tensors(kind):
            continue
        if not field.is_repeated:
            if isinstance(value, tensor_pb2.Tensor):
                yield value, f"{path}.{field.name}"
            else:
                yield from _tensors(value, f"{path}.{field.name}")
            continue
        is_map = kind.GetOptions().map_entry
        for key in value if is_map else range(len(value)):
            yield from _tensors(value[key], f"{path}.{field.name}[{key}]")


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
