"""Certification requests (PKCS #10, RFC 2986): written for a key, and read from anybody."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import der, names, pem, spki, x509_signatures
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.provider import KeyInvalid

EXTENSION_REQUEST: Final = "1.2.840.113549.1.9.14"
SUBJECT_ALTERNATIVE_NAME: Final = "2.5.29.17"
REQUEST_BYTES_MAX = 256 << 10
_ATTRIBUTES_MAX = 32
_EXTENSIONS_MAX = 64

Sign = Callable[[bytes], bytes]
"""Content to RAW signature, with an empty context."""


@dataclass(frozen=True)
class CertificationRequest:
    """A request that was read, and not verified."""

    algorithm: Algorithm
    public_key: bytes
    """Raw."""
    subject: bytes
    """Name, DER; maybe of no parts."""
    alternatives: list[str]
    """Subject alternative names that it asks for. What else it asks for is the issuer's to decide."""
    signed: bytes
    signature: bytes
    """RAW, over signed, by the key itself; of nobody else can it be."""


def write(
    algorithm: Algorithm, public_key: bytes, subject: bytes, alternatives: bytes, sign: Sign
) -> bytes:
    """DER. subject: Name. alternatives: GeneralNames, or empty."""
    attributes = b""
    if alternatives:
        extension = der.sequence(der.oid(SUBJECT_ALTERNATIVE_NAME), der.octets(alternatives))
        attributes = der.sequence(der.oid(EXTENSION_REQUEST), der.set_of(der.sequence(extension)))
    content = der.sequence(
        der.integer(0),
        subject,
        spki.write(algorithm, public_key),
        der.element(der.context(0), attributes),
    )
    return signed(algorithm, content, sign)


def signed(algorithm: Algorithm, content: bytes, sign: Sign) -> bytes:
    """SIGNED of X.509: a request, or a certificate."""
    signature = x509_signatures.write(algorithm, sign(content))
    return der.sequence(content, x509_signatures.identifier(algorithm), der.bits(signature))


def read(content: bytes) -> CertificationRequest:
    """DER or PEM. Raises Malformed."""
    content = pem.read(content, pem.CERTIFICATE_REQUEST, "NEW CERTIFICATE REQUEST")
    if len(content) > REQUEST_BYTES_MAX:
        raise Malformed(f"a request of more than {REQUEST_BYTES_MAX} bytes is not read")
    whole = der.Reader(content)
    outer = whole.enter()
    whole.end("the request")
    body = outer.whole(der.SEQUENCE)
    described = outer.whole(der.SEQUENCE)
    signature = outer.bits()
    outer.end("the request")
    inner = der.Reader(body).enter()
    if inner.integer() != 0:
        raise Malformed("the request is of another version than 1")
    subject = names.read_distinguished(inner)
    try:
        algorithm, public_key = spki.read(inner.whole(der.SEQUENCE))
    except KeyInvalid as error:
        raise Malformed(f"the request's key: {error}") from None
    alternatives = _read_attributes(inner.enter(der.context(0)))
    inner.end("the request's content")
    raw = x509_signatures.read(algorithm, described, signature)
    return CertificationRequest(algorithm, public_key, subject, alternatives, body, raw)


def _read_attributes(attributes: der.Reader) -> list[str]:
    """The subject alternative names of the extension request, if there is one."""
    found: list[str] | None = None
    for _ in range(_ATTRIBUTES_MAX):
        if attributes.at_end():
            return found or []
        attribute = attributes.enter()
        oid = attribute.oid()
        values = attribute.enter(der.SET)
        attribute.end("an attribute of the request")
        if oid == EXTENSION_REQUEST:
            if found is not None:
                raise Malformed("the request asks for extensions twice")
            found = _read_extensions(values)
    raise Malformed(f"a request of more than {_ATTRIBUTES_MAX} attributes is not read")


def _read_extensions(values: der.Reader) -> list[str]:
    extensions = values.enter()
    values.end("the extension request")
    found: list[str] | None = None
    for _ in range(_EXTENSIONS_MAX):
        if extensions.at_end():
            return found or []
        extension = extensions.enter()
        oid = extension.oid()
        if extension.next_is(der.BOOLEAN):
            extension.read(der.BOOLEAN)
        content = extension.read(der.OCTET_STRING)
        extension.end("an extension of the request")
        if oid == SUBJECT_ALTERNATIVE_NAME:
            if found is not None:
                raise Malformed("the request has subject alternative names twice")
            found = names.read_alternatives(content)
    raise Malformed(f"a request of more than {_EXTENSIONS_MAX} extensions is not read")
