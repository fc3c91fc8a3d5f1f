"""A trained classifier as bytes, and back: a JSON header and arrays, no code, checked when read.

Format 1: the 4 bytes "KGC1", the header's length as 4 bytes little-endian, the header as UTF-8 JSON,
then the arrays that it lists, each FLOAT64 little-endian in C order.
"""

from __future__ import annotations

import hashlib
import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.errors import FieldError

MAGIC = b"KGC1"
VERSION = 1
BYTES_MAX = 16 * 1024 * 1024
HEADER_BYTES_MAX = 64 * 1024
DIMENSIONS_MAX = 3


@dataclass(frozen=True)
class Model:
    """Everything that classifying needs."""

    kind: str
    """ "variational" or "kernel"."""
    labels: tuple[int, int]
    """The lesser and the greater; a score above 0 is the greater."""
    feature_map: Mapping[str, Any]
    """kind, layers, entanglement, scale."""
    arrays: Mapping[str, NDArray[np.float64]]
    """mean, deviation, axes (of the reduction, may be empty), low, high; and of the kind: angles,
    readout (scale, bias); or supports, weights, bias."""


def to_bytes(model: Model) -> bytes:
    names = sorted(model.arrays)
    header = json.dumps(
        {
            "kind": model.kind,
            "labels": list(model.labels),
            "feature_map": dict(model.feature_map),
            "arrays": [[name, list(model.arrays[name].shape)] for name in names],
        },
        sort_keys=True,
    ).encode()
    parts = [MAGIC, struct.pack("<I", len(header)), header]
    parts += [np.ascontiguousarray(model.arrays[name], dtype="<f8").tobytes() for name in names]
    return b"".join(parts)


def digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def from_bytes(content: bytes, path: str) -> Model:
    """Raises FieldError: whatever the bytes, nothing is run, and nothing allocated that is not
    there."""
    if len(content) > BYTES_MAX:
        raise FieldError(path, expected=f"at most {BYTES_MAX} bytes", given=len(content))
    if content[:4] != MAGIC or len(content) < 8:
        raise FieldError(path, expected="a model that TrainClassifier made", given=content)
    (length,) = struct.unpack("<I", content[4:8])
    if length > HEADER_BYTES_MAX or 8 + length > len(content):
        raise FieldError(path, expected="a whole model", given=content)
    try:
        header = json.loads(content[8 : 8 + length])
        arrays = _arrays(header["arrays"], content[8 + length :])
        kind, labels, feature_map = header["kind"], header["labels"], header["feature_map"]
        low, high = (int(label) for label in labels)
        if (
            kind not in ("variational", "kernel")
            or not isinstance(feature_map, dict)
            or low >= high
        ):
            raise ValueError("its header")
    except (ValueError, KeyError, TypeError, RecursionError, OverflowError) as error:
        raise FieldError(
            path, expected="a whole model", given=content, hint=f"it is damaged: {error}"[:100]
        ) from None
    return Model(kind, (low, high), feature_map, arrays)


def _arrays(listed: Any, content: bytes) -> dict[str, NDArray[np.float64]]:
    out: dict[str, NDArray[np.float64]] = {}
    at = 0
    for name, shape in listed:
        extents = [int(extent) for extent in shape]
        if len(extents) > DIMENSIONS_MAX or any(extent < 0 for extent in extents):
            raise ValueError("a shape")
        count = 1
        for extent in extents:
            count *= extent
        end = at + 8 * count
        if end > len(content):
            raise ValueError("an array is cut off")
        array = np.frombuffer(content[at:end], dtype="<f8").astype(np.float64).reshape(extents)
        if not np.isfinite(array).all():
            raise ValueError("a number that is not finite")
        out[str(name)] = array
        at = end
    if at != len(content):
        raise ValueError("bytes beyond its arrays")
    return out
