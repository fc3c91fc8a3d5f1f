"""An error as it is kept in a job: a google.rpc.Status with the ErrorInfo that a call would carry."""

from google.protobuf.any_pb2 import Any as AnyMessage
from google.rpc import code_pb2, error_details_pb2, status_pb2

from ketgate_server.errors import CATALOGUE, DOMAIN, KetgateError, Reason

MESSAGE_CHARACTERS_MAX = 800
METADATA_CHARACTERS_MAX = 200
METADATA_ENTRIES_MAX = 12


def status_of(error: KetgateError) -> status_pb2.Status:
    """The status of an error: bounded, and text that any client can decode."""
    message = _clean(error.message, MESSAGE_CHARACTERS_MAX)
    code = CATALOGUE[error.reason].code
    status = status_pb2.Status(code=code_pb2.Code.Value(code), message=message)
    metadata = {"field": error.field} if error.field else {}
    metadata |= {"limit": error.limit} if error.limit else {}
    metadata |= dict(list(error.metadata.items())[:METADATA_ENTRIES_MAX])
    info = error_details_pb2.ErrorInfo(reason=error.reason.value, domain=DOMAIN)
    for key, value in metadata.items():
        info.metadata[_clean(key, 60)] = _clean(str(value), METADATA_CHARACTERS_MAX)
    _attach(status, info)
    if error.field and code == "INVALID_ARGUMENT":
        violation = error_details_pb2.BadRequest.FieldViolation(
            field=_clean(error.field, METADATA_CHARACTERS_MAX),
            description=message,
            reason=error.reason.value,
        )
        _attach(status, error_details_pb2.BadRequest(field_violations=[violation]))
    return status


def cancelled(reason: str) -> status_pb2.Status:
    """Why a job is CANCELLED. reason: in the caller's words; may be empty."""
    return status_of(
        KetgateError(Reason.JOB_CANCELLED, reason or "the job was cancelled, as asked")
    )


def expired() -> status_pb2.Status:
    """Why a job is EXPIRED."""
    return status_of(KetgateError(Reason.JOB_EXPIRED, "the deadline of the job passed"))


def with_warning(status: status_pb2.Status, warning: str) -> status_pb2.Status:
    """The same, with a warning at the end of its message."""
    warned = status_pb2.Status()
    warned.CopyFrom(status)
    warned.message += warning
    return warned


def worker_lost(losses: int) -> status_pb2.Status:
    """Why a job whose workers died is FAILED."""
    return status_of(
        KetgateError(
            Reason.WORKER_LOST,
            f"the workers of {losses} attempts in a row died or fell silent; it is not tried again",
        )
    )


def _attach(
    status: status_pb2.Status, detail: error_details_pb2.ErrorInfo | error_details_pb2.BadRequest
) -> None:
    packed = AnyMessage()
    packed.Pack(detail)
    status.details.append(packed)


def _clean(text: str, characters_max: int) -> str:
    return "".join(
        c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}"
        for c in text[:characters_max]
    )
