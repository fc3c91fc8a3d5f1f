"""Requests of the signing service to what its parts take, and back. Every refusal names the field."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import google_crc32c
from google.protobuf.message import Message
from ketgate.signing.v1 import algorithm_pb2, signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb

from ketgate_server.errors import FieldError, KetgateError, LimitError
from ketgate_server.rpc.call import Call
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm
from ketgate_server.signing.certificates import Order
from ketgate_server.signing.formats import pem
from ketgate_server.signing.provider import Input, Options
from ketgate_server.signing.use.batches import Columns
from ketgate_server.signing.use.certification import Made
from ketgate_server.signing.use.encryption import Done
from ketgate_server.signing.use.options import Format
from ketgate_server.signing.use.signatures import How, Signed
from ketgate_server.signing.use.streams import mismatch
from ketgate_server.signing.use.uses import Asked
from ketgate_server.signing.use.verdicts import Found
from ketgate_server.store.requests import read_request_id, request_digest

REFERENCE_CHARACTERS_MAX = 128
SEAL_BYTES_MAX = 1 << 20
INFO_BYTES_MAX = 1_024
ASSOCIATED_DATA_BYTES_MAX = 64 * 1024
RANDOM_BYTES_MAX = 65_536

_INPUTS = {
    signature_pb2.SIGNING_INPUT_UNSPECIFIED: Input.MESSAGE,
    signature_pb2.SIGNING_INPUT_MESSAGE: Input.MESSAGE,
    signature_pb2.SIGNING_INPUT_MU: Input.MU,
    signature_pb2.SIGNING_INPUT_DIGEST: Input.DIGEST,
}
_FORMATS = {
    signature_pb2.SIGNATURE_FORMAT_UNSPECIFIED: Format.RAW,
    signature_pb2.SIGNATURE_FORMAT_RAW: Format.RAW,
    signature_pb2.SIGNATURE_FORMAT_JWS: Format.JWS,
    signature_pb2.SIGNATURE_FORMAT_COSE_SIGN1: Format.COSE_SIGN1,
}
_ALGORITHM_NUMBERS = {
    algorithm.id: algorithm_pb2.Algorithm.Value(f"ALGORITHM_{algorithm.id}")
    for algorithm in ALGORITHMS.values()
}
_ALGORITHMS = {number: ALGORITHMS[name] for name, number in _ALGORITHM_NUMBERS.items()}
_PLAIN = How(Options())
MESSAGE_LIMIT = "signing.message_bytes_max"

BatchItem = signature_pb2.SignItem | signature_pb2.VerifyItem


def asked(call: Call, request: Message) -> Asked:
    """Who asks for a use of a private key."""
    return Asked(call, read_request_id(request), request_digest(request))


def how(request: Message, path: str = "options") -> How:
    """Its SigningOptions."""
    if not request.HasField("options"):
        return _PLAIN
    options: signature_pb2.SigningOptions = request.options  # type: ignore[attr-defined]
    given = _INPUTS.get(options.input)
    if given is None:
        raise FieldError(
            f"{path}.input", expected="MESSAGE, MU or DIGEST", given=f"the number {options.input}"
        )
    form = _FORMATS.get(options.format)
    if form is None:
        raise FieldError(
            f"{path}.format",
            expected="RAW, JWS or COSE_SIGN1",
            given=f"the number {options.format}",
        )
    return How(Options(given, options.context, options.prehash, options.deterministic), form, path)


def algorithm(number: int, field: str) -> Algorithm | None:
    """None for UNSPECIFIED."""
    found = _ALGORITHMS.get(number)
    if found is None and number:
        raise FieldError(field, expected="an algorithm", given=f"the number {number}")
    return found


def content(request: Message, name: str, bytes_max: int, limit: str, path: str = "") -> bytes:
    """A field of bytes, its size and, when it came with one, its CRC-32C checked."""
    found: bytes = getattr(request, name)
    if len(found) > bytes_max:
        if limit:
            raise LimitError(
                limit,
                allowed=bytes_max,
                given=len(found),
                field=path + name,
                hint="SignStream and VerifyStream take larger ones" if name == "message" else "",
            )
        raise FieldError(path + name, expected=f"at most {bytes_max} bytes", given=found)
    check = f"{name}_crc32c"
    if request.HasField(check):
        given, made = getattr(request, check), google_crc32c.value(found)
        if given != made:
            raise mismatch(path + check, given, made)
    return found


def bounded(found: bytes, bytes_max: int, field: str) -> bytes:
    if len(found) > bytes_max:
        raise FieldError(field, expected=f"at most {bytes_max} bytes", given=found)
    return found


def sign_columns(request: pb.SignBatchRequest, options: Options, bytes_max: int) -> Columns:
    return _columns(request.items, options, bytes_max)


def verify_columns(request: pb.VerifyBatchRequest, options: Options, bytes_max: int) -> Columns:
    columns = _columns(request.items, options, bytes_max)
    columns.signatures = [item.signature for item in request.items]
    return columns


def _columns(items: Sequence[BatchItem], options: Options, bytes_max: int) -> Columns:
    columns = Columns([item.message for item in items], [options] * len(items))
    for i, item in enumerate(items):
        if item.HasField("context"):
            columns.options[i] = replace(options, context=item.context)
        if (
            len(item.reference) > REFERENCE_CHARACTERS_MAX
            or len(columns.contents[i]) > bytes_max
            or item.HasField("message_crc32c")
        ):
            try:
                _check_item(item, f"items[{i}].", bytes_max)
            except KetgateError as error:
                columns.refusals[i] = error
    return columns


def _check_item(item: BatchItem, path: str, bytes_max: int) -> None:
    if len(item.reference) > REFERENCE_CHARACTERS_MAX:
        raise FieldError(
            f"{path}reference",
            expected=f"at most {REFERENCE_CHARACTERS_MAX} characters",
            given=item.reference,
        )
    content(item, "message", bytes_max, MESSAGE_LIMIT, path)


def reference(text: str) -> str:
    return text[:REFERENCE_CHARACTERS_MAX]


def signature(signed: Signed) -> signature_pb2.Signature:
    version = signed.version
    return signature_pb2.Signature(
        signature=signed.signature,
        signature_crc32c=google_crc32c.value(signed.signature),
        content_sha256=signed.content_sha256,
        algorithm=_ALGORITHM_NUMBERS[version.algorithm.id],  # type: ignore[arg-type]
        standard=version.algorithm.standard,
        key_version=version.name,
        provider=signed.provider,
        format=f"SIGNATURE_FORMAT_{signed.format.value}",
    )


def sign_reply(signed: Signed) -> bytes:
    return pb.SignResponse(signature=signature(signed)).SerializeToString()


def verdict(found: Found) -> signature_pb2.Verdict:
    return signature_pb2.Verdict(
        valid=found.valid,
        failure=f"VERIFY_FAILURE_{found.failure.value}" if found.failure else None,
        detail=found.detail,
        algorithm=_ALGORITHM_NUMBERS[found.algorithm.id],  # type: ignore[arg-type]
        key_version=found.version,
        provider=found.provider,
        standard=found.algorithm.standard,
    )


def made_by(done: Done | Made) -> dict[str, Any]:
    """What did it: fields that all replies but those of signatures have."""
    return {
        "algorithm": _ALGORITHM_NUMBERS[done.algorithm.id],
        "standard": done.algorithm.standard,
        "key_version": done.version,
        "provider": done.provider,
    }


def stream_parts(
    requests: Iterator[pb.SignStreamRequest] | Iterator[pb.VerifyStreamRequest],
) -> Iterator[bytes | int | None]:
    """What follows the first message: chunks, and the CRC-32C; None for anything else."""
    for request in requests:
        kind = request.WhichOneof("part")
        if kind == "chunk":
            yield request.chunk
        elif kind == "message_crc32c":
            yield request.message_crc32c
        else:
            yield None


def order(request: pb.IssueCertificateRequest) -> Order:
    """What a certificate is to say. Raises FieldError for a validity that is no duration."""
    if not request.HasField("validity"):
        raise FieldError("validity", expected="a minute to 30 years", given="nothing")
    try:
        validity = request.validity.ToTimedelta()
    except (ValueError, OverflowError) as error:
        raise FieldError(
            "validity", expected="a minute to 30 years", given=f"{request.validity.seconds} s"
        ) from error
    return Order(
        request.issuer,
        validity,
        request.certificate_request,
        request.is_authority,
        request.path_length if request.HasField("path_length") else None,
        tuple(request.subject_alternative_names),
    )


def signing_request_reply(made: Made) -> bytes:
    return pb.CreateSigningRequestResponse(
        certificate_request=made.der,
        certificate_request_crc32c=google_crc32c.value(made.der),
        pem=pem.write(pem.CERTIFICATE_REQUEST, made.der),
        **made_by(made),
    ).SerializeToString()


def certificate_reply(made: Made) -> bytes:
    return pb.IssueCertificateResponse(
        certificate=made.der,
        certificate_crc32c=google_crc32c.value(made.der),
        pem=pem.write(pem.CERTIFICATE, made.der),
        **made_by(made),
    ).SerializeToString()
