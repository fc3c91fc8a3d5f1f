"""Requests about jobs, as both clients send them; every one that changes something may be repeated."""

import operator
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any, TypedDict, cast

from google.protobuf import duration_pb2
from google.protobuf.message import Message

from ketgate._errors import DeadlineExceeded, InvalidArgument, Unavailable
from ketgate._options import duration, number
from ketgate._wire import Method
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb

PAGE_SIZE_MAX = 1000


def _method(name: str) -> Method[Any, Any]:
    return Method(
        f"/ketgate.jobs.v1.JobService/{name}",
        getattr(pb, f"{name}Request"),
        getattr(pb, f"{name}Response"),
    )


CREATE = _method("CreateJob")
GET = _method("GetJob")
LIST = _method("ListJobs")
CANCEL = _method("CancelJob")
DELETE = _method("DeleteJob")
WAIT = _method("WaitJob")
WATCH = _method("WatchJobs")


class JobOptions(TypedDict, total=False):
    """Options of durable work.

    durable: True makes it a job of the server, which survives a crash of either side, and returns
        a DurableJob at once.
    labels: {key: text} to find it again by, at most 16.
    priority: -100 to 100; greater ones start first; default 0.
    delay: not to start before; seconds from now, or a timedelta.
    deadline: to be over by then, with the best so far; seconds from now, a timedelta, or a datetime
        with a time zone.
    request_id: the same id with the same request gives the same job, however often it is sent;
        default: a new one.
    """

    labels: Mapping[str, str] | None
    priority: int
    delay: float | timedelta | None
    deadline: float | timedelta | datetime | None
    request_id: str | None


JOB_OPTIONS = frozenset(JobOptions.__annotations__)


def split_options(keywords: dict[str, Any], durable: bool) -> JobOptions:
    """Take the options of a job out of a call's keywords. Refuses them where it is to be none."""
    options = {name: keywords.pop(name) for name in JOB_OPTIONS & keywords.keys()}
    if options and not durable:
        raise InvalidArgument(
            f"{min(options)}: expected with durable=True only: it is of jobs", field=min(options)
        )
    return cast(JobOptions, options)


def create(spec: Message, options: JobOptions) -> pb.CreateJobRequest:
    """spec: of any kind of work that JobSpec has a field for."""
    request = pb.CreateJobRequest(
        spec=_work_of(spec),
        request_id=_request_id(options.get("request_id")),
        priority=number(options.get("priority", 0), "priority", int),
        labels=_labels(options.get("labels")),
    )
    delay, deadline = options.get("delay"), options.get("deadline")
    if delay:
        request.delay.CopyFrom(duration(delay, "delay"))
    if deadline is not None:
        request.timeout.CopyFrom(_from_now(deadline))
    return request


def _work_of(spec: Message) -> job_pb2.JobSpec:
    made = job_pb2.JobSpec()
    for field in made.DESCRIPTOR.oneofs_by_name["work"].fields:
        if field.message_type is spec.DESCRIPTOR:
            getattr(made, field.name).CopyFrom(spec)
    return made


@contextmanager
def doubt_is_told(request: pb.CreateJobRequest) -> Iterator[None]:
    """Whoever gets no answer is told by which id to ask for the same job again."""
    try:
        yield
    except (DeadlineExceeded, Unavailable) as error:
        error.remedy = (
            f"{error.remedy} Whether the job was accepted is not known: the same call with "
            f"request_id={request.request_id!r} gives the same one."
        ).lstrip()
        raise


def get(name: str, *, full: bool) -> pb.GetJobRequest:
    view = pb.JOB_VIEW_FULL if full else pb.JOB_VIEW_BASIC
    return pb.GetJobRequest(name=full_name(name), view=view)


def cancel(name: str, reason: str) -> pb.CancelJobRequest:
    return pb.CancelJobRequest(name=full_name(name), request_id=new_request_id(), reason=reason)


def delete(name: str, etag: str) -> pb.DeleteJobRequest:
    return pb.DeleteJobRequest(name=full_name(name), request_id=new_request_id(), etag=etag)


class Pages:
    """ListJobs, page by page: ask with `request` until `add` says that it is enough."""

    def __init__(self, query: str, order_by: str, limit: int | None) -> None:
        if limit is not None and (number(limit, "limit", int) < 1):
            raise InvalidArgument(
                f"limit: expected at least 1, or None, given {limit}", field="limit"
            )
        self._limit = limit
        self.request = pb.ListJobsRequest(filter=query, order_by=order_by)
        self.found: list[job_pb2.Job] = []
        self.revision = 0
        self.complete = False
        self._size_next()

    def add(self, page: pb.ListJobsResponse) -> bool:
        """Whether there is no more to ask for."""
        self.revision = self.revision or page.revision
        self.found += page.jobs
        self.complete = not page.next_page_token
        self.request.page_token = page.next_page_token
        self._size_next()
        return self.complete or len(self.found) == self._limit

    def _size_next(self) -> None:
        left = PAGE_SIZE_MAX if self._limit is None else self._limit - len(self.found)
        self.request.page_size = min(left, PAGE_SIZE_MAX)


def new_request_id() -> str:
    return uuid.uuid4().hex


def start_revision(given: Any) -> int:
    """The revision a watch begins at; a name is the likeliest thing that is put there instead."""
    try:
        revision = operator.index(given)
    except TypeError:
        revision = -1
    if revision < 0:
        hint = f"; names=[{given!r}] watches one job" if isinstance(given, str) else ""
        raise InvalidArgument(
            f"start_revision: expected a revision, from 0 on, given {given!r}{hint}",
            field="start_revision",
        )
    return revision


def full_name(name: str) -> str:
    """ "jobs/ID", also of an ID alone."""
    if not isinstance(name, str) or not name:
        raise InvalidArgument(f'name: expected "jobs/ID", given {name!r}', field="name")
    return name if "/" in name else f"jobs/{name}"


def _request_id(given: Any) -> str:
    """The id given, or a new one. An empty one is refused: whoever reads it from somewhere means
    it to be the same at the next try, which a new one is not.
    """
    if given is None:
        return new_request_id()
    if not isinstance(given, str) or not given:
        raise InvalidArgument(
            f"request_id: expected a text that is not empty, given {given!r}; "
            "leave it out for a new one, or give one",
            field="request_id",
        )
    return given


def _labels(labels: Any) -> dict[str, str]:
    if labels is None:
        return {}
    if not isinstance(labels, Mapping) or not all(
        isinstance(text, str) for pair in labels.items() for text in pair
    ):
        raise InvalidArgument(
            f"labels: expected a mapping of texts to texts, given {labels!r}", field="labels"
        )
    return dict(labels)


def _from_now(deadline: float | timedelta | datetime) -> duration_pb2.Duration:
    if not isinstance(deadline, datetime):
        return duration(deadline, "deadline")
    if deadline.tzinfo is None:
        raise InvalidArgument(
            f"deadline: expected a time with its zone, given {deadline}; add tzinfo=UTC, for example",
            field="deadline",
        )
    left = deadline - datetime.now(UTC)
    if left <= timedelta():
        raise InvalidArgument(
            f"deadline: expected a time to come, given {deadline}", field="deadline"
        )
    return duration(left, "deadline")
