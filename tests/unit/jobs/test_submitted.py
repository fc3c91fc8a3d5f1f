"""Jobs whose work is at a provider, on each database: turns, polls, handles, and their ends."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Claim, Ending, Fault, Outcome
from ketgate_server.jobs.faults import HANDLE_BYTES_MAX, POLL_AFTER_S_MIN, Submitted
from ketgate_server.jobs.outside import WARNING
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import (
    CANCELLED,
    CANCELLING,
    EXPIRED,
    FAILED,
    QUEUED,
    RUNNING,
    SUBMITTED,
    SUCCEEDED,
)
from ketgate_server.store.database import open_store

from .conftest import ACTOR, LEASE_US, Bench, FakeTime

MINUTE_S = 60.0
POLICY = Policy(
    attempts_max=3,
    outage_faults_max=20,
    losses_max=2,
    backoff_us=1_000_000,
    backoff_us_max=4_000_000,
)
DONE = Ending(Outcome.SUCCEEDED, b"")
STOPPED = Ending(Outcome.STOPPED)
LOST = Ending(Outcome.LOST)
BACK = Ending(Outcome.GIVEN_BACK)


def at_provider(
    handle: bytes = b"h1", after_s: float = 30.0, progress: pb.JobProgress | None = None
) -> Ending:
    return Ending(Outcome.SUBMITTED, handle=handle, poll_after_s=after_s, progress=progress)


def fault(whose: Fault = Fault.PROVIDER, retry_after_s: float | None = None) -> Ending:
    error = KetgateError(Reason.INTERNAL, "it broke", retry_after_s=retry_after_s)
    return Ending(Outcome.FAILED, fault=whose, error=error)


@pytest.fixture
def bench(time: FakeTime, store_url: str | None, tmp_path: Path) -> Iterator["Turns"]:
    store = open_store(tmp_path / "timed", store_url, clock=time)
    yield Turns(Bench(store, POLICY), time)
    store.close()


class Turns:
    """One job, turn after turn."""

    def __init__(self, bench: Bench, time: FakeTime) -> None:
        self.bench, self.jobs, self.time = bench, bench.jobs, time
        self.uid = ""

    def create(self, **options: Any) -> None:
        self.uid = self.bench.create(**options).uid

    def claim(self) -> Claim:
        [claim] = self.jobs.claim("w", 2, LEASE_US)
        return claim

    def turn(self, ending: Ending) -> Claim:
        claim = self.claim()
        assert self.jobs.finish(claim, ending)
        return claim

    def submit(self, **options: Any) -> None:
        """A job that is at its provider, to be asked after in 30 s."""
        self.create(**options)
        self.turn(at_provider())

    def pass_s(self, seconds: float) -> None:
        self.time.pass_s(seconds)
        self.jobs.tick()

    def nothing_to_claim(self) -> bool:
        return not self.jobs.claim("w", 2, LEASE_US)

    def cancel(self) -> int:
        return self.jobs.cancel(ACTOR, self.bench.request(), self.uid, "enough").state

    @property
    def job(self) -> pb.Job:
        return self.jobs.get("red", self.uid)

    @property
    def state(self) -> int:
        return self.job.state

    def events(self) -> list[pb.JobEvent]:
        return [event for _, _, event in self.jobs.events("red", 1, 100)]

    def handles(self) -> int:
        with self.bench.store.read() as reader:
            return len(reader.rows("SELECT 1 FROM job_handles"))


def test_a_submitted_job_is_held_by_nobody_until_it_is_time_to_ask(bench: Turns) -> None:
    bench.create()
    first = bench.claim()
    assert (first.handle, first.attempt, first.stopped) == (None, 1, False)
    assert bench.jobs.finish(first, at_provider(b"h1", 30.0))
    job = bench.job
    assert (job.state, job.attempt_count, len(job.attempts)) == (SUBMITTED, 1, 1)
    assert job.attempts[0].outcome == pb.ATTEMPT_OUTCOME_UNSPECIFIED  # it goes on
    assert bench.jobs.tick() == bench.time.us + 30_000_000
    bench.pass_s(29.9)
    assert bench.nothing_to_claim()
    bench.pass_s(0.1)
    second = bench.claim()
    assert (second.handle, second.attempt, second.stopped) == (b"h1", 1, False)
    assert second.fence > first.fence
    assert second.began_us == bench.time.us - 30_000_000
    assert not bench.jobs.finish(first, DONE)  # the fence of the turn before is stale
    assert bench.jobs.finish(second, DONE)
    job = bench.job
    assert (job.state, len(job.attempts)) == (SUCCEEDED, 1)
    assert job.attempts[0].outcome == pb.ATTEMPT_OUTCOME_SUCCEEDED
    assert [event.state for event in bench.events()] == [QUEUED, RUNNING, SUBMITTED, SUCCEEDED]
    assert bench.handles() == 0  # it may hold what is nobody's business


def test_a_poll_that_finds_nothing_new_leaves_no_trace(bench: Turns) -> None:
    bench.submit()
    before, revision, version = bench.job, bench.jobs.revision(), bench.jobs.version()
    for number in range(3):
        bench.pass_s(30.0)
        claim = bench.turn(at_provider(f"h{number + 2}".encode()))
        assert claim.handle == f"h{number + 1}".encode()
        assert bench.jobs.version() > version  # other servers have to see when the next is
        version = bench.jobs.version()
    assert bench.job == before
    assert bench.jobs.revision() == revision


def test_only_progress_that_is_new_is_told(bench: Turns) -> None:
    bench.create()
    bench.turn(at_provider(progress=pb.JobProgress(work=1)))
    submitted = bench.events()[-1]
    assert (submitted.state, submitted.type) == (SUBMITTED, pb.JOB_EVENT_TYPE_STATE_CHANGED)
    assert (submitted.progress.work, bench.job.progress.work) == (1, 1)
    for work, elapsed_s in ((1, 5), (2, 6), (2, 7)):
        bench.pass_s(30.0)
        progress = pb.JobProgress(work=work, attempt=1)
        progress.elapsed.FromSeconds(elapsed_s)
        bench.turn(at_provider(progress=progress))
    told = bench.events()
    assert len(told) == 4
    assert (told[-1].type, told[-1].state) == (pb.JOB_EVENT_TYPE_PROGRESS, SUBMITTED)
    assert told[-1].progress.work == bench.job.progress.work == 2


def test_a_checkpoint_outlives_its_attempt(bench: Turns) -> None:
    bench.create()
    first = bench.claim()
    bench.time.pass_s(50.0)
    assert bench.jobs.checkpoint(first, b"intent", LEASE_US)
    bench.time.pass_s(50.0)  # the lease was prolonged
    bench.jobs.tick()
    assert bench.state == RUNNING
    bench.pass_s(11.0)
    assert bench.state == QUEUED
    assert not bench.jobs.checkpoint(first, b"too late", LEASE_US)
    bench.pass_s(1.0)
    again = bench.claim()
    assert (again.handle, again.attempt) == (b"intent", 2)
    assert bench.jobs.checkpoint(again, b"known", LEASE_US)
    assert bench.jobs.recover("w") == 1
    bench.pass_s(4.0)
    assert bench.state == FAILED  # it was lost twice without an answer
    assert bench.job.error.message.endswith(WARNING)
    assert bench.handles() == 0


def test_a_lost_poll_is_not_a_loss_of_the_work(bench: Turns) -> None:
    bench.submit()
    for _ in range(4):
        bench.pass_s(30.0)
        assert bench.turn(LOST).attempt == 1
        assert bench.state == SUBMITTED
        assert bench.nothing_to_claim()  # not at once
        bench.pass_s(1.0)
        bench.turn(at_provider())  # an answer: losses are forgotten
    for _ in range(2):
        bench.pass_s(30.0)
        bench.claim()
        bench.jobs.recover("w")
    assert bench.state == FAILED
    assert bench.job.attempts[0].outcome == pb.ATTEMPT_OUTCOME_WORKER_LOST


def test_a_lease_that_runs_out_in_a_poll_lets_another_poll(bench: Turns) -> None:
    bench.submit()
    bench.pass_s(30.0)
    old = bench.claim()
    bench.pass_s(60.0)
    bench.pass_s(1.0)
    assert bench.state == SUBMITTED
    new = bench.claim()
    assert new.handle == b"h1"
    assert not bench.jobs.finish(old, DONE)
    assert bench.jobs.finish(new, DONE)


def test_only_faults_in_a_row_without_an_answer_end_it(bench: Turns) -> None:
    bench.submit()
    for _ in range(3):
        for wait_s in (1.0, 2.0):
            bench.pass_s(30.0)
            bench.turn(fault())
            assert (bench.state, bench.job.attempt_count) == (SUBMITTED, 1)
            bench.pass_s(wait_s / 2 - 0.001)  # a random half is taken off
            assert bench.nothing_to_claim()
        bench.pass_s(30.0)
        bench.turn(at_provider())
    for number in range(3):
        assert bench.state == SUBMITTED, number
        bench.pass_s(30.0)
        bench.turn(fault())
    job = bench.job
    assert (job.state, job.attempts[0].outcome) == (FAILED, pb.ATTEMPT_OUTCOME_PROVIDER_ERROR)
    assert job.error.message.endswith(WARNING)
    assert len(bench.events()) == 4


def test_a_provider_that_says_when_is_asked_then(bench: Turns) -> None:
    bench.submit()
    bench.pass_s(30.0)
    bench.turn(fault(retry_after_s=100.0))
    bench.pass_s(99.0)
    assert bench.nothing_to_claim()
    bench.pass_s(1.0)
    bench.turn(DONE)


def test_an_outage_of_the_provider_does_not_lose_its_work(bench: Turns) -> None:
    bench.submit()
    for _ in range(19):
        bench.pass_s(30.0)
        bench.turn(fault(retry_after_s=10.0))
        assert bench.state == SUBMITTED
    bench.pass_s(30.0)
    bench.turn(at_provider(b"h2"))  # it is back, and the count begins anew
    for _ in range(20):
        assert bench.state == SUBMITTED
        bench.pass_s(30.0)
        bench.turn(fault(retry_after_s=10.0))
    assert bench.state == FAILED
    assert bench.job.error.message.endswith(WARNING)


def test_an_outage_before_anything_is_at_the_provider_ends_as_other_faults(bench: Turns) -> None:
    bench.create()
    for _ in range(3):
        bench.pass_s(30.0)
        bench.turn(fault(retry_after_s=10.0))
    assert bench.state == FAILED


def test_a_callers_fault_in_a_poll_ends_it(bench: Turns) -> None:
    bench.submit()
    bench.pass_s(30.0)
    bench.turn(fault(Fault.CALLER))
    assert bench.state == FAILED
    assert bench.job.error.message == "it broke"


def test_a_cancel_is_passed_on_at_once(bench: Turns) -> None:
    bench.submit()
    assert bench.cancel() == CANCELLING
    claim = bench.claim()
    assert (claim.handle, claim.stopped, claim.attempt) == (b"h1", True, 1)
    assert bench.jobs.finish(claim, at_provider(b"h2", 5.0))  # the provider takes its time
    assert bench.state == CANCELLING
    assert bench.nothing_to_claim()
    bench.pass_s(5.0)
    assert bench.turn(STOPPED).handle == b"h2"
    job = bench.job
    assert (job.state, job.error.message) == (CANCELLED, "enough")
    assert job.attempts[0].outcome == pb.ATTEMPT_OUTCOME_STOPPED
    assert [e.state for e in bench.events()][-2:] == [CANCELLING, CANCELLED]


def test_a_poll_under_way_hears_of_a_cancel_and_one_that_missed_it_is_followed_at_once(
    bench: Turns,
) -> None:
    bench.submit()
    bench.pass_s(30.0)
    claim = bench.claim()
    assert bench.cancel() == CANCELLING
    assert bench.jobs.signs([claim.fence]) == {claim.fence: "stop"}
    assert bench.jobs.finish(claim, at_provider())
    assert bench.claim().stopped


def test_what_was_finished_before_the_cancel_was_heard_succeeds(bench: Turns) -> None:
    bench.submit()
    bench.cancel()
    bench.turn(DONE)
    assert bench.state == SUCCEEDED


@pytest.mark.parametrize("ending", [LOST, BACK, fault()])
def test_a_cancel_that_was_not_answered_is_passed_on_again(bench: Turns, ending: Ending) -> None:
    bench.submit()
    bench.cancel()
    bench.turn(ending)
    assert bench.state == CANCELLING
    bench.pass_s(4.0)
    assert bench.claim().stopped


def test_a_provider_that_never_confirms_a_cancel_is_given_up(bench: Turns) -> None:
    bench.submit()
    bench.cancel()
    for _ in range(9):
        bench.turn(at_provider(b"h", MINUTE_S))
        bench.pass_s(MINUTE_S)
    claim = bench.claim()
    assert bench.state == CANCELLING
    bench.pass_s(MINUTE_S)
    job = bench.job
    assert (job.state, job.error.message) == (CANCELLED, "enough" + WARNING)
    assert bench.events()[-1].reason.endswith(WARNING)
    assert not bench.jobs.finish(claim, DONE)


def test_a_provider_that_cannot_be_asked_to_cancel_is_given_up(bench: Turns) -> None:
    bench.submit()
    bench.cancel()
    for _ in range(3):
        bench.pass_s(4.0)
        bench.turn(fault())
    assert bench.state == CANCELLED
    assert bench.job.error.message == "enough" + WARNING


def test_nobody_need_poll_for_a_cancel_to_end(bench: Turns) -> None:
    bench.submit()
    bench.cancel()
    assert bench.jobs.tick() == bench.time.us + 600_000_000
    bench.pass_s(600.0)
    assert bench.state == CANCELLED


def test_the_deadline_is_passed_on_when_it_comes(bench: Turns) -> None:
    bench.create(timeout_us=10_000_000)
    bench.turn(at_provider(b"h1", 3600.0))
    bench.pass_s(9.9)
    assert bench.nothing_to_claim()
    bench.pass_s(0.1)
    assert bench.turn(at_provider(b"h2", 20.0)).stopped
    assert bench.state == SUBMITTED
    bench.pass_s(20.0)
    bench.turn(STOPPED)
    job = bench.job
    assert (job.state, job.error.message) == (EXPIRED, "the deadline of the job passed")


def test_a_provider_that_does_not_answer_after_the_deadline_is_given_up(bench: Turns) -> None:
    bench.create(timeout_us=10_000_000)
    bench.turn(at_provider(b"h1", 3600.0))
    bench.pass_s(10.0 + 599.0)
    assert bench.state == SUBMITTED
    bench.pass_s(1.0)
    assert bench.state == EXPIRED
    assert bench.job.error.message.endswith(WARNING)
    assert bench.jobs.tick() is None


def test_a_turn_that_began_before_the_deadline_is_followed_at_once(bench: Turns) -> None:
    bench.create(timeout_us=40_000_000)
    bench.turn(at_provider(b"h1", 30.0))
    bench.pass_s(30.0)
    claim = bench.claim()
    bench.pass_s(10.0)
    assert bench.jobs.finish(claim, at_provider(b"h2", 3600.0))
    assert bench.claim().stopped


def test_a_retry_that_was_cancelled_tells_the_provider_of_the_attempt_before(bench: Turns) -> None:
    """It waits here, but what it had asked for may be there."""
    bench.create()
    claim = bench.claim()
    bench.jobs.checkpoint(claim, b"intent", LEASE_US)
    bench.jobs.finish(claim, LOST)
    assert bench.state == QUEUED
    assert bench.cancel() == CANCELLING
    turn = bench.turn(STOPPED)
    assert (turn.handle, turn.stopped, turn.attempt) == (b"intent", True, 1)
    job = bench.job
    assert (job.state, job.attempt_count) == (CANCELLED, 1)
    assert job.attempts[0].outcome == pb.ATTEMPT_OUTCOME_WORKER_LOST  # as it was


def test_a_retry_that_is_too_late_tells_the_provider_of_the_attempt_before(bench: Turns) -> None:
    bench.create(timeout_us=1_200_000)
    claim = bench.claim()
    bench.jobs.checkpoint(claim, b"intent", LEASE_US)
    bench.pass_s(1.0)
    bench.jobs.finish(claim, LOST)
    bench.pass_s(0.2)
    turn = bench.turn(STOPPED)
    assert (turn.handle, turn.stopped, turn.attempt) == (b"intent", True, 2)
    assert bench.state == EXPIRED


def test_what_is_at_a_provider_comes_before_what_is_new(bench: Turns) -> None:
    bench.submit(priority=-5)
    bench.bench.create(priority=9)
    bench.pass_s(30.0)
    assert [c.id == bench.uid for c in bench.jobs.claim("w", 2, LEASE_US)] == [True, False]


def test_a_submitted_job_survives_a_restart_of_its_server(bench: Turns) -> None:
    bench.submit()
    bench.pass_s(30.0)
    bench.claim()
    assert bench.jobs.recover("w") == 1  # as a server does that finds what its former self held
    assert bench.state == SUBMITTED
    bench.pass_s(1.0)
    bench.turn(DONE)
    assert bench.state == SUCCEEDED


def test_a_drain_gives_a_poll_back_at_once(bench: Turns) -> None:
    bench.submit()
    bench.pass_s(30.0)
    bench.turn(BACK)
    assert bench.state == SUBMITTED
    assert bench.claim().handle == b"h1"


def test_a_handle_has_a_size() -> None:
    assert Submitted(bytes(HANDLE_BYTES_MAX), 1.0).handle == bytes(HANDLE_BYTES_MAX)
    with pytest.raises(ValueError, match=f"at most {HANDLE_BYTES_MAX} bytes, given"):
        Submitted(bytes(HANDLE_BYTES_MAX + 1), 1.0)


def test_a_delay_is_bounded() -> None:
    assert Submitted(b"", -1.0).poll_after_s == POLL_AFTER_S_MIN
    assert Submitted(b"", float("inf")).poll_after_s == 7 * 86_400
    with pytest.raises(ValueError, match="given nan"):
        Submitted(b"", float("nan"))
