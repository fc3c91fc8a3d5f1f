"""Jobs of a store, on each database."""

import threading
from pathlib import Path
from typing import Any

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs import claims, creation
from ketgate_server.jobs.base import Ending, Fault, Outcome
from ketgate_server.jobs.listing import ListQuery
from ketgate_server.jobs.policy import Retention
from ketgate_server.jobs.record import (
    CANCELLED,
    CANCELLING,
    EXPIRED,
    FAILED,
    QUEUED,
    RUNNING,
    SUCCEEDED,
)
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import StoreUnavailable
from ketgate_server.store.database import open_store

from .conftest import ACTOR, LEASE_US, Bench, FakeTime

DONE = Ending(Outcome.SUCCEEDED, b"")
HOUR_US = 3_600_000_000


def refused(reason: Reason) -> Any:
    return pytest.raises(KetgateError, check=lambda error: error.reason is reason)


def claim(bench: Bench, worker: str = "w") -> Any:
    [claimed] = bench.jobs.claim(worker, 1, LEASE_US)
    return claimed


def unreadable(*_: Any) -> None:
    raise StoreUnavailable("no reader")


def keep_artifact(bench: Bench, sha256: str, tenant: str = "red") -> None:
    bench.store.run(
        lambda tx: tx.execute(
            "INSERT INTO artifacts (tenant, sha256, size_bytes, media_type, create_time_us,"
            " used_time_us) VALUES (?, ?, 1, '', 1, 1)",
            (tenant, sha256),
        )
    )


def references(bench: Bench) -> list[str]:
    with bench.store.read() as reader:
        rows = reader.rows("SELECT sha256 FROM artifact_references ORDER BY sha256")
    return [sha256 for (sha256,) in rows]


def fault(whose: Fault) -> Ending:
    return Ending(Outcome.FAILED, fault=whose, error=KetgateError(Reason.INTERNAL, "it broke"))


def test_a_job_from_create_to_done(bench: Bench) -> None:
    told: list[int] = []
    bench.jobs.on_change(told.append)
    job = bench.create(labels={"desk": "fx"}, priority=3)
    assert (job.state, job.revision, job.labels, job.priority) == (QUEUED, 1, {"desk": "fx"}, 3)
    held = claim(bench)
    assert (held.id, held.attempt, held.fence) == (job.uid, 1, 1)
    assert bench.jobs.finish(held, Ending(Outcome.SUCCEEDED, b"\x0a\x00"))
    done = bench.jobs.get("red", job.uid, full=True)
    assert (done.state, done.revision, done.attempt_count) == (SUCCEEDED, 3, 1)
    assert done.HasField("result")
    assert done.etag != job.etag
    [attempt] = done.attempts
    assert (attempt.fence, attempt.worker, attempt.outcome) == (
        1,
        "w",
        pb.ATTEMPT_OUTCOME_SUCCEEDED,
    )
    assert pb.Job.FromString(bench.jobs.get_encoded("red", job.uid)) == done
    events = bench.jobs.events("red", 1, 10)
    assert [(r, e.state, dict(e.labels)) for r, _, e in events] == [
        (1, QUEUED, {"desk": "fx"}),
        (2, RUNNING, {"desk": "fx"}),
        (3, SUCCEEDED, {"desk": "fx"}),
    ]
    assert told == [1, 2, 3]


def test_a_repeated_request_is_the_same_job_with_the_same_reply(bench: Bench) -> None:
    first = bench.create("r", delay_us=5 * HOUR_US, timeout_us=9 * HOUR_US)
    assert bench.create("r") == first
    bench.jobs.cancel(ACTOR, bench.request(), first.uid)
    assert bench.create("r") == first
    with refused(Reason.REQUEST_ID_REUSED) as caught:
        bench.create("r", digest=b"other")
    assert first.name in caught.value.message
    assert bench.create("r", tenant="blue").uid != first.uid
    bench.jobs.delete(ACTOR, bench.request(), first.uid)
    with refused(Reason.REPLY_EXPIRED):
        bench.create("r")


def test_requests_of_one_batch(bench: Bench) -> None:
    """The same one twice, one with its id for something else, and one that is refused, among
    others."""
    items = [
        creation.prepare(new, bytes(32))
        for new in (
            bench.new("a"),
            bench.new("a"),
            bench.new("a", digest=b"other"),
            bench.new("b", artifacts=["0" * 64]),
            bench.new("b"),
            bench.new(),
            bench.new(),
        )
    ]
    rows = bench.store.run(
        lambda tx: creation.create(tx, items, bench.jobs.policy, bench.jobs._changed)
    )
    assert [r.reason if isinstance(r, KetgateError) else r[0] for r in rows] == [
        1,
        1,
        Reason.REQUEST_ID_REUSED,
        Reason.RESOURCE_NOT_FOUND,
        2,
        3,
        4,
    ]


def test_many_callers_get_a_job_each(bench: Bench) -> None:
    names: list[str] = []

    def call(caller: int) -> None:
        names.extend(bench.create(f"{caller}-{i // 2}").name for i in range(20))

    threads = [threading.Thread(target=call, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(names) == 160
    assert len(set(names)) == 80
    assert bench.jobs.revision() == 80
    assert len(bench.jobs.list("red", ListQuery(page_size=1000)).jobs) == 80


def test_a_tenant_may_have_so_many_jobs_that_are_not_over(timed: Bench) -> None:
    made = [timed.create() for _ in range(5)]
    timed.create(tenant="blue")
    with refused(Reason.QUOTA_EXCEEDED) as caught:
        timed.create("r")
    assert caught.value.limit == "jobs.unfinished_max"
    timed.jobs.cancel(ACTOR, timed.request(), made[0].uid)
    assert timed.create("r")  # the refusal did not consume the id
    assert all(timed.jobs.finish(held, DONE) for held in timed.jobs.claim("w", 2, LEASE_US))
    assert timed.create()
    with refused(Reason.QUOTA_EXCEEDED):
        timed.create()


def test_claims_take_tenants_in_turn_then_priority_then_age(bench: Bench) -> None:
    low = [bench.create(tenant="red") for _ in range(4)]
    high = bench.create(tenant="red", priority=5)
    blue = [bench.create(tenant="blue") for _ in range(2)]
    bench.create(tenant="blue", delay_us=HOUR_US)
    assert [c.id for c in bench.jobs.claim("w", 2, LEASE_US)] == [blue[0].uid, high.uid]
    assert claim(bench).id == blue[1].uid
    assert [c.id for c in bench.jobs.claim("w", 9, LEASE_US)] == [job.uid for job in low]
    assert bench.jobs.claim("w", 9, LEASE_US) == []


def test_what_cannot_be_read_after_it_was_claimed_is_given_back(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = {bench.create().uid for _ in range(2)}
    with monkeypatch.context() as broken:
        broken.setattr(claims, "complete", unreadable)
        with pytest.raises(StoreUnavailable, match="no reader"):
            bench.jobs.claim("w", 2, LEASE_US)
    for job_id in made:
        job = bench.jobs.get("red", job_id)
        assert job.state == QUEUED
        assert [a.outcome for a in job.attempts] == [pb.ATTEMPT_OUTCOME_GIVEN_BACK]
    assert {c.id for c in bench.jobs.claim("w", 2, LEASE_US)} == made


def test_a_store_that_is_gone_after_a_claim_is_told_as_that(
    timed: Bench, time: FakeTime, monkeypatch: pytest.MonkeyPatch
) -> None:
    def gone(*_: Any) -> None:
        raise StoreUnavailable("gone")

    job = timed.create()
    with monkeypatch.context() as broken:
        broken.setattr(claims, "complete", unreadable)
        broken.setattr(claims, "finish_many", gone)
        with pytest.raises(StoreUnavailable, match="no reader"):
            timed.jobs.claim("w", 1, LEASE_US)
    assert timed.jobs.get("red", job.uid).state == RUNNING
    time.pass_s(61)
    timed.jobs.tick()
    assert timed.jobs.get("red", job.uid).state == QUEUED


def test_a_result_refers_to_artifacts_that_are_there(timed: Bench, time: FakeTime) -> None:
    job = timed.create()
    ending = Ending(Outcome.SUCCEEDED, b"\x0a\x00", artifacts=["a" * 64, "b" * 64])
    keep_artifact(timed, "a" * 64)
    keep_artifact(timed, "b" * 64, tenant="blue")  # which is not the job's
    assert timed.jobs.finish(claim(timed), ending)
    again = timed.jobs.get("red", job.uid, full=True)
    assert (again.state, again.HasField("result")) == (QUEUED, False)
    [attempt] = again.attempts
    assert attempt.outcome == pb.ATTEMPT_OUTCOME_SERVER_ERROR
    assert "artifacts/" + "b" * 64 in attempt.error.message
    assert references(timed) == []
    keep_artifact(timed, "b" * 64)
    time.pass_s(60)
    timed.jobs.tick()
    assert timed.jobs.finish(claim(timed), ending)
    done = timed.jobs.get("red", job.uid, full=True)
    assert (done.state, done.HasField("result")) == (SUCCEEDED, True)
    assert references(timed) == ["a" * 64, "b" * 64]


def test_what_was_stopped_stays_so_without_a_result_that_is_not_whole(bench: Bench) -> None:
    job = bench.create()
    held = claim(bench)
    bench.jobs.cancel(ACTOR, bench.request(), job.uid)
    ending = Ending(Outcome.STOPPED, b"\x0a\x00", artifacts=["a" * 64])
    assert bench.jobs.finish(held, ending)
    over = bench.jobs.get("red", job.uid, full=True)
    assert (over.state, over.HasField("result")) == (CANCELLED, False)
    assert over.attempts[0].outcome == pb.ATTEMPT_OUTCOME_STOPPED
    assert references(bench) == []


def test_a_server_takes_the_kinds_that_it_knows(bench: Bench) -> None:
    """Two versions over one database: what the older does not know waits for the newer."""
    new = [bench.create(kind="sample", tenant=tenant) for tenant in ("red", "blue", "green")]
    old = [bench.create(tenant=tenant) for tenant in ("red", "blue")]
    older = JobStore(bench.store, kinds=["solve"])
    assert {c.id for c in older.claim("old", 9, LEASE_US)} == {job.uid for job in old}
    assert older.claim("old", 9, LEASE_US) == []
    newer = JobStore(bench.store, kinds=["solve", "sample"])
    assert {c.id for c in newer.claim("new", 9, LEASE_US)} == {job.uid for job in new}
    assert JobStore(bench.store, kinds=[]).claim("none", 9, LEASE_US) == []


def test_the_order_of_claims_does_not_depend_on_kinds(bench: Bench) -> None:
    jobs = JobStore(bench.store, kinds=["solve", "sample"])
    made = [
        bench.create(tenant=tenant, kind=kind, priority=priority).uid
        for tenant, kind, priority in [
            ("red", "sample", 0),
            ("red", "solve", 0),
            ("red", "sample", 1),
            ("blue", "solve", 0),
            ("amber", "sample", 0),
        ]
    ]
    order = [made[n] for n in (4, 3, 2, 0, 1)]
    assert [c.id for c in jobs.claim("w", 2, LEASE_US)] == order[:2]
    assert [c.id for c in jobs.claim("w", 9, LEASE_US)] == order[2:]


def test_what_no_server_knows_is_not_looked_through(tmp_path: Path) -> None:
    """Each look for work would otherwise pass by all of it."""
    store = open_store(tmp_path / "plans")
    jumps = "SEARCH jobs USING INDEX jobs_ready (kind=? AND tenant>?)"
    plans = [
        (claims._any_ready(2), ("k", "l"), "SEARCH jobs USING INDEX jobs_ready (kind=?)"),
        (claims._TENANTS, ("k", "a", "k", 1), jumps),
        (claims._READY, ("k", "a", 1), "SEARCH jobs USING INDEX jobs_ready (kind=? AND tenant=?)"),
    ]
    with store.read() as reader:
        for sql, parameters, expected in plans:
            steps = [
                row[3].replace("COVERING ", "")
                for row in reader.rows(f"EXPLAIN QUERY PLAN {sql}", parameters)
            ]
            assert expected in steps
            assert not [step for step in steps if "TEMP B-TREE" in step or "SCAN jobs" in step]
    store.close()


def test_a_stale_fence_changes_nothing(timed: Bench, time: FakeTime) -> None:
    job = timed.create()
    old = claim(timed, "one")
    time.pass_s(61)
    assert timed.jobs.signs([old.fence]) == {}  # nobody has noticed yet
    wake_us = timed.jobs.tick()
    assert wake_us is not None
    assert timed.jobs.signs([old.fence]) == {old.fence: "lost"}
    assert timed.jobs.renew("one", [old.fence], LEASE_US) == {old.fence: "lost"}
    time.us = wake_us
    timed.jobs.tick()
    new = claim(timed, "two")
    assert new.attempt == 2
    assert new.fence > old.fence
    assert not timed.jobs.finish(old, DONE)
    timed.jobs.progress(old.fence, old.seq, pb.JobProgress(objective=1))
    assert timed.jobs.finish(new, DONE)
    assert not timed.jobs.finish(new, DONE)
    found = timed.jobs.get("red", job.uid)
    assert found.state == SUCCEEDED
    assert not found.HasField("progress")
    assert [a.outcome for a in found.attempts] == [
        pb.ATTEMPT_OUTCOME_WORKER_LOST,
        pb.ATTEMPT_OUTCOME_SUCCEEDED,
    ]


def test_a_lease_that_is_renewed_does_not_run_out(timed: Bench, time: FakeTime) -> None:
    timed.create()
    held = claim(timed)
    for _ in range(5):
        time.pass_s(40)
        assert timed.jobs.renew("w", [held.fence], LEASE_US) == {}
        timed.jobs.tick()
    assert timed.jobs.finish(held, DONE)


def test_a_job_that_kills_its_workers_is_given_up(timed: Bench, time: FakeTime) -> None:
    job = timed.create()
    for losses in (1, 2, 3):
        claim(timed, f"server/{losses}")
        assert timed.jobs.recover("server/") == 1
        time.pass_s(60)
        timed.jobs.tick()
    found = timed.jobs.get("red", job.uid)
    assert found.state == FAILED
    assert b"WORKER_LOST" in found.error.SerializeToString()
    assert timed.jobs.claim("w", 1, LEASE_US) == []


@pytest.mark.parametrize("found_after_s", [0.0, 86_400.0], ids=["at once", "a day later"])
def test_a_long_job_outlasts_any_number_of_killed_servers(
    timed: Bench, time: FakeTime, found_after_s: float
) -> None:
    """What lived for long was not killed by its job: three deployments by kill failed a job that
    needs an hour."""
    job = timed.create()
    for _ in range(4):
        held = claim(timed, "server/1")
        for _ in range(11):
            time.pass_s(59)
            timed.jobs.renew("server/1", [held.fence], LEASE_US)
        time.pass_s(found_after_s)
        assert timed.jobs.recover("server/") == 1
        time.pass_s(60)
        timed.jobs.tick()
    assert timed.jobs.get("red", job.uid).state == QUEUED


def test_a_server_that_is_found_dead_late_did_not_live_longer(timed: Bench, time: FakeTime) -> None:
    job = timed.create()
    for _ in range(3):
        claim(timed, "server/1")
        time.pass_s(86_400)
        timed.jobs.tick()
        time.pass_s(60)
        timed.jobs.tick()
    assert timed.jobs.get("red", job.uid).state == FAILED


def test_faults_of_servers_are_tried_again_with_growing_waits(timed: Bench, time: FakeTime) -> None:
    job = timed.create()
    waits = []
    for _ in range(4):
        assert timed.jobs.finish(claim(timed), fault(Fault.PROVIDER))
        assert timed.jobs.claim("w", 1, LEASE_US) == []
        wake_us = timed.jobs.tick()
        assert wake_us is not None
        waits.append((wake_us - time.us) / 1e6)
        time.us = wake_us
        assert timed.jobs.tick() is None
    for wait_s, whole_s in zip(waits, (1, 2, 4, 8), strict=True):
        assert whole_s / 2 <= wait_s <= whole_s
    assert timed.jobs.finish(claim(timed), fault(Fault.SERVER))
    assert timed.jobs.get("red", job.uid).state == FAILED


def test_a_fault_of_the_caller_is_not_tried_again(bench: Bench) -> None:
    job = bench.create()
    error = KetgateError(Reason.FIELD_INVALID, "spec.x: expected 1, given 2", field="spec.x")
    assert bench.jobs.finish(claim(bench), Ending(Outcome.FAILED, fault=Fault.CALLER, error=error))
    found = bench.jobs.get("red", job.uid)
    assert (found.state, found.error.message) == (FAILED, error.message)
    assert len(found.error.details) == 2
    assert found.attempts[0].error == found.error


def test_what_is_given_back_is_tried_at_once_and_as_often_as_needed(bench: Bench) -> None:
    bench.create()
    for attempt in range(1, 25):
        held = claim(bench)
        assert held.attempt == attempt
        assert bench.jobs.finish(held, Ending(Outcome.GIVEN_BACK))
    [job] = bench.jobs.list("red", ListQuery()).jobs
    found = bench.jobs.get("red", job.uid)
    assert found.attempt_count == 24
    assert [a.number for a in found.attempts] == list(range(5, 25))  # the last 20


def test_cancelling(bench: Bench) -> None:
    waits, runs, over = bench.create(priority=-1), bench.create(), bench.create(priority=1)
    assert bench.jobs.finish(claim(bench), DONE)
    held = claim(bench)
    request = bench.request()
    first = bench.jobs.cancel(ACTOR, request, runs.uid, "changed my mind")
    assert first.state == CANCELLING
    assert not first.HasField("error")
    assert bench.jobs.renew("w", [held.fence], LEASE_US) == {held.fence: "stop"}
    assert bench.jobs.signs([held.fence]) == {held.fence: "stop"}
    assert bench.jobs.finish(held, Ending(Outcome.STOPPED, b"\x0a\x00"))
    stopped = bench.jobs.get("red", runs.uid, full=True)
    assert (stopped.state, stopped.error.message) == (CANCELLED, "changed my mind")
    assert stopped.HasField("result")
    assert bench.jobs.cancel(ACTOR, request, runs.uid, "changed my mind") == first
    assert bench.jobs.cancel(ACTOR, bench.request(), waits.uid).state == CANCELLED
    assert bench.jobs.cancel(ACTOR, bench.request(), over.uid).state == SUCCEEDED
    with refused(Reason.RESOURCE_NOT_FOUND):
        bench.jobs.cancel(ACTOR, bench.request(), "0" * 26)


def test_what_finishes_although_it_was_cancelled_has_succeeded(bench: Bench) -> None:
    job = bench.create()
    held = claim(bench)
    bench.jobs.cancel(ACTOR, bench.request(), job.uid)
    assert bench.jobs.finish(held, DONE)
    found = bench.jobs.get("red", job.uid)
    assert found.state == SUCCEEDED
    assert not found.HasField("error")


@pytest.mark.parametrize(
    "ending",
    [fault(Fault.SERVER), fault(Fault.CALLER), Ending(Outcome.LOST), Ending(Outcome.GIVEN_BACK)],
    ids=lambda ending: ending.outcome.value,
)
def test_what_was_cancelled_is_never_tried_again(bench: Bench, ending: Ending) -> None:
    job = bench.create()
    held = claim(bench)
    bench.jobs.cancel(ACTOR, bench.request(), job.uid)
    assert bench.jobs.finish(held, ending)
    assert bench.jobs.get("red", job.uid).state == CANCELLED


def test_deadlines(timed: Bench, time: FakeTime) -> None:
    waits = timed.create(timeout_us=1_000_000, delay_us=HOUR_US)
    runs = timed.create(timeout_us=1_000_000)
    late = timed.create(timeout_us=1_000_000)
    held = claim(timed)
    assert (held.id, held.deadline_us) == (runs.uid, time.us + 1_000_000)
    time.pass_s(2)
    assert timed.jobs.claim("w", 5, LEASE_US) == []  # too late to begin
    assert timed.jobs.get("red", late.uid).state == EXPIRED
    assert timed.jobs.signs([held.fence]) == {held.fence: "stop"}
    timed.jobs.tick()
    assert timed.jobs.get("red", waits.uid).state == EXPIRED
    assert timed.jobs.finish(held, Ending(Outcome.STOPPED, b"\x0a\x00"))
    found = timed.jobs.get("red", runs.uid, full=True)
    assert found.state == EXPIRED
    assert found.HasField("result")
    assert b"JOB_EXPIRED" in found.error.SerializeToString()


def test_an_attempt_that_its_deadline_ended_is_expired(timed: Bench) -> None:
    """A race leaves itself time to check what it found, so that it ends before the deadline: it is
    not tried again for what remains."""
    job = timed.create(timeout_us=10_000_000)
    assert timed.jobs.finish(claim(timed), Ending(Outcome.LATE, b"\x0a\x00"))
    found = timed.jobs.get("red", job.uid, full=True)
    assert found.state == EXPIRED
    assert found.HasField("result")
    assert [a.outcome for a in found.attempts] == [pb.ATTEMPT_OUTCOME_STOPPED]


def test_a_job_does_not_begin_before_its_time(timed: Bench, time: FakeTime) -> None:
    job = timed.create(delay_us=10_000_000)
    assert timed.jobs.claim("w", 1, LEASE_US) == []
    assert timed.jobs.tick() == time.us + 10_000_000
    time.pass_s(10)
    assert timed.jobs.tick() is None
    assert claim(timed).id == job.uid
    assert timed.jobs.get("red", job.uid).not_before_time == job.not_before_time


def test_progress_is_the_newest_and_an_event(bench: Bench) -> None:
    job = bench.create()
    held = claim(bench)
    for objective in (3.0, 2.0):
        bench.jobs.progress(held.fence, held.seq, pb.JobProgress(objective=objective))
    assert bench.jobs.finish(held, DONE)  # and with it, all before it was written
    assert bench.jobs.get("red", job.uid).progress.objective == 2.0
    events = [e for _, _, e in bench.jobs.events(None, 1, 99)]
    assert [e.progress.objective for e in events if e.type == pb.JOB_EVENT_TYPE_PROGRESS] == [3, 2]
    assert [e.revision for e in events] == [1, 2, 3, 4, 5]


def test_deleting(bench: Bench) -> None:
    job = bench.create(labels={"a": "b"})
    with refused(Reason.JOB_UNFINISHED):
        bench.jobs.delete(ACTOR, bench.request(), job.uid)
    done = bench.jobs.cancel(ACTOR, bench.request(), job.uid)
    with refused(Reason.ETAG_MISMATCH):
        bench.jobs.delete(ACTOR, bench.request(), job.uid, etag=job.etag)
    request = bench.request()
    bench.jobs.delete(ACTOR, request, job.uid, etag=done.etag)
    bench.jobs.delete(ACTOR, request, job.uid, etag=done.etag)
    with refused(Reason.RESOURCE_NOT_FOUND):
        bench.jobs.get("red", job.uid)
    assert bench.jobs.events("red", 3, 9)[0][2].type == pb.JOB_EVENT_TYPE_DELETED
    with bench.store.read() as reader:
        for table in ("job_bodies", "job_labels", "job_attempts"):
            assert reader.rows(f"SELECT * FROM {table}") == []


def test_tenants_do_not_see_each_other(bench: Bench) -> None:
    job = bench.create()
    with refused(Reason.RESOURCE_NOT_FOUND):
        bench.jobs.get("blue", job.uid)
    with refused(Reason.RESOURCE_NOT_FOUND):
        bench.jobs.get_encoded("blue", job.uid)
    assert bench.jobs.find("blue", [job.uid]) == []
    assert [found.uid for found in bench.jobs.find("red", ["0" * 26, job.uid])] == [job.uid]
    assert bench.jobs.list("blue", ListQuery()).jobs == []
    assert bench.jobs.events("blue", 1, 9) == []


def test_every_effect_of_a_caller_has_its_audit_entry(bench: Bench) -> None:
    job = bench.create("r")
    bench.create("r")
    bench.jobs.cancel(ACTOR, bench.request(), job.uid)
    bench.jobs.delete(ACTOR, bench.request(), job.uid)
    with bench.store.read() as reader:
        assert reader.row("SELECT count(*) FROM audit_entries") == (3,)


def test_retention(timed: Bench, time: FakeTime) -> None:
    old = timed.create("r", labels={"a": "b"})
    timed.jobs.cancel(ACTOR, request := timed.request(), old.uid)
    waits = timed.create()
    time.pass_s(100)
    new = timed.create()
    timed.jobs.cancel(ACTOR, timed.request(), new.uid)
    keep = Retention(
        jobs_us=50_000_000, events_us=50_000_000, events_max=100, replies_us=50_000_000
    )
    while timed.jobs.retain(keep, limit=1):
        pass
    left = timed.jobs.list("red", ListQuery()).jobs
    assert [job.uid for job in left] == [new.uid, waits.uid]
    with refused(Reason.REPLY_EXPIRED):
        timed.jobs.cancel(ACTOR, request, old.uid)
    with refused(Reason.REPLY_EXPIRED):
        timed.create("r")
    with refused(Reason.REVISION_COMPACTED) as caught:
        timed.jobs.events("red", 3, 9)
    assert caught.value.metadata["oldest_revision"] == "4"
    events = [e for _, _, e in timed.jobs.events("red", 4, 9)]
    assert [e.type for e in events][-1] == pb.JOB_EVENT_TYPE_DELETED
    assert not timed.jobs.retain(Retention(None, None, 1, None))
    assert [r for r, _, _ in timed.jobs.events(None, 6, 9)] == [6]
    assert not timed.jobs.retain(Retention(None, None, None, None))


def test_a_look_for_work_where_there_is_none_does_not_take_the_writer(bench: Bench) -> None:
    bench.create(delay_us=HOUR_US)
    batches: list[int] = []
    bench.store.observe(lambda operations, _: batches.append(operations))
    assert bench.jobs.claim("w", 8, LEASE_US) == []
    assert batches == []
    bench.create()
    assert len(bench.jobs.claim("w", 8, LEASE_US)) == 1
