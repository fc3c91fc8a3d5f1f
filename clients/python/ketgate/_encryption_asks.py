"""Questions that seal and open, encapsulate, authenticate, certify, and give random bytes."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import google_crc32c

from ketgate._ask import Ask
from ketgate._key_asks import checked, new_request_id
from ketgate._key_types import Key, KeyVersion
from ketgate._signing_arguments import (
    algorithm_name,
    content_bytes,
    duration,
    listed,
    name_of,
)
from ketgate._signing_asks import TIMEOUT_S, method, one_of
from ketgate._signing_types import Certificate, Encapsulated, Verdict, read_verdict
from ketgate.signing.v1 import signing_service_pb2 as pb


def encapsulate(
    key: str | Key | KeyVersion = "", *, public_key: bytes | str = b""
) -> Ask[Encapsulated]:
    """A shared secret for the holder of a KEM's key, and the ciphertext to send. Another at each call."""
    request = pb.EncapsulateRequest()
    one_of(request, key, public_key)

    def read(answer: pb.EncapsulateResponse) -> Encapsulated:
        return Encapsulated(
            checked(answer.ciphertext, answer.ciphertext_crc32c, "ciphertext"),
            checked(answer.shared_secret, answer.shared_secret_crc32c, "shared_secret"),
            algorithm_name(answer.algorithm),
            answer.key_version,
            answer.provider,
        )

    return Ask(method("Encapsulate"), request, read)


def decapsulate(key: str | Key | KeyVersion, ciphertext: bytes) -> Ask[bytes]:
    """The shared secret of a ciphertext. key: the version that it was made for, or "keys/ID" for the primary one."""
    content = content_bytes(ciphertext, "ciphertext")
    request = pb.DecapsulateRequest(
        key=name_of(key), ciphertext=content, ciphertext_crc32c=google_crc32c.value(content)
    )
    return Ask(
        method("Decapsulate"),
        request,
        lambda a: checked(a.shared_secret, a.shared_secret_crc32c, "shared_secret"),
    )


def seal(
    plaintext: bytes | str,
    *,
    key: str | Key | KeyVersion = "",
    public_key: bytes = b"",
    info: bytes | str = b"",
    associated_data: bytes | str = b"",
) -> Ask[bytes]:
    """Encrypt to a key (HPKE). info and associated_data are bound to it, and must be given again to open it.
    public_key: raw, of HPKE_MLKEM768_X25519."""
    content = content_bytes(plaintext, "plaintext")
    request = pb.SealRequest(
        plaintext=content,
        plaintext_crc32c=google_crc32c.value(content),
        info=content_bytes(info, "info"),
        associated_data=content_bytes(associated_data, "associated_data"),
    )
    one_of(request, key, public_key)
    return Ask(
        method("Seal"), request, lambda a: checked(a.ciphertext, a.ciphertext_crc32c, "ciphertext")
    )


def open(  # noqa: A001 - the contract's name
    key: str | Key | KeyVersion,
    ciphertext: bytes,
    *,
    info: bytes | str = b"",
    associated_data: bytes | str = b"",
) -> Ask[bytes]:
    """Decrypt what was sealed to a key, by whichever of its versions."""
    content = content_bytes(ciphertext, "ciphertext")
    request = pb.OpenRequest(
        key=name_of(key),
        ciphertext=content,
        ciphertext_crc32c=google_crc32c.value(content),
        info=content_bytes(info, "info"),
        associated_data=content_bytes(associated_data, "associated_data"),
    )
    return Ask(
        method("Open"), request, lambda a: checked(a.plaintext, a.plaintext_crc32c, "plaintext")
    )


def random(size_bytes: int) -> Ask[bytes]:
    """Random bytes of the server's operating system, at most 65,536."""
    return Ask(
        method("GenerateRandom"),
        pb.GenerateRandomRequest(size_bytes=size_bytes),
        lambda a: checked(a.random, a.random_crc32c, "random"),
    )


def mac(key: str | Key | KeyVersion, message: bytes | str) -> Ask[bytes]:
    """A message authentication code."""
    content = content_bytes(message)
    request = pb.ComputeMacRequest(
        key=name_of(key), message=content, message_crc32c=google_crc32c.value(content)
    )
    return Ask(method("ComputeMac"), request, lambda a: checked(a.mac, a.mac_crc32c, "mac"))


def verify_mac(key: str | Key | KeyVersion, message: bytes | str, mac: bytes) -> Ask[Verdict]:
    """Whether a code is one of the key over the message."""
    content = content_bytes(message)
    request = pb.VerifyMacRequest(
        key=name_of(key),
        message=content,
        message_crc32c=google_crc32c.value(content),
        mac=content_bytes(mac, "mac"),
    )
    return Ask(method("VerifyMac"), request, lambda a: read_verdict(a.verdict))


def certificate_request(
    key: str | Key | KeyVersion, subject: str, subject_alternative_names: Sequence[str] = ()
) -> Ask[Certificate]:
    """A certification request (PKCS #10) for a key. subject: as "CN=desk,O=Example"."""
    request = pb.CreateSigningRequestRequest(
        key=name_of(key),
        subject=subject,
        subject_alternative_names=listed(subject_alternative_names, "subject_alternative_names"),
    )

    def read(answer: pb.CreateSigningRequestResponse) -> Certificate:
        der = checked(
            answer.certificate_request, answer.certificate_request_crc32c, "certificate_request"
        )
        return Certificate(der, answer.pem, answer.key_version)

    return Ask(method("CreateSigningRequest"), request, read, timeout_s=TIMEOUT_S)


def issue_certificate(
    key: str | Key | KeyVersion,
    issuer: str,
    validity: timedelta,
    *,
    certificate_request: bytes | str | Certificate = b"",
    is_authority: bool = False,
    path_length: int | None = None,
    subject_alternative_names: Sequence[str] = (),
    request_id: str | None = None,
) -> Ask[Certificate]:
    """An X.509 certificate signed by a key: of the key itself, or of a certification request (DER or PEM)."""
    request = pb.IssueCertificateRequest(
        key=name_of(key),
        issuer=issuer,
        certificate_request=content_bytes(certificate_request, "certificate_request"),
        validity=duration(validity, "validity"),
        is_authority=is_authority,
        path_length=path_length,
        subject_alternative_names=listed(subject_alternative_names, "subject_alternative_names"),
        request_id=request_id or new_request_id(),
    )

    def read(answer: pb.IssueCertificateResponse) -> Certificate:
        der = checked(answer.certificate, answer.certificate_crc32c, "certificate")
        return Certificate(der, answer.pem, answer.key_version)

    return Ask(method("IssueCertificate"), request, read, timeout_s=TIMEOUT_S)
