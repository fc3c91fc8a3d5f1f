"""The dispatcher, stepped by hand over a real store with a clock of the test's own. Nothing here waits."""

import hashlib
import math

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.jobs.base import Actor, Ending, Fault, NewJob, Outcome, RequestKey
from ketgate_server.jobs.dispatcher import Dispatcher, DispatcherSettings
from ketgate_server.jobs.ids import new_id
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import StoreUnavailable
from ketgate_server.store.database import open_store

ME = Actor("t", "me", "/test/Create")
START_US = 1_700_000_000_000_000
BEST = pb.JobResult(solve={"seed": 7}).SerializeToString()
DONE = Ending(Outcome.SUCCEEDED, result=BEST)
STOPPED = Ending(Outcome.STOPPED, result=BEST)


class Clock:
    """Seconds for the dispatcher, and the same in microseconds for the store."""

    def __init__(self):
        self.s = 0.0

    def us(self):
        return START_US + round(self.s * 1e6)


class HandExecutor:
    """Attempts that do what the test says."""

    def __init__(self, room):
        self.slots = room
        self.attempts = []

    @property
    def room(self):
        return self.slots - sum(not attempt.over for attempt in self.attempts)

    def start(self, claim, *, remaining_s, progress, checkpoint, end):
        self.attempts.append(HandAttempt(claim, remaining_s, progress, checkpoint, end))
        return self.attempts[-1]

    def close(self):
        pass


class HandAttempt:
    def __init__(self, claim, remaining_s, progress, checkpoint, end):
        self.claim, self.remaining_s, self.progress, self._end = claim, remaining_s, progress, end
        self.checkpoint = checkpoint
        self.over = False
        self.stops = 0

    def stop(self):
        self.stops += 1

    def end(self, ending):
        self.over = True
        self._end(ending)


class Weather:
    """A JobStore that may be out of reach, or refuse the end of some jobs."""

    def __init__(self, jobs):
        self.jobs = jobs
        self.out = False
        self.refused = set()
        self.calls = 0

    def __getattr__(self, name):
        if self.out:
            self.calls += 1
            raise StoreUnavailable("out of reach")
        return getattr(self.jobs, name)

    def finish_many(self, endings):
        if self.out:
            raise StoreUnavailable("out of reach")
        for claim, ending in endings:
            if claim.id in self.refused and ending.outcome is Outcome.SUCCEEDED:
                raise ValueError("it cannot be written")
        return self.jobs.finish_many(endings)


class World:
    """One store, one clock, and servers over it."""

    def __init__(self, folder):
        self.clock = Clock()
        self.store = open_store(folder, clock=self.clock.us)
        self.jobs = JobStore(self.store, random_bytes=lambda n: bytes(n))
        self._created = 0

    def server(self, worker="a", room=2, **settings):
        queue, executor = Weather(self.jobs), HandExecutor(room)
        dispatcher = Dispatcher(queue, executor, DispatcherSettings(worker=worker, **settings))
        self.jobs.on_change(dispatcher.changed)
        return dispatcher, executor, queue

    def create(self, timeout_s=None, **more):
        self._created += 1
        spec = pb.JobSpec(solve={"seed": self._created}).SerializeToString()
        new = NewJob(
            actor=ME,
            request=RequestKey("", b""),
            id=new_id(self.clock.us(), self._created.to_bytes(16)),
            kind="solve",
            spec=spec,
            spec_digest=hashlib.sha256(spec).digest(),
            timeout_us=None if timeout_s is None else round(timeout_s * 1e6),
            **more,
        )
        self.jobs.create(new)
        return new.id

    def cancel(self, job_id):
        self.jobs.cancel(Actor("t", "me", "/test/Cancel"), RequestKey("", b""), job_id, "enough")

    def get(self, job_id):
        self.store.run(lambda tx: None)  # what was submitted before it is written by then
        return self.jobs.get("t", job_id, full=True)

    def state(self, job_id):
        return pb.JobState.Name(self.get(job_id).state).removeprefix("JOB_STATE_")

    def step(self, dispatcher, after_s=0.0):
        self.clock.s += after_s
        return dispatcher.step(self.clock.s)

    def pass_time(self, dispatcher, seconds):
        """Step it whenever it asks for that."""
        end_s = self.clock.s + seconds
        steps = 0
        while (next_s := dispatcher.step(self.clock.s)) <= end_s:
            self.clock.s = max(self.clock.s + 1e-6, next_s)
            steps += 1
            assert steps < 100 * (seconds + 1), "it asks to be called again and again"
        self.clock.s = end_s


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.store.close()


def test_claims_as_many_as_there_is_room_for(world):
    ids = [world.create() for _ in range(3)]
    dispatcher, executor, _ = world.server(room=2)
    world.step(dispatcher)
    assert [attempt.claim.id for attempt in executor.attempts] == ids[:2]
    assert world.state(ids[2]) == "QUEUED"
    executor.attempts[0].end(DONE)
    world.step(dispatcher)
    assert world.state(ids[0]) == "SUCCEEDED"
    assert world.get(ids[0]).result.solve.seed == 7
    assert executor.attempts[2].claim.id == ids[2]
    assert dispatcher.held == 2


def test_an_idle_dispatcher_sleeps_until_something_changes(world):
    dispatcher, executor, _ = world.server()
    world.step(dispatcher)
    assert world.step(dispatcher, after_s=1.0) == math.inf
    world.create()
    assert world.step(dispatcher, after_s=1.0) < math.inf
    assert len(executor.attempts) == 1


def test_a_cancel_stops_within_the_time_of_a_look_and_keeps_the_best(world):
    job = world.create()
    dispatcher, executor, _ = world.server(look_s=0.05)
    world.step(dispatcher)
    world.cancel(job)
    world.pass_time(dispatcher, 0.06)
    assert executor.attempts[0].stops == 1
    assert world.state(job) == "CANCELLING"
    world.cancel(job)
    world.pass_time(dispatcher, 20.0)
    assert executor.attempts[0].stops == 1  # told once
    executor.attempts[0].end(STOPPED)
    world.step(dispatcher)
    assert world.state(job) == "CANCELLED"
    assert world.get(job).result.solve.seed == 7
    assert "enough" in world.get(job).error.message


def test_what_finished_although_it_was_told_to_stop_has_succeeded(world):
    job = world.create()
    dispatcher, executor, _ = world.server()
    world.step(dispatcher)
    world.cancel(job)
    world.pass_time(dispatcher, 0.1)
    executor.attempts[0].end(DONE)
    world.step(dispatcher)
    assert world.state(job) == "SUCCEEDED"


def test_a_deadline_stops_and_keeps_the_best(world):
    job = world.create(timeout_s=30.0)
    dispatcher, executor, _ = world.server()
    world.step(dispatcher)
    assert executor.attempts[0].remaining_s == pytest.approx(30.0)
    world.pass_time(dispatcher, 29.9)
    assert executor.attempts[0].stops == 0
    world.pass_time(dispatcher, 0.11)
    assert executor.attempts[0].stops == 1
    executor.attempts[0].end(STOPPED)
    world.step(dispatcher)
    assert world.state(job) == "EXPIRED"
    assert world.get(job).result.solve.seed == 7


def test_a_job_that_waits_for_its_time_is_started_then(world):
    job = world.create(delay_us=10_000_000)
    dispatcher, executor, _ = world.server()
    world.pass_time(dispatcher, 9.9)
    assert not executor.attempts
    world.pass_time(dispatcher, 0.2)
    assert [attempt.claim.id for attempt in executor.attempts] == [job]


def test_a_lease_is_kept_as_long_as_it_runs(world):
    job = world.create()
    dispatcher, executor, _ = world.server(lease_s=15.0)
    other, others, _ = world.server("b")
    world.step(dispatcher)
    for _ in range(60):
        world.pass_time(dispatcher, 1.0)
        world.pass_time(other, 0.0)
    assert not others.attempts
    assert world.get(job).attempt_count == 1
    executor.attempts[0].end(DONE)
    world.step(dispatcher)
    assert world.state(job) == "SUCCEEDED"


def test_a_silent_server_loses_its_attempts_and_its_late_end_changes_nothing(world):
    job = world.create()
    silent, first, _ = world.server("a")
    world.step(silent)
    other, second, _ = world.server("b")
    world.pass_time(other, 30.0)  # the lease runs out, and the wait before another try too
    assert [attempt.claim.attempt for attempt in second.attempts] == [2]
    world.step(silent)
    assert first.attempts[0].stops == 1  # told that it lost
    first.attempts[0].progress(pb.JobProgress(objective=-1.0))
    first.attempts[0].end(DONE)
    world.step(silent, after_s=0.5)
    assert silent.held == 0
    assert world.state(job) == "RUNNING"
    assert not world.get(job).progress.HasField("objective")
    second.attempts[0].end(Ending(Outcome.SUCCEEDED, result=b""))
    world.step(other)
    assert world.state(job) == "SUCCEEDED"
    assert not world.get(job).result.solve.seed


def test_a_lost_worker_is_a_new_attempt_and_a_poison_pill_fails(world):
    job = world.create()
    dispatcher, executor, _ = world.server()
    for number in (1, 2, 3):
        world.pass_time(dispatcher, 60.0)
        assert executor.attempts[-1].claim.attempt == number
        executor.attempts[-1].end(Ending(Outcome.LOST))
        world.step(dispatcher)
    assert world.state(job) == "FAILED"
    assert "WORKER_LOST" in str(world.get(job).error)
    world.pass_time(dispatcher, 600.0)
    assert len(executor.attempts) == 3


def test_a_providers_fault_is_tried_again_and_a_callers_is_not(world):
    job, other = world.create(), world.create()
    dispatcher, executor, _ = world.server()
    world.step(dispatcher)
    busy = KetgateError(Reason.SERVER_BUSY, "come back later", retry_after_s=40.0)
    executor.attempts[0].end(Ending(Outcome.FAILED, fault=Fault.PROVIDER, error=busy))
    wrong = FieldError("spec", expected="sense", given="nonsense")
    executor.attempts[1].end(Ending(Outcome.FAILED, fault=Fault.CALLER, error=wrong))
    world.pass_time(dispatcher, 39.0)
    assert world.state(job) == "QUEUED"
    assert world.state(other) == "FAILED"
    world.pass_time(dispatcher, 2.0)
    assert executor.attempts[2].claim.id == job


def test_progress_is_thinned_and_the_newest_is_kept(world):
    job = world.create()
    dispatcher, executor, _ = world.server(progress_s=0.2)
    world.step(dispatcher)
    before = world.jobs.revision()
    for number in range(100):
        executor.attempts[0].progress(pb.JobProgress(objective=-float(number)))
        world.pass_time(dispatcher, 0.01)
    assert world.jobs.revision() - before <= 6
    world.pass_time(dispatcher, 0.2)
    progress = world.get(job).progress
    assert progress.objective == -99.0
    assert progress.attempt == 1
    assert 0.9 < progress.elapsed.ToMicroseconds() * 1e-6 < 1.3
    assert START_US < progress.time.ToMicroseconds() <= world.clock.us()


def test_progress_not_yet_written_is_written_with_the_end(world):
    job = world.create()
    dispatcher, executor, _ = world.server()
    world.step(dispatcher)
    for number in (1.0, 2.0):
        executor.attempts[0].progress(pb.JobProgress(objective=number))
        world.step(dispatcher)
    assert world.get(job).progress.objective == 1.0
    executor.attempts[0].end(DONE)
    world.step(dispatcher)
    assert world.get(job).progress.objective == 2.0


def test_an_end_waits_for_the_store(world):
    job = world.create()
    dispatcher, executor, queue = world.server()
    world.step(dispatcher)
    queue.out = True
    executor.attempts[0].end(DONE)
    world.pass_time(dispatcher, 10.0)
    assert world.state(job) == "RUNNING"
    assert queue.calls < 20  # it is not asked again and again
    queue.out = False
    world.pass_time(dispatcher, 5.1)
    assert world.state(job) == "SUCCEEDED"
    assert dispatcher.held == 0


def test_an_end_that_waited_too_long_is_stale(world):
    job = world.create()
    dispatcher, executor, queue = world.server("a")
    world.step(dispatcher)
    queue.out = True
    executor.attempts[0].end(DONE)
    other, others, _ = world.server("b")
    world.pass_time(other, 60.0)
    others.attempts[0].end(Ending(Outcome.SUCCEEDED, result=b""))
    world.step(other)
    queue.out = False
    world.pass_time(dispatcher, 10.0)
    assert dispatcher.held == 0
    assert not world.get(job).result.solve.seed
    assert [attempt.outcome for attempt in world.get(job).attempts] == [
        pb.ATTEMPT_OUTCOME_WORKER_LOST,
        pb.ATTEMPT_OUTCOME_SUCCEEDED,
    ]


def test_one_end_that_cannot_be_written_does_not_keep_the_others(world):
    bad, good = world.create(), world.create()
    dispatcher, executor, queue = world.server()
    queue.refused.add(bad)
    world.step(dispatcher)
    for attempt in executor.attempts:
        attempt.end(DONE)
    world.step(dispatcher)
    assert world.state(good) == "SUCCEEDED"
    [attempt] = world.get(bad).attempts
    assert attempt.outcome == pb.ATTEMPT_OUTCOME_SERVER_ERROR
    assert dispatcher.held == 0


def test_an_attempt_that_cannot_be_started_has_failed(world):
    job = world.create()
    dispatcher, executor, _ = world.server()

    def start(claim, **_):
        raise RuntimeError("can't start new thread")

    executor.start = start
    world.pass_time(dispatcher, 0.1)
    [attempt] = world.get(job).attempts
    assert attempt.outcome == pb.ATTEMPT_OUTCOME_SERVER_ERROR
    assert "can't start" not in attempt.error.message  # the log has it, the caller not
    assert attempt.error.message.endswith(f"jobs/{job}/attempts/1")
    assert world.state(job) == "QUEUED"


def test_a_drain_lets_finish_what_can_and_gives_back_the_rest(world):
    quick, slow, deaf, waiting = (world.create() for _ in range(4))
    dispatcher, executor, _ = world.server(room=3)
    world.step(dispatcher)
    dispatcher.drain(world.clock.s + 9.0, world.clock.s + 10.0)
    world.pass_time(dispatcher, 1.0)
    assert [attempt.stops for attempt in executor.attempts] == [0, 0, 0]
    executor.attempts[0].end(DONE)
    world.pass_time(dispatcher, 8.1)
    assert [attempt.stops for attempt in executor.attempts] == [0, 1, 1]
    executor.attempts[1].end(STOPPED)
    world.pass_time(dispatcher, 0.5)
    assert dispatcher.held == 1
    world.pass_time(dispatcher, 0.5)
    assert dispatcher.held == 0
    assert [world.state(job) for job in (quick, slow, deaf, waiting)] == [
        "SUCCEEDED",
        "QUEUED",
        "QUEUED",
        "QUEUED",
    ]
    assert not world.get(slow).HasField("result")
    executor.attempts[2].end(DONE)  # too late
    world.pass_time(dispatcher, 1.0)
    assert world.state(deaf) == "QUEUED"
    other, others, _ = world.server("b", room=3)
    world.step(other)  # at once: nothing went wrong
    assert {attempt.claim.id for attempt in others.attempts} == {slow, deaf, waiting}


def test_a_cancelled_job_keeps_its_best_through_a_drain(world):
    job = world.create()
    dispatcher, executor, _ = world.server()
    world.step(dispatcher)
    world.cancel(job)
    dispatcher.drain(world.clock.s, world.clock.s + 10.0)
    world.pass_time(dispatcher, 0.1)
    executor.attempts[0].end(STOPPED)
    world.step(dispatcher)
    assert world.state(job) == "CANCELLED"
    assert world.get(job).result.solve.seed == 7


def test_a_drain_ends_although_the_store_is_out_of_reach(world):
    job = world.create()
    dispatcher, executor, queue = world.server("a")
    world.step(dispatcher)
    queue.out = True
    dispatcher.drain(world.clock.s + 1.0, world.clock.s + 2.0)
    world.pass_time(dispatcher, 2.1)
    assert dispatcher.held == 0
    assert executor.attempts[0].stops == 1
    other, others, _ = world.server("b")
    world.pass_time(other, 30.0)
    assert others.attempts[0].claim.id == job


def test_changes_of_other_servers_are_found_by_looking(world):
    """As over a database that several servers share, and that tells none of the others' commits."""
    dispatcher, executor, _ = world.server(poll_s=0.2)
    world.jobs._listeners.clear()
    world.pass_time(dispatcher, 1.0)
    job = world.create()
    world.pass_time(dispatcher, 0.21)
    assert executor.attempts[0].claim.id == job
    world.cancel(job)
    world.pass_time(dispatcher, 0.26)
    assert executor.attempts[0].stops == 1
