"""The one place where an error becomes a gRPC status: google.rpc.Status with ErrorInfo always, and
what else helps."""

import grpc
from google.protobuf.any_pb2 import Any as AnyMessage
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from ketgate_server.errors import CATALOGUE, DOMAIN, KetgateError, Reason
from ketgate_server.store.base import StoreUnavailable

DETAILS_KEY = "grpc-status-details-bin"

MESSAGE_BYTES_MAX = 800
"""A status travels three times in the trailers, percent-encoded or in base64, and clients accept 8
KiB of those."""

METADATA_BYTES_MAX = 200
METADATA_ENTRIES_MAX = 12
FIELD_BYTES_MAX = 300

RETRY_AFTER_S = 1.0
"""When to come back if the error does not say: for reasons that pass by themselves."""

_CODES = {code.name: code for code in grpc.StatusCode}
_PASSES = {
    Reason.SERVER_BUSY,
    Reason.DRAINING,
    Reason.STORE_UNAVAILABLE,
    Reason.BACKEND_UNAVAILABLE,
    Reason.PROVIDER_FAILED,
}
_QUOTAS = {Reason.LIMIT_EXCEEDED, Reason.QUOTA_EXCEEDED, Reason.CAP_EXCEEDED}


class WireStatus:
    """A refusal as it goes onto the wire."""

    __slots__ = ("code", "details", "message", "reason")

    def __init__(self, code: grpc.StatusCode, message: str, details: bytes, reason: str) -> None:
        self.code = code
        self.message = message
        self.details = details
        """A serialised google.rpc.Status."""
        self.reason = reason


def as_ketgate_error(error: Exception, request_id: str) -> KetgateError:
    """The error that a caller may see. Of a fault of ours it is told the request id and nothing
    else."""
    if isinstance(error, KetgateError):
        return error
    if isinstance(error, StoreUnavailable):
        known = "it may have been accepted" if error.uncertain else "nothing was accepted"
        return KetgateError(
            Reason.STORE_UNAVAILABLE,
            f"the store cannot be used now, and {known}; repeat it with the same request_id",
        )
    if isinstance(error, MemoryError):
        return KetgateError(
            Reason.LIMIT_EXCEEDED,
            "the server has not enough memory for this request",
            limit="memory",
        )
    return KetgateError(
        Reason.INTERNAL, f"a fault in the server; its log has the cause under {request_id}"
    )


def wire_status(error: KetgateError, request_id: str) -> WireStatus:
    code = _CODES[CATALOGUE[error.reason].code]
    message = _clean(error.message, MESSAGE_BYTES_MAX)
    status = status_pb2.Status(code=code.value[0], message=message)
    for detail in _details(error, message, request_id):
        packed = AnyMessage()
        packed.Pack(detail)
        status.details.append(packed)
    return WireStatus(code, message, status.SerializeToString(), error.reason.value)


def _details(error: KetgateError, message: str, request_id: str) -> list[Message]:
    metadata = {"request_id": request_id}
    if error.field:
        metadata["field"] = _clean(error.field, METADATA_BYTES_MAX)
    if error.limit:
        metadata["limit"] = _clean(error.limit, METADATA_BYTES_MAX)
    for key, value in list(error.metadata.items())[:METADATA_ENTRIES_MAX]:
        metadata[_clean(key, 60)] = _clean(str(value), METADATA_BYTES_MAX)
    details: list[Message] = [
        error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN, metadata=metadata)
    ]
    if error.field and CATALOGUE[error.reason].code == "INVALID_ARGUMENT":
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_clean(error.field, FIELD_BYTES_MAX),
            description=message,
            reason=error.reason.value,
        )
        details.append(error_details_pb2.BadRequest(field_violations=[violation]))
    if error.reason in _QUOTAS:
        quota = error_details_pb2.QuotaFailure.Violation(
            subject=_clean(error.limit or "", METADATA_BYTES_MAX), description=message
        )
        details.append(error_details_pb2.QuotaFailure(violations=[quota]))
    retry_after_s = error.retry_after_s
    if retry_after_s is None and error.reason in _PASSES:
        retry_after_s = RETRY_AFTER_S
    if retry_after_s is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromNanoseconds(round(max(0.0, min(retry_after_s, 86_400.0)) * 1e9))
        details.append(retry)
    return details


def _clean(text: str, bytes_max: int) -> str:
    """Text that any client can decode and a terminal can show: valid UTF-8, no control characters,
    bounded."""
    text = "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text[:bytes_max]
    )
    encoded = text.encode("utf-8", "replace")
    if len(encoded) <= bytes_max:
        return encoded.decode()
    return encoded[: bytes_max - 3].decode("utf-8", "ignore") + "…"
