"""Replies to batches, put together from bytes: a message an item is most of what a batch costs beside its
signatures."""

from __future__ import annotations

import google_crc32c
from ketgate.signing.v1 import signature_pb2
from ketgate.signing.v1 import signing_service_pb2 as pb

from ketgate_server import wire
from ketgate_server.errors import KetgateError
from ketgate_server.signing.use.convert import reference, signature, verdict
from ketgate_server.signing.use.signatures import Signed
from ketgate_server.signing.use.verdicts import Found

_SIGN_RESULTS = wire.number_of(pb.SignBatchResponse, "results")
_SIGN_REFERENCE = wire.number_of(signature_pb2.SignItemResult, "reference")
_SIGNED = wire.number_of(signature_pb2.SignItemResult, "signature")
_SIGN_ERROR = wire.number_of(signature_pb2.SignItemResult, "error")
_SIGNATURE = wire.number_of(signature_pb2.Signature, "signature")
_SIGNATURE_CRC32C = wire.number_of(signature_pb2.Signature, "signature_crc32c")
_CONTENT_SHA256 = wire.number_of(signature_pb2.Signature, "content_sha256")
_VERIFY_RESULTS = wire.number_of(pb.VerifyBatchResponse, "results")
_VERIFY_REFERENCE = wire.number_of(signature_pb2.VerifyItemResult, "reference")
_VERDICT = wire.number_of(signature_pb2.VerifyItemResult, "verdict")
_VERIFY_ERROR = wire.number_of(signature_pb2.VerifyItemResult, "error")


def sign_batch_reply(request: pb.SignBatchRequest, results: list[Signed | KetgateError]) -> bytes:
    first = next((one for one in results if isinstance(one, Signed)), None)
    common = b"" if first is None else _common(first)
    parts: list[bytes] = []
    for item, result in zip(request.items, results, strict=True):
        if isinstance(result, KetgateError):
            outcome = wire.field(_SIGN_ERROR, _error(result).SerializeToString())
        else:
            made = (
                wire.field(_SIGNATURE, result.signature)
                + wire.fixed32(_SIGNATURE_CRC32C, google_crc32c.value(result.signature))
                + wire.field(_CONTENT_SHA256, result.content_sha256)
                + common
            )
            outcome = wire.field(_SIGNED, made)
        parts.append(_item(_SIGN_REFERENCE, item.reference, _SIGN_RESULTS, outcome))
    return b"".join(parts)


def _common(signed: Signed) -> bytes:
    """What the signatures of a batch have in common: all but three fields."""
    message = signature(signed)
    for name in ("signature", "signature_crc32c", "content_sha256"):
        message.ClearField(name)
    return message.SerializeToString()


def _item(reference_number: int, given: str, number: int, outcome: bytes) -> bytes:
    """One of the results of a batch."""
    if given:
        outcome = wire.field(reference_number, reference(given).encode()) + outcome
    return wire.field(number, outcome)


def verify_batch_reply(
    request: pb.VerifyBatchRequest, results: list[Found | KetgateError]
) -> bytes:
    made: dict[int, bytes] = {}
    parts: list[bytes] = []
    for item, result in zip(request.items, results, strict=True):
        outcome = made.get(id(result))  # most of a batch have the same one
        if outcome is None:
            if isinstance(result, KetgateError):
                outcome = wire.field(_VERIFY_ERROR, _error(result).SerializeToString())
            else:
                outcome = wire.field(_VERDICT, verdict(result).SerializeToString())
            made[id(result)] = outcome
        parts.append(_item(_VERIFY_REFERENCE, item.reference, _VERIFY_RESULTS, outcome))
    return b"".join(parts)


def _error(error: KetgateError) -> signature_pb2.ItemError:
    return signature_pb2.ItemError(reason=error.reason.value, message=error.message)
