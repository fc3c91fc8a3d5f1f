"""Questions that use keys: sign, verify, encapsulate, seal, codes, certificates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import google_crc32c

from ketgate import _signing_types as types
from ketgate import _wire
from ketgate._ask import Ask
from ketgate._errors import DataLoss, InvalidArgument
from ketgate._key_asks import checked, new_request_id
from ketgate._signing_types import (
    Certificate,
    Encapsulated,
    ItemError,
    Signature,
    Verdict,
    algorithm_name,
    algorithm_number,
    duration,
)
from ketgate.signing.v1 import signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb

CHUNK_BYTES = 256 * 1024
FORMATS = {"raw": "RAW", "jws": "JWS", "cose": "COSE_SIGN1", "cose_sign1": "COSE_SIGN1"}
TIMEOUT_S = 60.0
"""Of one operation; slow algorithms sign for seconds."""

BATCH_TIMEOUT_S = 600.0

Request = TypeVar("Request")


def method(name: str) -> _wire.Method[Any, Any]:
    return _wire.Method(
        f"/ketgate.signing.v1.SigningService/{name}",
        getattr(pb, f"{name}Request"),
        getattr(pb, f"{name}Response"),
    )


def options(
    *,
    context: bytes = b"",
    prehash: str = "",
    input: str = "message",  # noqa: A002
    format: str = "raw",  # noqa: A002
    deterministic: bool = False,
) -> signature_pb2.SigningOptions:
    """Raises InvalidArgument."""
    if format not in FORMATS:
        raise InvalidArgument(
            f"format: expected one of {', '.join(FORMATS)}, given {format!r}", field="format"
        )
    if input not in ("message", "mu", "digest"):
        raise InvalidArgument(
            f"input: expected 'message', 'mu' or 'digest', given {input!r}", field="input"
        )
    return signature_pb2.SigningOptions(
        context=context,
        prehash=prehash,
        input=f"SIGNING_INPUT_{input.upper()}",
        format=f"SIGNATURE_FORMAT_{FORMATS[format]}",
        deterministic=deterministic,
    )


def message_bytes(message: object, argument: str = "message") -> bytes:
    """Text is UTF-8. Raises InvalidArgument."""
    if isinstance(message, str):
        return message.encode()
    if isinstance(message, (bytes, bytearray, memoryview)):
        return bytes(message)
    raise InvalidArgument(
        f"{argument}: expected bytes or text, given {type(message).__name__}", field=argument
    )


def sign(
    key: str,
    message: bytes | str,
    *,
    context: bytes = b"",
    prehash: str = "",
    input: str = "message",  # noqa: A002
    format: str = "raw",  # noqa: A002
    deterministic: bool = False,
    request_id: str | None = None,
) -> Ask[Signature]:
    """Sign a message.

    key: "keys/ID" for its primary version, or "keys/ID/versions/N". context: of ML-DSA, SLH-DSA and the composites,
    at most 255 bytes. prehash: as "SHA2-512", signs the hash of the message (HashML-DSA). input: what message is:
    "message", "mu" (the external mu of ML-DSA) or "digest". format: "raw", "jws" or "cose". request_id: one of your
    own makes a repeat return the same signature.
    """
    content = message_bytes(message)
    request = pb.SignRequest(
        key=key,
        message=content,
        message_crc32c=google_crc32c.value(content),
        options=options(
            context=context,
            prehash=prehash,
            input=input,
            format=format,
            deterministic=deterministic,
        ),
        request_id=request_id or new_request_id(),
    )
    digest = hashlib.sha256(content).digest()
    return Ask(
        method("Sign"), request, lambda a: read_signature(a.signature, digest), timeout_s=TIMEOUT_S
    )


def verify(
    signature: bytes | Signature,
    message: bytes | str = b"",
    *,
    key: str = "",
    public_key: bytes = b"",
    algorithm: str = "",
    context: bytes = b"",
    prehash: str = "",
    input: str = "message",  # noqa: A002
    format: str = "raw",  # noqa: A002
) -> Ask[Verdict]:
    """Whether a signature holds.

    key: "keys/ID" for whichever of its versions; or public_key: SubjectPublicKeyInfo, PEM or DER. message: may be
    left out for JWS and COSE, which bring it along. The rest: as it was signed.
    """
    content = message_bytes(message)
    request = pb.VerifyRequest(
        message=content,
        message_crc32c=google_crc32c.value(content),
        signature=bytes(signature),
        options=options(context=context, prehash=prehash, input=input, format=format),
    )
    _signer(request, key, public_key, algorithm)
    return Ask(
        method("Verify"), request, lambda a: types.read_verdict(a.verdict), timeout_s=TIMEOUT_S
    )


def sign_batch(
    key: str,
    items: Sequence[tuple[bytes, bytes | None]],
    *,
    context: bytes = b"",
    prehash: str = "",
    input: str = "message",  # noqa: A002
    deterministic: bool = False,
) -> Ask[list[Signature | ItemError]]:
    """items: (message, context or None). For each its signature, or why there is none."""
    how = options(context=context, prehash=prehash, input=input, deterministic=deterministic)
    request = pb.SignBatchRequest(key=key, options=how, request_id=new_request_id())
    for message, own in items:
        request.items.add(message=message, message_crc32c=google_crc32c.value(message), context=own)

    def read(answer: pb.SignBatchResponse) -> list[Signature | ItemError]:
        return [
            ItemError(result.error.reason, result.error.message)
            if result.HasField("error")
            else read_signature(result.signature, hashlib.sha256(message).digest())
            for result, (message, _) in zip(answer.results, items, strict=True)
        ]

    return Ask(method("SignBatch"), request, read, timeout_s=BATCH_TIMEOUT_S)


def verify_batch(
    items: Sequence[tuple[bytes, bytes, bytes | None]],
    *,
    key: str = "",
    public_key: bytes = b"",
    algorithm: str = "",
    context: bytes = b"",
    prehash: str = "",
    input: str = "message",  # noqa: A002
) -> Ask[list[Verdict | ItemError]]:
    """items: (signature, message, context or None). For each its verdict, or why there is none."""
    request = pb.VerifyBatchRequest(options=options(context=context, prehash=prehash, input=input))
    _signer(request, key, public_key, algorithm)
    for signature, message, own in items:
        request.items.add(
            message=message,
            message_crc32c=google_crc32c.value(message),
            signature=signature,
            context=own,
        )

    def read(answer: pb.VerifyBatchResponse) -> list[Verdict | ItemError]:
        return [
            ItemError(result.error.reason, result.error.message)
            if result.HasField("error")
            else types.read_verdict(result.verdict)
            for result in answer.results
        ]

    return Ask(method("VerifyBatch"), request, read, timeout_s=BATCH_TIMEOUT_S)


def sign_file(
    key: str,
    path: str | Path,
    *,
    context: bytes = b"",
    prehash: str = "",
    deterministic: bool = False,
) -> Ask[Signature]:
    """Sign a file of any size, which is sent in pieces: the signature is that of its whole content. For ML-DSA,
    ECDSA and composites, and whatever takes a prehash."""
    start = pb.SignRequest(
        key=key,
        options=options(context=context, prehash=prehash, deterministic=deterministic),
        request_id=new_request_id(),
    )
    reading = _Reading(path)

    def read(answer: pb.SignStreamResponse) -> Signature:
        return read_signature(answer.signature, reading.sha256.digest())

    return Ask(
        method("SignStream"), None, read, lambda: reading.pieces(pb.SignStreamRequest, start)
    )


def verify_file(
    signature: bytes | Signature,
    path: str | Path,
    *,
    key: str = "",
    public_key: bytes = b"",
    algorithm: str = "",
    context: bytes = b"",
    prehash: str = "",
) -> Ask[Verdict]:
    """Whether the signature of a file's content holds; it is sent in pieces."""
    start = pb.VerifyRequest(
        signature=bytes(signature), options=options(context=context, prehash=prehash)
    )
    _signer(start, key, public_key, algorithm)
    reading = _Reading(path)
    return Ask(
        method("VerifyStream"),
        None,
        lambda answer: types.read_verdict(answer.verdict),
        lambda: reading.pieces(pb.VerifyStreamRequest, start),
    )


def encapsulate(key: str = "", *, public_key: bytes = b"") -> Ask[Encapsulated]:
    """A shared secret for the holder of a KEM's key, and the ciphertext to send. Another at each call."""
    request = pb.EncapsulateRequest()
    _recipient(request, key, public_key)

    def read(answer: pb.EncapsulateResponse) -> Encapsulated:
        return Encapsulated(
            checked(answer.ciphertext, answer.ciphertext_crc32c, "ciphertext"),
            checked(answer.shared_secret, answer.shared_secret_crc32c, "shared_secret"),
            algorithm_name(answer.algorithm),
            answer.key_version,
            answer.provider,
        )

    return Ask(method("Encapsulate"), request, read)


def decapsulate(key: str, ciphertext: bytes) -> Ask[bytes]:
    """The shared secret of a ciphertext. key: the version that it was made for, or "keys/ID" for the primary one."""
    request = pb.DecapsulateRequest(
        key=key, ciphertext=ciphertext, ciphertext_crc32c=google_crc32c.value(ciphertext)
    )
    return Ask(
        method("Decapsulate"),
        request,
        lambda a: checked(a.shared_secret, a.shared_secret_crc32c, "shared_secret"),
    )


def seal(
    plaintext: bytes | str,
    *,
    key: str = "",
    public_key: bytes = b"",
    info: bytes = b"",
    associated_data: bytes = b"",
) -> Ask[bytes]:
    """Encrypt to a key (HPKE). info and associated_data are bound to it, and must be given again to open it.
    public_key: raw, of HPKE_MLKEM768_X25519."""
    content = message_bytes(plaintext, "plaintext")
    request = pb.SealRequest(
        plaintext=content,
        plaintext_crc32c=google_crc32c.value(content),
        info=info,
        associated_data=associated_data,
    )
    _recipient(request, key, public_key)
    return Ask(
        method("Seal"), request, lambda a: checked(a.ciphertext, a.ciphertext_crc32c, "ciphertext")
    )


def open(  # noqa: A001
    key: str, ciphertext: bytes, *, info: bytes = b"", associated_data: bytes = b""
) -> Ask[bytes]:
    """Decrypt what was sealed to a key, by whichever of its versions."""
    request = pb.OpenRequest(
        key=key,
        ciphertext=ciphertext,
        ciphertext_crc32c=google_crc32c.value(ciphertext),
        info=info,
        associated_data=associated_data,
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


def mac(key: str, message: bytes | str) -> Ask[bytes]:
    """A message authentication code."""
    content = message_bytes(message)
    request = pb.ComputeMacRequest(
        key=key, message=content, message_crc32c=google_crc32c.value(content)
    )
    return Ask(method("ComputeMac"), request, lambda a: checked(a.mac, a.mac_crc32c, "mac"))


def verify_mac(key: str, message: bytes | str, mac: bytes) -> Ask[Verdict]:
    """Whether a code is one of the key over the message."""
    content = message_bytes(message)
    request = pb.VerifyMacRequest(
        key=key, message=content, message_crc32c=google_crc32c.value(content), mac=mac
    )
    return Ask(method("VerifyMac"), request, lambda a: types.read_verdict(a.verdict))


def certificate_request(
    key: str, subject: str, subject_alternative_names: Sequence[str] = ()
) -> Ask[Certificate]:
    """A certification request (PKCS #10) for a key. subject: as "CN=desk,O=Example"."""
    request = pb.CreateSigningRequestRequest(
        key=key, subject=subject, subject_alternative_names=subject_alternative_names
    )

    def read(answer: pb.CreateSigningRequestResponse) -> Certificate:
        der = checked(
            answer.certificate_request, answer.certificate_request_crc32c, "certificate_request"
        )
        return Certificate(der, answer.pem, answer.key_version)

    return Ask(method("CreateSigningRequest"), request, read, timeout_s=TIMEOUT_S)


def issue_certificate(
    key: str,
    issuer: str,
    validity: timedelta,
    *,
    certificate_request: bytes = b"",
    is_authority: bool = False,
    path_length: int | None = None,
    subject_alternative_names: Sequence[str] = (),
    request_id: str | None = None,
) -> Ask[Certificate]:
    """An X.509 certificate signed by a key: of the key itself, or of a certification request (DER or PEM)."""
    request = pb.IssueCertificateRequest(
        key=key,
        issuer=issuer,
        certificate_request=certificate_request,
        validity=duration(validity, "validity"),
        is_authority=is_authority,
        path_length=path_length,
        subject_alternative_names=subject_alternative_names,
        request_id=request_id or new_request_id(),
    )

    def read(answer: pb.IssueCertificateResponse) -> Certificate:
        der = checked(answer.certificate, answer.certificate_crc32c, "certificate")
        return Certificate(der, answer.pem, answer.key_version)

    return Ask(method("IssueCertificate"), request, read, timeout_s=TIMEOUT_S)


def read_signature(message: signature_pb2.Signature, content_sha256: bytes) -> Signature:
    """Raises DataLoss for a signature that was damaged, or is over something else than was sent."""
    checked(message.signature, message.signature_crc32c, "signature")
    if message.content_sha256 != content_sha256:
        raise DataLoss(
            "content_sha256: the server signed something else than was sent",
            reason="DIGEST_MISMATCH",
            field="content_sha256",
        )
    number = signature_pb2.SignatureFormat.Name(message.format)
    return Signature(
        message.signature,
        message.content_sha256,
        algorithm_name(message.algorithm),
        message.standard,
        message.key_version,
        message.provider,
        number.removeprefix("SIGNATURE_FORMAT_").lower(),
    )


class _Reading:
    """A file that is sent in pieces, and its digest; anew for each attempt."""

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self.sha256 = hashlib.sha256()

    def pieces(self, make: Callable[..., Request], start: Any) -> Iterator[Request]:
        self.sha256 = hashlib.sha256()
        crc32c = 0
        yield make(start=start)
        with self._path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                self.sha256.update(chunk)
                crc32c = google_crc32c.extend(crc32c, chunk)
                yield make(chunk=chunk)
        yield make(message_crc32c=crc32c)


def _signer(request: Any, key: str, public_key: bytes, algorithm: str) -> None:
    _one_of(request, key, public_key)
    if algorithm:
        request.algorithm = algorithm_number(algorithm)


def _recipient(request: Any, key: str, public_key: bytes) -> None:
    _one_of(request, key, public_key)


def _one_of(request: Any, key: str, public_key: bytes) -> None:
    if bool(key) == bool(public_key):
        given = "both" if key else "neither"
        raise InvalidArgument(f"key: expected key= or public_key=, given {given}", field="key")
    if key:
        request.key = key
    else:
        request.public_key = message_bytes(public_key, "public_key")
