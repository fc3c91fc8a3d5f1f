"""What the parts of the job engine say to each other.

service -> JobStore (operations on the database) <- Dispatcher -> Executor -> JobKind.run.
State lives in the JobStore only: an executor that vanishes is a lease that runs out.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

from google.protobuf.message import Message
from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.errors import KetgateError
from ketgate_server.limits import Limit

Job = pb.Job
Event = pb.JobEvent


@dataclass(frozen=True)
class Actor:
    """Who asks, for the event, the audit and idempotency."""

    tenant: str
    subject: str
    """Name of the token; "server" for the server itself."""
    method: str = ""
    """Full method of the call."""
    call_id: str = ""
    """Metadata x-request-id."""


@dataclass(slots=True)
class RequestKey:
    """What makes a repeat of a request known. Empty request_id: every call is new."""

    request_id: str
    digest: bytes
    """SHA-256 of the canonical bytes of the request, request_id left out."""


@dataclass(slots=True)  # not frozen: that alone would double the time to make one
class NewJob:
    """A job as the service accepted it. Random and clock-bound parts are here, as operations must
    repeat."""

    actor: Actor
    request: RequestKey
    id: str
    kind: str
    spec: bytes
    """Canonical bytes of a JobSpec."""
    spec_digest: bytes
    priority: int = 0
    labels: Mapping[str, str] = field(default_factory=dict)
    delay_us: int | None = None
    timeout_us: int | None = None
    artifacts: Sequence[str] = ()
    """SHA-256 of each artifact that the spec refers to."""


@dataclass(frozen=True)
class Claim:
    """An attempt that this server now holds."""

    seq: int
    id: str
    tenant: str
    kind: str
    spec: bytes
    attempt: int
    fence: int
    deadline_us: int | None
    """Of the job, in the store's clock."""
    handle: bytes | None = None
    """Of its work at a provider, as the turn before left it."""
    stopped: bool = False
    """Whether it is to stop from the beginning: a provider is to be told."""
    began_us: int | None = None
    """When the attempt began, where this is not its first turn."""


class Outcome(Enum):
    """How an attempt ended, as its executor tells."""

    SUCCEEDED = "succeeded"
    SUBMITTED = "submitted"
    """Not over: this turn of it is. The work is at a provider, and is asked after later."""
    STOPPED = "stopped"
    """It was told to stop; result: the best so far, if any."""
    LATE = "late"
    """The job's deadline ended it, before anybody told it to stop; result: as STOPPED."""
    FAILED = "failed"
    LOST = "lost"
    """Its worker died. (One that dies with its server is found by its lease.)"""
    GIVEN_BACK = "given back"
    """The server drains: to be tried elsewhere, and not counted."""


class Fault(Enum):
    """Whose error it is, which decides whether another try may help."""

    CALLER = "caller"
    """Never tried again."""
    PROVIDER = "provider"
    """Tried again, with back-off, up to jobs.attempts_max."""
    SERVER = "server"
    """As PROVIDER."""


@dataclass(frozen=True)
class Ending:
    """The end of an attempt."""

    outcome: Outcome
    result: bytes | None = None
    """Bytes of a JobResult."""
    fault: Fault | None = None
    error: KetgateError | None = None
    artifacts: Sequence[str] = ()
    """SHA-256 of each artifact that the result refers to."""
    handle: bytes | None = None
    """Of SUBMITTED: what the next turn is given."""
    poll_after_s: float = 0.0
    """Of SUBMITTED: when that is to be."""
    progress: pb.JobProgress | None = None
    """Of SUBMITTED: how far the work is, if that is known."""


class RunContext(Protocol):
    """What a running job sees of the world."""

    tenant: str
    job_id: str
    """Unique for ever, and the same for every attempt: a good tag for work at a provider."""
    attempt: int
    """Number of the attempt. The turns of one attempt share it."""
    handle: bytes | None
    """As the turn before gave it with faults.Submitted, or an attempt that was lost with checkpoint;
    None: nobody has talked to a provider yet."""
    threads: int
    """Threads it may use."""
    limits: Mapping[str, Limit]
    """The server's."""

    @property
    def stopped(self) -> bool:
        """Whether it was told to stop: return the best so far. With a handle it means that the job is
        cancelled or too late, and never that this server stops: cancel the work at the provider."""

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Run callback once when told to stop, at once if it was; from any thread."""

    def remaining_s(self) -> float:
        """Seconds until the job's deadline; infinity without one."""

    def progress(self, progress: pb.JobProgress) -> None:
        """Tell how far it is. Never waits; what comes too often is thinned out, the newest kept.
        time, attempt and elapsed are filled in."""

    def checkpoint(self, handle: bytes) -> None:
        """Keep a handle (faults.HANDLE_BYTES_MAX at most) for the turn after this one, whatever
        becomes of this one, and go on when it is on disk: what is about to be asked of a provider,
        and by which tag to find it there. The lease is prolonged, so there is lease_s to ask it
        before anybody else does.

        Raises KetgateError where it cannot be kept, and faults.Stopped where others have the job by
        now, or it was told to stop before its first handle: then ask nothing of the provider.
        """


class JobKind(Protocol):
    """A kind of work. One a field of JobSpec.work; registered by its domain.

    A kind may have two methods more: roles(spec), what a caller needs beside `role` for this spec;
    and stays(spec), whether this work has to run in a thread of the server, whatever the executor,
    as it needs what only the server has.
    """

    name: str
    """Name of the oneof field, for example "solve"."""
    role: str
    """What a caller needs beside "jobs.user"."""
    entry: str
    """ "module:function" of a function like run, which an executor can import in another process."""
    isolated: bool
    """Whether it computes in Python, and so never in a thread of the server."""

    def run(self, spec: Any, context: RunContext) -> Message:
        """Do the work, in this process. The messages are those of the fields of JobSpec and
        JobResult. Raises KetgateError for what is the caller's fault, faults.ProviderError for a
        provider's, and faults.Stopped with the best so far where it was told to stop. The thread is
        used again: its priority must stay.

        Work at a provider holds no worker while it waits there: run raises faults.Submitted, and is
        called again with its handle when it is time to ask. Before anything is submitted,
        context.checkpoint keeps the intent, so that a crash between question and answer is made good
        by the next turn, which looks for the tag. Each turn should be short, and each question to a
        provider must time out well within the lease."""

    def digest(self, spec: Any) -> bytes:
        """SHA-256 of the spec's canonical bytes, as results of the unary method tell it."""

    def check(self, spec: Any) -> None:
        """Raises KetgateError as the unary method would, with paths that begin with "spec"."""

    def artifacts(self, spec: Any) -> Sequence[str]:
        """SHA-256 of each artifact that the spec refers to."""


class Running(Protocol):
    """An attempt in an executor."""

    def stop(self) -> None:
        """Tell it to stop. Cooperative; never kills what others share."""


class Executor(Protocol):
    """Where attempts run."""

    @property
    def room(self) -> int:
        """How many more attempts it can take now."""

    def start(
        self,
        claim: Claim,
        *,
        remaining_s: float,
        progress: Callable[[pb.JobProgress], None],
        checkpoint: Callable[[bytes], None],
        end: Callable[[Ending], None],
    ) -> Running:
        """Run an attempt, or another turn of it. progress, checkpoint and end are called from any
        thread; end exactly once, also when the worker dies. checkpoint waits, and raises, as
        RunContext.checkpoint does."""

    def close(self) -> None:
        """Stop everything; ends that come later are no longer waited for."""
