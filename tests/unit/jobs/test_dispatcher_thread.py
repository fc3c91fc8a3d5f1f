"""The dispatcher's thread over a real store and real workers: jobs from their creation to their end."""

import ctypes
import hashlib
import os
import signal
import sys
import threading
from pathlib import Path

import psutil
import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.jobs.base import Actor, NewJob, RequestKey
from ketgate_server.jobs.dispatcher import Dispatcher, DispatcherSettings
from ketgate_server.jobs.dispatcher_thread import DispatcherThread
from ketgate_server.jobs.executors.attempt import Surroundings
from ketgate_server.jobs.executors.local import LocalExecutor
from ketgate_server.jobs.ids import new_id
from ketgate_server.jobs.kinds import Kinds
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.database import open_store

FOLDER = str(Path(__file__).parent / "executors")
TIMEOUT_S = 200.0
MIB = 1 << 20
OVER = {
    pb.JOB_STATE_SUCCEEDED,
    pb.JOB_STATE_FAILED,
    pb.JOB_STATE_CANCELLED,
    pb.JOB_STATE_EXPIRED,
}


class Server:
    """A job engine in this process, without a door."""

    def __init__(self, folder, run, isolation, slots=2):
        import work

        self.store = open_store(folder)
        self.jobs = JobStore(self.store, Policy(backoff_us=1000))
        self._changed = threading.Condition()
        self._revision = 0
        kinds = Kinds([work.Kind(getattr(work, run))])
        self.executor = LocalExecutor(slots, kinds, Surroundings(), isolation)
        settings = DispatcherSettings(worker="server/1")
        self.thread = DispatcherThread(
            lambda wake: Dispatcher(self.jobs, self.executor, settings, wake)
        )
        self.jobs.on_change(self.thread.dispatcher.changed)
        self.jobs.on_change(self._on_change)
        self.thread.start()

    def close(self):
        self.thread.drain(0.0)
        self.executor.close()
        self.store.close()

    def create(self, **spec):
        encoded = pb.JobSpec(solve=spec).SerializeToString()
        new = NewJob(
            actor=Actor("t", "me", "/test/Create"),
            request=RequestKey("", b""),
            id=new_id(self.jobs.now_us()),
            kind="solve",
            spec=encoded,
            spec_digest=hashlib.sha256(encoded).digest(),
        )
        self.jobs.create(new)
        return new.id

    def cancel(self, job_id):
        self.jobs.cancel(Actor("t", "me", "/test/Cancel"), RequestKey("", b""), job_id)

    def when(self, job_id, condition):
        """The job, once that holds of it."""
        while True:
            with self._changed:
                seen = self._revision
            job = self.jobs.get("t", job_id, full=True)
            if condition(job):
                return job
            with self._changed:
                assert self._changed.wait_for(lambda s=seen: self._revision != s, TIMEOUT_S), job

    def end_of(self, job_id):
        return self.when(job_id, lambda job: job.state in OVER)

    def at_work(self, job_id):
        return self.when(job_id, lambda job: job.progress.work)

    def _on_change(self, revision):
        with self._changed:
            self._revision = revision
            self._changed.notify_all()


@pytest.fixture
def start(tmp_path, monkeypatch):
    monkeypatch.setenv("PYTHONPATH", FOLDER, prepend=os.pathsep)
    monkeypatch.syspath_prepend(FOLDER)
    servers = []

    def start_server(run, isolation="thread", **options):
        servers.append(Server(tmp_path, run, isolation, **options))
        return servers[-1]

    yield start_server
    for server in servers:
        server.close()
    sys.modules.pop("work", None)


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_job_is_done(start, isolation):
    server = start("echo", isolation)
    job = server.end_of(server.create(seed=5))
    assert job.state == pb.JOB_STATE_SUCCEEDED
    assert job.result.solve.seed == 5
    assert [attempt.number for attempt in job.attempts] == [1]


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_cancelled_job_keeps_its_best(start, isolation):
    server = start("until_stopped", isolation)
    job = server.create(seed=5)
    server.at_work(job)
    server.cancel(job)
    ended = server.end_of(job)
    assert ended.state == pb.JOB_STATE_CANCELLED
    assert ended.result.solve.seed == 5


def test_a_job_whose_worker_is_killed_is_done_by_another(start):
    server = start("until_stopped", "process")
    job = server.create(seed=5)
    first = server.at_work(job).progress
    os.kill(first.work, signal.SIGKILL)
    second = server.when(job, lambda job: job.progress.work not in (0, first.work)).progress
    assert (first.attempt, second.attempt) == (1, 2)
    server.cancel(job)
    ended = server.end_of(job)
    assert [attempt.outcome for attempt in ended.attempts] == [
        pb.ATTEMPT_OUTCOME_WORKER_LOST,
        pb.ATTEMPT_OUTCOME_STOPPED,
    ]
    assert "signal 9" in ended.attempts[0].error.message
    assert ended.result.solve.seed == 5


def test_a_job_that_kills_its_workers_is_given_up(start):
    server = start("dies", "process")
    job = server.end_of(server.create())
    assert job.state == pb.JOB_STATE_FAILED
    assert "WORKER_LOST" in str(job.error.details)
    assert len(job.attempts) == Policy().losses_max


def test_a_drained_server_gives_back_and_the_next_goes_on(start):
    first = start("until_stopped")
    job = first.create(seed=5)
    first.at_work(job)
    assert first.thread.drain(2.0)
    first.executor.close()
    assert first.jobs.get("t", job).state == pb.JOB_STATE_QUEUED
    second = start("echo")
    ended = second.end_of(job)
    assert ended.state == pb.JOB_STATE_SUCCEEDED
    assert [attempt.outcome for attempt in ended.attempts] == [
        pb.ATTEMPT_OUTCOME_GIVEN_BACK,
        pb.ATTEMPT_OUTCOME_SUCCEEDED,
    ]


def test_a_step_that_fails_does_not_end_the_thread(start, monkeypatch, caplog):
    monkeypatch.setattr("ketgate_server.jobs.dispatcher_thread.FAULT_PAUSE_S", 0.01)
    server = start("echo")
    tick = server.jobs.tick
    failed = threading.Event()

    def fail_once():
        if not failed.is_set():
            failed.set()
            raise ZeroDivisionError
        return tick()

    server.jobs.tick = fail_once
    assert server.end_of(server.create()).state == pb.JOB_STATE_SUCCEEDED
    assert failed.wait(TIMEOUT_S)
    assert server.end_of(server.create()).state == pb.JOB_STATE_SUCCEEDED
    assert "a step of the dispatcher failed" in caplog.text


def test_memory_and_threads_stay_flat(start):
    server = start("grow")
    process = psutil.Process()

    def jobs(number):
        ids = [server.create(work_limit=MIB // 2) for _ in range(number)]
        for job in ids:
            server.end_of(job)

    def used():
        ctypes.CDLL(None).malloc_trim(0)  # what is free is not used, though glibc may keep it
        return process.memory_info().rss

    jobs(40)
    before = used(), threading.active_count()
    jobs(200)
    assert used() < before[0] + 24 * MIB  # their results together: 100
    assert threading.active_count() <= before[1] + 4  # the second slot, and readers of the store
