"""Messages put together from their fields' bytes, where making them one by one is most of the work: a
message is the concatenation of its fields, in any order."""

from functools import lru_cache
from typing import Any

_LENGTH_DELIMITED = 2
_FIXED32 = 5


def number_of(message: Any, field: str) -> int:
    """Of a field, by the type of its message."""
    number: int = message.DESCRIPTOR.fields_by_name[field].number
    return number


@lru_cache(maxsize=1024)
def tag(number: int, length: int) -> bytes:
    """What comes before the content of a message, a string or bytes."""
    return _varint(number << 3 | _LENGTH_DELIMITED) + _varint(length)


def field(number: int, content: bytes) -> bytes:
    """A field that is a message, a string or bytes."""
    return tag(number, len(content)) + content


def fixed32(number: int, value: int) -> bytes:
    """A field of the type fixed32."""
    return _varint(number << 3 | _FIXED32) + value.to_bytes(4, "little")


def _varint(value: int) -> bytes:
    encoded = bytearray()
    while value > 127:
        encoded.append(value & 127 | 128)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
