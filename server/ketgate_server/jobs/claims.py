"""Attempts: begun, kept alive, told to stop, reported on and ended. Whoever holds one shows its
fence; a stale fence changes nothing."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import chain, zip_longest

from ketgate.jobs.v1.job_pb2 import JobProgress

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs import changes, convert, outside, record, transitions
from ketgate_server.jobs.base import Claim, Ending, Fault, Outcome
from ketgate_server.jobs.changes import Notify
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import CANCELLING, READY, JobRow
from ketgate_server.store.base import Reader, Transaction

STOP = "stop"
LOST = "lost"

# Jumps from tenant to tenant along the index, however many jobs each has.
_TENANTS = f"""WITH RECURSIVE ready (tenant) AS (
        SELECT (SELECT tenant FROM jobs WHERE {READY} AND kind = ? AND tenant > ?
                ORDER BY tenant LIMIT 1)
        UNION ALL
        SELECT (SELECT tenant FROM jobs WHERE {READY} AND kind = ? AND tenant > ready.tenant
                ORDER BY tenant LIMIT 1)
        FROM ready WHERE ready.tenant IS NOT NULL)
    SELECT tenant FROM ready WHERE tenant IS NOT NULL LIMIT ?"""  # noqa: S608 - a constant
_READY = f"""{record.SELECT} WHERE {READY} AND kind = ? AND tenant = ?
    ORDER BY state DESC, priority DESC, seq LIMIT ?"""
_BODY = """SELECT b.spec, h.handle FROM job_bodies b LEFT JOIN job_handles h ON h.seq = b.seq
    WHERE b.seq = ?"""
_CHECKPOINT = "UPDATE jobs SET lease_time_us = ?, outside_until_us = ? WHERE seq = ?"
_HELD = "SELECT fence, state, deadline_us FROM jobs WHERE lease_time_us IS NOT NULL"
_RENEW = "UPDATE jobs SET lease_time_us = ? WHERE seq = ? AND fence = ?"
_LEASED = "SELECT seq, fence, state, deadline_us FROM jobs WHERE lease_time_us IS NOT NULL"
_PROGRESS = "UPDATE jobs SET progress = ?, revision = ?, update_time_us = ? WHERE seq = ?"
_ARTIFACT = "SELECT 1 FROM artifacts WHERE tenant = ? AND sha256 = ?"
_REFERENCE = """INSERT INTO artifact_references (tenant, sha256, seq) VALUES (?, ?, ?)
    ON CONFLICT (tenant, sha256, seq) DO NOTHING"""


def any_ready(reader: Reader, kinds: Sequence[str]) -> bool:
    """Whether a claim would find anything. One statement, as it is asked after every commit."""
    return bool(kinds) and reader.row(_any_ready(len(kinds)), kinds) is not None


@lru_cache(maxsize=8)
def _any_ready(kinds: int) -> str:
    marks = ", ".join("?" * kinds)
    return f"SELECT 1 FROM jobs WHERE {READY} AND kind IN ({marks}) LIMIT 1"  # noqa: S608 - no values


def claim(
    tx: Transaction,
    worker: str,
    kinds: Sequence[str],
    count: int,
    lease_us: int,
    after: str,
    notify: Notify,
) -> list[Claim]:
    """Begin attempts at up to count jobs of these kinds that are ready, or further turns of attempts:
    one of each tenant in turn, beginning with the one that follows after; of a tenant what is at a
    provider first, then by priority, then age. New ones that are too late are EXPIRED."""
    picked = _pick(tx, kinds, count, after)
    now_us = tx.now_us
    written = changes.write(
        tx,
        [
            transitions.expire(job, now_us=now_us)
            if outside.is_late(job, now_us) and not outside.is_outside(job)
            else transitions.claim(job, worker=worker, lease_us=lease_us, now_us=now_us)
            for job in picked
        ],
        notify,
    )
    return [_claim(job, now_us) for job in written if job.lease_time_us is not None]


def newest_fence(reader: Reader) -> int:
    row = reader.row("SELECT value FROM counters WHERE name = 'fence'")
    return int(row[0]) if row else 0


def complete(reader: Reader, claim: Claim) -> Claim | None:
    """A claim with what the work needs; None: the job is gone by now."""
    row = reader.row(_BODY, (claim.seq,))
    if row is None:
        return None
    spec, handle = row
    if handle is None:
        return replace(claim, spec=bytes(spec))
    began_us = changes.began_us(reader, claim.seq, claim.attempt)
    return replace(claim, spec=bytes(spec), handle=bytes(handle), began_us=began_us)


def _claim(job: JobRow, now_us: int) -> Claim:
    return Claim(
        seq=job.seq,
        id=job.id,
        tenant=job.tenant,
        kind=job.kind,
        spec=b"",
        attempt=job.attempts,
        fence=job.fence,
        deadline_us=job.deadline_us,
        stopped=job.state == CANCELLING or outside.is_late(job, now_us),
    )


def checkpoint(tx: Transaction, claim: Claim, handle: bytes, lease_us: int, policy: Policy) -> bool:
    """Keep a handle, and prolong the lease. False: others have the job by now."""
    job = record.by_seq(tx, claim.seq)
    if job is None or job.fence != claim.fence:
        return False
    changes.keep_handle(tx, job.seq, handle)
    until_us = outside.goes_on(job, policy, tx.now_us).outside_until_us
    tx.execute(_CHECKPOINT, (tx.now_us + lease_us, until_us, job.seq))
    return True


def renew(tx: Transaction, fences: Sequence[int], lease_us: int) -> dict[int, str]:
    """Prolong the leases of attempts to lease_us from now. Returns those that are to STOP or are
    LOST."""
    held = {fence: (seq, state, due) for seq, fence, state, due in tx.rows(_LEASED)}
    lease_time_us = tx.now_us + lease_us
    tx.execute_many(
        _RENEW, [(lease_time_us, held[fence][0], fence) for fence in fences if fence in held]
    )
    states = {fence: (state, due) for fence, (_, state, due) in held.items()}
    return _signs(fences, states, tx.now_us)


def signs(reader: Reader, fences: Sequence[int], now_us: int) -> dict[int, str]:
    """As renew, without prolonging anything."""
    held = {fence: (state, due) for fence, state, due in reader.rows(_HELD)}
    return _signs(fences, held, now_us)


def progress(tx: Transaction, fence: int, seq: int, progress: JobProgress, notify: Notify) -> None:
    """Write how far an attempt is; nothing when it is not the holder any more."""
    job = record.by_seq(tx, seq)
    if job is None or job.fence != fence:
        return
    job = job._replace(revision=tx.take("revision"))
    stored = progress.SerializeToString()
    tx.execute(_PROGRESS, (stored, job.revision, tx.now_us, seq))
    event = convert.progress_event(job, actor=transitions.SERVER, progress=progress)
    changes.write_events(tx, [(job, event)])
    notify(tx)


def finish_many(
    tx: Transaction,
    endings: Sequence[tuple[Claim, Ending]],
    policy: Policy,
    jitter: Sequence[float],
    notify: Notify,
) -> list[bool]:
    """Write how attempts ended. False: that one is not the holder any more, and nothing of it was
    written. jitter: one for each."""
    found, written = [], []
    for (claim, ending), random in zip(endings, jitter, strict=True):
        job = record.by_seq(tx, claim.seq)
        if job is None or job.fence != claim.fence:
            written.append(False)
            continue
        ending = _whole(tx, job.tenant, ending)
        lost = ending.outcome is Outcome.LOST
        change = transitions.end(
            job,
            ending,
            policy=policy,
            jitter=random,
            now_us=tx.now_us,
            lived_us=changes.lived_us(tx, job) if lost else 0,
            began_stopped=claim.stopped,
        )
        found.append((change, ending))
        written.append(True)
    changes.write(tx, [change for change, _ in found], notify)
    for change, ending in found:
        if change.result is not None and ending.artifacts:
            job = change.before
            tx.execute_many(_REFERENCE, [(job.tenant, s, job.seq) for s in ending.artifacts])
    return written


def _whole(tx: Transaction, tenant: str, ending: Ending) -> Ending:
    """The ending, or what it is without its result if that refers to an artifact that was deleted
    since it was kept: of a success a fault of the server, which another attempt makes good."""
    for sha256 in ending.artifacts:
        if tx.row(_ARTIFACT, (tenant, sha256)) is None:
            if ending.outcome is not Outcome.SUCCEEDED:
                return replace(ending, result=None, artifacts=())
            message = f"artifacts/{sha256}, a part of the result, was deleted before the job ended"
            error = KetgateError(Reason.INTERNAL, message)
            return Ending(Outcome.FAILED, fault=Fault.SERVER, error=error)
    return ending


def _pick(tx: Transaction, kinds: Sequence[str], count: int, after: str) -> list[JobRow]:
    kinds_of = _tenants(tx, kinds, after, count)
    if len(kinds_of) < count and after:  # around the end
        for tenant, some in _tenants(tx, kinds, "", count - len(kinds_of)).items():
            if tenant <= after:
                kinds_of[tenant] = some
    if not kinds_of:
        return []
    share = -(-count // len(kinds_of))
    queues = [_queue(tx, tenant, some, share) for tenant, some in kinds_of.items()]
    if sum(map(len, queues)) < count and share < count:  # some had less than their share
        queues = [
            _queue(tx, tenant, some, count) if len(queue) == share else queue
            for (tenant, some), queue in zip(kinds_of.items(), queues, strict=True)
        ]
    return list(_in_turn(queues))[:count]


def _tenants(tx: Transaction, kinds: Sequence[str], after: str, count: int) -> dict[str, list[str]]:
    """The first count tenants that follow after and have ready jobs, in order, with the kinds of
    these."""
    kinds_of: dict[str, list[str]] = {}
    for kind in kinds:
        for (tenant,) in tx.rows(_TENANTS, (kind, after, kind, count)):
            kinds_of.setdefault(tenant, []).append(kind)
    return {tenant: kinds_of[tenant] for tenant in sorted(kinds_of)[:count]}


def _queue(tx: Transaction, tenant: str, kinds: Sequence[str], count: int) -> list[JobRow]:
    """The first count jobs of a tenant: at a provider, then by priority, then age."""
    jobs = [record.as_job(row) for kind in kinds for row in tx.rows(_READY, (kind, tenant, count))]
    if len(kinds) > 1:
        jobs.sort(key=lambda job: (-job.state, -job.priority, job.seq))
    return jobs[:count]


def _in_turn(queues: list[list[JobRow]]) -> Iterator[JobRow]:
    return (job for job in chain.from_iterable(zip_longest(*queues)) if job is not None)


def _signs(
    fences: Sequence[int], held: dict[int, tuple[int, int | None]], now_us: int
) -> dict[int, str]:
    signs = {}
    for fence in fences:
        if fence not in held:
            signs[fence] = LOST
            continue
        state, due_us = held[fence]
        if state == CANCELLING or (due_us is not None and due_us <= now_us):
            signs[fence] = STOP
    return signs
