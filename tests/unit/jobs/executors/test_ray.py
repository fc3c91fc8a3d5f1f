"""A Ray cluster: what only it can do to an attempt."""

import os
import signal
import socket

import psutil
import pytest
from ketgate_server import parts
from ketgate_server.errors import PartMissing, Reason
from ketgate_server.jobs.base import Outcome
from ketgate_server.jobs.executors.attempt import Surroundings
from ketgate_server.jobs.executors.ray import RayExecutor
from ketgate_server.jobs.kinds import Kinds

from .conftest import TIMEOUT_S, Bench

ray_group = pytest.mark.xdist_group("ray")


def test_without_ray_the_error_says_how_to_get_it(monkeypatch):
    monkeypatch.setattr(parts, "part_version", lambda name: None)
    with pytest.raises(PartMissing, match=r"pip install .*\[ray\]"):
        RayExecutor(1, Kinds(), Surroundings(), "127.0.0.1:1")


@ray_group
def test_an_actor_killed_at_work_is_a_lost_attempt(open_bench):
    here = open_bench("ray")("until_stopped")
    here.start({"seed": 1})
    os.kill(here.progress().work, signal.SIGKILL)
    ending = here.end()
    assert (ending.outcome, ending.error.reason) == (Outcome.LOST, Reason.WORKER_LOST)
    attempt = here.start({"seed": 2})
    here.progress()
    attempt.stop()
    assert here.end().outcome is Outcome.STOPPED


@ray_group
def test_a_driver_killed_at_work_is_a_lost_attempt_and_its_actor_ends(open_bench):
    here = open_bench("ray")("until_stopped")
    drivers = {slot._worker._process for slot in here.executor._made}
    here.start({"seed": 1})
    actor = psutil.Process(here.progress().work)
    for driver in drivers - {None}:
        driver.kill()
    assert here.end().outcome is Outcome.LOST
    psutil.wait_procs([actor], timeout=TIMEOUT_S)
    assert not actor.is_running()
    here.start({"seed": 2}).stop()
    assert here.end().outcome is Outcome.STOPPED


@ray_group
def test_what_waits_for_a_node_hears_that_it_is_to_stop(open_bench, cluster, monkeypatch):
    here = open_bench("ray")("until_stopped")
    monkeypatch.setattr(here.executor, "_surroundings", Surroundings(threads=1000))
    attempt = here.start({"seed": 1})
    attempt.stop()
    ending = here.end()
    assert (ending.outcome, ending.result) == (Outcome.STOPPED, None)


def test_what_waits_for_the_cluster_hears_that_it_is_to_stop(work_can_be_imported):
    """And does not fail: an outage is no fault of the job."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'ketgate-server[ray]'")
    import work

    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{closed.getsockname()[1]}"  # nobody listens
        kinds = Kinds([work.Kind(work.echo)])
        executor = RayExecutor(1, kinds, Surroundings(), address)
        here = Bench(executor)
        here.start().stop()
        assert here.end().outcome is Outcome.STOPPED
        executor.close()


@ray_group
def test_signals_meant_for_the_server_do_not_end_its_drivers(open_bench):
    here = open_bench("ray")("until_stopped")
    attempt = here.start({"seed": 1})
    here.progress()
    for slot in here.executor._made:
        if slot._worker._process is not None:
            slot._worker._process.terminate()
    attempt.stop()
    assert here.end().outcome is Outcome.STOPPED
