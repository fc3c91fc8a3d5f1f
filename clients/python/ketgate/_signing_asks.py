"""Questions that sign and verify: messages, batches of them, files."""

# ruff: noqa: A002 - input and format are the contract's names

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

import google_crc32c

from ketgate import _wire
from ketgate._ask import Ask
from ketgate._errors import InvalidArgument
from ketgate._file_pieces import pieces_of
from ketgate._key_asks import new_request_id
from ketgate._key_types import Key, KeyVersion
from ketgate._signing_arguments import algorithm_number, content_bytes, name_of
from ketgate._signing_types import ItemError, Signature, Verdict, read_signature, read_verdict
from ketgate.signing.v1 import signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb

FORMATS = {"raw": "RAW", "jws": "JWS", "cose": "COSE_SIGN1", "cose_sign1": "COSE_SIGN1"}
TIMEOUT_S = 60.0
"""Of one operation; slow algorithms sign for seconds."""

BATCH_TIMEOUT_S = 600.0


def method(name: str) -> _wire.Method[Any, Any]:
    return _wire.Method(
        f"/ketgate.signing.v1.SigningService/{name}",
        getattr(pb, f"{name}Request"),
        getattr(pb, f"{name}Response"),
    )


def options(
    *,
    context: bytes | str = b"",
    prehash: str = "",
    input: str = "message",
    format: str = "raw",
    deterministic: bool = False,
) -> signature_pb2.SigningOptions:
    """Raises InvalidArgument."""
    if not isinstance(format, str) or format not in FORMATS:
        raise InvalidArgument(
            f"format: expected one of {', '.join(FORMATS)}, given {format!r}", field="format"
        )
    if input not in ("message", "mu", "digest"):
        raise InvalidArgument(
            f"input: expected 'message', 'mu' or 'digest', given {input!r}", field="input"
        )
    if not isinstance(prehash, str):
        raise InvalidArgument(
            f"prehash: expected the name of a hash, as 'SHA2-512', given {type(prehash).__name__}",
            field="prehash",
        )
    if not isinstance(deterministic, bool):
        raise InvalidArgument(
            f"deterministic: expected True or False, given {type(deterministic).__name__}",
            field="deterministic",
        )
    return signature_pb2.SigningOptions(
        context=content_bytes(context, "context"),
        prehash=prehash,
        input=f"SIGNING_INPUT_{input.upper()}",
        format=f"SIGNATURE_FORMAT_{FORMATS[format]}",
        deterministic=deterministic,
    )


def sign(
    key: str | Key | KeyVersion,
    message: bytes | str,
    *,
    context: bytes | str = b"",
    prehash: str = "",
    input: str = "message",
    format: str = "raw",
    deterministic: bool = False,
    request_id: str | None = None,
) -> Ask[Signature]:
    """Sign a message.

    key: "keys/ID" for its primary version, or "keys/ID/versions/N". context: of ML-DSA, SLH-DSA and the composites,
    at most 255 bytes. prehash: as "SHA2-512", signs the hash of the message (HashML-DSA). input: what message is:
    "message", "mu" (the external mu of ML-DSA) or "digest". format: "raw", "jws" or "cose". request_id: one of your
    own makes a repeat return the same signature.
    """
    content = content_bytes(message)
    request = pb.SignRequest(
        key=name_of(key),
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
    signature: bytes | str | Signature,
    message: bytes | str = b"",
    *,
    key: str | Key | KeyVersion = "",
    public_key: bytes | str = b"",
    algorithm: str = "",
    context: bytes | str = b"",
    prehash: str = "",
    input: str = "message",
    format: str = "raw",
) -> Ask[Verdict]:
    """Whether a signature holds.

    key: "keys/ID" for whichever of its versions; or public_key: SubjectPublicKeyInfo, PEM or DER. message: may be
    left out for JWS and COSE, which bring it along. The rest: as it was signed.
    """
    content = content_bytes(message)
    request = pb.VerifyRequest(
        message=content,
        message_crc32c=google_crc32c.value(content),
        signature=content_bytes(signature, "signature"),
        options=options(context=context, prehash=prehash, input=input, format=format),
    )
    _signer(request, key, public_key, algorithm)
    return Ask(method("Verify"), request, lambda a: read_verdict(a.verdict), timeout_s=TIMEOUT_S)


def sign_batch(
    key: str | Key | KeyVersion,
    items: Sequence[tuple[bytes, bytes | None]],
    *,
    context: bytes | str = b"",
    prehash: str = "",
    input: str = "message",
    deterministic: bool = False,
) -> Ask[list[Signature | ItemError]]:
    """items: (message, context or None). For each its signature, or why there is none."""
    how = options(context=context, prehash=prehash, input=input, deterministic=deterministic)
    request = pb.SignBatchRequest(key=name_of(key), options=how, request_id=new_request_id())
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
    key: str | Key | KeyVersion = "",
    public_key: bytes | str = b"",
    algorithm: str = "",
    context: bytes | str = b"",
    prehash: str = "",
    input: str = "message",
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
            else read_verdict(result.verdict)
            for result in answer.results
        ]

    return Ask(method("VerifyBatch"), request, read, timeout_s=BATCH_TIMEOUT_S)


def sign_file(
    key: str | Key | KeyVersion,
    path: str | Path | BinaryIO,
    *,
    context: bytes | str = b"",
    prehash: str = "",
    deterministic: bool = False,
) -> Ask[Signature]:
    """Sign a file of any size, which is sent in pieces: the signature is that of its whole content. For ML-DSA,
    ECDSA and composites, and whatever takes a prehash.

    path: the file; or an open stream of bytes, as of a pipe, which is sent from where it stands: a call that
    fails is not tried again by itself.
    """
    start = pb.SignRequest(
        key=name_of(key),
        options=options(context=context, prehash=prehash, deterministic=deterministic),
        request_id=new_request_id(),
    )
    content = pieces_of(path)

    def read(answer: pb.SignStreamResponse) -> Signature:
        return read_signature(answer.signature, content.sha256.digest())

    return Ask(
        method("SignStream"),
        None,
        read,
        lambda: content.requests(pb.SignStreamRequest, start),
        repeatable=content.repeatable,
    )


def verify_file(
    signature: bytes | Signature,
    path: str | Path | BinaryIO,
    *,
    key: str | Key | KeyVersion = "",
    public_key: bytes | str = b"",
    algorithm: str = "",
    context: bytes | str = b"",
    prehash: str = "",
) -> Ask[Verdict]:
    """Whether the signature of a file's content holds; it is sent in pieces. path: as of sign_file."""
    start = pb.VerifyRequest(
        signature=content_bytes(signature, "signature"),
        options=options(context=context, prehash=prehash),
    )
    _signer(start, key, public_key, algorithm)
    content = pieces_of(path)
    return Ask(
        method("VerifyStream"),
        None,
        lambda answer: read_verdict(answer.verdict),
        lambda: content.requests(pb.VerifyStreamRequest, start),
        repeatable=content.repeatable,
    )


def _signer(
    request: Any, key: str | Key | KeyVersion, public_key: bytes | str, algorithm: str
) -> None:
    one_of(request, key, public_key)
    if algorithm:
        request.algorithm = algorithm_number(algorithm)


def one_of(request: Any, key: str | Key | KeyVersion, public_key: bytes | str) -> None:
    """Whose key it is: one of the server's, or one that is given."""
    if bool(key) == bool(public_key):
        given = "both" if key else "neither"
        raise InvalidArgument(f"key: expected key= or public_key=, given {given}", field="key")
    if key:
        request.key = name_of(key)
    else:
        request.public_key = content_bytes(public_key, "public_key")
