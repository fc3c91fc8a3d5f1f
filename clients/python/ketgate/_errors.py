"""What can go wrong, as exceptions that say what, where and what to do.

Branch on the class or on `reason`, which is stable; never on the text.
"""

# ruff: noqa: N818 - the names are those of gRPC's codes, which end in no Error

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from google.rpc import error_details_pb2, status_pb2

from ketgate._transport import explain

if TYPE_CHECKING:
    from ketgate._connect import Endpoint

_ERROR_DOMAIN = "ketgate.dev"
_DETAILS_KEY = "grpc-status-details-bin"
_EXPECTED_GIVEN = re.compile(r"expected (?P<expected>.+?), given (?P<given>[^;]*)", re.DOTALL)

REMEDIES = {
    "MALFORMED_MESSAGE": "Use a client of the server's own version; `ketgate info` tells it.",
    "FIELD_INVALID": "Change that field as the message says.",
    "LIMIT_EXCEEDED": "Send less, or ask the operator to raise the limit; client.info().limits lists them.",
    "SERVER_BUSY": "Try again a little later, or raise `retry.attempts_max` in connect().",
    "TOKEN_MISSING": "Pass token= or token_file= to connect(), or set KETGATE_TOKEN.",
    "TOKEN_INVALID": "Ask the operator for a new token: `ketgate token create NAME`.",
    "ROLE_MISSING": "Use a token that has the role named in the message.",
    "TLS_REQUIRED": "Connect with TLS: pass ca_file= instead of insecure=True.",
    "PART_NOT_INSTALLED": "Run the command in the message on the server, or choose another solver.",
    "DEADLINE_EXCEEDED": "Give more time (time_limit=, timeout=) or a smaller problem.",
    "CANCELLED": "Nothing to do: the call was ended on purpose.",
    "DRAINING": "The server is stopping; try again when it, or another, is up.",
    "METHOD_UNKNOWN": "The server is older than this client; `ketgate info` lists what it serves.",
    "SERVICE_UNKNOWN": "Ask for a service that the server has; `ketgate info` lists them.",
    "INTERNAL": "Report it with the request id, which finds the cause in the server's log.",
    "SOLVER_UNSUITABLE": "Name another solver, or none: client.solvers() tells what each takes.",
}


class KetgateError(Exception):
    """The root of all errors of this package.

    reason: stable name, for example FIELD_INVALID. field: path in the request, or name of the
    argument, at fault. remedy: what to do, in a sentence. request_id: finds the call in the
    server's log; empty if it never got there. code: gRPC's canonical code. best: result found
    before the failure, where a solve had one.
    """

    def __init__(
        self,
        message: str,
        *,
        reason: str = "",
        field: str | None = None,
        remedy: str = "",
        request_id: str = "",
        code: str = "",
    ) -> None:
        super().__init__(message)
        self.message = message
        self.reason = reason
        self.field = field
        self.remedy = remedy or REMEDIES.get(reason, "")
        self._remedy_adds = bool(remedy) or reason != "FIELD_INVALID"
        self.request_id = request_id
        self.code = code
        self.best: Any = None

    def __str__(self) -> str:
        text = self.message
        if self.remedy and self._remedy_adds:  # "change the field" follows from any such message
            text = f"{text}\n  what to do: {self.remedy}"
        return f"{text}\n  request id: {self.request_id}" if self.request_id else text


class InvalidArgument(KetgateError, ValueError):
    """A field or an argument holds what it must not. `expected` and `given` say what, where that is
    known.
    """

    def __init__(self, message: str, *, expected: str = "", given: str = "", **rest: Any) -> None:
        rest.setdefault("reason", "FIELD_INVALID")
        super().__init__(message, **rest)
        found = _EXPECTED_GIVEN.search(message)
        self.expected = expected or (found["expected"] if found else "")
        self.given = given or (found["given"].strip() if found else "")
        if self.field and self.remedy == REMEDIES["FIELD_INVALID"]:
            self.remedy = f"Change {self.field} as the message says."
        self.violations: tuple[tuple[str, str], ...] = ()
        """Every (field, description) that the server named."""


class Unauthenticated(KetgateError):
    """The server does not know the caller: no token, a wrong one, or one over plaintext."""


class PermissionDenied(KetgateError):
    """The token's roles do not allow the call."""


class LimitExceeded(KetgateError):
    """The request is over a limit of size; `limit` names it."""

    limit: str = ""


class ServerBusy(KetgateError):
    """As many calls as the server takes are running. `retry_after_s`: when to come back, if it said
    so.
    """

    retry_after_s: float | None = None


class PartNotInstalled(KetgateError):
    """The server, or this client, lacks an optional part; the remedy or the message says how to
    install it.
    """

    part: str = ""


class SolverUnsuitable(KetgateError):
    """A solver that was named cannot take the problem."""


class Unavailable(KetgateError):
    """The server cannot be reached, or is stopping. `passes`: False where trying again cannot
    help, as with a certificate that is not trusted.
    """

    retry_after_s: float | None = None
    passes: bool = True


class ServerNotFound(Unavailable):
    """Nothing tells where a server is, or the local one that was found does not run."""


class DeadlineExceeded(KetgateError):
    """The deadline passed before there was anything to return."""


class Cancelled(KetgateError):
    """The call was ended by this side before there was anything to return."""


class InternalError(KetgateError):
    """A fault in the server, or an answer that this client does not understand."""


class NoSolution(KetgateError):
    """A value was asked of a result that has no solution; the message tells its status and what is
    in conflict.
    """


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
    code = error.code().name
    status = _status(error.trailing_metadata() or ())
    message = (status.message if status else "") or error.details() or code
    details = _Details(status)
    kind, reason = _BY_CODE.get(code, (KetgateError, ""))
    if details.reason:
        kind, reason = _BY_REASON.get(details.reason, kind), details.reason
    if kind is Unavailable and not details.reason:
        failure = explain(message, endpoint)
        message, remedy, passes = failure.message, failure.remedy, failure.passes
    else:
        remedy, passes = "", True
    made = kind(
        message,
        reason=reason,
        field=details.violations[0][0] if details.violations else details.metadata.get("field"),
        remedy=remedy,
        request_id=details.metadata.get("request_id", "") or (request_id if status else ""),
        code=code,
    )
    if isinstance(made, InvalidArgument):
        made.violations = tuple(details.violations)
    if isinstance(made, (ServerBusy, Unavailable)):
        made.retry_after_s = details.retry_after_s
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
