"""What time does to jobs: leases run out, waits end, deadlines pass, providers had long enough."""

import random

from ketgate_server.jobs import changes, record, transitions
from ketgate_server.jobs.base import Ending, Outcome
from ketgate_server.jobs.changes import Notify
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import JobRow
from ketgate_server.jobs.transitions import Change
from ketgate_server.store.base import Reader, Transaction

CLOCK_TOLERANCE_US = 1_000_000

_CLOCK = "SELECT value FROM counters WHERE name = 'clock'"
_DUE = "deadline_us IS NOT NULL AND state = 1 AND outside_until_us IS NULL"
"""Has a deadline and waits here: as the partial index has it."""
_NEXT = (
    "SELECT lease_time_us FROM jobs WHERE lease_time_us IS NOT NULL ORDER BY lease_time_us LIMIT 1",
    "SELECT wake_time_us FROM jobs WHERE wake_time_us IS NOT NULL ORDER BY wake_time_us LIMIT 1",
    f"SELECT deadline_us FROM jobs WHERE {_DUE} ORDER BY deadline_us LIMIT 1",  # noqa: S608
    f"""SELECT outside_until_us FROM jobs
    WHERE outside_until_us IS NOT NULL AND outside_until_us < {record.FOREVER_US}
    ORDER BY outside_until_us LIMIT 1""",  # noqa: S608 - constants
)
_LEASES = f"""{record.SELECT} WHERE lease_time_us IS NOT NULL AND lease_time_us <= ?
    ORDER BY lease_time_us LIMIT ?"""
_DEADLINES = f"{record.SELECT} WHERE {_DUE} AND deadline_us <= ? ORDER BY deadline_us LIMIT ?"
_OUTSIDE = f"""{record.SELECT} WHERE outside_until_us IS NOT NULL AND outside_until_us <= ?
    ORDER BY outside_until_us LIMIT ?"""
_WAITS = """SELECT seq FROM jobs WHERE wake_time_us IS NOT NULL AND wake_time_us <= ?
    ORDER BY wake_time_us LIMIT ?"""
_WAKE = "UPDATE jobs SET wake_time_us = NULL WHERE seq = ?"
_LEASED = f"{record.SELECT} WHERE lease_time_us IS NOT NULL"


def is_behind(reader: Reader, now_us: int) -> bool:
    """Whether this server's idea of the store's clock is far behind what was stored: the database's
    clock was moved, and this server has written nothing since, by which it would know."""
    row = reader.row(_CLOCK)
    return row is not None and row[0] > now_us + CLOCK_TOLERANCE_US


def next_time_us(reader: Reader) -> int | None:
    """When time next does something; None: never, as things are."""
    found = [row[0] for row in (reader.row(sql) for sql in _NEXT) if row]
    return min(found) if found else None


def pass_time(tx: Transaction, policy: Policy, seed: int, limit: int, notify: Notify) -> None:
    """Do what is due, at most limit jobs of each sort. seed: of the jitter."""
    now_us = tx.now_us
    late = [record.as_job(row) for row in tx.rows(_DEADLINES, (now_us, limit))]
    given_up = [record.as_job(row) for row in tx.rows(_OUTSIDE, (now_us, limit))]
    over = {job.seq for job in given_up}
    lost = [record.as_job(row) for row in tx.rows(_LEASES, (now_us, limit)) if row[0] not in over]
    jitter = random.Random(seed)  # noqa: S311 - spreads load, hides nothing
    changes.write(
        tx,
        [transitions.expire(job, now_us=now_us) for job in late]
        + [transitions.give_up(job, now_us=now_us) for job in given_up]
        + [_lost(tx, job, policy, jitter.random()) for job in lost],
        notify,
    )
    woken = [(row[0],) for row in tx.rows(_WAITS, (now_us, limit))]
    tx.execute_many(_WAKE, woken)
    if woken:
        tx.take("fence")  # so that other servers see that something changed
        notify(tx)


def lose(
    tx: Transaction, worker_prefix: str, policy: Policy, seed: int, limit: int, notify: Notify
) -> int:
    """End the attempts of workers that are known to be dead, at most limit; returns how many."""
    jitter = random.Random(seed)  # noqa: S311 - spreads load, hides nothing
    held = [
        job for job in map(record.as_job, tx.rows(_LEASED)) if job.worker.startswith(worker_prefix)
    ]
    changes.write(
        tx,
        [_lost(tx, job, policy, jitter.random()) for job in held[:limit]],
        notify,
    )
    return min(len(held), limit)


def _lost(tx: Transaction, job: JobRow, policy: Policy, jitter: float) -> Change:
    return transitions.end(
        job,
        Ending(Outcome.LOST),
        policy=policy,
        jitter=jitter,
        now_us=tx.now_us,
        lived_us=changes.lived_us(tx, job),
    )
