"""Removes what is kept long enough, a bounded piece a call. Servers that share a store may all do
it: what one removed, the others do not find."""

from ketgate_server.audit.log import record as record_audit
from ketgate_server.jobs import commands, record
from ketgate_server.jobs.changes import Notify
from ketgate_server.jobs.events import COMPACTED
from ketgate_server.jobs.policy import Retention
from ketgate_server.jobs.transitions import SERVER
from ketgate_server.store.base import Reader, Transaction

REMOVED = "jobs.removed"
"""Action in the audit, with how many."""

_OLDEST_OF_NEXT = """SELECT tenant, end_time_us FROM jobs
    WHERE tenant > ? AND end_time_us IS NOT NULL ORDER BY tenant, end_time_us LIMIT 1"""
_ENDED = f"""{record.SELECT} WHERE tenant = ? AND end_time_us IS NOT NULL AND end_time_us < ?
    ORDER BY end_time_us, seq LIMIT ?"""
_OLDEST_EVENTS = "SELECT revision, time_us FROM events ORDER BY revision LIMIT ?"
_FORGET_EVENTS = "DELETE FROM events WHERE revision <= ?"
_SET = """INSERT INTO counters (name, value) VALUES (?, ?)
    ON CONFLICT (name) DO UPDATE SET value = excluded.value"""
_OLD_REPLIES = """SELECT tenant, method, request_id FROM requests
    WHERE reply IS NOT NULL AND create_time_us < ? ORDER BY create_time_us LIMIT ?"""
_FORGET_REPLY = (
    "UPDATE requests SET reply = NULL WHERE tenant = ? AND method = ? AND request_id = ?"
)


def tenants_with_old_jobs(reader: Reader, before_us: int, tenants_max: int) -> list[str]:
    """Tenants that have jobs that ended before then. One probe of the index a tenant."""
    found: list[str] = []
    tenant = ""
    while len(found) < tenants_max:
        row = reader.row(_OLDEST_OF_NEXT, (tenant,))
        if row is None:
            break
        tenant = row[0]
        if row[1] < before_us:
            found.append(tenant)
    return found


def remove_jobs(
    tx: Transaction, tenant: str, before_us: int, limit: int, salt: bytes, notify: Notify
) -> int:
    """Remove the tenant's oldest jobs that ended before then, at most limit; returns how many."""
    jobs = [record.as_job(row) for row in tx.rows(_ENDED, (tenant, before_us, limit))]
    if jobs:
        commands.remove(tx, jobs, actor=SERVER, reason="kept long enough", notify=notify)
        facts = {"count": str(len(jobs)), "first": jobs[0].id, "last": jobs[-1].id}
        record_audit(tx, actor=SERVER, tenant=tenant, action=REMOVED, facts=facts, salt=salt)
    return len(jobs)


def compact_events(tx: Transaction, retention: Retention, limit: int) -> int:
    """Forget the oldest events, at most limit; returns how many."""
    cut_us = -1 if retention.events_us is None else tx.now_us - retention.events_us
    kept = retention.events_max
    cut_revision = 0 if kept is None else tx.peek("revision") - kept
    old = []
    for revision, time_us in tx.rows(_OLDEST_EVENTS, (limit,)):
        if time_us >= cut_us and revision > cut_revision:
            break
        old.append(revision)
    if old:
        tx.execute(_FORGET_EVENTS, (old[-1],))
        tx.execute(_SET, (COMPACTED, old[-1]))
    return len(old)


def forget_replies(tx: Transaction, before_us: int, limit: int) -> int:
    """Forget replies from before then, at most limit; that they were given is kept. Returns how
    many."""
    old = tx.rows(_OLD_REPLIES, (before_us, limit))
    tx.execute_many(_FORGET_REPLY, old)
    return len(old)
