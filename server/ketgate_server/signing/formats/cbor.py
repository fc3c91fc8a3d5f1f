"""CBOR (RFC 8949), as much of it as COSE needs: written deterministically, read strictly.

Lengths are definite and the shortest there are, keys of maps differ, and depth and number are bounded: bytes
have one reading, and a reader's work is bounded.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from ketgate_server.signing.formats.malformed import Malformed

DEPTH_MAX = 16
ITEMS_MAX = 1_000
"""Values in one input, whatever they are in: headers have few."""

_UNSIGNED, _NEGATIVE, _BYTES, _TEXT, _ARRAY, _MAP, _TAG, _SIMPLE = range(8)
_FLOATS: Final = {25: ">e", 26: ">f", 27: ">d"}
_CONSTANTS: Final[dict[int, bool | None]] = {20: False, 21: True, 22: None, 23: None}


@dataclass(frozen=True)
class Tagged:
    """A value with a tag."""

    tag: int
    value: Value


Key = int | str | bytes
Value = int | float | bytes | str | bool | None | Sequence["Value"] | Mapping[Key, "Value"] | Tagged


def write(value: Value) -> bytes:
    """Core deterministic encoding (RFC 8949, 4.2.1); of the numbers only integers."""
    match value:
        case bool():
            return b"\xf5" if value else b"\xf4"
        case None:
            return b"\xf6"
        case int():
            return _head(_UNSIGNED, value) if value >= 0 else _head(_NEGATIVE, -1 - value)
        case bytes():
            return _head(_BYTES, len(value)) + value
        case str():
            text = value.encode()
            return _head(_TEXT, len(text)) + text
        case Tagged():
            return _head(_TAG, value.tag) + write(value.value)
        case Mapping():
            pairs = sorted((write(key), write(item)) for key, item in value.items())
            return _head(_MAP, len(pairs)) + b"".join(key + item for key, item in pairs)
        case Sequence():
            return _head(_ARRAY, len(value)) + b"".join(write(item) for item in value)
    raise TypeError(f"{type(value).__name__} is not written")


def read(content: bytes) -> Value:
    """The one value that these bytes are: maps as dict, arrays as list. Raises Malformed."""
    reader = _Reader(content)
    value = reader.value(0)
    if reader.at != len(content):
        raise Malformed(f"{len(content) - reader.at} bytes follow the CBOR")
    return value


def _head(major: int, argument: int) -> bytes:
    if argument < 24:
        return bytes((major << 5 | argument,))
    for code, size in ((24, 1), (25, 2), (26, 4), (27, 8)):
        if argument < 1 << 8 * size:
            return bytes((major << 5 | code,)) + argument.to_bytes(size, "big")
    raise ValueError("an integer of more than 64 bits is not written")


class _Reader:
    def __init__(self, content: bytes) -> None:
        self._content = content
        self._items = 0
        self.at = 0

    def value(self, depth: int) -> Value:
        if depth > DEPTH_MAX:
            raise Malformed(f"CBOR nested deeper than {DEPTH_MAX}")
        self._items += 1
        if self._items > ITEMS_MAX:
            raise Malformed(f"CBOR of more than {ITEMS_MAX} values is not read")
        first = self._take(1)[0]
        major, code = first >> 5, first & 0x1F
        if major == _SIMPLE:
            return self._simple(code)
        argument = self._argument(code)
        match major:
            case 0:
                return argument
            case 1:
                return -1 - argument
            case 2:
                return self._take(argument)
            case 3:
                try:
                    return self._take(argument).decode()
                except UnicodeDecodeError:
                    raise Malformed("a CBOR text is not UTF-8") from None
            case 4:
                self._check_count(argument)
                return [self.value(depth + 1) for _ in range(argument)]
            case 5:
                self._check_count(2 * argument)
                return self._map(argument, depth)
            case _:
                return Tagged(argument, self.value(depth + 1))

    def _map(self, count: int, depth: int) -> dict[Key, Value]:
        pairs: dict[Key, Value] = {}
        for _ in range(count):
            key = self.value(depth + 1)
            if not isinstance(key, int | str | bytes) or isinstance(key, bool):
                raise Malformed("a CBOR map has a key that is neither integer, text nor bytes")
            if key in pairs:
                raise Malformed("a CBOR map has a key twice")
            pairs[key] = self.value(depth + 1)
        return pairs

    def _simple(self, code: int) -> Value:
        if code in _CONSTANTS:
            return _CONSTANTS[code]
        if code in _FLOATS:
            (number,) = struct.unpack(_FLOATS[code], self._take(1 << code - 24))
            return float(number)
        raise Malformed(f"CBOR's simple value {code} is not read")

    def _argument(self, code: int) -> int:
        if code < 24:
            return code
        if code > 27:
            raise Malformed("CBOR of indefinite length is not read")
        size = 1 << code - 24
        argument = int.from_bytes(self._take(size), "big")
        if argument < 24 or (size > 1 and argument >> 4 * size == 0):
            raise Malformed("a CBOR number or length is not written in the shortest way")
        return argument

    def _check_count(self, items: int) -> None:
        """Every item has a byte at least: no list longer than the input is begun."""
        if items > len(self._content) - self.at:
            raise Malformed("the CBOR ends before the items that it announces")

    def _take(self, size: int) -> bytes:
        if size > len(self._content) - self.at:
            raise Malformed("the CBOR is cut off")
        self.at += size
        return self._content[self.at - size : self.at]
