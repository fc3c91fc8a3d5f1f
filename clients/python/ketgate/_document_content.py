"""What can be signed as a document, as bytes; and those bytes as what they were."""

import json
import mimetypes
import os
from importlib import import_module
from pathlib import Path
from pkgutil import iter_modules
from typing import Any, NamedTuple

from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import DecodeError, Message

from ketgate._errors import InvalidArgument
from ketgate._labels import is_frame
from ketgate.signing.v1 import signature_pb2 as pb

CONTENT_BYTES_MAX = 256 << 20
BYTES_TYPE = "application/octet-stream"
JSON_TYPE = "application/json"
CSV_TYPE = "text/csv"


class Content(NamedTuple):
    """What is signed."""

    content_type: str
    """Full name of a message, or a media type."""
    content: bytes
    title: str


def content_of(thing: Any, title: str | None = None) -> Content:
    """The content of a document about thing.

    thing: a result of this package (with what was asked, so with the names), a trained model, any
    protobuf message, a Path (the file's content), bytes, a dict or list (canonical JSON) or a DataFrame
    (CSV). title: under which it is signed; a file's default is its name. Raises InvalidArgument.
    """
    found = _content(thing)
    if len(found.content) > CONTENT_BYTES_MAX:
        raise InvalidArgument(
            f"content: expected at most {CONTENT_BYTES_MAX} bytes in a document, given "
            f"{len(found.content)}; sign its SHA-256 instead, or the bytes by client.signing.sign",
            field="content",
        )
    return found if title is None else found._replace(title=title)


def _content(thing: Any) -> Content:
    if isinstance(thing, os.PathLike):
        return _file(Path(thing))
    if isinstance(thing, bytes | bytearray | memoryview):
        return Content(BYTES_TYPE, bytes(thing), "")
    if isinstance(thing, dict | list):
        return Content(JSON_TYPE, _canonical_json(thing), "")
    if is_frame(thing):
        return Content(CSV_TYPE, thing.to_csv().encode(), "")
    message = thing if isinstance(thing, Message) else getattr(thing, "message", None)
    if callable(message):  # of a model
        message = message()
    spec = None if thing is message else getattr(thing, "spec", None)
    if isinstance(message, Message) and isinstance(spec, Message):
        record = pb.ResultRecord(spec=_pack(spec), result=_pack(message))
        return Content(
            record.DESCRIPTOR.full_name, record.SerializeToString(deterministic=True), ""
        )
    if isinstance(message, Message):
        name: str = message.DESCRIPTOR.full_name
        return Content(name, message.SerializeToString(deterministic=True), "")
    raise InvalidArgument(
        "content: expected a result, a model, a message, a pathlib.Path, bytes, a dict, a list or a "
        f"DataFrame, given {type(thing).__name__}",
        field="content",
        remedy="For text, sign text.encode(); for a file, pathlib.Path(name)."
        if isinstance(thing, str)
        else "",
    )


def _file(path: Path) -> Content:
    try:
        with path.open("rb") as file:
            content = file.read(CONTENT_BYTES_MAX + 1)
    except OSError as error:
        raise InvalidArgument(
            f"content: {path} cannot be read: {error.strerror}", field="content"
        ) from None
    return Content(mimetypes.guess_type(path.name)[0] or BYTES_TYPE, content, path.name)


def _canonical_json(thing: Any) -> bytes:
    try:
        text = json.dumps(
            thing, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False
        )
        return text.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidArgument(f"content: it is no JSON: {error}", field="content") from None


def _pack(message: Message) -> AnyMessage:
    packed = AnyMessage()
    packed.Pack(message, deterministic=True)
    return packed


def opened(content_type: str, content: bytes) -> Any:
    """Content as what it was: a result of this package, a message, an object of JSON, or bytes, where
    it is of a type that is not known here. Raises InvalidArgument where it is not what its type says.
    """
    try:
        if content_type == JSON_TYPE:
            return json.loads(content)
        if content_type == pb.ResultRecord.DESCRIPTOR.full_name:
            return _result(pb.ResultRecord.FromString(content))
        kind = message_type(content_type)
        return content if kind is None else kind.FromString(content)
    except (ValueError, DecodeError, RecursionError):
        raise InvalidArgument(
            f"content: its {len(content)} bytes are no {content_type[:100]}", field="content"
        ) from None


def _result(record: pb.ResultRecord) -> Any:
    """The result as this package has it; the record itself where its parts are not known here."""
    from ketgate._events import Outcome
    from ketgate._portfolio_result import decode_any
    from ketgate._quantum_result import RunResult
    from ketgate.optimization.v1.optimization_service_pb2 import SolveSpec
    from ketgate.optimization.v1.result_pb2 import SolveResult
    from ketgate.quantum.v1.quantum_service_pb2 import RunCircuitsResult, RunCircuitsSpec

    spec, result = _unpack(record.spec), _unpack(record.result)
    if isinstance(spec, SolveSpec) and isinstance(result, SolveResult):
        return decode_any(Outcome(result, spec, [], []))
    if isinstance(spec, RunCircuitsSpec) and isinstance(result, RunCircuitsResult):
        return RunResult(result, spec)
    return record


def _unpack(packed: AnyMessage) -> Any:
    kind = message_type(packed.type_url.rpartition("/")[2])
    return None if kind is None else kind.FromString(packed.value)


def message_type(name: str) -> Any:
    """The class of a message of the contract, by its full name; None for others."""
    parts = name.split(".")
    if len(parts) != 4 or parts[0] != "ketgate" or not all(p.isidentifier() for p in parts):
        return None
    package = ".".join(parts[:3])
    try:
        folder = import_module(package).__path__
    except (ImportError, AttributeError):
        return None
    for module in iter_modules(folder):
        if module.name.endswith("_pb2"):
            found = getattr(import_module(f"{package}.{module.name}"), parts[3], None)
            if found is not None and getattr(found, "DESCRIPTOR", None) is not None:
                return found if hasattr(found, "FromString") else None
    return None
