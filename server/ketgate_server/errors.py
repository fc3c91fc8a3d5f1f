"""The one tree of errors, and the one table of reasons.

A reason, once released, is never renamed; the table is the source of docs/errors.md and is held
equal to the contract's enum ErrorReason by a test. Codes are gRPC's names, as text: domain code
does not import grpc.
"""

from dataclasses import dataclass
from enum import StrEnum

DOMAIN = "ketgate.dev"
ECHO_CHARACTERS_MAX = 100


class Reason(StrEnum):
    MALFORMED_MESSAGE = "MALFORMED_MESSAGE"
    FIELD_INVALID = "FIELD_INVALID"
    LIMIT_EXCEEDED = "LIMIT_EXCEEDED"
    SERVER_BUSY = "SERVER_BUSY"
    TOKEN_MISSING = "TOKEN_MISSING"  # noqa: S105
    TOKEN_INVALID = "TOKEN_INVALID"  # noqa: S105
    ROLE_MISSING = "ROLE_MISSING"
    TLS_REQUIRED = "TLS_REQUIRED"
    PART_NOT_INSTALLED = "PART_NOT_INSTALLED"
    DEADLINE_EXCEEDED = "DEADLINE_EXCEEDED"
    CANCELLED = "CANCELLED"
    DRAINING = "DRAINING"
    METHOD_UNKNOWN = "METHOD_UNKNOWN"
    INTERNAL = "INTERNAL"
    SOLVER_UNSUITABLE = "SOLVER_UNSUITABLE"
    SERVICE_UNKNOWN = "SERVICE_UNKNOWN"
    REQUEST_ID_REUSED = "REQUEST_ID_REUSED"
    REPLY_EXPIRED = "REPLY_EXPIRED"
    RESOURCE_NOT_FOUND = "RESOURCE_NOT_FOUND"
    REVISION_COMPACTED = "REVISION_COMPACTED"
    WATCH_TOO_SLOW = "WATCH_TOO_SLOW"
    JOB_UNFINISHED = "JOB_UNFINISHED"
    ETAG_MISMATCH = "ETAG_MISMATCH"
    STORE_UNAVAILABLE = "STORE_UNAVAILABLE"
    WORKER_LOST = "WORKER_LOST"
    JOB_CANCELLED = "JOB_CANCELLED"
    JOB_EXPIRED = "JOB_EXPIRED"
    OFFSET_MISMATCH = "OFFSET_MISMATCH"
    DIGEST_MISMATCH = "DIGEST_MISMATCH"
    ARTIFACT_IN_USE = "ARTIFACT_IN_USE"
    QUOTA_EXCEEDED = "QUOTA_EXCEEDED"
    PROGRAM_INVALID = "PROGRAM_INVALID"
    BACKEND_UNSUITABLE = "BACKEND_UNSUITABLE"
    BACKEND_UNAVAILABLE = "BACKEND_UNAVAILABLE"
    CAP_EXCEEDED = "CAP_EXCEEDED"
    PROVIDER_FAILED = "PROVIDER_FAILED"
    PROVIDER_CREDENTIALS = "PROVIDER_CREDENTIALS"
    SUBMISSION_UNDECIDED = "SUBMISSION_UNDECIDED"
    PROVIDER_JOB_FAILED = "PROVIDER_JOB_FAILED"
    RESOURCE_EXISTS = "RESOURCE_EXISTS"
    POLICY_DENIED = "POLICY_DENIED"
    KEY_UNUSABLE = "KEY_UNUSABLE"
    KEY_NOT_EXPORTABLE = "KEY_NOT_EXPORTABLE"
    RATE_EXCEEDED = "RATE_EXCEEDED"
    CIPHERTEXT_INVALID = "CIPHERTEXT_INVALID"
    KEY_STORE_SEALED = "KEY_STORE_SEALED"
    KEY_CORRUPT = "KEY_CORRUPT"
    KEY_STORE_ROLLED_BACK = "KEY_STORE_ROLLED_BACK"
    CHANGE_UNDECIDABLE = "CHANGE_UNDECIDABLE"
    CHECKSUM_MISMATCH = "CHECKSUM_MISMATCH"


@dataclass(frozen=True)
class ReasonSpec:
    """What a reason means to the caller."""

    code: str
    """Canonical gRPC code."""
    meaning: str
    remedy: str
    retryable: bool = False


CATALOGUE: dict[Reason, ReasonSpec] = {
    Reason.MALFORMED_MESSAGE: ReasonSpec(
        "INVALID_ARGUMENT",
        "The bytes are no message of the type that the method takes.",
        "Generate the client from the contract of this server's version, or call through reflection.",
    ),
    Reason.FIELD_INVALID: ReasonSpec(
        "INVALID_ARGUMENT",
        "A field is missing or holds what it must not. BadRequest names each such field by its path.",
        "Change the field as its description says.",
    ),
    Reason.LIMIT_EXCEEDED: ReasonSpec(
        "RESOURCE_EXHAUSTED",
        "The request is larger than a limit of this server. QuotaFailure names the limit.",
        "Send less, or ask the operator to raise the limit; GetServerInfo lists all of them.",
    ),
    Reason.SERVER_BUSY: ReasonSpec(
        "RESOURCE_EXHAUSTED",
        "As many calls as the server takes at once are running or waiting.",
        "Try again after RetryInfo.retry_delay.",
        retryable=True,
    ),
    Reason.TOKEN_MISSING: ReasonSpec(
        "UNAUTHENTICATED",
        "The call carries no token.",
        "Send the metadata `authorization: Bearer TOKEN`; `ketgate token create` makes one.",
    ),
    Reason.TOKEN_INVALID: ReasonSpec(
        "UNAUTHENTICATED",
        "The token is unknown, expired or revoked.",
        "Ask the operator for a new one: `ketgate token create`.",
    ),
    Reason.ROLE_MISSING: ReasonSpec(
        "PERMISSION_DENIED",
        "None of the token's roles allows this method.",
        "Use a token with the role that the message names.",
    ),
    Reason.TLS_REQUIRED: ReasonSpec(
        "UNAUTHENTICATED",
        "The connection is not encrypted, so a token sent over it could be read by others.",
        "Connect with TLS; plaintext is for loopback only, and only with `ketgate serve --insecure`.",
    ),
    Reason.PART_NOT_INSTALLED: ReasonSpec(
        "FAILED_PRECONDITION",
        "The request needs an optional part that this server does not have.",
        "Install it with the command in the message, or ask for what this server has.",
    ),
    Reason.DEADLINE_EXCEEDED: ReasonSpec(
        "DEADLINE_EXCEEDED",
        "The call's deadline passed before there was anything to return.",
        "Give more time, or a smaller problem.",
        retryable=True,
    ),
    Reason.CANCELLED: ReasonSpec("CANCELLED", "The caller ended the call.", "Nothing to do."),
    Reason.DRAINING: ReasonSpec(
        "UNAVAILABLE",
        "The server is stopping and takes no new calls.",
        "Try again after RetryInfo.retry_delay, on another server or when this one is back.",
        retryable=True,
    ),
    Reason.METHOD_UNKNOWN: ReasonSpec(
        "UNIMPLEMENTED",
        "The server has no such service or method.",
        "Check the name and the version of the server: GetServerInfo lists its services.",
    ),
    Reason.INTERNAL: ReasonSpec(
        "INTERNAL",
        "A fault in the server.",
        "Report it with the request id from the message; it finds the cause in the server's log.",
    ),
    Reason.SOLVER_UNSUITABLE: ReasonSpec(
        "FAILED_PRECONDITION",
        "A solver that the request names cannot take this problem.",
        "Name another, or none: the server then chooses. ListSolvers tells what each takes.",
    ),
    Reason.SERVICE_UNKNOWN: ReasonSpec(
        "NOT_FOUND",
        "The health of a service was asked for that the server does not have.",
        "Ask for one that GetServerInfo lists, or for the empty name: the whole server.",
    ),
    Reason.REQUEST_ID_REUSED: ReasonSpec(
        "ALREADY_EXISTS",
        "The request id was used before, for another request of the same method.",
        "Use a new request_id for a new request; the message names the first one's resource to who may know of it.",
    ),
    Reason.REPLY_EXPIRED: ReasonSpec(
        "FAILED_PRECONDITION",
        "The request was done before, but its reply is not kept any more. It is not done again.",
        "Read the resource that the message names.",
    ),
    Reason.RESOURCE_NOT_FOUND: ReasonSpec(
        "NOT_FOUND",
        "The tenant has no resource of this name.",
        "Check the name; a list shows what there is. Retention may have removed it.",
    ),
    Reason.REVISION_COMPACTED: ReasonSpec(
        "OUT_OF_RANGE",
        "The changes asked for are older than those that are kept.",
        "List, then watch from the revision of the list.",
    ),
    Reason.WATCH_TOO_SLOW: ReasonSpec(
        "ABORTED",
        "The watcher does not read as fast as things happen, and the server does not hold them for it.",
        "Watch again from the last next_revision; nothing is missed.",
        retryable=True,
    ),
    Reason.JOB_UNFINISHED: ReasonSpec(
        "FAILED_PRECONDITION",
        "The job is not over yet, so it cannot be deleted.",
        "Cancel it first, and wait until it is over.",
    ),
    Reason.ETAG_MISMATCH: ReasonSpec(
        "ABORTED",
        "The resource was changed since its etag was read.",
        "Read it again, and decide anew.",
    ),
    Reason.STORE_UNAVAILABLE: ReasonSpec(
        "UNAVAILABLE",
        "The store cannot be written or reached now: a full disk, or a lost database. Nothing was accepted.",
        "Try again after RetryInfo.retry_delay, with the same request_id. The server's log says what is wrong.",
        retryable=True,
    ),
    Reason.WORKER_LOST: ReasonSpec(
        "ABORTED",
        "In a job: its workers died again and again, so it is not tried any more.",
        "Look at the job's attempts; give it less to do at once, or report it.",
    ),
    Reason.JOB_CANCELLED: ReasonSpec(
        "CANCELLED",
        "In a job: it was cancelled, as asked.",
        "Nothing to do; the result holds the best so far, if there was anything.",
    ),
    Reason.JOB_EXPIRED: ReasonSpec(
        "DEADLINE_EXCEEDED",
        "In a job: its deadline passed.",
        "Give it more time; the result holds the best so far, if there was anything.",
    ),
    Reason.OFFSET_MISMATCH: ReasonSpec(
        "OUT_OF_RANGE",
        "A chunk would leave a gap in the upload, or begins beyond the content.",
        "Go on at the offset that the message names.",
    ),
    Reason.DIGEST_MISMATCH: ReasonSpec(
        "DATA_LOSS",
        "Content does not have the checksum or the digest that came with it.",
        "Send it again.",
    ),
    Reason.ARTIFACT_IN_USE: ReasonSpec(
        "FAILED_PRECONDITION",
        "Jobs refer to the artifact.",
        "Delete those jobs first, or leave it: it goes when nothing refers to it.",
    ),
    Reason.QUOTA_EXCEEDED: ReasonSpec(
        "RESOURCE_EXHAUSTED",
        "The tenant has as many of these as it may have. QuotaFailure names the limit.",
        "Wait until some are over, delete some, or ask the operator to raise the limit.",
    ),
    Reason.PROGRAM_INVALID: ReasonSpec(
        "INVALID_ARGUMENT",
        "A program cannot be read. The message and the metadata `line` and `column` say where.",
        "Correct the program there; docs/quantum.md lists what of OpenQASM is understood.",
    ),
    Reason.BACKEND_UNSUITABLE: ReasonSpec(
        "FAILED_PRECONDITION",
        "The back end cannot do what the circuit or the request asks for. The message names it.",
        "Choose another back end, or none: the server then chooses. GetBackend tells what each can.",
    ),
    Reason.BACKEND_UNAVAILABLE: ReasonSpec(
        "UNAVAILABLE",
        "No back end that is allowed takes work now. The message tells of each why.",
        "Try again after RetryInfo.retry_delay, or allow others.",
        retryable=True,
    ),
    Reason.CAP_EXCEEDED: ReasonSpec(
        "RESOURCE_EXHAUSTED",
        "The estimate is beyond a cap of the request or of the tenant. QuotaFailure names the cap.",
        "Ask for less, or raise the cap; EstimateRun tells the estimate.",
    ),
    Reason.PROVIDER_FAILED: ReasonSpec(
        "UNAVAILABLE",
        "A provider outside this server failed or did not answer.",
        "Try again after RetryInfo.retry_delay; GetBackend tells its status.",
        retryable=True,
    ),
    Reason.PROVIDER_CREDENTIALS: ReasonSpec(
        "FAILED_PRECONDITION",
        "The server has no credentials for the provider, or they are refused or expired.",
        "Ask the operator to configure them; docs/quantum.md says where they are looked for.",
    ),
    Reason.SUBMISSION_UNDECIDED: ReasonSpec(
        "ABORTED",
        "Whether the provider took the work cannot be told, so it is not sent a second time.",
        "Look for the tag from the message at the provider; then create the job anew if it is not there.",
    ),
    Reason.PROVIDER_JOB_FAILED: ReasonSpec(
        "ABORTED",
        "The provider took the work, and it failed there. It is not sent again by itself: that would be charged again.",
        "Read what the provider said in the message; create the job anew when that is put right.",
    ),
    Reason.RESOURCE_EXISTS: ReasonSpec(
        "ALREADY_EXISTS",
        "The tenant has a resource of this name already.",
        "Use that one, or choose another name.",
    ),
    Reason.POLICY_DENIED: ReasonSpec(
        "PERMISSION_DENIED",
        "The key's policy does not allow this to the caller, or not in this way. The message says which rule.",
        "Ask whoever manages the key to grant it, or use a key whose policy does.",
    ),
    Reason.KEY_UNUSABLE: ReasonSpec(
        "FAILED_PRECONDITION",
        "The version of the key is disabled, destroyed, to be destroyed, or below the key's minimum; or a change of "
        "its state begins from another state.",
        "Use another version; enable it, or cancel its destruction while that is possible.",
    ),
    Reason.KEY_NOT_EXPORTABLE: ReasonSpec(
        "FAILED_PRECONDITION",
        "The key's private part does not leave the service: it was not made exportable, or lies in a token.",
        "Make a key that is exportable, where that is allowed; an existing one cannot become so.",
    ),
    Reason.RATE_EXCEEDED: ReasonSpec(
        "RESOURCE_EXHAUSTED",
        "The key's policy allows fewer uses a second.",
        "Try again after RetryInfo.retry_delay, or ask whoever manages the key for a higher rate.",
        retryable=True,
    ),
    Reason.CIPHERTEXT_INVALID: ReasonSpec(
        "INVALID_ARGUMENT",
        "What is to be opened was not sealed to this key in this way, or was changed since. More is not said.",
        "Check key, info and associated data; they must be those that it was sealed with.",
    ),
    Reason.KEY_STORE_SEALED: ReasonSpec(
        "FAILED_PRECONDITION",
        "The key store cannot be opened: the key-encryption key is missing, wrong, or another one.",
        "Ask the operator: docs/signing.md tells where that key is looked for and how it is put back.",
    ),
    Reason.KEY_CORRUPT: ReasonSpec(
        "DATA_LOSS",
        "A stored key does not open, or is not the one that it says it is.",
        "Ask the operator: the key is to be put back from a back-up. The server's log says which.",
    ),
    Reason.KEY_STORE_ROLLED_BACK: ReasonSpec(
        "FAILED_PRECONDITION",
        "The key store is older than the audit log says: it was put back, but not by `ketgate restore`.",
        "Ask the operator: docs/audit.md tells how to go on without bringing back destroyed keys.",
    ),
    Reason.CHANGE_UNDECIDABLE: ReasonSpec(
        "FAILED_PRECONDITION",
        "The change is over, was decided by this caller before, or may not be decided by this caller.",
        "Look at the change's state, approvals and requester; the key's policy names the approvers.",
    ),
    Reason.CHECKSUM_MISMATCH: ReasonSpec(
        "INVALID_ARGUMENT",
        "Bytes of the request do not have the checksum that came with them: they were changed on their way.",
        "Send the request again; if that does not help, look at how the checksum (CRC-32C) is made.",
    ),
}


class KetgateError(Exception):
    """An error that a caller is told about.

    field: path of the field at fault in the request, for example
    ``spec.portfolio.moments.covariance``. limit: name of the limit that was exceeded.
    retry_after_s: when trying again helps.
    """

    def __init__(
        self,
        reason: Reason,
        message: str,
        *,
        field: str | None = None,
        limit: str | None = None,
        retry_after_s: float | None = None,
        metadata: dict[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.reason = reason
        self.message = message
        self.field = field
        self.limit = limit
        self.retry_after_s = retry_after_s
        self.metadata = metadata or {}


class FieldError(KetgateError):
    """The caller's fault: a field holds what it must not. Says what was expected and what was
    given."""

    def __init__(self, field: str, *, expected: str, given: object, hint: str = "") -> None:
        text = f"{field}: expected {expected}, given {echo(given)}" + (f"; {hint}" if hint else "")
        super().__init__(Reason.FIELD_INVALID, text, field=field)
        self.expected = expected
        self.given = given
        self.hint = hint


class LimitError(KetgateError):
    """The request is over a limit of size."""

    def __init__(
        self, limit: str, *, allowed: int, given: int, field: str | None = None, hint: str = ""
    ) -> None:
        where = f"{field}: " if field else ""
        super().__init__(
            Reason.LIMIT_EXCEEDED,
            f"{where}{given} is over the limit {limit} = {allowed}" + (f"; {hint}" if hint else ""),
            field=field,
            limit=limit,
        )


class PartMissing(KetgateError):  # noqa: N818 - a state of the server
    """An optional part is not installed."""

    def __init__(self, part: str, install_command: str) -> None:
        super().__init__(
            Reason.PART_NOT_INSTALLED,
            f"the part {part!r} is not installed; install it with: {install_command}",
            metadata={"part": part},
        )


def echo(value: object) -> str:
    """A value as an error may show it: bytes by their length only, anything else cut at 100
    characters."""
    if isinstance(value, (bytes, bytearray, memoryview)):
        return f"{len(value)} bytes"
    text = (value if isinstance(value, str) else str(value))[: ECHO_CHARACTERS_MAX + 1]
    if not text.isprintable():
        text = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)
    return text if len(text) <= ECHO_CHARACTERS_MAX else text[:ECHO_CHARACTERS_MAX] + "…"


class NotFound(KetgateError):  # noqa: N818 - a state of the resource
    """The tenant has no such resource. hint: what there is instead."""

    def __init__(self, name: str, field: str = "name", *, hint: str = "") -> None:
        super().__init__(
            Reason.RESOURCE_NOT_FOUND,
            f"{field}: there is no {echo(name)!r} here" + (f"; {hint}" if hint else ""),
            field=field,
            metadata={"resource": echo(name)},
        )
