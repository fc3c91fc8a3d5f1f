"""Requests of the job services to what the engine takes. Every refusal names the field."""

import re
from collections.abc import Mapping

from google.protobuf.duration_pb2 import Duration
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb

from ketgate_server.errors import FieldError, NotFound
from ketgate_server.jobs.ids import is_id

NANOS = 1_000_000_000
DAY_S = 86_400
DELAY_S_MAX = 365 * DAY_S
TIMEOUT_S_MAX = 365 * DAY_S
PRIORITY_MAX = 100
LABELS_MAX = 16
REASON_CHARACTERS_MAX = 200
ETAG_CHARACTERS_MAX = 100
NAMES_MAX = 100
REVISION_MAX = (1 << 63) - 2
WAIT_S_DEFAULT = 30.0
WAIT_S_MAX = 300.0
HEARTBEAT_S_DEFAULT = 10.0
HEARTBEAT_S_MIN = 1.0
HEARTBEAT_S_MAX = 60.0

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_.-]{0,62}")
_LABEL_VALUE_CHARACTERS_MAX = 63
_FULL: dict[int, bool] = {
    pb.JOB_VIEW_UNSPECIFIED: False,
    pb.JOB_VIEW_BASIC: False,
    pb.JOB_VIEW_FULL: True,
}


def read_id(name: str, prefix: str = "jobs/", path: str = "name") -> str:
    """The id in "jobs/ID". A name that has not this form, and one that no job can have, are told
    apart; a job of another tenant is as one that there is not."""
    if not name.startswith(prefix) or len(name) == len(prefix):
        raise FieldError(path, expected=f'"{prefix}ID"', given=name or "nothing")
    job_id = name.removeprefix(prefix)
    if not is_id(job_id):
        raise NotFound(name, path)
    return job_id


def read_priority(priority: int) -> int:
    if not -PRIORITY_MAX <= priority <= PRIORITY_MAX:
        raise FieldError("priority", expected=f"-{PRIORITY_MAX} to {PRIORITY_MAX}", given=priority)
    return priority


def read_labels(labels: Mapping[str, str]) -> dict[str, str]:
    if not labels:
        return {}
    if len(labels) > LABELS_MAX:
        raise FieldError(
            "labels", expected=f"at most {LABELS_MAX} labels", given=f"{len(labels)} labels"
        )
    for key in sorted(labels):
        value = labels[key]
        if not _LABEL_KEY.fullmatch(key):
            raise FieldError(
                "labels",
                expected="keys of 1 to 63 of a-z, 0-9, _, - and ., starting with a letter",
                given=key,
            )
        if len(value) > _LABEL_VALUE_CHARACTERS_MAX or not value.isprintable():
            raise FieldError(
                f"labels[{key}]",
                expected=f"at most {_LABEL_VALUE_CHARACTERS_MAX} printable characters",
                given=value,
            )
    return dict(labels)


def read_delay_us(request: pb.CreateJobRequest) -> int | None:
    """Microseconds from now; None: at once."""
    if not request.HasField("delay"):
        return None
    nanos = _nanos(request.delay, "delay")
    if not 0 <= nanos <= DELAY_S_MAX * NANOS:
        raise FieldError("delay", expected="0 s to 365 days", given=f"{nanos / NANOS:g} s")
    return nanos // 1000 or None


def read_timeout_us(request: pb.CreateJobRequest) -> int | None:
    """Microseconds from now, at least 1 and after the delay; None: no deadline."""
    if not request.HasField("timeout"):
        return None
    delay_us = read_delay_us(request) or 0
    nanos = _nanos(request.timeout, "timeout")
    if not 0 < nanos <= TIMEOUT_S_MAX * NANOS:
        raise FieldError(
            "timeout", expected="more than 0 s and at most 365 days", given=f"{nanos / NANOS:g} s"
        )
    timeout_us = -(-nanos // 1000)
    if timeout_us <= delay_us:  # it would expire without ever having begun
        raise FieldError(
            "timeout",
            expected=f"more than `delay`, which is {delay_us / 1e6:.15g} s (both count from now)",
            given=f"{timeout_us / 1e6:.15g} s",
        )
    return timeout_us


def read_wait_s(timeout: Duration | None) -> float:
    """Seconds; None: the default. What is above the most counts as that."""
    if timeout is None:
        return WAIT_S_DEFAULT
    nanos = _nanos(timeout, "timeout")
    if nanos < 0:
        raise FieldError("timeout", expected="0 s or more", given=f"{nanos / NANOS:g} s")
    return min(nanos / NANOS, WAIT_S_MAX)


def read_heartbeat_s(request: pb.WatchJobsRequest) -> float:
    if not request.HasField("heartbeat"):
        return HEARTBEAT_S_DEFAULT
    seconds = _nanos(request.heartbeat, "heartbeat") / NANOS
    if not HEARTBEAT_S_MIN <= seconds <= HEARTBEAT_S_MAX:
        raise FieldError(
            "heartbeat",
            expected=f"{HEARTBEAT_S_MIN:g} to {HEARTBEAT_S_MAX:g} s",
            given=f"{seconds:g} s",
        )
    return seconds


def read_full(view: int) -> bool:
    """Whether the view is FULL."""
    if view not in _FULL:
        raise FieldError("view", expected="JOB_VIEW_BASIC or JOB_VIEW_FULL", given=view)
    return _FULL[view]


def read_reason(reason: str) -> str:
    if len(reason) > REASON_CHARACTERS_MAX or not reason.isprintable():
        raise FieldError(
            "reason",
            expected=f"at most {REASON_CHARACTERS_MAX} printable characters",
            given=reason,
        )
    return reason


def read_etag(etag: str) -> str:
    if len(etag) > ETAG_CHARACTERS_MAX:
        raise FieldError("etag", expected="the etag of the job", given=etag)
    return etag


def read_start_revision(revision: int) -> int:
    if not 0 <= revision <= REVISION_MAX:
        raise FieldError(
            "start_revision", expected="0 (from now on), or a revision", given=revision
        )
    return revision


def read_names(request: pb.WatchJobsRequest) -> frozenset[str]:
    """Names as events have them. Of jobs that the tenant has not there are no events."""
    if len(request.names) > NAMES_MAX:
        raise FieldError(
            "names", expected=f"at most {NAMES_MAX} names", given=f"{len(request.names)} names"
        )
    for index, name in enumerate(request.names):
        if not name.startswith("jobs/") or not is_id(name.removeprefix("jobs/")):
            raise FieldError(f"names[{index}]", expected='"jobs/ID"', given=name)
    return frozenset(request.names)


def preview(
    request: pb.CreateJobRequest, *, kind: str, creator: str, spec_digest: bytes, now_us: int
) -> job_pb2.Job:
    """The job as it would be, without a name."""
    job = job_pb2.Job(
        kind=kind,
        state=job_pb2.JOB_STATE_QUEUED,
        priority=request.priority,
        labels=request.labels,
        creator=creator,
        spec_digest=spec_digest.hex(),
    )
    for time, from_now_us in (
        (job.not_before_time, read_delay_us(request)),
        (job.deadline_time, read_timeout_us(request)),
    ):
        if from_now_us is not None:
            time.FromMicroseconds(now_us + from_now_us)
    return job


def _nanos(given: Duration, path: str) -> int:
    """A duration as nanoseconds."""
    seconds, nanos = given.seconds, given.nanos
    if abs(nanos) >= NANOS or seconds > 0 > nanos or seconds < 0 < nanos:
        raise FieldError(
            path,
            expected="a duration whose nanos are below 10^9 and of the sign of its seconds",
            given=f"{seconds} s and {nanos} ns",
        )
    return seconds * NANOS + nanos
