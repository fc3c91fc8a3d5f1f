"""What the server says of a job: its state, its attempts, its changes."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from ketgate._errors import KetgateError
from ketgate._events import ProgressEvent, seconds
from ketgate._status import from_status
from ketgate.jobs.v1 import job_pb2


class JobState(StrEnum):
    """Where a job stands. The last four are the end: it never changes again."""

    QUEUED = "queued"
    SUBMITTED = "submitted"
    RUNNING = "running"
    CANCELLING = "cancelling"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"
    UNKNOWN = "unknown"
    """A state that this client is too old to know."""

    @property
    def over(self) -> bool:
        return self in _OVER


_OVER = {JobState.SUCCEEDED, JobState.FAILED, JobState.CANCELLED, JobState.EXPIRED}


class JobEventType(StrEnum):
    """What happened to a job."""

    CREATED = "created"
    STATE_CHANGED = "state_changed"
    PROGRESS = "progress"
    DELETED = "deleted"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class JobAttempt:
    """One try of a job."""

    number: int
    """1 for the first."""
    fence: int
    worker: str
    start_time: datetime
    end_time: datetime | None
    """None while it runs."""
    outcome: str
    """running, succeeded, caller_error, provider_error, server_error, worker_lost, stopped or
    given_back.
    """
    error: KetgateError | None


@dataclass(frozen=True)
class JobEvent:
    """A change of a job, as `client.jobs.watch` tells it."""

    revision: int
    """Rises strictly; watch from the next one to go on after this event."""
    time: datetime
    job: str
    """Its name."""
    type: JobEventType
    state: JobState
    """After it."""
    reason: str
    """In words."""
    actor: str
    """Name of a token, or "server"."""
    attempt: int
    progress: ProgressEvent | None
    error: KetgateError | None
    labels: dict[str, str]
    kind: str

    @property
    def last(self) -> bool:
        """Whether nothing comes after it but the job's deletion."""
        return self.state.over or self.type is JobEventType.DELETED


class JobRecord:
    """A job as it was when it was last asked for. message: as the server sent it."""

    def __init__(self, message: job_pb2.Job) -> None:
        self._take(message)

    def _take(self, message: job_pb2.Job) -> None:
        self.message = message
        self.__dict__.pop("attempts", None)

    @property
    def name(self) -> str:
        """ "jobs/ID": what finds it again, from any process."""
        return self.message.name

    @property
    def uid(self) -> str:
        return self.message.uid

    @property
    def etag(self) -> str:
        return self.message.etag

    @property
    def kind(self) -> str:
        """What it does, for example "solve"."""
        return self.message.kind

    @property
    def state(self) -> JobState:
        state: JobState = _enum(JobState, job_pb2.JobState, self.message.state, "JOB_STATE_")
        return state

    @property
    def over(self) -> bool:
        """Whether it has come to its end, one way or another."""
        return self.state.over

    @property
    def labels(self) -> dict[str, str]:
        return dict(self.message.labels)

    @property
    def priority(self) -> int:
        return self.message.priority

    @property
    def creator(self) -> str:
        """Name of the token that created it."""
        return self.message.creator

    @property
    def revision(self) -> int:
        """Of its last change: watch from the next one to miss none."""
        return self.message.revision

    @property
    def spec_digest(self) -> str:
        return self.message.spec_digest

    @property
    def create_time(self) -> datetime:
        return _time(self.message.create_time)

    @property
    def update_time(self) -> datetime:
        return _time(self.message.update_time)

    @property
    def start_time(self) -> datetime | None:
        return self._when("start_time")

    @property
    def end_time(self) -> datetime | None:
        return self._when("end_time")

    @property
    def not_before_time(self) -> datetime | None:
        return self._when("not_before_time")

    @property
    def deadline_time(self) -> datetime | None:
        return self._when("deadline_time")

    @property
    def attempt_count(self) -> int:
        return self.message.attempt_count

    @cached_property
    def attempts(self) -> list[JobAttempt]:
        """The last 20 of them, the newest last; empty for a job that came from a list: refresh()."""
        return [read_attempt(attempt) for attempt in self.message.attempts]

    @property
    def error(self) -> KetgateError | None:
        """Why it failed, was cancelled or expired."""
        return from_status(self.message.error) if self.message.HasField("error") else None

    @property
    def newest(self) -> ProgressEvent | None:
        """The newest sign of progress that is known here."""
        if not self.message.HasField("progress"):
            return None
        return read_progress(self.message.progress)

    def _when(self, field: str) -> datetime | None:
        return _time(getattr(self.message, field)) if self.message.HasField(field) else None

    def __repr__(self) -> str:
        parts = [f"{type(self).__name__} {self.name}: {self.state.value}"]
        if self.attempt_count > 1:
            parts.append(f"attempt {self.attempt_count}")
        newest = self.newest
        if newest is not None and newest.objective is not None:
            parts.append(f"objective {newest.objective:.9g}")
        if self.error is not None:
            parts.append(self.error.message)
        return ", ".join(parts)


J = TypeVar("J", bound=JobRecord)


class JobList(list[J]):
    """Jobs of a list, the newest first unless asked otherwise."""

    def __init__(self, jobs: Iterable[J], revision: int, complete: bool) -> None:
        super().__init__(jobs)
        self.revision = revision
        """Watch from the next one to miss nothing since."""
        self.complete = complete
        """Whether these are all that there are."""


def read_event(told: job_pb2.JobEvent) -> JobEvent:
    return JobEvent(
        revision=told.revision,
        time=_time(told.time),
        job=told.job,
        type=_enum(JobEventType, job_pb2.JobEventType, told.type, "JOB_EVENT_TYPE_"),
        state=_enum(JobState, job_pb2.JobState, told.state, "JOB_STATE_"),
        reason=told.reason,
        actor=told.actor,
        attempt=told.attempt,
        progress=read_progress(told.progress) if told.HasField("progress") else None,
        error=from_status(told.error) if told.HasField("error") else None,
        labels=dict(told.labels),
        kind=told.kind,
    )


def read_attempt(told: job_pb2.JobAttempt) -> JobAttempt:
    running = told.outcome == job_pb2.ATTEMPT_OUTCOME_UNSPECIFIED
    known = told.outcome in job_pb2.AttemptOutcome.values()
    name = job_pb2.AttemptOutcome.Name(told.outcome) if known else "UNKNOWN"
    return JobAttempt(
        number=told.number,
        fence=told.fence,
        worker=told.worker,
        start_time=_time(told.start_time),
        end_time=_time(told.end_time) if told.HasField("end_time") else None,
        outcome="running" if running else name.removeprefix("ATTEMPT_OUTCOME_").lower(),
        error=from_status(told.error) if told.HasField("error") else None,
    )


def read_progress(told: job_pb2.JobProgress) -> ProgressEvent:
    objective = told.objective if told.HasField("objective") else None
    return ProgressEvent(
        time_s=seconds(told.elapsed),
        objective=objective,
        bound=told.bound if told.HasField("bound") else None,
        solver=told.solver,
        work=told.work,
        improved=objective is not None,
    )


class Trace:
    """Progress of a job as its events tell it, in order."""

    def __init__(self) -> None:
        self.events: list[ProgressEvent] = []

    def add(self, event: JobEvent) -> ProgressEvent | None:
        """What is new of progress; `improved` tells whether the solution is a better one."""
        if event.progress is None:
            return None
        known = self.events[-1].objective if self.events else None
        better = event.progress.improved and event.progress.objective != known
        self.events.append(replace(event.progress, improved=better))
        return self.events[-1]


def _time(told: Any) -> datetime:
    return datetime.fromtimestamp(told.seconds + told.nanos // 1000 / 1e6, UTC)


def _enum(kind: Any, names: Any, value: int, prefix: str) -> Any:
    known = value in names.values()
    name = names.Name(value).removeprefix(prefix) if known else "UNKNOWN"
    return kind.__members__.get(name, kind("unknown"))
