"""Jobs at a provider, over gRPC: what callers see of them."""

from google.protobuf.duration_pb2 import Duration
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate_server.jobs.faults import Submitted

from .conftest import until

SUBMITTED, CANCELLED, SUCCEEDED = (
    job_pb2.JOB_STATE_SUBMITTED,
    job_pb2.JOB_STATE_CANCELLED,
    job_pb2.JOB_STATE_SUCCEEDED,
)
PROGRESS = job_pb2.JobProgress(work=7)


def submitting(job_server, after_s):
    """A gate whose turns end at the provider, until its error is taken away."""
    seed, gate = job_server.gate()
    gate.error = Submitted(b"handle", after_s, PROGRESS)
    gate.open.set()
    return seed, gate


def states(watch, name):
    """Of a job, until it is over."""
    seen = []
    for message in watch:
        for event in message.events:
            if event.job == name:
                seen.append(event.state)
                if event.state >= job_pb2.JOB_STATE_SUCCEEDED:
                    watch.cancel()
                    return seen
    raise AssertionError("the watch ended")


def test_a_job_at_a_provider_is_asked_after_until_it_is_done(job_server, caller):
    seed, gate = submitting(job_server, 0.01)
    watch = caller.watch(states_only=True)
    next(watch)
    name = caller.create(seed).name
    for _ in range(4):
        gate.wait_entered()
    until(lambda: caller.get(name).state == SUBMITTED)
    assert len(caller.get(name).attempts) == 1
    gate.error = None
    done = caller.wait(name, view=pb.JOB_VIEW_FULL)
    assert (done.state, done.attempt_count, done.result.solve.seed) == (SUCCEEDED, 1, seed)
    assert states(watch, name) == [1, 3, SUBMITTED, SUCCEEDED]


def test_a_job_at_a_provider_is_found_and_cancelled(job_server, caller):
    seed, gate = submitting(job_server, 3600.0)
    name = caller.create(seed).name
    until(lambda: caller.get(name).state == SUBMITTED)
    found = caller.call("ListJobs", pb.ListJobsRequest(filter="state = SUBMITTED")).jobs
    assert [job.name for job in found] == [name]
    short = Duration(nanos=1_000_000)
    assert caller.wait(name, timeout=short).state == SUBMITTED
    gate.error = None
    caller.call("CancelJob", pb.CancelJobRequest(name=name, reason="enough"))
    over = caller.wait(name, view=pb.JOB_VIEW_FULL)
    assert (over.state, over.error.message) == (CANCELLED, "enough")
    assert over.result.solve.seed == seed  # the best so far
