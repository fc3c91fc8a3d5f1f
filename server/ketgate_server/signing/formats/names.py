"""Names in certificates: distinguished names (RFC 4514) and subject alternative names (RFC 5280, 4.2.1.6)."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Sequence
from typing import Final
from urllib.parse import urlsplit

from cryptography import x509

from ketgate_server.errors import FieldError
from ketgate_server.signing.formats import der
from ketgate_server.signing.formats.malformed import Malformed

NAME_CHARACTERS_MAX = 1_000
ALTERNATIVES_MAX = 100
ALTERNATIVE_CHARACTERS_MAX = 1_000
_PARTS_MAX = 64
_NAME_BYTES_MAX = 16 << 10

_EMAIL = der.context(1, constructed=False)
_HOST = der.context(2, constructed=False)
_URI = der.context(6, constructed=False)
_ADDRESS = der.context(7, constructed=False)

_TEXTS: Final = {0x0C: "utf-8", 0x13: "ascii", 0x16: "ascii"}
"""UTF8String, PrintableString and IA5String, which RFC 5280 (4.1.2.4) leaves."""

_HEXADECIMAL: Final = re.compile(r"(?<!\\)=\s*#")
_LABEL: Final = re.compile(r"(?!-)[A-Za-z0-9_-]{1,63}(?<!-)", re.ASCII)
_LOCAL_PART: Final = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}", re.ASCII)
_SCHEME: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://", re.ASCII)
_EXPECTED = "a host name, an IP address, a URI or an e-mail address"


def distinguished(text: str, field: str) -> bytes:
    """A distinguished name, DER. Raises FieldError."""
    if not text or len(text) > NAME_CHARACTERS_MAX:
        raise FieldError(
            field,
            expected=f'a distinguished name of 1 to {NAME_CHARACTERS_MAX} characters, as "CN=desk"',
            given=f"{len(text)} characters",
        )
    hint = "known are CN, L, ST, O, OU, C, STREET, DC, UID and dotted object identifiers"
    try:
        name = x509.Name.from_rfc4514_string(text)
    except (ValueError, TypeError, KeyError) as error:
        if str(error).startswith("Attribute's length"):
            hint = str(error)
    else:
        # What is hexadecimal there stands for any element; the library would take it for text.
        if _HEXADECIMAL.search(text):
            hint = "values in hexadecimal are not taken"
        elif len(list(name)) > _PARTS_MAX:
            hint = f"a name has at most {_PARTS_MAX} parts"
        elif not all(_is_visible(attribute.value) for attribute in name):
            hint = "values are of printable characters, one at least"
        else:
            return name.public_bytes()
    raise FieldError(
        field,
        expected='a distinguished name (RFC 4514), as "CN=desk,O=Example"',
        given=text,
        hint=hint,
    )


def read_distinguished(reader: der.Reader) -> bytes:
    """The next element, which must be a Name: DER. Raises Malformed."""
    name = reader.whole(der.SEQUENCE)
    if len(name) > _NAME_BYTES_MAX:
        raise Malformed(f"a name of more than {_NAME_BYTES_MAX} bytes is not read")
    parts = der.Reader(name).enter()
    count = 0
    while not parts.at_end():
        part = parts.enter(der.SET)
        while True:
            attribute = part.enter()
            attribute.oid()
            _check_value(attribute)
            attribute.end("an attribute of a name")
            count += 1
            if count > _PARTS_MAX:
                raise Malformed(f"a name of more than {_PARTS_MAX} parts is not read")
            if part.at_end():
                break
    return name


def _is_visible(value: object) -> bool:
    return isinstance(value, str) and value != "" and value.isprintable()


def _check_value(attribute: der.Reader) -> None:
    """The value of a name's attribute: what people who decide by it would not see is refused. Raises Malformed."""
    for tag, encoding in _TEXTS.items():
        if attribute.next_is(tag):
            try:
                text = attribute.read(tag).decode(encoding)
            except UnicodeDecodeError:
                text = ""
            if not _is_visible(text):
                raise Malformed("a name has a value that is not of printable characters")
            return
    raise Malformed("a name has a value that is no UTF8String, PrintableString or IA5String")


def alternatives(texts: Sequence[str], field: str) -> bytes:
    """Subject alternative names: GeneralNames, DER; empty without any. Raises FieldError."""
    if len(texts) > ALTERNATIVES_MAX:
        raise FieldError(field, expected=f"at most {ALTERNATIVES_MAX}", given=len(texts))
    if not texts:
        return b""
    return der.sequence(*(_general(text, f"{field}[{i}]") for i, text in enumerate(texts)))


def read_alternatives(content: bytes) -> list[str]:
    """As alternatives() takes them. content: GeneralNames. Raises Malformed; kinds of names that a certificate is
    not given here are refused, never left out."""
    outer = der.Reader(content)
    names = outer.enter()
    outer.end("the subject alternative names")
    texts = []
    while not names.at_end():
        texts.append(_read_general(names))
        if len(texts) > ALTERNATIVES_MAX:
            raise Malformed(f"more than {ALTERNATIVES_MAX} subject alternative names are not read")
    return texts


def _general(text: str, field: str) -> bytes:
    tag, content = _kind(text)
    if not content:
        raise FieldError(
            field,
            expected=_EXPECTED,
            given=text,
            hint="names with other letters than ASCII's are written in punycode",
        )
    return der.element(tag, content)


def _kind(text: str) -> tuple[int, bytes]:
    """(tag, content) of what a text is; content is empty where it is nothing."""
    if not text or len(text) > ALTERNATIVE_CHARACTERS_MAX or not text.isascii():
        return _HOST, b""
    if (
        "%" in text and "://" not in text
    ):  # the scope of an address means something on one host only
        return _ADDRESS, b""
    try:
        return _ADDRESS, ipaddress.ip_address(text).packed
    except ValueError:
        pass
    if _SCHEME.match(text):
        return _URI, text.encode() if _is_uri(text) else b""
    local, at, host = text.rpartition("@")
    if at:
        fits = _LOCAL_PART.fullmatch(local) and _is_host(host)
        return _EMAIL, text.encode() if fits else b""
    return _HOST, text.encode() if _is_host(text.removeprefix("*.")) else b""


def _is_host(text: str) -> bool:
    labels = text.split(".")
    # What looks like an address and is none is no name either.
    return (
        len(text) <= 253
        and all(_LABEL.fullmatch(label) for label in labels)
        and not labels[-1].isdigit()
    )


def _is_uri(text: str) -> bool:
    if not text.isprintable() or " " in text:
        return False
    try:
        return bool(urlsplit(text).netloc)
    except ValueError:
        return False


def _read_general(names: der.Reader) -> str:
    for tag in (_HOST, _URI, _EMAIL):
        if names.next_is(tag):
            try:
                text = names.read(tag).decode("ascii")
            except UnicodeDecodeError:
                raise Malformed("a subject alternative name is not ASCII") from None
            if _kind(text)[0] != tag or not _kind(text)[1]:
                raise Malformed(f"a subject alternative name is not {_EXPECTED}")
            return text
    if names.next_is(_ADDRESS):
        packed = names.read(_ADDRESS)
        if len(packed) not in (4, 16):
            raise Malformed("an IP address among the subject alternative names has a wrong length")
        return str(ipaddress.ip_address(packed))
    raise Malformed("a subject alternative name of another kind than host, URI, e-mail or address")
