"""The state machine of a job: from a row and what happened to the row after it. Pure.

Every way a job may change its state is here, and TABLE is the list of them; what is terminal never
changes again.
"""

from dataclasses import dataclass

from google.rpc.status_pb2 import Status
from ketgate.jobs.v1.job_pb2 import JobProgress

from ketgate_server.jobs import convert, convert_status, outside
from ketgate_server.jobs.base import Ending, Fault, Outcome
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import (
    CANCELLED,
    CANCELLING,
    EXPIRED,
    FAILED,
    QUEUED,
    RUNNING,
    SUBMITTED,
    SUCCEEDED,
    TERMINAL,
    JobRow,
)

TABLE: dict[int, frozenset[int]] = {
    QUEUED: frozenset({RUNNING, CANCELLING, CANCELLED, EXPIRED, FAILED}),
    RUNNING: frozenset({QUEUED, SUBMITTED, CANCELLING, SUCCEEDED, FAILED, CANCELLED, EXPIRED}),
    SUBMITTED: frozenset({CANCELLING, SUCCEEDED, FAILED, EXPIRED}),
    CANCELLING: frozenset({SUCCEEDED, CANCELLED}),
}

SERVER = "server"
"""Actor of what nobody asked for."""

DEADLINE_TOLERANCE_US = 250_000
"""An attempt that stops this close before the deadline was stopped by it: the clock of a server
that stops its work is not quite the database's."""


@dataclass(slots=True)
class Change:
    """A job before and after, and what the event says."""

    before: JobRow
    after: JobRow
    reason: str
    actor: str = SERVER
    outcome: int | None = None
    """AttemptOutcome of the attempt that ended with it."""
    error: Status | None = None
    """What was wrong with that attempt."""
    result: bytes | None = None
    """Bytes of a JobResult, to be kept."""
    begins: bool = False
    """An attempt begins."""
    claims: bool = False
    """A worker takes the job, for an attempt or another turn of one: it gets a new fence."""
    handle: bytes | None = None
    """To be kept."""
    progress: JobProgress | None = None
    """How far it is, where that is new."""

    @property
    def is_told(self) -> bool:
        """Whether there is an event of it. There is none of a poll that finds nothing new."""
        return self.before.state != self.after.state or self.progress is not None


def claim(job: JobRow, *, worker: str, lease_us: int, now_us: int) -> Change:
    """QUEUED -> RUNNING, or another turn of an attempt that is at a provider; held by worker for
    lease_us."""
    held = job._replace(worker=worker, lease_time_us=now_us + lease_us)
    if job.state != QUEUED:
        return Change(job, held, "", claims=True)
    after = held._replace(
        state=RUNNING,
        start_time_us=now_us if job.start_time_us is None else job.start_time_us,
        attempts=job.attempts + 1,
    )
    reason = f"attempt {after.attempts} began"
    return Change(job, after, reason, begins=True, claims=True)


def cancel(job: JobRow, *, reason: str, actor: str, policy: Policy, now_us: int) -> Change | None:
    """As asked: over at once while it waits here, told to stop while it runs or is at a provider.
    None: nothing changes."""
    if job.state == CANCELLING or job.is_over:
        return None
    status = convert_status.cancelled(reason)
    if job.state == QUEUED and not outside.is_outside(job):
        return _over(job, CANCELLED, now_us, reason, actor, status=status)
    # Kept with it until it is over: by then nobody remembers why.
    after = job._replace(state=CANCELLING, error=status.SerializeToString())
    if outside.is_outside(job):
        after = outside.goes_on(after._replace(wake_time_us=None), policy, now_us)
    return Change(job, after, reason, actor)


def expire(job: JobRow, *, now_us: int) -> Change:
    """QUEUED -> EXPIRED."""
    reason = "its deadline passed before an attempt could begin"
    return _over(job, EXPIRED, now_us, reason, SERVER, status=convert_status.expired())


def give_up(job: JobRow, *, now_us: int) -> Change:
    """The end of a job whose provider had long enough to cancel its work."""
    cancelled = job.state == CANCELLING
    reason = "it was cancelled" if cancelled else "its deadline passed"
    change = _over(
        job,
        CANCELLED if cancelled else EXPIRED,
        now_us,
        f"{reason}, and the provider did not confirm it in time{outside.WARNING}",
        SERVER,
        status=convert_status.with_warning(_why(job), outside.WARNING),
    )
    change.outcome = convert.STOPPED
    return change


def end(
    job: JobRow,
    ending: Ending,
    *,
    policy: Policy,
    jitter: float,
    now_us: int,
    lived_us: int = 0,
    began_stopped: bool = False,
) -> Change:
    """What the end of the turn that holds the job makes of it. jitter: 0 to below 1, random.
    lived_us: how long the attempt's worker was heard of, where it was LOST. began_stopped: whether
    that turn knew from the beginning that the job is to stop."""
    if ending.outcome is Outcome.SUBMITTED:
        after = outside.submitted(job, ending, policy, now_us, began_stopped=began_stopped)
        change = Change(job, after, "handed to a provider", handle=ending.handle)
        if ending.progress is not None and outside.is_new(ending.progress, job.progress):
            change.progress = ending.progress
        return change
    error = convert_status.status_of(ending.error) if ending.error else None
    change = _end(job, ending, policy, jitter, now_us, error, lived_us)
    if change.is_told:  # or the attempt goes on with another turn
        change.outcome = _outcome(ending)
        change.error = error
    return change


def _end(
    job: JobRow,
    ending: Ending,
    policy: Policy,
    jitter: float,
    now_us: int,
    error: Status | None,
    lived_us: int,
) -> Change:
    if ending.outcome is Outcome.SUCCEEDED:
        change = _over(job, SUCCEEDED, now_us, "", SERVER)
        change.result = ending.result
        return change
    told = ending.outcome in (Outcome.STOPPED, Outcome.LATE) or ending.fault is Fault.CALLER
    if job.state == CANCELLING and (told or not outside.is_outside(job)):
        change = _over(job, CANCELLED, now_us, "it stopped, as asked", SERVER)
        change.after = change.after._replace(error=job.error)
        change.result = ending.result
        return change
    if ending.outcome is Outcome.FAILED and ending.fault is Fault.CALLER:
        return _over(job, FAILED, now_us, "the request is at fault", SERVER, status=error)
    late = ending.outcome is Outcome.LATE or outside.is_late(job, now_us + DEADLINE_TOLERANCE_US)
    if job.deadline_us is not None and late and (told or not outside.is_outside(job)):
        status = convert_status.expired()
        change = _over(job, EXPIRED, now_us, "its deadline passed", SERVER, status=status)
        change.result = ending.result
        return change
    if ending.outcome is Outcome.LOST:
        return _lost(job, policy, jitter, now_us, lived_us)
    if ending.outcome is Outcome.FAILED:
        return _faulty(job, ending, policy, jitter, now_us, error)
    # Given back; or stopped although nobody asked, which is the same to the job.
    return _again(job, "its server stops; it is tried elsewhere", None, now_us)


def _lost(job: JobRow, policy: Policy, jitter: float, now_us: int, lived_us: int) -> Change:
    losses = 0 if lived_us > policy.losses_lived_us else job.losses + 1
    job_after = job._replace(losses=losses)
    if losses >= policy.losses_max:
        status = convert_status.worker_lost(losses)
        reason = f"{losses} attempts in a row lost their worker"
        return _failed(job_after, job, now_us, reason, status)
    wake_us = now_us + policy.wait_us(job.faults + losses, jitter)
    return _again(job, "its worker was lost; it is tried again", wake_us, now_us, after=job_after)


def _faulty(
    job: JobRow,
    ending: Ending,
    policy: Policy,
    jitter: float,
    now_us: int,
    error: Status | None,
) -> Change:
    faults = job.faults + 1
    job_after = job._replace(faults=faults, losses=0)
    whose = "a provider" if ending.fault is Fault.PROVIDER else "the server"
    if faults >= (policy.outage_faults_max if _is_outage(job, ending) else policy.attempts_max):
        reason = f"{faults} attempts failed by the fault of {whose}"
        return _failed(job_after, job, now_us, reason, error)
    wait_us = policy.wait_us(faults + job.losses, jitter)
    if ending.error is not None and ending.error.retry_after_s is not None:
        wait_us = max(wait_us, round(ending.error.retry_after_s * 1e6))
    reason = f"an attempt failed by the fault of {whose}; it is tried again"
    return _again(job, reason, now_us + wait_us, now_us, after=job_after)


def _is_outage(job: JobRow, ending: Ending) -> bool:
    """Whether a provider that has the work could not be asked, and is to be asked again."""
    if job.state not in (SUBMITTED, CANCELLING) or not outside.is_outside(job):
        return False
    retry = ending.error is not None and ending.error.retry_after_s is not None
    return retry and ending.fault is Fault.PROVIDER


def _failed(after: JobRow, job: JobRow, now_us: int, reason: str, status: Status | None) -> Change:
    """The end of a job that was tried often enough: FAILED, unless it was to end anyway."""
    if not outside.is_outside(job):
        return _over(job, FAILED, now_us, reason, SERVER, status=status, after=after)
    if job.state == CANCELLING or outside.is_late(job, now_us):
        return give_up(after, now_us=now_us)
    warned = None if status is None else convert_status.with_warning(status, outside.WARNING)
    reason += outside.WARNING
    return _over(job, FAILED, now_us, reason, SERVER, status=warned, after=after)


def _why(job: JobRow) -> Status:
    """Why a job is to stop: it was cancelled, or is too late."""
    if job.state == CANCELLING and job.error is not None:
        return Status.FromString(job.error)
    return convert_status.expired()


def _again(
    job: JobRow,
    reason: str,
    wake_time_us: int | None,
    now_us: int,
    after: JobRow | None = None,
) -> Change:
    """It is tried again, not before wake_time_us; None: at once."""
    after = after or job
    if outside.is_outside(job):
        return Change(job, outside.retried(after, wake_time_us, now_us), reason)
    return Change(job, outside.let_go(after._replace(state=QUEUED), wake_time_us), reason)


def _over(
    job: JobRow,
    state: int,
    now_us: int,
    reason: str,
    actor: str,
    *,
    status: Status | None = None,
    after: JobRow | None = None,
) -> Change:
    assert state in TERMINAL
    after = (after or job)._replace(
        state=state,
        end_time_us=now_us,
        wake_time_us=None,
        fence=0,
        worker="",
        lease_time_us=None,
        outside_until_us=None,
        error=status.SerializeToString() if status is not None else None,
    )
    return Change(job, after, reason, actor)


def _outcome(ending: Ending) -> int:
    if ending.outcome is Outcome.FAILED:
        assert ending.fault is not None
        return {
            Fault.CALLER: convert.CALLER_ERROR,
            Fault.PROVIDER: convert.PROVIDER_ERROR,
            Fault.SERVER: convert.SERVER_ERROR,
        }[ending.fault]
    return {
        Outcome.SUCCEEDED: convert.SUCCEEDED,
        Outcome.STOPPED: convert.STOPPED,
        Outcome.LATE: convert.STOPPED,
        Outcome.LOST: convert.WORKER_LOST,
        Outcome.GIVEN_BACK: convert.GIVEN_BACK,
    }[ending.outcome]
