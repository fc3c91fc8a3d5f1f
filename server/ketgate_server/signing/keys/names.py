"""Names of keys, their versions, changes and wrapping keys: read once, at the edge, so that a malformed
one is refused in the same way whatever there is."""

import re

from ketgate_server.errors import FieldError

KEY_ID_CHARACTERS_MAX = 63
ID_BYTES = 7
"""Of what is random in an id that the server makes."""

KEY_ID = re.compile(r"[a-z](?:[a-z0-9-]{0,61}[a-z0-9])?")
_NAME = re.compile(rf"keys/({KEY_ID.pattern})(?:/versions/([1-9][0-9]{{0,8}}))?")
_CHANGE = re.compile(r"keyChanges/([0-9a-f]{26})")
_WRAPPING_KEY = re.compile(r"wrappingKeys/([0-9a-f]{26})")


def read_key_id(text: str, field: str = "key_id") -> str:
    """An id that a caller chose. Raises FieldError."""
    if not KEY_ID.fullmatch(text):
        raise FieldError(
            field,
            expected="1 to 63 of a-z 0-9 -, starting with a letter and not ending with -",
            given=text or "nothing",
        )
    return text


def read_key(name: str, field: str = "name") -> str:
    """The id in "keys/ID". Raises FieldError."""
    match = _NAME.fullmatch(name)
    if match is None or match[2] is not None:
        raise FieldError(field, expected='"keys/ID"', given=name or "nothing")
    return match[1]


def read_version(name: str, field: str = "name") -> tuple[str, int]:
    """Id and number in "keys/ID/versions/N". Raises FieldError."""
    match = _NAME.fullmatch(name)
    if match is None or match[2] is None:
        raise FieldError(field, expected='"keys/ID/versions/N"', given=name or "nothing")
    return match[1], int(match[2])


def read_key_or_version(name: str, field: str = "key") -> tuple[str, int | None]:
    """Id and number; None for a key's own name. Raises FieldError."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise FieldError(
            field, expected='"keys/ID" or "keys/ID/versions/N"', given=name or "nothing"
        )
    return match[1], None if match[2] is None else int(match[2])


def key_of(resource: str) -> str | None:
    """The id of a key that a resource is, or is a version of; None for another resource."""
    match = _NAME.fullmatch(resource)
    return None if match is None else match[1]


def change_of(resource: str) -> str | None:
    """The id of a change that a resource is; None for another resource."""
    match = _CHANGE.fullmatch(resource)
    return None if match is None else match[1]


def key_name(key_id: str) -> str:
    """ "keys/ID"."""
    return f"keys/{key_id}"


def version_name(key_id: str, version: int) -> str:
    """ "keys/ID/versions/N"."""
    return f"keys/{key_id}/versions/{version}"


def read_change(name: str, field: str = "name") -> str:
    """The id in "keyChanges/ID". Raises FieldError."""
    match = _CHANGE.fullmatch(name)
    if match is None:
        raise FieldError(field, expected='"keyChanges/ID"', given=name or "nothing")
    return match[1]


def change_name(change_id: str) -> str:
    """ "keyChanges/ID"."""
    return f"keyChanges/{change_id}"


def read_wrapping_key(name: str, field: str = "wrapped.wrapping_key") -> str:
    """The id in "wrappingKeys/ID". Raises FieldError."""
    match = _WRAPPING_KEY.fullmatch(name)
    if match is None:
        raise FieldError(field, expected='"wrappingKeys/ID"', given=name or "nothing")
    return match[1]


def wrapping_key_name(wrapping_key_id: str) -> str:
    """ "wrappingKeys/ID"."""
    return f"wrappingKeys/{wrapping_key_id}"


def new_id(now_us: int, random_bytes: bytes) -> str:
    """An id of a change or a wrapping key: 26 characters that sort by time to the millisecond. random_bytes: ID_BYTES
    of them, drawn outside of the transaction.

    >>> new_id(1_700_000_000_000_000, bytes(7))
    '018bcfe5680000000000000000'
    """
    return f"{now_us // 1000:012x}{random_bytes.hex()}"
