"""Events to the messages of a watch, serialised once for all who get them."""

from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb

from ketgate_server.jobs.base import Event
from ketgate_server.jobs.record import TERMINAL
from ketgate_server.jobs.tail import Change


def change_of(revision: int, event: Event) -> Change:
    return Change(
        revision,
        event.job,
        event.type == job_pb2.JOB_EVENT_TYPE_PROGRESS,
        event.state in TERMINAL or event.type == job_pb2.JOB_EVENT_TYPE_DELETED,
        pb.WatchJobsResponse(events=[event]).SerializeToString(),
    )


def position(next_revision: int) -> bytes:
    """The end of a message, after its changes: messages may be joined."""
    return pb.WatchJobsResponse(next_revision=next_revision).SerializeToString()
