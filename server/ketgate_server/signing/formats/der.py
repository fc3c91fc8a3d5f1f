"""DER (X.690), as much of it as keys, certificates and requests need: strict, and without recursion.

Every length is definite, the shortest there is, and inside of what surrounds it, so that bytes have one
reading and a reader's work is bounded by their number. Depth is bounded by the code that reads.
"""

from __future__ import annotations

from datetime import UTC, datetime

from ketgate_server.signing.formats.malformed import Malformed

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
NULL = 0x05
OID = 0x06
UTC_TIME = 0x17
GENERALIZED_TIME = 0x18
SEQUENCE = 0x30
SET = 0x31

_NAMES = {
    BOOLEAN: "BOOLEAN",
    INTEGER: "INTEGER",
    BIT_STRING: "BIT STRING",
    OCTET_STRING: "OCTET STRING",
    NULL: "NULL",
    OID: "OBJECT IDENTIFIER",
    UTC_TIME: "UTCTime",
    GENERALIZED_TIME: "GeneralizedTime",
    SEQUENCE: "SEQUENCE",
    SET: "SET",
}
_OID_BYTES_MAX = 64
_LENGTH_BYTES_MAX = 4


def context(number: int, *, constructed: bool = True) -> int:
    """Tag of [number]."""
    return (0xA0 if constructed else 0x80) | number


def element(tag: int, content: bytes) -> bytes:
    """One element."""
    size = len(content)
    if size < 0x80:
        return bytes((tag, size)) + content
    length = size.to_bytes((size.bit_length() + 7) // 8, "big")
    return bytes((tag, 0x80 | len(length))) + length + content


def sequence(*parts: bytes) -> bytes:
    return element(SEQUENCE, b"".join(parts))


def set_of(*parts: bytes) -> bytes:
    """SET OF, which DER sorts."""
    return element(SET, b"".join(sorted(parts)))


def integer(number: int) -> bytes:
    return element(
        INTEGER, number.to_bytes((number + (number < 0)).bit_length() // 8 + 1, "big", signed=True)
    )


def boolean(value: bool) -> bytes:
    return element(BOOLEAN, b"\xff" if value else b"\x00")


def octets(content: bytes) -> bytes:
    return element(OCTET_STRING, content)


def bits(content: bytes) -> bytes:
    """BIT STRING of whole bytes."""
    return element(BIT_STRING, b"\x00" + content)


def oid(dotted: str) -> bytes:
    first, second, *rest = (int(arc) for arc in dotted.split("."))
    content = bytearray()
    for arc in (first * 40 + second, *rest):
        groups = [arc & 0x7F]
        while arc := arc >> 7:
            groups.append(0x80 | arc & 0x7F)
        content += bytes(reversed(groups))
    return element(OID, bytes(content))


def time(moment: datetime) -> bytes:
    """Time of a certificate (RFC 5280, 4.1.2.5): UTCTime until 2049, GeneralizedTime from then on."""
    moment = moment.astimezone(UTC)
    if moment.year < 2050:
        return element(UTC_TIME, moment.strftime("%y%m%d%H%M%SZ").encode())
    return element(GENERALIZED_TIME, moment.strftime("%Y%m%d%H%M%SZ").encode())


class Reader:
    """Elements one after the other."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def at_end(self) -> bool:
        return self._at == len(self._content)

    def left(self) -> int:
        """Bytes that were not read yet."""
        return len(self._content) - self._at

    def end(self, what: str) -> None:
        """Nothing may follow. what: what ends here, for the message."""
        if not self.at_end():
            raise Malformed(f"{what}: {self.left()} bytes follow its end")

    def next_is(self, tag: int) -> bool:
        return self._at < len(self._content) and self._content[self._at] == tag

    def read(self, tag: int) -> bytes:
        """Content of the next element, which must have this tag."""
        start, end = self._span(tag)
        self._at = end
        return self._content[start:end]

    def whole(self, tag: int) -> bytes:
        """The next element with its tag and length."""
        begin = self._at
        _, self._at = self._span(tag)
        return self._content[begin : self._at]

    def enter(self, tag: int = SEQUENCE) -> Reader:
        """Reader of what is in the next element."""
        return Reader(self.read(tag))

    def integer(self) -> int:
        content = self.read(INTEGER)
        if not content:
            raise Malformed("an INTEGER is empty")
        if len(content) > 1 and content[0] in (0x00, 0xFF) and content[0] >> 7 == content[1] >> 7:
            raise Malformed("an INTEGER is longer than it needs to be")
        return int.from_bytes(content, "big", signed=True)

    def bits(self) -> bytes:
        """BIT STRING of whole bytes."""
        content = self.read(BIT_STRING)
        if not content or content[0] != 0:
            raise Malformed("a BIT STRING is not of whole bytes")
        return content[1:]

    def oid(self) -> str:
        """Dotted."""
        content = self.read(OID)
        if not content or len(content) > _OID_BYTES_MAX or content[-1] & 0x80:
            raise Malformed("an OBJECT IDENTIFIER is none")
        arcs = []
        arc = 0
        fresh = True
        for byte in content:
            if fresh and byte == 0x80:
                raise Malformed("an OBJECT IDENTIFIER is longer than it needs to be")
            arc = arc << 7 | byte & 0x7F
            fresh = not byte & 0x80
            if fresh:
                arcs.append(arc)
                arc = 0
        first = min(arcs[0] // 40, 2)
        return ".".join(str(number) for number in (first, arcs[0] - 40 * first, *arcs[1:]))

    def _span(self, tag: int) -> tuple[int, int]:
        """Where the content of the next element starts and ends."""
        content, at = self._content, self._at
        name = _NAMES.get(tag, f"tag {tag:#04x}")
        if at >= len(content):
            raise Malformed(f"it ends where {name} was expected")
        if content[at] != tag:
            given = _NAMES.get(content[at], f"tag {content[at]:#04x}")
            raise Malformed(f"expected {name}, given {given}")
        at += 1
        if at >= len(content):
            raise Malformed(f"{name}: its length is cut off")
        size = content[at]
        at += 1
        if size >= 0x80:
            count = size & 0x7F
            if not 1 <= count <= _LENGTH_BYTES_MAX or at + count > len(content):
                raise Malformed(f"{name}: its length is indefinite, too large or cut off")
            size = int.from_bytes(content[at : at + count], "big")
            if size < 0x80 or size >> 8 * (count - 1) == 0:
                raise Malformed(f"{name}: its length is not written in the shortest way")
            at += count
        if size > len(content) - at:
            raise Malformed(f"{name}: {size} bytes were announced, {len(content) - at} are there")
        return at, at + size
