"""Jobs across the ends of their server: what was accepted is done, whatever happens to the process."""

import signal
import time

import grpc
import pytest
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.jobs.v1 import job_service_pb2_grpc as services

from ..specs import ising, random_couplings

TIMEOUT_S = 200.0
SUCCEEDED, RUNNING = job_pb2.JOB_STATE_SUCCEEDED, job_pb2.JOB_STATE_RUNNING


def request(seconds, request_id):
    """A job that searches for so long."""
    spec = ising(random_couplings(200, 0.3, 1))
    spec.time_limit.FromMilliseconds(int(seconds * 1000))
    spec.seed = 1
    creation = pb.CreateJobRequest(request_id=request_id)
    creation.spec.solve.CopyFrom(spec)
    return creation


def until_running(stub, name, metadata):
    watch = stub.WatchJobs(
        pb.WatchJobsRequest(start_revision=1, names=[name]), metadata=metadata, timeout=TIMEOUT_S
    )
    next(m for m in watch if any(event.state == RUNNING for event in m.events))
    watch.cancel()


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_a_job_survives_the_kill_of_its_server(start_server, isolation):
    first = start_server("--set", f"jobs.isolation={isolation}", "--set", "jobs.workers=1")
    with first.channel() as channel:
        stub = services.JobServiceStub(channel)
        running = stub.CreateJob(request(2.0, "a"), metadata=first.metadata, timeout=TIMEOUT_S).job
        waiting = stub.CreateJob(request(0.1, "b"), metadata=first.metadata, timeout=TIMEOUT_S).job
        until_running(stub, running.name, first.metadata)
        first.process.kill()
        first.process.wait(TIMEOUT_S)
    second = start_server("--set", f"jobs.isolation={isolation}", data_dir=first.data_dir)
    with second.channel() as channel:
        stub = services.JobServiceStub(channel)
        again = stub.CreateJob(request(2.0, "a"), metadata=second.metadata, timeout=TIMEOUT_S).job
        assert again == running
        for name, outcomes in (
            (
                running.name,
                [job_pb2.ATTEMPT_OUTCOME_WORKER_LOST, job_pb2.ATTEMPT_OUTCOME_SUCCEEDED],
            ),
            (waiting.name, [job_pb2.ATTEMPT_OUTCOME_SUCCEEDED]),
        ):
            wait = pb.WaitJobRequest(name=name, view=pb.JOB_VIEW_FULL)
            job = stub.WaitJob(wait, metadata=second.metadata, timeout=TIMEOUT_S).job
            assert job.state == SUCCEEDED
            assert job.result.solve.seed == 1
            assert job.result.solve.spec_digest == job.spec_digest
            assert [attempt.outcome for attempt in job.attempts] == outcomes
        watch = stub.WatchJobs(
            pb.WatchJobsRequest(start_revision=1), metadata=second.metadata, timeout=TIMEOUT_S
        )
        seen = []
        for message in watch:
            seen += message.events
            if sum(event.state == SUCCEEDED for event in seen) == 2:
                break
        watch.cancel()
        assert [event.revision for event in seen] == list(range(1, len(seen) + 1))
    assert second.stop() == 0


def test_a_drain_gives_back_what_does_not_end(start_server):
    first = start_server("--set", "drain_limit_s=1")
    with first.channel() as channel:
        stub = services.JobServiceStub(channel)
        job = stub.CreateJob(request(20.0, "a"), metadata=first.metadata, timeout=TIMEOUT_S).job
        until_running(stub, job.name, first.metadata)
        waiting = stub.WaitJob.future(
            pb.WaitJobRequest(name=job.name), metadata=first.metadata, timeout=TIMEOUT_S
        )
        assert first.stop() == 0
        with pytest.raises(grpc.RpcError) as caught:
            waiting.result()
        assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
    second = start_server(data_dir=first.data_dir)
    with second.channel() as channel:
        stub = services.JobServiceStub(channel)
        until_running(stub, job.name, second.metadata)
        got = stub.GetJob(pb.GetJobRequest(name=job.name), metadata=second.metadata).job
        assert got.attempts[0].outcome == job_pb2.ATTEMPT_OUTCOME_GIVEN_BACK
        cancel = pb.CancelJobRequest(name=job.name)
        stub.CancelJob(cancel, metadata=second.metadata, timeout=TIMEOUT_S)
        over = stub.WaitJob(
            pb.WaitJobRequest(name=job.name, view=pb.JOB_VIEW_FULL),
            metadata=second.metadata,
            timeout=TIMEOUT_S,
        ).job
        assert over.state == job_pb2.JOB_STATE_CANCELLED
        assert over.result.solve.solutions  # the best so far
    assert second.stop() == 0


def test_a_second_signal_does_not_wait_for_jobs(start_server):
    server = start_server("--set", "drain_limit_s=3600")
    with server.channel() as channel:
        stub = services.JobServiceStub(channel)
        job = stub.CreateJob(request(20.0, "a"), metadata=server.metadata, timeout=TIMEOUT_S).job
        until_running(stub, job.name, server.metadata)
    server.process.send_signal(signal.SIGTERM)
    while not any(line.get("event") == "draining" for line in server.log()):
        time.sleep(0.02)  # another process: there is nothing to wait on
    assert server.stop() == 0
