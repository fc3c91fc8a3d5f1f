"""What can go wrong, as exceptions that say what, where and what to do.

Branch on the class or on `reason`, which is stable; never on the text.
"""

# ruff: noqa: N818 - the names are those of gRPC's codes, which end in no Error

import re
from typing import Any

_EXPECTED_GIVEN = re.compile(r"expected (?P<expected>.+?), given (?P<given>[^;]*)", re.DOTALL)

REMEDIES = {
    "MALFORMED_MESSAGE": "Use a client of the server's own version; `ketgate info` tells it.",
    "FIELD_INVALID": "Change that field as the message says.",
    "LIMIT_EXCEEDED": "Send less, or ask the operator to raise the limit; client.info().limits lists them.",
    "SERVER_BUSY": "Try again a little later, or raise `retry.attempts_max` in connect().",
    "TOKEN_MISSING": "Pass token= or token_file= to connect() (--token-file), or set KETGATE_TOKEN.",
    "TOKEN_INVALID": "Ask the operator for a new token: `ketgate token create NAME`.",
    "ROLE_MISSING": "Use a token that has the role named in the message.",
    "TLS_REQUIRED": "Connect with TLS: pass ca_file= instead of insecure=True.",
    "PART_NOT_INSTALLED": "Run the command in the message on the server, or ask for what it has: another solver, "
    "back end, algorithm or option.",
    "DEADLINE_EXCEEDED": "Give more time (time_limit=, timeout=) or a smaller problem.",
    "CANCELLED": "Nothing to do: the call was ended on purpose.",
    "DRAINING": "The server is stopping; try again when it, or another, is up.",
    "METHOD_UNKNOWN": "The server is older than this client; `ketgate info` lists what it serves.",
    "SERVICE_UNKNOWN": "Ask for a service that the server has; `ketgate info` lists them.",
    "INTERNAL": "Report it with the request id, which finds the cause in the server's log.",
    "SOLVER_UNSUITABLE": "Name another solver, or none: client.solvers() tells what each takes.",
    "REQUEST_ID_REUSED": "Use a new request_id for a new request; the message names the first one's resource.",
    "REPLY_EXPIRED": "Read the resource that the message names: the request was done.",
    "RESOURCE_NOT_FOUND": "Check the name; a list shows what there is. Retention may have removed it.",
    "REVISION_COMPACTED": "List, then watch from the revision after that of the list.",
    "WATCH_TOO_SLOW": "Watch again from where it ended; nothing is missed.",
    "JOB_UNFINISHED": "Cancel it and wait until it is over, then delete it.",
    "ETAG_MISMATCH": "Read it again, and decide anew.",
    "STORE_UNAVAILABLE": "Try again a little later, with the same request_id; the operator's log says what is wrong.",
    "WORKER_LOST": "Look at the job's attempts; give it less to do at once, or report it.",
    "JOB_CANCELLED": "Nothing to do: it was cancelled before it had found anything.",
    "JOB_EXPIRED": "Give it more time: deadline= of the job, time_limit= of the solve.",
    "OFFSET_MISMATCH": "Go on at the offset that the message names.",
    "DIGEST_MISMATCH": "Send it again.",
    "ARTIFACT_IN_USE": "Delete the jobs that refer to it, or leave it: it goes when nothing does.",
    "PROGRAM_INVALID": "Correct the program there; docs/quantum.md lists what of OpenQASM is understood.",
    "BACKEND_UNSUITABLE": "Choose another back end, or none; client.quantum.backends() tells what each can.",
    "BACKEND_UNAVAILABLE": "Try again a little later, or allow others (allowed=).",
    "CAP_EXCEEDED": "Ask for less or raise the cap; client.quantum.estimate_run(...) tells the estimate.",
    "PROVIDER_FAILED": "Try again a little later; client.quantum.backend(name) tells its status.",
    "PROVIDER_CREDENTIALS": "Ask the operator to configure them; docs/quantum.md says where they are looked for.",
    "SUBMISSION_UNDECIDED": "Look for the tag in the message at the provider; create the job anew if it is not there.",
    "PROVIDER_JOB_FAILED": "Put right what the provider said in the message, and create the job anew.",
    "RESOURCE_EXISTS": "Use that one, or choose another name.",
    "POLICY_DENIED": "Ask whoever manages the key to grant it; the message says which rule of its policy.",
    "KEY_UNUSABLE": "Use another version; client.signing.versions(key) tells their states.",
    "KEY_NOT_EXPORTABLE": "Make a key that is exportable where that is allowed; this one cannot become so.",
    "RATE_EXCEEDED": "Try again a little later, or ask whoever manages the key for a higher rate.",
    "CIPHERTEXT_INVALID": "Give the key, info and associated_data that it was sealed with.",
    "KEY_STORE_SEALED": "Ask the operator: docs/signing.md tells where the key-encryption key is looked for.",
    "KEY_CORRUPT": "Ask the operator: the key is to be put back from a back-up.",
    "KEY_STORE_ROLLED_BACK": "Ask the operator: docs/audit.md tells how to go on.",
    "CHANGE_UNDECIDABLE": "Look at the change: its state, its approvals, and who asked for it.",
    "CHECKSUM_MISMATCH": "Send it again.",
    "QUOTA_EXCEEDED": "Wait until some are over, delete some, or ask the operator to raise the limit.",
}

REMEDIES_OF_RESOURCES = {
    "keys": "`ketgate key list` shows the keys that this token may know of: one whose policy does not name its "
    "holder is not there for it.",
    "versions": "`ketgate key show ID` shows the versions of a key.",
    "keyChanges": "`ketgate key changes` shows those that there are.",
    "jobs": "`ketgate jobs list` shows those that there are; retention removes them some time after their end.",
    "artifacts": "`ketgate artifacts list` shows those that there are; what nothing refers to is removed some time "
    "later.",
}
"""For RESOURCE_NOT_FOUND, by the kind of the resource that its name tells."""


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


class ProgramInvalid(InvalidArgument):
    """A program cannot be read. `line` and `column`, from 1, say where; `source` is that line."""

    line: int = 0
    column: int = 0
    source: str = ""

    def __str__(self) -> str:
        text = super().__str__()
        if not self.source:
            return text
        begin = max(0, self.column - 60)  # a line may be of any length
        shown = self.source[begin : begin + 100].replace("\t", " ")
        number = f"{self.line:>5} | "
        return f"{text}\n{number}{shown}\n{' ' * (len(number) + self.column - 1 - begin)}^"


class Unauthenticated(KetgateError):
    """The server does not know the caller: no token, a wrong one, or one over plaintext."""


class PermissionDenied(KetgateError):
    """The token's roles do not allow the call."""


class LimitExceeded(KetgateError):
    """The request is over a limit of size; `limit` names it."""

    limit: str = ""


class QuotaExceeded(LimitExceeded):
    """The tenant has as many of something as it may have; `limit` names it."""


class CapExceeded(LimitExceeded):
    """A run is estimated beyond a cap on cost, shots or time; `limit` names it."""


class NotFound(KetgateError):
    """The tenant has no such job, artifact or the like; or has it no more."""


class AlreadyExists(KetgateError):
    """A request id came with another request before."""


class FailedPrecondition(KetgateError):
    """The resource is not in a state that allows this: a job that is not over, for example."""


class Aborted(KetgateError):
    """Something came between: the resource was changed, the watch fell behind, or a job's workers
    died again and again.
    """


class OutOfRange(KetgateError):
    """What was asked for is not kept any more, or an offset is beyond what there is."""


class DataLoss(KetgateError):
    """Content does not have the checksum or the digest that came with it."""


class ServerBusy(KetgateError):
    """As many calls as the server takes are running. `retry_after_s`: when to come back, if it said
    so.
    """

    retry_after_s: float | None = None


class RateExceeded(ServerBusy):
    """The policy of the key allows fewer uses a second. `burst`: how many at once, where the server told it; without
    `retry_after_s`, as many as were asked for are never allowed at once.
    """

    burst: int = 0


class PartNotInstalled(KetgateError):
    """The server, or this client, lacks an optional part; the remedy or the message says how to
    install it.
    """

    part: str = ""


class SolverUnsuitable(KetgateError):
    """A solver that was named cannot take the problem."""


class BackendUnsuitable(KetgateError):
    """The back end cannot do what the circuit or the request asks for."""


class ProviderError(KetgateError):
    """A provider of quantum hardware failed, refused the server's credentials, or the work failed
    there; `reason` tells which.
    """

    retry_after_s: float | None = None


class Unavailable(KetgateError):
    """The server cannot be reached, or is stopping. `passes`: False where trying again cannot
    help, as with a certificate that is not trusted.
    """

    retry_after_s: float | None = None
    passes: bool = True


class BackendUnavailable(Unavailable):
    """No back end that is allowed takes work now; the message tells of each why."""


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
