"""Two servers over one database share one queue, and each tells of what the other does."""

import pytest
from google.protobuf.duration_pb2 import Duration
from ketgate.jobs.v1 import job_service_pb2 as pb

from .conftest import OVER

SUCCEEDED, RUNNING, CANCELLED = 5, 3, 7


@pytest.fixture
def pair(make_job_server, postgres_server):
    """Two servers, and a caller of one tenant on each."""
    url = postgres_server.new_database()
    servers = [make_job_server(jobs={"workers": 1}, store_url=url) for _ in range(2)]
    return servers, [server.caller(tenant="shared") for server in servers]


def test_what_one_accepts_both_know(pair):
    _, (a, b) = pair
    job = a.create(1, request_id="r", delay=Duration(seconds=3600))
    assert b.get(job.name).name == job.name
    assert b.create(1, request_id="r", delay=Duration(seconds=3600)).name == job.name
    b.call("CancelJob", pb.CancelJobRequest(name=job.name))
    assert a.get(job.name).state == CANCELLED


def test_waits_and_watches_hear_of_the_other_server(pair):
    _, (a, b) = pair
    watch = b.watch()
    next(watch)
    name = a.create().name
    assert b.wait(name).state == SUCCEEDED
    seen = []
    for message in watch:
        seen += message.events
        if seen and seen[-1].state in OVER:
            break
    watch.cancel()
    assert [(event.job, event.state) for event in seen] == [(name, 1), (name, 3), (name, 5)]


def test_a_cancel_reaches_the_server_that_runs_the_job(pair):
    servers, (a, b) = pair
    seed, gate = servers[0].gate()
    servers[1].work.gates[seed] = gate  # whichever takes it
    name = a.create(seed).name
    gate.wait_entered()
    for caller in (a, b):
        assert caller.get(name).state == RUNNING
    runs_on_a = servers[0].durable.jobs.dispatcher.dispatcher.held == 1
    (b if runs_on_a else a).call("CancelJob", pb.CancelJobRequest(name=name))
    assert a.wait(name).state == CANCELLED
    assert b.wait(name, view=pb.JOB_VIEW_FULL).result.solve.seed == seed


def test_both_take_from_the_queue(pair):
    servers, (a, b) = pair
    seed, gate = servers[0].gate()
    servers[1].work.gates[seed] = gate
    names = [a.create(seed).name for _ in range(2)]
    gate.wait_entered()
    gate.wait_entered()  # one worker each, so both servers are at it
    assert [server.durable.jobs.dispatcher.dispatcher.held for server in servers] == [1, 1]
    gate.open.set()
    assert [b.wait(name).state for name in names] == [SUCCEEDED] * 2
