"""What callers give, as the messages of the contract have it: names, algorithms, bytes, times, labels."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, cast

from google.protobuf.duration_pb2 import Duration

from ketgate._errors import InvalidArgument
from ketgate.signing.v1 import algorithm_pb2

if TYPE_CHECKING:
    from ketgate._key_types import Key, KeyChange, KeyVersion

ALGORITHMS = tuple(name.removeprefix("ALGORITHM_") for name in algorithm_pb2.Algorithm.keys()[1:])

_AS = {"keys": 'a key, as "keys/desk"', "keyChanges": 'a change, as "keyChanges/ID"'}


def name_of(
    given: str | Key | KeyVersion | KeyChange, argument: str = "key", collection: str = "keys"
) -> str:
    """The name of a key, a version or a change, which may be given itself; an id alone is of the collection. Raises
    InvalidArgument."""
    name = getattr(given, "name", given)
    if not isinstance(name, str) or not name:
        raise InvalidArgument(
            f"{argument}: expected the name of {_AS[collection]}, given {_shown(given)}",
            field=argument,
        )
    _utf8(name, argument)
    return name if "/" in name else f"{collection}/{name}"


def algorithm_number(name: str, argument: str = "algorithm") -> algorithm_pb2.Algorithm:
    """ "ML_DSA_65", "ml-dsa-65" and "ML-DSA-65" alike. Raises InvalidArgument."""
    wanted = name.upper().replace("-", "_") if isinstance(name, str) else ""
    if wanted in ALGORITHMS:
        number = algorithm_pb2.Algorithm.Value(f"ALGORITHM_{wanted}")
        return cast("algorithm_pb2.Algorithm", number)  # which the stubs call an int
    near = get_close_matches(wanted, ALGORITHMS, 3, 0.5)
    hint = f", as {' or '.join(near)}" if near else ", as ML_DSA_65"
    raise InvalidArgument(
        f"{argument}: expected an algorithm that keys can have{hint}, given {_shown(name)}",
        field=argument,
        remedy="client.signing.algorithms() and `ketgate key algorithms` list them.",
    )


def algorithm_name(number: int) -> str:
    try:
        return algorithm_pb2.Algorithm.Name(number).removeprefix("ALGORITHM_")
    except ValueError:
        return f"algorithm {number}"  # of a newer server


def content_bytes(given: object, argument: str = "message") -> bytes:
    """Text is UTF-8. Raises InvalidArgument."""
    if isinstance(given, str):
        return _utf8(given, argument)
    if isinstance(given, (bytes, bytearray, memoryview)):
        return bytes(given)
    if isinstance(given, os.PathLike):  # has __bytes__ too: those of its name
        raise InvalidArgument(
            f"{argument}: expected bytes or text, given the path {os.fspath(given)!r}",
            field=argument,
            remedy="Give its content, path.read_bytes(); sign_file and verify_file take paths.",
        )
    if hasattr(given, "__bytes__"):  # a Signature, an element of an array of bytes
        return bytes(given)
    raise InvalidArgument(
        f"{argument}: expected bytes or text, given {type(given).__name__}", field=argument
    )


def listed(given: Any, argument: str) -> list[Any]:
    """A text alone would be taken for its letters. Raises InvalidArgument."""
    if isinstance(given, (str, bytes)) or not isinstance(given, Iterable):
        raise InvalidArgument(
            f"{argument}: expected a list, given {type(given).__name__}", field=argument
        )
    return list(given)


def duration(given: timedelta, argument: str) -> Duration:
    if not isinstance(given, timedelta):
        raise InvalidArgument(
            f"{argument}: expected a datetime.timedelta, given {type(given).__name__}",
            field=argument,
        )
    message = Duration()
    message.FromTimedelta(given)
    return message


def checked_labels(labels: Mapping[str, str] | None) -> dict[str, str]:
    """Raises InvalidArgument."""
    if labels is None:
        return {}
    if not isinstance(labels, Mapping) or not all(
        isinstance(text, str) for pair in labels.items() for text in pair
    ):
        raise InvalidArgument(
            f"labels: expected a mapping of texts to texts, given {labels!r}"[:300], field="labels"
        )
    return dict(labels)


def _utf8(text: str, argument: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise InvalidArgument(
            f"{argument}: expected text that UTF-8 can write, given {error.reason} "
            f"at character {error.start + 1}",
            field=argument,
        ) from None


def _shown(given: object) -> str:
    return repr(given[:100]) if isinstance(given, str) else type(given).__name__
