"""Bugs to plant, each a mistake that is easily made. A simulation that does not find them proves
nothing."""

import dataclasses
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from typing import Any
from unittest import mock

from ketgate_server.jobs import (
    changes,
    claims,
    commands,
    creation,
    due,
    events,
    record,
    transitions,
)
from ketgate_server.jobs.held import Held
from ketgate_server.jobs.store import JobStore
from ketgate_server.store import requests
from ketgate_server.store.base import Transaction

from .database import Transaction as SimulatedTransaction

Bug = Callable[[], AbstractContextManager[None]]
BUGS: dict[str, Bug] = {}


def _bug(plant: Callable[[], Iterator[None]]) -> Bug:
    bug = contextmanager(plant)
    BUGS[plant.__name__] = bug
    return bug


@_bug
def an_end_shows_no_fence() -> Iterator[None]:
    """Whoever ends an attempt ends the one that is under way."""
    real = claims.finish_many

    def finish_many(tx: Transaction, endings: Sequence[Any], *rest: Any) -> list[bool]:
        shown = []
        for claim, ending in endings:
            job = record.by_seq(tx, claim.seq)
            fence = job.fence if job is not None and job.fence else claim.fence
            shown.append((dataclasses.replace(claim, fence=fence), ending))
        return real(tx, shown, *rest)

    with mock.patch.object(claims, "finish_many", finish_many):
        yield


@_bug
def requests_are_remembered_by_the_next_transaction() -> Iterator[None]:
    late: list[Any] = []
    real = requests.remember_many

    def remember_many(tx: Transaction, rows: Any) -> None:
        due, late[:] = list(late), rows
        real(tx, due)

    with mock.patch.object(creation.requests, "remember_many", remember_many):
        yield


@_bug
def repeats_within_a_batch_are_not_seen() -> Iterator[None]:
    """And the second row of the request replaces the first."""
    real = creation.create

    def create(tx: Transaction, items: Sequence[Any], *rest: Any) -> list[Any]:
        return [result for item in items for result in real(tx, [item], *rest)]

    def find_many(reader: Any, tenant: str, method: str, request_ids: Sequence[str]) -> Any:
        return {}

    def remember_many(tx: Transaction, rows: Any) -> None:
        for row in rows:
            tx.execute(
                "DELETE FROM requests WHERE tenant = ? AND method = ? AND request_id = ?", row[:3]
            )
        real_remember(tx, rows)

    real_remember = requests.remember_many
    with (
        mock.patch.object(creation, "create", create),
        mock.patch.object(creation.requests, "find_many", find_many),
        mock.patch.object(creation.requests, "remember_many", remember_many),
    ):
        yield


@_bug
def events_are_written_by_the_next_transaction() -> Iterator[None]:
    late: list[Any] = []
    real = changes.write_events

    def write_events(tx: Transaction, events: Any) -> None:
        due, late[:] = list(late), events
        real(tx, due)

    with mock.patch.object(changes, "write_events", write_events):
        yield


@_bug
def the_reply_goes_before_the_commit() -> Iterator[None]:
    """What is refused by the disk was acknowledged."""
    real = SimulatedTransaction.commit

    def commit(self: SimulatedTransaction) -> None:
        try:
            real(self)
        except Exception:
            self.rollback()

    with mock.patch.object(SimulatedTransaction, "commit", commit):
        yield


@_bug
def what_is_over_can_be_cancelled() -> Iterator[None]:
    real = transitions.cancel

    def cancel(job: Any, *, reason: str, actor: str, **rest: Any) -> Any:
        if job.state == record.SUCCEEDED:
            after = job._replace(state=record.CANCELLED)
            return transitions.Change(job, after, reason, actor)
        return real(job, reason=reason, actor=actor, **rest)

    table = transitions.TABLE | {record.SUCCEEDED: frozenset({record.CANCELLED})}
    with (
        mock.patch.object(commands.transitions, "cancel", cancel),
        mock.patch.object(changes, "TABLE", table),
    ):
        yield


@_bug
def leases_never_run_out() -> Iterator[None]:
    with mock.patch.object(due, "_LEASES", due._LEASES.replace("<= ?", "<= ? - 1000000000000")):
        yield


@_bug
def a_cancel_leaves_no_audit_entry() -> Iterator[None]:
    with mock.patch.object(commands, "record_audit", return_value=0):
        yield


@_bug
def a_job_that_expires_still_counts() -> Iterator[None]:
    real = changes.count_unfinished

    def count_unfinished(tx: Transaction, tenants: Any, sign: int) -> None:
        if sign > 0:
            real(tx, tenants, sign)

    with mock.patch.object(changes, "count_unfinished", count_unfinished):
        yield


@_bug
def a_cancelled_job_is_tried_again() -> Iterator[None]:
    real = transitions.end

    def end(job: Any, ending: Any, **rest: Any) -> Any:
        return real(job._replace(state=record.RUNNING, error=None), ending, **rest)

    with mock.patch.object(claims.transitions, "end", end):
        yield


@_bug
def compaction_is_not_told() -> Iterator[None]:
    """A watcher that comes late begins with what is left."""
    with mock.patch.object(events, "compacted", return_value=0):
        yield


@_bug
def a_claim_takes_no_fence_of_its_own() -> Iterator[None]:
    """Its fence is that of the attempt before."""
    real = changes._parameters

    def parameters(row: Any) -> Any:
        fence = row.seq if row.fence else 0
        return real(row._replace(fence=fence))

    with mock.patch.object(changes, "_parameters", parameters):
        yield


@_bug
def a_checkpoint_does_not_wait_for_the_disk() -> Iterator[None]:
    """What was about to be asked of a provider is forgotten by a crash, and asked again."""

    def checkpoint(self: JobStore, claim: Any, handle: bytes, lease_us: int) -> bool:
        self.store.submit(lambda tx: claims.checkpoint(tx, claim, handle, lease_us, self.policy))
        return True

    with mock.patch.object(JobStore, "checkpoint", checkpoint):
        yield


@_bug
def a_retry_is_not_given_the_handle() -> Iterator[None]:
    real = claims.complete

    def complete(reader: Any, claim: Any) -> Any:
        found = real(reader, claim)
        return None if found is None else dataclasses.replace(found, handle=None)

    with mock.patch.object(claims, "complete", complete):
        yield


@_bug
def who_lost_its_turn_is_told_to_stop() -> Iterator[None]:
    """And cancels at the provider what another goes on with."""
    real = Held.stop

    def stop(self: Held, why: Any) -> None:
        self.outside = False
        real(self, why)

    with mock.patch.object(Held, "stop", stop):
        yield
