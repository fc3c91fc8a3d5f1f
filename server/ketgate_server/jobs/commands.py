"""What callers do to jobs that are there: cancel and delete. Each with its event, its audit entry
and the memory of the request, or not at all."""

from collections.abc import Iterable

from ketgate.jobs.v1.job_pb2 import Job

from ketgate_server.audit.log import record as record_audit
from ketgate_server.errors import KetgateError, NotFound, Reason, echo
from ketgate_server.jobs import changes, convert, record, transitions
from ketgate_server.jobs.base import Actor, RequestKey
from ketgate_server.jobs.changes import Notify
from ketgate_server.jobs.ids import job_name
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import JobRow
from ketgate_server.store import requests
from ketgate_server.store.base import Transaction

_DELETE = (
    "DELETE FROM jobs WHERE seq = ?",
    "DELETE FROM job_bodies WHERE seq = ?",
    "DELETE FROM job_attempts WHERE seq = ?",
    "DELETE FROM artifact_references WHERE seq = ?",
)
_DELETE_LABEL = "DELETE FROM job_labels WHERE tenant = ? AND key = ? AND value = ? AND seq = ?"


def cancel(
    tx: Transaction,
    actor: Actor,
    request: RequestKey,
    job_id: str,
    *,
    reason: str,
    policy: Policy,
    salt: bytes,
    notify: Notify,
) -> Job:
    """Tell a job to stop. One that is over, or was told before, stays as it is."""
    known = requests.find(tx, actor.tenant, actor.method, request.request_id, request.digest)
    if known is not None:
        if known.reply is None:
            raise requests.reply_expired(known.resource)
        return Job.FromString(bytes(known.reply))
    job = _job(tx, actor, job_id)
    change = transitions.cancel(
        job, reason=reason, actor=actor.subject, policy=policy, now_us=tx.now_us
    )
    if change is not None:
        [job] = changes.write(tx, [change], notify)
    reply = convert.job(job)
    _finish(tx, actor, request, job_id, reply.SerializeToString(), salt)
    return reply


def delete(
    tx: Transaction,
    actor: Actor,
    request: RequestKey,
    job_id: str,
    *,
    etag: str,
    salt: bytes,
    notify: Notify,
) -> None:
    """Delete a job that is over. etag: what it must still be; "": whatever it is."""
    if requests.find(tx, actor.tenant, actor.method, request.request_id, request.digest):
        return
    job = _job(tx, actor, job_id)
    if etag and etag != convert.etag(job.revision):
        raise KetgateError(
            Reason.ETAG_MISMATCH,
            f"etag: given {echo(etag)!r}, but the job's is {convert.etag(job.revision)!r}: "
            "it was changed since; read it again, and decide anew",
            field="etag",
        )
    if not job.is_over:
        raise KetgateError(
            Reason.JOB_UNFINISHED,
            f"{job_name(job_id)} is not over, so it cannot be deleted; cancel it first, and wait until it is",
            field="name",
        )
    remove(tx, [job], actor=actor.subject, reason="deleted, as asked", notify=notify)
    _finish(tx, actor, request, job_id, b"", salt)


def remove(tx: Transaction, jobs: list[JobRow], *, actor: str, reason: str, notify: Notify) -> None:
    """Remove jobs that are over, with all that is theirs, and say so in an event each."""
    assert all(job.is_over for job in jobs)
    if not jobs:
        return
    first = tx.take("revision", len(jobs))
    gone = [job._replace(revision=revision) for revision, job in enumerate(jobs, first)]
    for sql in _DELETE:
        tx.execute_many(sql, [(job.seq,) for job in gone])
    tx.execute_many(_DELETE_LABEL, _labels(gone))
    changes.write_events(
        tx, ((job, convert.deleted_event(job, actor=actor, reason=reason)) for job in gone)
    )
    notify(tx)


def _labels(jobs: list[JobRow]) -> Iterable[tuple[str, str, str, int]]:
    return [
        (job.tenant, key, value, job.seq)
        for job in jobs
        if job.labels
        for key, value in convert.labels_of(job.labels).items()
    ]


def _job(tx: Transaction, actor: Actor, job_id: str) -> JobRow:
    job = record.by_id(tx, actor.tenant, job_id)
    if job is None:
        raise NotFound(job_name(job_id))
    return job


def _finish(
    tx: Transaction, actor: Actor, request: RequestKey, job_id: str, reply: bytes, salt: bytes
) -> None:
    resource = job_name(job_id)
    requests.remember(
        tx, actor.tenant, actor.method, request.request_id, request.digest, resource, reply
    )
    record_audit(
        tx,
        actor=actor.subject,
        tenant=actor.tenant,
        action=actor.method,
        resource=resource,
        request_digest=request.digest,
        call_id=actor.call_id,
        salt=salt,
    )
