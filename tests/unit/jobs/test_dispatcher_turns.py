"""Turns of jobs at a provider, as the dispatcher holds them; stepped by hand as in test_dispatcher."""

import math

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Ending, Outcome
from ketgate_server.jobs.faults import Stopped

from .test_dispatcher import DONE, START_US, STOPPED, World


@pytest.fixture
def world(tmp_path):
    world = World(tmp_path)
    yield world
    world.store.close()


def at_provider(after_s=30.0, handle=b"h1", **more):
    return Ending(Outcome.SUBMITTED, handle=handle, poll_after_s=after_s, **more)


def submit(world, dispatcher, executor, **options):
    job = world.create(**options)
    world.step(dispatcher)
    executor.attempts[-1].end(at_provider())
    world.step(dispatcher)
    return job


def test_no_worker_is_held_while_the_work_is_at_the_provider(world):
    dispatcher, executor, _ = world.server(room=1)
    job = submit(world, dispatcher, executor)
    assert (world.state(job), dispatcher.held, executor.room) == ("SUBMITTED", 0, 1)
    other = world.create()
    world.step(dispatcher)
    assert executor.attempts[1].claim.id == other
    executor.attempts[1].end(DONE)
    world.pass_time(dispatcher, 29.9)
    assert len(executor.attempts) == 2
    world.pass_time(dispatcher, 0.2)
    poll = executor.attempts[2]
    assert (poll.claim.id, poll.claim.handle, poll.claim.attempt) == (job, b"h1", 1)
    poll.end(DONE)
    world.step(dispatcher)
    assert world.state(job) == "SUCCEEDED"
    assert world.step(dispatcher, after_s=1.0) == math.inf


def test_another_server_polls_when_the_first_is_gone(world):
    first, executor, _ = world.server("a")
    other, others, _ = world.server("b", poll_s=0.2)
    world.pass_time(other, 1.0)
    submit(world, first, executor)
    for _ in range(3):
        world.pass_time(other, 30.5)
        poll = others.attempts[-1]
        poll.end(at_provider())
        world.step(other)
    assert len(others.attempts) == 3


def test_another_server_learns_when_a_poll_without_an_event_is_followed(world):
    """Nothing tells of it but the number that rises with every change."""
    first, executor, _ = world.server("a")
    other, others, _ = world.server("b", poll_s=0.2)
    world.jobs._listeners[:] = [first.changed]  # as the other were a process of its own
    job = world.create()
    world.step(first)
    executor.attempts[0].end(at_provider(1.0))
    world.pass_time(first, 1.5)
    world.pass_time(other, 1.0)
    executor.attempts[1].end(at_provider(20.0))
    world.step(first)  # and is never heard of again
    world.pass_time(other, 21.0)
    assert [attempt.claim.id for attempt in others.attempts] == [job]


def test_elapsed_counts_from_the_begin_of_the_attempt(world):
    dispatcher, executor, _ = world.server()
    job = submit(world, dispatcher, executor)
    world.pass_time(dispatcher, 30.1)
    executor.attempts[1].end(at_provider(progress=pb.JobProgress(work=5)))
    world.step(dispatcher)
    progress = world.get(job).progress
    assert (progress.work, progress.attempt) == (5, 1)
    assert progress.elapsed.ToMicroseconds() * 1e-6 == pytest.approx(30.0, abs=0.2)
    assert progress.time.ToMicroseconds() > START_US


def test_a_cancel_while_it_waits_is_a_turn_that_is_to_stop(world):
    dispatcher, executor, _ = world.server()
    job = submit(world, dispatcher, executor)
    world.cancel(job)
    world.step(dispatcher)
    poll = executor.attempts[1]
    assert poll.claim.stopped
    world.pass_time(dispatcher, 10.0)
    assert poll.stops == 0  # it knew
    poll.end(STOPPED)
    world.step(dispatcher)
    assert world.state(job) == "CANCELLED"


def test_a_turn_hears_of_a_cancel(world):
    dispatcher, executor, _ = world.server()
    job = submit(world, dispatcher, executor)
    world.pass_time(dispatcher, 30.1)
    world.cancel(job)
    world.pass_time(dispatcher, 0.1)
    assert executor.attempts[1].stops == 1


def test_a_turn_that_was_lost_is_not_told_to_stop(world):
    """It would cancel at the provider what another server goes on with."""
    silent, executor, _ = world.server("a")
    submit(world, silent, executor)
    world.pass_time(silent, 30.1)
    other, others, _ = world.server("b")
    world.pass_time(other, 30.0)
    assert others.attempts[0].claim.handle == b"h1"
    world.pass_time(silent, 1.0)
    assert executor.attempts[1].stops == 0
    executor.attempts[1].end(STOPPED)
    world.step(silent)
    assert silent.held == 0
    others.attempts[0].end(DONE)
    world.step(other)


def test_a_drain_neither_stops_nor_gives_back_who_talks_to_a_provider(world):
    """Its lease runs out: nobody else begins before it has surely ended."""
    dispatcher, executor, _ = world.server("a", lease_s=15.0)
    job = world.create()
    world.step(dispatcher)
    executor.attempts[0].checkpoint(b"intent")
    dispatcher.drain(world.clock.s + 1.0, world.clock.s + 2.0)
    world.pass_time(dispatcher, 3.0)
    assert (executor.attempts[0].stops, dispatcher.held) == (0, 0)
    assert world.state(job) == "RUNNING"
    other, others, _ = world.server("b")
    world.pass_time(other, 11.0)
    assert not others.attempts
    world.pass_time(other, 5.0)
    assert (others.attempts[0].claim.handle, others.attempts[0].claim.attempt) == (b"intent", 2)


def test_a_checkpoint_is_on_disk_when_it_returns_and_prolongs_the_lease(world):
    dispatcher, executor, _ = world.server("a", lease_s=15.0)
    job = world.create()
    world.step(dispatcher)
    world.clock.s += 14.0
    executor.attempts[0].checkpoint(b"intent")
    world.clock.s += 14.0  # nobody renewed it
    other, others, _ = world.server("b")
    world.step(other)
    assert world.state(job) == "RUNNING"
    world.pass_time(other, 3.0)
    assert others.attempts[0].claim.handle == b"intent"
    with pytest.raises(Stopped):
        executor.attempts[0].checkpoint(b"too late")


def test_a_checkpoint_that_cannot_be_stored_is_told(world):
    dispatcher, executor, queue = world.server()
    world.create()
    world.step(dispatcher)
    queue.out = True
    with pytest.raises(KetgateError) as caught:
        executor.attempts[0].checkpoint(b"intent")
    assert caught.value.reason is Reason.STORE_UNAVAILABLE
