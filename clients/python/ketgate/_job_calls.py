"""Watches and waits that go on after a cut, and results of jobs: what both clients do alike.

A watch asks again at the revision after the last one it was told of, so nothing is missed and
nothing comes twice, whatever cut it. It is renewed every minute: so a connection that died without
a word is noticed.
"""

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from ketgate import _job_requests as requests
from ketgate import _wire
from ketgate._calls import Caller
from ketgate._errors import Cancelled, DeadlineExceeded, InternalError, KetgateError, Unavailable
from ketgate._events import Outcome, ProgressEvent, Watcher
from ketgate._job import JobEvent, JobRecord, JobState, read_event
from ketgate._options import Prepared, Progress
from ketgate._portfolio_result import decode_any
from ketgate._retry import Patience
from ketgate._work import Work, known, result_class
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2

R = TypeVar("R")

RENEW_S = 60.0
"""A watch is opened anew this often."""
WAIT_S = 30.0
"""One WaitJob waits so long at most."""
_CLOSED = "the client was closed"


class Watching:
    """Where a watch stands."""

    def __init__(
        self,
        caller: Caller,
        start_revision: int,
        names: Sequence[str] = (),
        *,
        states_only: bool = False,
        end_s: float | None = None,
    ) -> None:
        """end_s: on the monotonic clock; the watch then ends."""
        self._caller = caller
        self._request = pb.WatchJobsRequest(
            start_revision=requests.start_revision(start_revision),
            names=[requests.full_name(name) for name in names],
            states_only=states_only,
        )
        self._end_s = end_s
        self._stream = requests.WATCH.callable(caller.channel, stream=True)
        self._patience = Patience(caller._retry)
        self._heard = False

    @property
    def next_revision(self) -> int:
        return self._request.start_revision

    @property
    def over(self) -> bool:
        """Whether its time is up."""
        return self._end_s is not None and time.monotonic() >= self._end_s

    def open(self) -> tuple[str, Any]:
        """Id and call of the next stream."""
        self._heard = False
        request_id, metadata = _wire.call_metadata(self._caller._endpoint)
        left_s = RENEW_S if self._end_s is None else self._end_s - time.monotonic()
        try:
            call = self._stream(
                self._request, timeout=max(0.0, min(RENEW_S, left_s)), metadata=metadata
            )
        except ValueError:  # grpc's word for a closed channel
            raise Cancelled(_CLOSED, reason="CANCELLED") from None
        return request_id, call

    def add(self, message: pb.WatchJobsResponse) -> list[JobEvent]:
        """The changes that are new."""
        self._heard = True
        self._patience.heard()
        known = self._request.start_revision
        self._request.start_revision = max(known, message.next_revision)
        return [read_event(told) for told in message.events if told.revision >= known]

    def after(self, error: Any, request_id: str) -> float:
        """Seconds to wait before the next stream, after error, a grpc.RpcError, or an end without
        one. Raises where there is to be none.
        """
        if error is None:
            return self._patience.after(Unavailable("the server ended the watch"))
        made = self._caller._failed(error, request_id)
        if isinstance(made, DeadlineExceeded) and (self._heard or self.over):
            return 0.0  # it was only renewed
        if isinstance(made, Cancelled) and "closed" in (error.details() or "").lower():
            raise Cancelled(_CLOSED, reason="CANCELLED") from None
        return self._patience.after(made)


class Waiting:
    """A wait for the end of a job, by one WaitJob after the other."""

    def __init__(self, caller: Caller, name: str, timeout_s: float | None) -> None:
        self._name = requests.full_name(name)
        self._grace_s = caller._timeout_s
        self._end_s = None if timeout_s is None else time.monotonic() + timeout_s
        self.patience = Patience(caller._retry)

    def request(self) -> tuple[pb.WaitJobRequest, float]:
        """The next one, and its deadline in seconds."""
        wait_s = WAIT_S if self._end_s is None else min(WAIT_S, self._end_s - time.monotonic())
        request = pb.WaitJobRequest(name=self._name, view=pb.JOB_VIEW_BASIC)
        request.timeout.FromNanoseconds(round(max(wait_s, 0.0) * 1e9))
        return request, max(wait_s, 0.0) + self._grace_s

    def done(self, job: job_pb2.Job) -> bool:
        """Whether the job is over, or the time is up."""
        self.patience.heard()
        up = self._end_s is not None and time.monotonic() >= self._end_s
        return up or JobRecord(job).over


class Solution(Generic[R]):
    """What makes the result of a job into what its caller gets."""

    def __init__(self, solve: Prepared[R] | Work[R] | None) -> None:
        """solve: as it was sent; None where the job was created elsewhere."""
        self._solve = solve
        self.progress: Progress = False if solve is None else solve.progress

    def of(self, job: job_pb2.Job, trace: list[ProgressEvent]) -> R:
        """The result of a job that is over, in the FULL view. Raises what it failed of; one that
        was cancelled or has expired has its best so far, if there was anything.
        """
        record = JobRecord(job)
        if not record.over:
            raise unfinished(record)
        found = self._decoded(job, trace)
        error = record.error
        if found is not None and (error is None or record.state is not JobState.FAILED):
            return found
        if error is None:
            raise InternalError(f"{job.name} is over and has no result", reason="INTERNAL")
        error.message = f"{job.name}: {error.message}"
        error.best = found
        raise error

    def _decoded(self, job: job_pb2.Job, trace: list[ProgressEvent]) -> R | None:
        kind = job.result.WhichOneof("result")
        if kind == "solve":
            return self._solved(job, trace)
        if not known(kind):
            return None
        sent = self._solve if isinstance(self._solve, Work) else None
        read: Callable[[Any, Any], Any] = result_class(kind) if sent is None else sent.result
        spec = getattr(job.spec, kind) if sent is None else sent.spec
        made: R = read(getattr(job.result, kind), spec)
        return made

    def _solved(self, job: job_pb2.Job, trace: list[ProgressEvent]) -> R:
        message = job.result.solve
        if message.stop_reason == result_pb2.STOP_REASON_UNSPECIFIED:
            message.stop_reason = _STOPPED.get(job.state, message.stop_reason)
        sent = self._solve if isinstance(self._solve, Prepared) else None
        spec = job.spec.solve if sent is None else sent.spec
        decode: Callable[[Outcome], Any] = decode_any if sent is None else sent.decode
        made: R = decode(Outcome(message, spec, [], trace))
        return made

    def watcher(self, progress: Progress | None) -> Watcher:
        """Shows progress as asked now or, failing that, when the job was created."""
        limit_s = 0.0 if self._solve is None else self._solve.time_limit_s
        return Watcher(self.progress if progress is None else progress, limit_s)

    def shows(self, progress: Progress | None) -> bool:
        return bool(self.progress if progress is None else progress)


_STOPPED: dict[int, Any] = {
    job_pb2.JOB_STATE_CANCELLED: result_pb2.STOP_REASON_CANCELLED,
    job_pb2.JOB_STATE_EXPIRED: result_pb2.STOP_REASON_DEADLINE,
}


def unfinished(record: JobRecord) -> KetgateError:
    """What a result that is not there yet is refused with."""
    return DeadlineExceeded(
        f"{record.name} is not over yet: {record.state.value}",
        reason="DEADLINE_EXCEEDED",
        remedy="Wait longer, or come back with client.jobs.get(name): it goes on.",
    )
