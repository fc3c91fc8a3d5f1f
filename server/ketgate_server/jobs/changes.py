"""Writes changes of jobs: rows, events, attempts and the count of what is not over, together."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ketgate_server.jobs import convert
from ketgate_server.jobs.record import SUBMITTED, JobRow
from ketgate_server.jobs.transitions import TABLE, Change
from ketgate_server.store.base import Reader, Transaction
from ketgate_server.store.insertion import insert

ATTEMPTS_KEPT = 20

EVENTS = "events (revision, tenant, seq, time_us, event)"
"""The table of events, to insert into."""

Notify = Callable[[Transaction], None]
"""Told, in the operation, that it wrote something that others wait for."""

_UPDATE = """UPDATE jobs SET state = ?, start_time_us = ?, end_time_us = ?, update_time_us = ?,
    wake_time_us = ?, revision = ?, attempts = ?, faults = ?, losses = ?, fence = ?, worker = ?,
    lease_time_us = ?, progress = ?, error = ?, outside_until_us = ? WHERE seq = ?"""
_HANDLE = """INSERT INTO job_handles (seq, handle) VALUES (?, ?)
    ON CONFLICT (seq) DO UPDATE SET handle = excluded.handle"""
_FORGET_HANDLE = "DELETE FROM job_handles WHERE seq = ?"
_RESULT = "UPDATE job_bodies SET result = ? WHERE seq = ?"
_ATTEMPTS = "job_attempts (seq, number, attempt)"
_ATTEMPT_OF = "SELECT attempt FROM job_attempts WHERE seq = ? AND number = ?"
_ATTEMPT_ENDED = "UPDATE job_attempts SET attempt = ? WHERE seq = ? AND number = ?"
_ATTEMPTS_OLD = "DELETE FROM job_attempts WHERE seq = ? AND number <= ?"
_COUNT = """INSERT INTO counters (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value"""
_COUNTED = "SELECT value FROM counters WHERE name = ?"


def write(tx: Transaction, changes: Sequence[Change], notify: Notify) -> list[JobRow]:
    """Write changes of different jobs, one revision each that is told of, in this order. Returns the
    rows as they now are."""
    if not changes:
        return []
    rows = [_numbered(tx, change) for change in changes]
    tx.execute_many(_UPDATE, [_parameters(row) for row in rows])
    pairs = list(zip(rows, changes, strict=True))
    write_events(tx, ((row, _event(row, change)) for row, change in pairs if change.is_told))
    for row, change in pairs:
        if change.result is not None:
            tx.execute(_RESULT, (change.result, row.seq))
        if change.outcome is not None:
            _end_attempt(tx, row, change)
        if change.handle is not None:
            keep_handle(tx, row.seq, change.handle)
        elif row.is_over and change.before.outside_until_us is not None:
            tx.execute(_FORGET_HANDLE, (row.seq,))
    _begin_attempts(tx, [row for row, change in pairs if change.begins])
    count_unfinished(tx, (row.tenant for row in rows if row.is_over), -1)
    notify(tx)
    return rows


def keep_handle(tx: Transaction, seq: int, handle: bytes) -> None:
    """In place of the one before."""
    tx.execute(_HANDLE, (seq, handle))


def _numbered(tx: Transaction, change: Change) -> JobRow:
    """The row after a change, with its revision and its fence."""
    after, before = change.after, change.before
    if change.is_told:
        assert after.state == before.state or after.state in TABLE[before.state], change
        after = after._replace(revision=tx.take("revision"), update_time_us=tx.now_us)
        if change.progress is not None:
            after = after._replace(progress=change.progress.SerializeToString())
    if change.claims:
        after = after._replace(fence=tx.take("fence"))
    elif not change.is_told:
        tx.take("fence")  # so that other servers see that something changed
    return after


def _event(row: JobRow, change: Change) -> bytes:
    if change.progress is not None and row.state == change.before.state:
        return convert.progress_event(row, actor=change.actor, progress=change.progress)
    return convert.state_event(
        row, actor=change.actor, reason=change.reason, progress=change.progress
    )


def write_events(tx: Transaction, events: Iterable[tuple[JobRow, bytes]]) -> None:
    """Write an event for each row, whose revision is the change's."""
    now_us = tx.now_us
    rows = [(row.revision, row.tenant, row.seq, now_us, event) for row, event in events]
    insert(tx, EVENTS, rows)


def count_unfinished(tx: Transaction, tenants: Iterable[str], sign: int) -> None:
    """Count jobs, one for each tenant given, as not over (+1), or no more so (-1)."""
    counts = Counter(tenants)
    if counts:
        tx.execute_many(
            _COUNT, [(_counter(tenant), sign * number) for tenant, number in counts.items()]
        )


def unfinished(reader: Reader, tenant: str) -> int:
    """How many jobs of a tenant are not over."""
    row = reader.row(_COUNTED, (_counter(tenant),))
    return row[0] if row else 0


def lived_us(tx: Transaction, job: JobRow) -> int:
    """How long the worker of the attempt under way was heard of. A server may be found dead long
    after it died: the lease tells until when it lived. Of a later turn of an attempt it is 0: the
    time between them is no worker's."""
    started_us = began_us(tx, job.seq, job.attempts)
    if started_us is None or job.state == SUBMITTED:
        return 0
    heard_us = tx.now_us if job.lease_time_us is None else min(tx.now_us, job.lease_time_us)
    return heard_us - started_us


def began_us(reader: Reader, seq: int, number: int) -> int | None:
    """When an attempt began; None: it is not kept any more."""
    stored = reader.row(_ATTEMPT_OF, (seq, number))
    return convert.attempt(bytes(stored[0])).start_time.ToMicroseconds() if stored else None


def _counter(tenant: str) -> str:
    return f"jobs unfinished {tenant}"


def _parameters(row: JobRow) -> tuple[object, ...]:
    return (
        row.state,
        row.start_time_us,
        row.end_time_us,
        row.update_time_us,
        row.wake_time_us,
        row.revision,
        row.attempts,
        row.faults,
        row.losses,
        row.fence,
        row.worker,
        row.lease_time_us,
        row.progress,
        row.error,
        row.outside_until_us,
        row.seq,
    )


def _begin_attempts(tx: Transaction, rows: Sequence[JobRow]) -> None:
    if not rows:
        return
    began = [
        (
            row.seq,
            row.attempts,
            convert.attempt_began(row.attempts, row.fence, row.worker, tx.now_us),
        )
        for row in rows
    ]
    insert(tx, _ATTEMPTS, began)
    for row in rows:
        if row.attempts > ATTEMPTS_KEPT:
            tx.execute(_ATTEMPTS_OLD, (row.seq, row.attempts - ATTEMPTS_KEPT))


def _end_attempt(tx: Transaction, row: JobRow, change: Change) -> None:
    assert change.outcome is not None
    stored = tx.row(_ATTEMPT_OF, (row.seq, row.attempts))
    began = bytes(stored[0]) if stored else b""
    if convert.attempt(began).outcome:
        return  # it was over before, and only its work at a provider was not
    ended = convert.attempt_ended(tx.now_us, change.outcome, change.error)
    tx.execute(_ATTEMPT_ENDED, (began + ended, row.seq, row.attempts))
