"""A SolveSpec as a caller may hold it: the message, its JSON, or a file of that."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from google.protobuf import json_format

from ketgate._errors import InvalidArgument
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2

Spec = service_pb2.SolveSpec | Mapping[str, Any] | os.PathLike[str]


def as_spec(spec: Spec) -> service_pb2.SolveSpec:
    """The message. JSON is protobuf's: camelCase or the contract's own names, arrays in their list
    form.

    A SolveRequest's JSON, {"spec": {...}}, is taken as well.
    """
    if isinstance(spec, service_pb2.SolveSpec):
        return spec
    document: Any = _load(Path(spec)) if isinstance(spec, os.PathLike) else spec
    if not isinstance(document, Mapping):
        raise InvalidArgument(
            f"spec: expected a SolveSpec or its JSON, given {type(document).__name__}", field="spec"
        )
    if set(document) == {"spec"}:
        document = document["spec"]
    message = service_pb2.SolveSpec()
    try:
        json_format.ParseDict(dict(document), message)
    except (json_format.ParseError, TypeError, ValueError) as error:
        raise InvalidArgument(
            f"spec: expected the JSON of a SolveSpec: {error}", field="spec"
        ) from None
    return message


def _load(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InvalidArgument(
            f"spec: {path} cannot be read: {error.strerror}", field="spec"
        ) from None
    except ValueError as error:
        raise InvalidArgument(f"spec: {path} holds no JSON: {error}", field="spec") from None
