"""Certificates (X.509 version 3, RFC 5280), with what RFC 9881 asks of ML-DSA's."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import der, spki, x509_signatures
from ketgate_server.signing.formats.requests import SUBJECT_ALTERNATIVE_NAME, Sign, signed

_SUBJECT_KEY_IDENTIFIER: Final = "2.5.29.14"
_KEY_USAGE: Final = "2.5.29.15"
_BASIC_CONSTRAINTS: Final = "2.5.29.19"
_AUTHORITY_KEY_IDENTIFIER: Final = "2.5.29.35"

# Named bits without the zeros after the last of them. RFC 9881 allows ML-DSA keys no other use than to sign.
_DIGITAL_SIGNATURE = der.element(der.BIT_STRING, bytes((7, 0x80)))
_KEY_CERT_SIGN_AND_CRL_SIGN = der.element(der.BIT_STRING, bytes((1, 0x06)))


@dataclass(frozen=True)
class Content:
    """What a certificate says."""

    serial: int
    """Positive, at most 20 bytes."""
    issuer: bytes
    """Name, DER."""
    subject: bytes
    """Name, DER."""
    not_before: datetime
    not_after: datetime
    algorithm: Algorithm
    """Of the subject's key."""
    public_key: bytes
    """Raw, of the subject."""
    alternatives: bytes = b""
    """GeneralNames; empty: none."""
    is_authority: bool = False
    path_length: int | None = None


def write(content: Content, signer: Algorithm, signer_public_key: bytes, sign: Sign) -> bytes:
    """DER. signer: the algorithm that sign() signs with."""
    body = der.sequence(
        der.element(der.context(0), der.integer(2)),
        der.integer(content.serial),
        x509_signatures.identifier(signer),
        content.issuer,
        der.sequence(der.time(content.not_before), der.time(content.not_after)),
        content.subject,
        spki.write(content.algorithm, content.public_key),
        der.element(der.context(3), _extensions(content, signer, signer_public_key)),
    )
    return signed(signer, body, sign)


def key_identifier(algorithm: Algorithm, public_key: bytes) -> bytes:
    """20 bytes: the first of SHA-256 of the key's bits (RFC 7093, 2, method 1)."""
    return hashlib.sha256(spki.key_bits(algorithm, public_key)).digest()[:20]


def _extensions(content: Content, signer: Algorithm, signer_public_key: bytes) -> bytes:
    own = key_identifier(content.algorithm, content.public_key)
    above = der.element(
        der.context(0, constructed=False), key_identifier(signer, signer_public_key)
    )
    parts = [
        _extension(_BASIC_CONSTRAINTS, _basic_constraints(content), critical=True),
        _extension(
            _KEY_USAGE,
            _KEY_CERT_SIGN_AND_CRL_SIGN if content.is_authority else _DIGITAL_SIGNATURE,
            critical=True,
        ),
        _extension(_SUBJECT_KEY_IDENTIFIER, der.octets(own)),
        _extension(_AUTHORITY_KEY_IDENTIFIER, der.sequence(above)),
    ]
    if content.alternatives:
        # Critical where they are the only name there is (RFC 5280, 4.2.1.6).
        nameless = content.subject == der.sequence()
        parts.append(_extension(SUBJECT_ALTERNATIVE_NAME, content.alternatives, critical=nameless))
    return der.sequence(*parts)


def _basic_constraints(content: Content) -> bytes:
    if not content.is_authority:
        return der.sequence()
    if content.path_length is None:
        return der.sequence(der.boolean(True))
    return der.sequence(der.boolean(True), der.integer(content.path_length))


def _extension(oid: str, content: bytes, *, critical: bool = False) -> bytes:
    flag = der.boolean(True) if critical else b""
    return der.sequence(der.oid(oid), flag, der.octets(content))
