"""Attempts: begun, kept alive, told to stop, reported on and ended. Whoever holds one shows its
fence; a stale fence changes nothing."""

from collections.abc import Iterator, Sequence
from itertools import chain, zip_longest

from ketgate.jobs.v1.job_pb2 import JobProgress

from ketgate_server.jobs import changes, convert, record, transitions
from ketgate_server.jobs.base import Claim, Ending, Outcome
from ketgate_server.jobs.changes import Notify
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import CANCELLING, HELD, READY, RUNNING, JobRow
from ketgate_server.store.base import Reader, Transaction

STOP = "stop"
LOST = "lost"

# Jumps from tenant to tenant along the index, however many jobs each has.
_TENANTS = f"""WITH RECURSIVE ready (tenant) AS (
        SELECT (SELECT tenant FROM jobs WHERE {READY} AND tenant > ? ORDER BY tenant LIMIT 1)
        UNION ALL
        SELECT (SELECT tenant FROM jobs WHERE {READY} AND tenant > ready.tenant
                ORDER BY tenant LIMIT 1)
        FROM ready WHERE ready.tenant IS NOT NULL)
    SELECT tenant FROM ready WHERE tenant IS NOT NULL LIMIT ?"""  # noqa: S608 - a constant
_READY = f"{record.SELECT} WHERE tenant = ? AND {READY} ORDER BY priority DESC, seq LIMIT ?"
_SPEC = "SELECT spec FROM job_bodies WHERE seq = ?"
_HELD = "SELECT fence, state, deadline_us FROM jobs WHERE lease_time_us IS NOT NULL"
_RENEW = "UPDATE jobs SET lease_time_us = ? WHERE seq = ? AND fence = ?"
_LEASED = "SELECT seq, fence, state, deadline_us FROM jobs WHERE lease_time_us IS NOT NULL"
_PROGRESS = "UPDATE jobs SET progress = ?, revision = ?, update_time_us = ? WHERE seq = ?"
_REFERENCE = """INSERT INTO artifact_references (tenant, sha256, seq) VALUES (?, ?, ?)
    ON CONFLICT (tenant, sha256, seq) DO NOTHING"""


def claim(
    tx: Transaction, worker: str, count: int, lease_us: int, after: str, notify: Notify
) -> list[JobRow]:
    """Begin attempts at up to count jobs that are ready: one of each tenant in turn, beginning with
    the one that follows after; of a tenant by priority, then age. Those too late are EXPIRED."""
    picked = _pick(tx, count, after)
    now_us = tx.now_us
    written = changes.write(
        tx,
        [
            transitions.expire(job, now_us=now_us)
            if job.deadline_us is not None and job.deadline_us <= now_us
            else transitions.claim(job, worker=worker, lease_us=lease_us, now_us=now_us)
            for job in picked
        ],
        notify,
    )
    return [job for job in written if job.state == RUNNING]


def spec_of(reader: Reader, seq: int) -> bytes | None:
    row = reader.row(_SPEC, (seq,))
    return bytes(row[0]) if row else None


def as_claim(job: JobRow, spec: bytes) -> Claim:
    return Claim(
        seq=job.seq,
        id=job.id,
        tenant=job.tenant,
        kind=job.kind,
        spec=spec,
        attempt=job.attempts,
        fence=job.fence,
        deadline_us=job.deadline_us,
    )


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
    if job is None or job.fence != fence or job.state not in HELD:
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
        if job is None or job.fence != claim.fence or job.state not in HELD:
            written.append(False)
            continue
        lost = ending.outcome is Outcome.LOST
        change = transitions.end(
            job,
            ending,
            policy=policy,
            jitter=random,
            now_us=tx.now_us,
            lived_us=changes.lived_us(tx, job) if lost else 0,
        )
        found.append((change, ending))
        written.append(True)
    changes.write(tx, [change for change, _ in found], notify)
    for change, ending in found:
        if change.result is not None and ending.artifacts:
            job = change.before
            tx.execute_many(_REFERENCE, [(job.tenant, s, job.seq) for s in ending.artifacts])
    return written


def _pick(tx: Transaction, count: int, after: str) -> list[JobRow]:
    tenants = [row[0] for row in tx.rows(_TENANTS, (after, count))]
    if len(tenants) < count and after:  # around the end
        found = [row[0] for row in tx.rows(_TENANTS, ("", count - len(tenants)))]
        tenants += [tenant for tenant in found if tenant <= after]
    if not tenants:
        return []
    share = -(-count // len(tenants))
    queues = [tx.rows(_READY, (tenant, share)) for tenant in tenants]
    if sum(map(len, queues)) < count and share < count:  # some had less than their share
        queues = [
            tx.rows(_READY, (tenant, count)) if len(queue) == share else queue
            for tenant, queue in zip(tenants, queues, strict=True)
        ]
    return [record.as_job(row) for row in _in_turn(queues)][:count]


def _in_turn(queues: list[list[tuple[object, ...]]]) -> Iterator[tuple[object, ...]]:
    return (row for row in chain.from_iterable(zip_longest(*queues)) if row is not None)


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
