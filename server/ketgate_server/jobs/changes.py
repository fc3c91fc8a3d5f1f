"""Writes changes of jobs: rows, events, attempts and the count of what is not over, together."""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence

from ketgate_server.jobs import convert
from ketgate_server.jobs.record import JobRow
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
    lease_time_us = ?, error = ? WHERE seq = ?"""
_RESULT = "UPDATE job_bodies SET result = ? WHERE seq = ?"
_ATTEMPTS = "job_attempts (seq, number, attempt)"
_ATTEMPT_OF = "SELECT attempt FROM job_attempts WHERE seq = ? AND number = ?"
_ATTEMPT_ENDED = "UPDATE job_attempts SET attempt = ? WHERE seq = ? AND number = ?"
_ATTEMPTS_OLD = "DELETE FROM job_attempts WHERE seq = ? AND number <= ?"
_COUNT = """INSERT INTO counters (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = counters.value + excluded.value"""
_COUNTED = "SELECT value FROM counters WHERE name = ?"


def write(tx: Transaction, changes: Sequence[Change], notify: Notify) -> list[JobRow]:
    """Write changes of different jobs, one revision each, in this order. Returns the rows as they
    now are."""
    if not changes:
        return []
    first = tx.take("revision", len(changes))
    rows = []
    for revision, change in enumerate(changes, first):
        before, after = change.before, change.after
        assert after.state in TABLE[before.state], (before.state, after.state)
        rows.append(
            after._replace(
                revision=revision,
                update_time_us=tx.now_us,
                fence=revision if change.claims else after.fence,
            )
        )
    tx.execute_many(_UPDATE, [_parameters(row) for row in rows])
    write_events(
        tx,
        (
            (row, convert.state_event(row, actor=change.actor, reason=change.reason))
            for row, change in zip(rows, changes, strict=True)
        ),
    )
    for row, change in zip(rows, changes, strict=True):
        if change.result is not None:
            tx.execute(_RESULT, (change.result, row.seq))
        if change.outcome is not None:
            _end_attempt(tx, row, change)
    _begin_attempts(tx, [row for row, c in zip(rows, changes, strict=True) if c.claims])
    count_unfinished(tx, (row.tenant for row in rows if row.is_over), -1)
    notify(tx)
    return rows


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
    after it died: the lease tells until when it lived."""
    stored = tx.row(_ATTEMPT_OF, (job.seq, job.attempts))
    if stored is None:
        return 0
    started_us = convert.attempt(bytes(stored[0])).start_time.ToMicroseconds()
    heard_us = tx.now_us if job.lease_time_us is None else min(tx.now_us, job.lease_time_us)
    return heard_us - started_us


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
        row.error,
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
    ended = convert.attempt_ended(tx.now_us, change.outcome, change.error)
    tx.execute(_ATTEMPT_ENDED, (began + ended, row.seq, row.attempts))
