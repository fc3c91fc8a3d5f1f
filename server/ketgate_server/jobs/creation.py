"""Accepts jobs, all that wait at once: one statement a table, whatever their number."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from ketgate_server.audit.log import Fact, record_many
from ketgate_server.errors import KetgateError, NotFound, Reason
from ketgate_server.jobs import changes, convert, record
from ketgate_server.jobs.base import NewJob
from ketgate_server.jobs.changes import Notify
from ketgate_server.jobs.ids import job_id_of, job_name
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import QUEUED
from ketgate_server.store import requests
from ketgate_server.store.base import Row, Transaction
from ketgate_server.store.insertion import insert
from ketgate_server.store.requests import Known

RETRY_AFTER_S = 1.0
"""When to come back to a full queue."""

BODIES_TOGETHER_BYTES_MAX = 1 << 20
"""Specs that one statement may hold: each that it does is copied for as long as it runs."""

_JOBS = f"jobs ({record.COLUMNS})"
_BODIES = "job_bodies (seq, spec)"
_BODY = "INSERT INTO job_bodies (seq, spec) VALUES (?, ?)"
_LABELS = "job_labels (tenant, key, value, seq)"
_ARTIFACT = "SELECT 1 FROM artifacts WHERE tenant = ? AND sha256 = ?"
_REFERENCES = "artifact_references (tenant, sha256, seq)"
_ALREADY = "ON CONFLICT (tenant, sha256, seq) DO NOTHING"


@dataclass(slots=True)
class Prepared:
    """A new job with what can be made before the transaction."""

    new: NewJob
    labels: str
    event: bytes
    fact: Fact


def prepare(new: NewJob, salt: bytes) -> Prepared:
    actor = new.actor
    fact = Fact(
        actor.subject,
        actor.tenant,
        actor.method,
        job_name(new.id),
        request_digest=new.request.digest,
        call_id=actor.call_id,
        salt=salt,
    )
    labels = convert.labels_text(new.labels)
    event = convert.created_event(new.id, actor=actor.subject, kind=new.kind, labels=labels)
    return Prepared(new, labels, event, fact)


def create(
    tx: Transaction, items: Sequence[Prepared], policy: Policy, notify: Notify
) -> list[Row | Exception]:
    """For each item the row of the job that it made, or that the same request made before; or why
    it was refused."""
    results: list[Row | Exception | None] = [None] * len(items)
    room = _room(tx, items, policy)
    known = _known(tx, items)
    first_of: dict[tuple[str, str, str], int] = {}
    repeats: list[tuple[int, int]] = []
    accepted: list[int] = []
    for i, item in enumerate(items):
        new = item.new
        key = (new.actor.tenant, new.actor.method, new.request.request_id)
        if new.request.request_id:
            if key in known:
                results[i] = _repeated(tx, new, known[key])
                continue
            if key in first_of:
                repeats.append((i, first_of[key]))
                continue
        refusal = _refusal(tx, new, room, policy)
        if refusal is not None:
            results[i] = refusal
            continue
        room[new.actor.tenant] -= 1
        first_of[key] = i
        accepted.append(i)
    for i, row in zip(accepted, _insert(tx, [items[i] for i in accepted], notify), strict=True):
        results[i] = row
    for i, first in repeats:
        digest, request = items[first].new.request.digest, items[i].new.request
        same = digest == request.digest
        name = job_name(items[first].new.id)
        results[i] = results[first] if same else requests.reused(request.request_id, name)
    return [result for result in results if result is not None]


def _room(tx: Transaction, items: Sequence[Prepared], policy: Policy) -> dict[str, int]:
    tenants = {item.new.actor.tenant for item in items}
    return {tenant: policy.unfinished_max - changes.unfinished(tx, tenant) for tenant in tenants}


def _known(tx: Transaction, items: Sequence[Prepared]) -> dict[tuple[str, str, str], Known]:
    """What is stored of the requests of this batch."""
    ids: dict[tuple[str, str], list[str]] = defaultdict(list)
    for item in items:
        if item.new.request.request_id:
            actor = item.new.actor
            ids[actor.tenant, actor.method].append(item.new.request.request_id)
    return {
        (tenant, method, request_id): known
        for (tenant, method), some in ids.items()
        for request_id, known in requests.find_many(tx, tenant, method, some).items()
    }


def _repeated(tx: Transaction, new: NewJob, known: Known) -> Row | Exception:
    """The reply is not stored: while the job is there, it tells what it was when it was accepted."""
    if known.digest != new.request.digest:
        return requests.reused(new.request.request_id, known.resource)
    job = record.by_id(tx, new.actor.tenant, job_id_of(known.resource) or "")
    return requests.reply_expired(known.resource) if job is None else job.as_created()


def _refusal(
    tx: Transaction, new: NewJob, room: dict[str, int], policy: Policy
) -> KetgateError | None:
    tenant = new.actor.tenant
    if room[tenant] <= 0:
        return KetgateError(
            Reason.QUOTA_EXCEEDED,
            f"the tenant has {policy.unfinished_max} jobs that are not over, which is the limit "
            "jobs.unfinished_max; wait until some are, or cancel some",
            limit="jobs.unfinished_max",
            retry_after_s=RETRY_AFTER_S,
        )
    for sha256 in new.artifacts:
        if tx.row(_ARTIFACT, (tenant, sha256)) is None:
            return NotFound(f"artifacts/{sha256}", field="spec")
    return None


def _insert(tx: Transaction, items: Sequence[Prepared], notify: Notify) -> list[Row]:
    if not items:
        return []
    now_us = tx.now_us
    first = tx.take("revision", len(items))
    rows = [_row(item, seq, now_us) for seq, item in enumerate(items, first)]
    numbered = list(enumerate(items, first))
    insert(tx, _JOBS, rows)
    _insert_bodies(tx, [(seq, item.new.spec) for seq, item in numbered])
    insert(
        tx,
        changes.EVENTS,
        [(seq, item.new.actor.tenant, seq, now_us, item.event) for seq, item in numbered],
    )
    labels = [
        (item.new.actor.tenant, key, value, seq)
        for seq, item in numbered
        for key, value in item.new.labels.items()
    ]
    insert(tx, _LABELS, labels)
    references = [
        (item.new.actor.tenant, sha256, seq)
        for seq, item in numbered
        for sha256 in item.new.artifacts
    ]
    insert(tx, _REFERENCES, references, _ALREADY)
    done = [
        (
            item.new.actor.tenant,
            item.new.actor.method,
            item.new.request.request_id,
            item.new.request.digest,
            item.fact.resource,
            None,
        )
        for item in items
        if item.new.request.request_id
    ]
    requests.remember_many(tx, done)
    changes.count_unfinished(tx, (item.new.actor.tenant for item in items), 1)
    record_many(tx, [item.fact for item in items])
    notify(tx)
    return rows


def _insert_bodies(tx: Transaction, rows: Sequence[tuple[int, bytes]]) -> None:
    if sum(len(spec) for _, spec in rows) <= BODIES_TOGETHER_BYTES_MAX:
        insert(tx, _BODIES, rows)
    else:
        tx.execute_many(_BODY, rows)


def _row(item: Prepared, seq: int, now_us: int) -> Row:
    new = item.new
    not_before_us = None if new.delay_us is None else now_us + new.delay_us
    return (
        seq,
        new.id,
        new.actor.tenant,
        new.kind,
        QUEUED,
        new.priority,
        item.labels,
        new.actor.subject,
        now_us,
        None,
        None,
        now_us,
        not_before_us,
        not_before_us,
        None if new.timeout_us is None else now_us + new.timeout_us,
        seq,
        0,
        0,
        0,
        0,
        "",
        None,
        None,
        None,
        new.spec_digest,
        None,
    )
