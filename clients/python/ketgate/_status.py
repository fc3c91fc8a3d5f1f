"""What the server says of a failure, google.rpc.Status, as the exception that it stands for."""

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from google.rpc import code_pb2, error_details_pb2, status_pb2

from ketgate._errors import (
    REMEDIES_OF_RESOURCES,
    Aborted,
    AlreadyExists,
    BackendUnavailable,
    BackendUnsuitable,
    Cancelled,
    CapExceeded,
    DataLoss,
    DeadlineExceeded,
    FailedPrecondition,
    InternalError,
    InvalidArgument,
    KetgateError,
    LimitExceeded,
    NotFound,
    OutOfRange,
    PartNotInstalled,
    PermissionDenied,
    ProgramInvalid,
    ProviderError,
    QuotaExceeded,
    RateExceeded,
    ServerBusy,
    SolverUnsuitable,
    Unauthenticated,
    Unavailable,
)
from ketgate._transport import explain

if TYPE_CHECKING:
    from ketgate._connect import Endpoint

_ERROR_DOMAIN = "ketgate.dev"
_DETAILS_KEY = "grpc-status-details-bin"

_BY_REASON: dict[str, type[KetgateError]] = {
    "MALFORMED_MESSAGE": InvalidArgument,
    "FIELD_INVALID": InvalidArgument,
    "LIMIT_EXCEEDED": LimitExceeded,
    "SERVER_BUSY": ServerBusy,
    "TOKEN_MISSING": Unauthenticated,
    "TOKEN_INVALID": Unauthenticated,
    "TLS_REQUIRED": Unauthenticated,
    "ROLE_MISSING": PermissionDenied,
    "PART_NOT_INSTALLED": PartNotInstalled,
    "SOLVER_UNSUITABLE": SolverUnsuitable,
    "DEADLINE_EXCEEDED": DeadlineExceeded,
    "CANCELLED": Cancelled,
    "DRAINING": Unavailable,
    "INTERNAL": InternalError,
    "REQUEST_ID_REUSED": AlreadyExists,
    "RESOURCE_EXISTS": AlreadyExists,
    "POLICY_DENIED": PermissionDenied,
    "KEY_UNUSABLE": FailedPrecondition,
    "KEY_NOT_EXPORTABLE": FailedPrecondition,
    "RATE_EXCEEDED": RateExceeded,
    "CIPHERTEXT_INVALID": InvalidArgument,
    "KEY_STORE_SEALED": FailedPrecondition,
    "KEY_CORRUPT": DataLoss,
    "KEY_STORE_ROLLED_BACK": FailedPrecondition,
    "CHANGE_UNDECIDABLE": FailedPrecondition,
    "CHECKSUM_MISMATCH": InvalidArgument,
    "REPLY_EXPIRED": FailedPrecondition,
    "RESOURCE_NOT_FOUND": NotFound,
    "REVISION_COMPACTED": OutOfRange,
    "WATCH_TOO_SLOW": Aborted,
    "JOB_UNFINISHED": FailedPrecondition,
    "ETAG_MISMATCH": Aborted,
    "STORE_UNAVAILABLE": Unavailable,
    "WORKER_LOST": Aborted,
    "JOB_CANCELLED": Cancelled,
    "JOB_EXPIRED": DeadlineExceeded,
    "OFFSET_MISMATCH": OutOfRange,
    "DIGEST_MISMATCH": DataLoss,
    "ARTIFACT_IN_USE": FailedPrecondition,
    "QUOTA_EXCEEDED": QuotaExceeded,
    "PROGRAM_INVALID": ProgramInvalid,
    "BACKEND_UNSUITABLE": BackendUnsuitable,
    "BACKEND_UNAVAILABLE": BackendUnavailable,
    "CAP_EXCEEDED": CapExceeded,
    "PROVIDER_FAILED": ProviderError,
    "PROVIDER_CREDENTIALS": ProviderError,
    "SUBMISSION_UNDECIDED": ProviderError,
    "PROVIDER_JOB_FAILED": ProviderError,
}

# What grpc itself refuses carries no reason: an unreachable server, a message over the transport's limit.
_BY_CODE: dict[str, tuple[type[KetgateError], str]] = {
    "INVALID_ARGUMENT": (InvalidArgument, "FIELD_INVALID"),
    "UNAUTHENTICATED": (Unauthenticated, "TOKEN_INVALID"),
    "PERMISSION_DENIED": (PermissionDenied, "ROLE_MISSING"),
    "RESOURCE_EXHAUSTED": (LimitExceeded, "LIMIT_EXCEEDED"),
    "UNAVAILABLE": (Unavailable, ""),
    "DEADLINE_EXCEEDED": (DeadlineExceeded, "DEADLINE_EXCEEDED"),
    "CANCELLED": (Cancelled, "CANCELLED"),
    "UNIMPLEMENTED": (KetgateError, "METHOD_UNKNOWN"),
    "INTERNAL": (InternalError, "INTERNAL"),
}


def from_rpc(
    error: Any, *, endpoint: "Endpoint | None" = None, request_id: str = ""
) -> KetgateError:
    """The exception that a failed call to endpoint stands for; error is a grpc.RpcError that is
    also a call.
    """
    status = _status(error.trailing_metadata() or ())
    code = error.code().name
    message = (status.message if status else "") or error.details() or code
    details = _Details(status)
    if _kind(code, details)[0] is Unavailable and not details.reason:
        failure = explain(message, endpoint)
        return _made(code, failure.message, details, remedy=failure.remedy, passes=failure.passes)
    return _made(code, message, details, request_id=request_id if status else "")


def from_status(status: status_pb2.Status) -> KetgateError:
    """The exception that a status stands for which came in an answer, as that of a failed job."""
    known = status.code in code_pb2.Code.values()
    code = code_pb2.Code.Name(status.code) if known else "UNKNOWN"
    return _made(code, status.message or code, _Details(status))


def _kind(code: str, details: "_Details") -> tuple[type[KetgateError], str]:
    """The class, and the reason: the server's, or what the code stands for where it gave none."""
    kind, reason = _BY_CODE.get(code, (KetgateError, ""))
    if details.reason:
        return _BY_REASON.get(details.reason, kind), details.reason
    return kind, reason


def _made(
    code: str,
    message: str,
    details: "_Details",
    *,
    remedy: str = "",
    passes: bool = True,
    request_id: str = "",
) -> KetgateError:
    kind, reason = _kind(code, details)
    if reason == "RESOURCE_NOT_FOUND":
        *_, collection, _ = ["", "", *details.metadata.get("resource", "").split("/")]
        remedy = remedy or REMEDIES_OF_RESOURCES.get(collection, "")
    made = kind(
        message,
        reason=reason,
        field=details.violations[0][0] if details.violations else details.metadata.get("field"),
        remedy=remedy,
        request_id=details.metadata.get("request_id", "") or request_id,
        code=code,
    )
    if isinstance(made, InvalidArgument):
        made.violations = tuple(details.violations)
    if isinstance(made, ProgramInvalid):
        made.line, made.column = details.number("line"), details.number("column")
    if isinstance(made, (ServerBusy, Unavailable, ProviderError)):
        made.retry_after_s = details.retry_after_s
    if isinstance(made, RateExceeded):
        made.burst = details.number("burst")
    if isinstance(made, Unavailable):
        made.passes = passes
    if isinstance(made, LimitExceeded):
        made.limit = details.limit
    if isinstance(made, PartNotInstalled):
        made.part = details.metadata.get("part", "")
    return made


class _Details:
    """What google.rpc.Status says beyond its message."""

    def __init__(self, status: Any) -> None:
        self.reason = ""
        self.metadata: dict[str, str] = {}
        self.violations: list[tuple[str, str]] = []
        self.retry_after_s: float | None = None
        self.limit = ""
        for packed in status.details if status else ():
            self._read(packed)

    def number(self, name: str) -> int:
        """A whole number of the metadata; 0 where there is none."""
        text = self.metadata.get(name, "")
        return int(text) if text.isdecimal() else 0

    def _read(self, packed: Any) -> None:
        kind = packed.TypeName()
        if kind == "google.rpc.ErrorInfo":
            error_info = error_details_pb2.ErrorInfo.FromString(packed.value)
            if error_info.domain == _ERROR_DOMAIN:
                self.reason = error_info.reason
                self.metadata = dict(error_info.metadata)
        elif kind == "google.rpc.BadRequest":
            bad_request = error_details_pb2.BadRequest.FromString(packed.value)
            self.violations += [(v.field, v.description) for v in bad_request.field_violations]
        elif kind == "google.rpc.RetryInfo":
            delay = error_details_pb2.RetryInfo.FromString(packed.value).retry_delay
            self.retry_after_s = delay.seconds + delay.nanos / 1e9
        elif kind == "google.rpc.QuotaFailure":
            quota = error_details_pb2.QuotaFailure.FromString(packed.value)
            self.limit = next((v.subject for v in quota.violations), "")


def _status(trailers: Iterable[Any]) -> Any:
    """The google.rpc.Status among the trailers; None if there is none, or one that cannot be
    read.
    """
    from google.protobuf.message import DecodeError

    for key, value in trailers:
        if key == _DETAILS_KEY:
            try:
                return status_pb2.Status.FromString(value)
            except DecodeError:
                return None
    return None
