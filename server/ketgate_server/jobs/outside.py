"""The part of the state machine that is about work at a provider: from a row and what came of a turn
to the row after it. Pure.

A job is outside from its first handle until it is over. While it is, nothing ends it without a last
word from its kind, which alone can cancel at the provider: it is asked, again and again, with a
bound. In between it is held by nobody, in SUBMITTED or CANCELLING, and its wake time tells when the
next turn is.
"""

from ketgate.jobs.v1.job_pb2 import JobProgress

from ketgate_server.jobs.base import Ending
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import CANCELLING, FOREVER_US, QUEUED, RUNNING, SUBMITTED, JobRow

WARNING = "; its work may still run at the provider"
"""Appended to why a job ended, where the provider did not confirm that its work did."""


def is_outside(job: JobRow) -> bool:
    """Whether a provider may have work of it."""
    return job.outside_until_us is not None


def is_late(job: JobRow, now_us: int) -> bool:
    return job.deadline_us is not None and job.deadline_us <= now_us


def goes_on(job: JobRow, policy: Policy, now_us: int) -> JobRow:
    """The job as it is outside, with until when that is followed at most."""
    until_us = FOREVER_US if job.outside_until_us is None else job.outside_until_us
    if job.deadline_us is not None:
        until_us = min(until_us, job.deadline_us + policy.provider_cancel_us)
    if job.state == CANCELLING:
        until_us = min(until_us, now_us + policy.provider_cancel_us)
    return job._replace(outside_until_us=until_us)


def wake_us(job: JobRow, at_us: int, now_us: int) -> int:
    """When the next turn is: at_us, or at the deadline, if that comes before."""
    if job.deadline_us is None or job.deadline_us <= now_us:
        return at_us
    return min(at_us, job.deadline_us)


def submitted(
    job: JobRow, ending: Ending, policy: Policy, now_us: int, *, began_stopped: bool
) -> JobRow:
    """After a turn that ended with SUBMITTED, which is an answer: what counted against it before is
    forgotten. A turn that began before the job was to stop may not have noticed, so it is asked
    again at once."""
    after = job._replace(state=SUBMITTED if job.state == RUNNING else job.state)
    after = goes_on(after, policy, now_us)
    stops = after.state == CANCELLING or is_late(after, now_us)
    at_us = now_us + round(ending.poll_after_s * 1e6)
    return let_go(
        after._replace(faults=0, losses=0),
        None if stops and not began_stopped else wake_us(after, at_us, now_us),
    )


def let_go(job: JobRow, wake_time_us: int | None) -> JobRow:
    """The job held by nobody."""
    return job._replace(wake_time_us=wake_time_us, fence=0, worker="", lease_time_us=None)


def retried(job: JobRow, at_us: int | None, now_us: int) -> JobRow:
    """After a turn without an answer: the next is not before at_us. Of an attempt under way it is
    another turn; one that had not come to SUBMITTED begins anew, with its handle."""
    after = job._replace(state=QUEUED if job.state == RUNNING else job.state)
    return let_go(after, None if at_us is None else wake_us(job, at_us, now_us))


def is_new(progress: JobProgress, stored: bytes | None) -> bool:
    """Whether progress tells more than that time passed."""
    return stored is None or _timeless(progress) != _timeless(JobProgress.FromString(stored))


def _timeless(progress: JobProgress) -> JobProgress:
    timeless = JobProgress()
    timeless.CopyFrom(progress)
    for field in ("time", "elapsed", "attempt"):
        timeless.ClearField(field)
    return timeless
