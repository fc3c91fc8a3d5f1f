"""Certificates and requests for them, made with keys of the service.

A certificate is of the signing key itself, or of the key of a request, whose own signature must hold: nobody gets
a certificate for a key that they do not have.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import cast

from ketgate_server.errors import FieldError
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.formats import certificates, der, names, requests, x509_signatures
from ketgate_server.signing.formats.malformed import Malformed
from ketgate_server.signing.formats.requests import CertificationRequest, Sign
from ketgate_server.signing.provider import KeyInvalid, Options, Providers, VerifyingKey
from ketgate_server.signing.use.options import no_provider

VALIDITY_MIN = timedelta(minutes=1)
VALIDITY_MAX = timedelta(days=30 * 366)
PATH_LENGTH_MAX = 255
_ALTERNATIVES = "subject_alternative_names"
_REQUEST = "certificate_request"


@dataclass(frozen=True)
class Signer:
    """A version of a key, ready to sign."""

    algorithm: Algorithm
    public_key: bytes
    """Raw."""
    sign: Sign


@dataclass(frozen=True)
class Order:
    """What a certificate is to say; fields as IssueCertificateRequest has them."""

    issuer: str
    validity: timedelta
    certificate_request: bytes = b""
    is_authority: bool = False
    path_length: int | None = None
    subject_alternative_names: Sequence[str] = ()


def create_signing_request(signer: Signer, subject: str, alternatives: Sequence[str]) -> bytes:
    """A certification request, DER. Raises FieldError."""
    check_algorithm(signer.algorithm)
    return requests.write(
        signer.algorithm,
        signer.public_key,
        names.distinguished(subject, "subject"),
        names.alternatives(alternatives, _ALTERNATIVES),
        signer.sign,
    )


def issue_certificate(signer: Signer, order: Order, providers: Providers, now: datetime) -> bytes:
    """A certificate, DER. now: with a time zone. Raises FieldError, PartMissing."""
    check_algorithm(signer.algorithm)
    check_order(order)
    issuer = names.distinguished(order.issuer, "issuer")
    alternatives: Sequence[str]
    if order.certificate_request:
        request = read_request(order.certificate_request, providers)
        algorithm, public_key = request.algorithm, request.public_key
        subject, alternatives = request.subject, request.alternatives
    else:
        algorithm, public_key = signer.algorithm, signer.public_key
        subject, alternatives = issuer, order.subject_alternative_names
    not_before = now.replace(microsecond=0)
    content = certificates.Content(
        serial=secrets.randbits(158) | 1 << 158,
        issuer=issuer,
        subject=subject,
        not_before=not_before,
        not_after=not_before + order.validity,
        algorithm=algorithm,
        public_key=public_key,
        alternatives=names.alternatives(alternatives, _ALTERNATIVES),
        is_authority=order.is_authority,
        path_length=order.path_length,
    )
    return certificates.write(content, signer.algorithm, signer.public_key, signer.sign)


def check_algorithm(algorithm: Algorithm) -> None:
    """Raises FieldError for keys that sign no certificates."""
    if not x509_signatures.exists(algorithm):
        raise FieldError(
            "key",
            expected="a key of ML-DSA, SLH-DSA, Ed25519, ECDSA or a composite",
            given=f"one of {algorithm}",
            hint="X.509 has no signatures of it that this service makes",
        )


def check_order(order: Order) -> None:
    """What needs no key to be checked. Raises FieldError."""
    if not VALIDITY_MIN <= order.validity <= VALIDITY_MAX:
        raise FieldError("validity", expected="a minute to 30 years", given=order.validity)
    if order.path_length is not None:
        if not order.is_authority:
            raise FieldError(
                "path_length", expected="nothing without is_authority", given=order.path_length
            )
        if not 0 <= order.path_length <= PATH_LENGTH_MAX:
            raise FieldError(
                "path_length", expected=f"0 to {PATH_LENGTH_MAX}", given=order.path_length
            )
    if order.certificate_request and order.subject_alternative_names:
        raise FieldError(
            _ALTERNATIVES,
            expected="none beside certificate_request, which has its own",
            given=len(order.subject_alternative_names),
        )


def read_request(content: bytes, providers: Providers) -> CertificationRequest:
    """A request whose signature holds. Raises FieldError, PartMissing."""
    try:
        request = requests.read(content)
    except Malformed as error:
        raise FieldError(
            _REQUEST,
            expected="a certification request (PKCS #10), DER or PEM",
            given=content,
            hint=str(error),
        ) from None
    if request.subject == der.sequence() and not request.alternatives:
        raise FieldError(
            _REQUEST, expected="one that names its subject", given="one without any name"
        )
    if not _holds(request, providers):
        raise FieldError(
            _REQUEST,
            expected="one that is signed by its own key",
            given=f"one of {request.algorithm} whose signature does not hold",
        )
    return request


def _holds(request: CertificationRequest, providers: Providers) -> bool:
    options = Options()
    provider = providers.to_verify(request.algorithm, options)
    if provider is None:
        raise no_provider(request.algorithm, options)
    try:
        key = provider.open_public(request.algorithm, request.public_key)
    except KeyInvalid:
        return False
    # What reads requests takes keys that sign only.
    return cast("VerifyingKey", key).verify(request.signature, request.signed, options)
