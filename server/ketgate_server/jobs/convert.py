"""Rows to messages of the contract, and what is stored as bytes of them."""

import json
from collections.abc import Mapping
from functools import lru_cache
from types import MappingProxyType

from google.protobuf.timestamp_pb2 import Timestamp
from google.rpc.status_pb2 import Status
from ketgate.jobs.v1 import job_pb2 as pb

from ketgate_server.jobs.ids import job_name
from ketgate_server.jobs.record import QUEUED, JobRow
from ketgate_server.wire import field, number_of

SUCCEEDED = pb.ATTEMPT_OUTCOME_SUCCEEDED
CALLER_ERROR = pb.ATTEMPT_OUTCOME_CALLER_ERROR
PROVIDER_ERROR = pb.ATTEMPT_OUTCOME_PROVIDER_ERROR
SERVER_ERROR = pb.ATTEMPT_OUTCOME_SERVER_ERROR
WORKER_LOST = pb.ATTEMPT_OUTCOME_WORKER_LOST
STOPPED = pb.ATTEMPT_OUTCOME_STOPPED
GIVEN_BACK = pb.ATTEMPT_OUTCOME_GIVEN_BACK

_SPEC = number_of(pb.Job, "spec")
_RESULT = number_of(pb.Job, "result")
_JOB = 1
"""Number of the field `job` in the responses."""
_EVENT_JOB = number_of(pb.JobEvent, "job")
LABELS_KNOWN_MAX = 1024
"""Different sets of labels whose encodings are kept; of at most some 2 KiB each."""


def timestamp(time_us: int) -> Timestamp:
    return Timestamp(seconds=time_us // 1_000_000, nanos=time_us % 1_000_000 * 1000)


def _set(message: Timestamp, time_us: int) -> None:
    message.seconds, message.nanos = time_us // 1_000_000, time_us % 1_000_000 * 1000


def etag(revision: int) -> str:
    return f"{revision:x}"


def labels_text(labels: Mapping[str, str]) -> str:
    """Labels as they are stored."""
    return _labels_text(tuple(sorted(labels.items()))) if labels else ""


# Many jobs have the same labels, and each of these would cost as much as all else of an event.
@lru_cache(maxsize=LABELS_KNOWN_MAX)
def _labels_text(labels: tuple[tuple[str, str], ...]) -> str:
    return json.dumps(dict(labels), separators=(",", ":"))


@lru_cache(maxsize=LABELS_KNOWN_MAX)
def labels_of(text: str) -> Mapping[str, str]:
    """What labels_text made. Shared: not to be changed."""
    return MappingProxyType(json.loads(text)) if text else MappingProxyType({})


@lru_cache(maxsize=LABELS_KNOWN_MAX)
def _labels_in_job(text: str) -> bytes:
    """The part of a Job that tells its labels."""
    return pb.Job(labels=dict(labels_of(text))).SerializeToString()


@lru_cache(maxsize=LABELS_KNOWN_MAX)
def _labels_in_event(text: str) -> bytes:
    """The part of a JobEvent that tells its job's labels."""
    return pb.JobEvent(labels=dict(labels_of(text))).SerializeToString()


def job(row: JobRow) -> pb.Job:
    """The BASIC view."""
    message = pb.Job()  # field by field: half the time of keywords
    message.name = job_name(row.id)
    message.uid = row.id
    message.etag = etag(row.revision)
    message.kind = row.kind
    message.state = row.state  # type: ignore[assignment]
    message.priority = row.priority
    message.revision = row.revision
    message.attempt_count = row.attempts
    message.creator = row.creator
    message.spec_digest = row.spec_digest.hex()
    _set(message.create_time, row.create_time_us)
    _set(message.update_time, row.update_time_us)
    if row.labels:
        message.MergeFromString(_labels_in_job(row.labels))
    if row.not_before_us is not None:
        _set(message.not_before_time, row.not_before_us)
    if row.deadline_us is not None:
        _set(message.deadline_time, row.deadline_us)
    if row.start_time_us is not None:
        _set(message.start_time, row.start_time_us)
    if row.end_time_us is not None:
        _set(message.end_time, row.end_time_us)
    if row.progress is not None:
        message.progress.ParseFromString(row.progress)
    if row.error is not None and row.is_over:  # before, it is kept for when it will be
        message.error.ParseFromString(row.error)
    return message


def created_event(job_id: str, *, actor: str, kind: str, labels: str) -> bytes:
    """An event as it is stored: without revision and time, which are columns. labels: labels_text()
    of them."""
    name = job_name(job_id).encode()
    return field(_EVENT_JOB, name) + _created_event(actor, kind) + _labels_in_event(labels)


@lru_cache(maxsize=1024)
def _created_event(actor: str, kind: str) -> bytes:
    """What the events of a caller's new jobs have in common; to make it is most of the work."""
    return pb.JobEvent(
        type=pb.JOB_EVENT_TYPE_CREATED,
        state=QUEUED,  # type: ignore[arg-type]
        actor=actor,
        kind=kind,
    ).SerializeToString()


def state_event(
    row: JobRow, *, actor: str, reason: str, progress: pb.JobProgress | None = None
) -> bytes:
    """The event of a change of state, row being the job after it."""
    message = pb.JobEvent(
        job=job_name(row.id),
        type=pb.JOB_EVENT_TYPE_STATE_CHANGED,
        state=row.state,  # type: ignore[arg-type]
        reason=reason,
        actor=actor,
        progress=progress,
        attempt=row.attempts,
        kind=row.kind,
    )
    if row.error is not None and row.is_over:
        message.error.ParseFromString(row.error)
    return message.SerializeToString() + _labels_in_event(row.labels)


def progress_event(row: JobRow, *, actor: str, progress: pb.JobProgress) -> bytes:
    message = pb.JobEvent(
        job=job_name(row.id),
        type=pb.JOB_EVENT_TYPE_PROGRESS,
        state=row.state,  # type: ignore[arg-type]
        actor=actor,
        progress=progress,
        attempt=row.attempts,
        kind=row.kind,
    )
    return message.SerializeToString() + _labels_in_event(row.labels)


def deleted_event(row: JobRow, *, actor: str, reason: str) -> bytes:
    message = pb.JobEvent(
        job=job_name(row.id),
        type=pb.JOB_EVENT_TYPE_DELETED,
        state=row.state,  # type: ignore[arg-type]
        reason=reason,
        actor=actor,
        kind=row.kind,
    )
    return message.SerializeToString() + _labels_in_event(row.labels)


def event(revision: int, time_us: int, stored: bytes) -> pb.JobEvent:
    """A stored event, whole."""
    message = pb.JobEvent.FromString(stored)
    message.revision = revision
    message.time.CopyFrom(timestamp(time_us))
    return message


def attempt_began(number: int, fence: int, worker: str, start_us: int) -> bytes:
    """A JobAttempt; what attempt_ended gives is appended when it is over."""
    return pb.JobAttempt(
        number=number, fence=fence, worker=worker, start_time=timestamp(start_us)
    ).SerializeToString()


def attempt_ended(end_us: int, outcome: int, error: Status | None) -> bytes:
    return pb.JobAttempt(
        end_time=timestamp(end_us),
        outcome=outcome,  # type: ignore[arg-type]
        error=error,
    ).SerializeToString()


def attempt(stored: bytes) -> pb.JobAttempt:
    return pb.JobAttempt.FromString(stored)


def with_bodies(message: pb.Job, spec: bytes, result: bytes | None) -> bytes:
    """Bytes of a Job in the FULL view. Spec and result, which may be large, are appended as they
    are stored: a message is the concatenation of its fields."""
    parts = [message.SerializeToString(), field(_SPEC, spec)]
    if result is not None:
        parts.append(field(_RESULT, result))
    return b"".join(parts)


def in_response(job: bytes) -> bytes:
    """Bytes of the response that holds a Job, of GetJob and of WaitJob."""
    return field(_JOB, job)
