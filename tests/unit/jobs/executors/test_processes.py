"""Worker processes: they die alone, end with their server, and give back what they took."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
from pathlib import Path

import psutil
import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate.type.v1 import tensor_pb2
from ketgate_server.errors import Reason
from ketgate_server.jobs.base import Outcome
from ketgate_server.jobs.executors.channel import Channel, Closed

MIB = 1 << 20
TIMEOUT_S = 200.0


@pytest.fixture
def bench(open_bench):
    return open_bench("process")


def pid_of(ending):
    return int(pb.JobResult.FromString(ending.result).solve.warnings[0])


def test_a_worker_killed_at_work_is_a_lost_attempt_and_the_next_has_a_new_one(bench, caplog):
    here = bench("until_stopped", slots=2)
    here.start({"seed": 1})
    reference = here.reference
    victim = here.progress().work
    other = here.start({"seed": 2})
    survivor = here.progress().work
    os.kill(victim, signal.SIGKILL)
    ending = here.end()
    assert (ending.outcome, ending.error.reason) == (Outcome.LOST, Reason.WORKER_LOST)
    assert "signal 9" in ending.error.message
    assert reference in caplog.text
    assert not psutil.pid_exists(victim)  # and was waited for
    third = here.start({"seed": 3})
    assert here.progress().work not in (victim, survivor)
    other.stop(), third.stop()
    assert {here.end().outcome, here.end().outcome} == {Outcome.STOPPED}


def test_a_worker_that_died_between_attempts_harms_none(bench):
    here = bench("echo")
    process = psutil.Process(pid_of(here.run()))
    process.kill()
    psutil.wait_procs([process], timeout=TIMEOUT_S)
    ending = here.run()
    assert ending.outcome is Outcome.SUCCEEDED
    assert pid_of(ending) != process.pid


def test_signals_meant_for_the_server_do_not_end_its_workers(bench):
    """A terminal's Ctrl-C and a supervisor's SIGTERM reach the whole group; the server drains."""
    here = bench("until_stopped")
    attempt = here.start({"seed": 1})
    worker = here.progress().work
    for number in (signal.SIGINT, signal.SIGTERM):
        os.kill(worker, number)
    attempt.stop()
    assert here.end().outcome is Outcome.STOPPED


def test_a_worker_gives_way_to_everything_else(bench):
    here = bench("echo")
    assert psutil.Process(pid_of(here.run())).nice() == 19


def test_a_worker_loads_what_it_needs_when_it_needs_it(bench):
    ending = bench("modules").run()
    loaded = set(pb.JobResult.FromString(ending.result).solve.warnings)
    assert "ketgate_server" in loaded
    assert not loaded & {"numpy", "scipy", "highspy", "grpc", "sqlalchemy", "pydantic"}


def test_closing_ends_the_processes(bench):
    here = bench("echo", slots=1)
    process = psutil.Process(pid_of(here.run()))
    here.executor.close()
    psutil.wait_procs([process], timeout=TIMEOUT_S)
    assert not process.is_running()


SERVER = """
    import queue, sys
    sys.path.insert(0, {folder!r})
    import work
    from ketgate_server.jobs.base import Claim
    from ketgate_server.jobs.executors.attempt import Surroundings
    from ketgate_server.jobs.executors.local import LocalExecutor
    from ketgate_server.jobs.kinds import Kinds
    executor = LocalExecutor(1, Kinds([work.Kind(work.until_stopped)]), Surroundings(), "process")
    news = queue.Queue()
    claim = Claim(1, "id", "t", "solve", b"\\n\\0", 1, 1, None)
    executor.start(claim, remaining_s=9.0, progress=news.put, checkpoint=print, end=print)
    print(news.get().work, flush=True)
    sys.stdin.read()
"""


def test_a_worker_ends_with_a_server_that_was_killed(work_can_be_imported):
    import work

    program = textwrap.dedent(SERVER.format(folder=str(Path(work.__file__).parent)))
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as server:
        worker = psutil.Process(int(server.stdout.readline()))
        server.kill()
        psutil.wait_procs([worker], timeout=TIMEOUT_S)
        assert not worker.is_running()


def test_memory_and_descriptors_stay_flat(bench):
    """Here and in the worker, over many attempts with large arrays both ways."""
    here = bench("echo")
    spec = {"initial": tensor_pb2.Tensor(data=bytes(4 * MIB))}
    worker, me = psutil.Process(pid_of(here.run(spec))), psutil.Process()
    for _ in range(10):
        here.run(spec)
    before = worker.memory_info().rss, me.memory_info().rss, worker.num_fds(), me.num_fds()
    for _ in range(60):
        here.run(spec)
    after = worker.memory_info().rss, me.memory_info().rss, worker.num_fds(), me.num_fds()
    # Of the 240 that passed through, one attempt's copies may be there, as either side frees them
    # while the other goes on.
    assert after[0] < before[0] + 48 * MIB
    assert after[1] < before[1] + 48 * MIB
    for now, then in zip(after[2:], before[2:], strict=True):
        assert now <= then + 2  # one may be about to be closed


def test_what_a_worker_logs_is_bounded(bench, caplog):
    with caplog.at_level(logging.INFO):
        ending = bench("logs_at_length").run()
    assert ending.outcome is Outcome.SUCCEEDED
    [text] = [message for _, _, message in caplog.record_tuples if message.startswith("long")]
    assert 1_000 < len(text) < 10_000


@pytest.mark.parametrize("size", [0, 1, 64 << 10, (64 << 10) + 1, 5 * MIB])
def test_a_channel_carries_any_bytes(size):
    here, other = Channel.pair()
    there = Channel(other)
    content = os.urandom(size)
    thread = threading.Thread(target=here.send, args=(("run", size), content))
    thread.start()
    assert there.receive() == (("run", size), content)
    thread.join()
    here.end()
    with pytest.raises(Closed):
        there.receive()
    with pytest.raises(Closed):
        there.send(("late",))
    here.close(), there.close()
    with pytest.raises(Closed):
        here.send(("later",))
