"""The same work as durable jobs."""

import uuid

import grpc
import pytest
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.jobs.v1 import job_service_pb2_grpc as services
from ketgate.quantum.v1 import quantum_service_pb2 as quantum

from .conftest import BELL, HEADER, refused

TIMEOUT_S = 200.0


@pytest.fixture
def jobs(channel):
    return services.JobServiceStub(channel)


@pytest.fixture
def finish(jobs, metadata):
    def call(spec: job_pb2.JobSpec) -> job_pb2.Job:
        request = pb.CreateJobRequest(spec=spec, request_id=str(uuid.uuid4()))
        job = jobs.CreateJob(request, metadata=metadata, timeout=TIMEOUT_S).job
        request = pb.WaitJobRequest(name=job.name, view=pb.JOB_VIEW_FULL)
        request.timeout.seconds = 150
        return jobs.WaitJob(request, metadata=metadata, timeout=TIMEOUT_S).job

    return call


def run_spec(**more) -> quantum.RunCircuitsSpec:
    return quantum.RunCircuitsSpec(
        **{"circuits": [{"openqasm": BELL}], "shots": 500, "seed": 9} | more
    )


def test_a_job_brings_what_the_call_does(finish, stub, metadata):
    job = finish(job_pb2.JobSpec(run_circuits=run_spec()))
    assert job.state == job_pb2.JOB_STATE_SUCCEEDED
    there = job.result.run_circuits
    request = quantum.RunCircuitsRequest(spec=run_spec())
    here = stub.RunCircuits(request, metadata=metadata, timeout=TIMEOUT_S).result
    assert list(there.circuits) == list(here.circuits)
    assert there.evidence.spec_digest == here.evidence.spec_digest
    assert job.spec_digest == here.evidence.spec_digest


def test_an_estimation_is_a_job_too(finish):
    spec = quantum.EstimateObservablesSpec(
        circuits=[{"openqasm": BELL}],
        observables=[{"terms": [{"coefficient": 3, "paulis": "XX"}]}],
    )
    job = finish(job_pb2.JobSpec(estimate_observables=spec))
    assert job.result.estimate_observables.expectations[0].value == pytest.approx(3.0)


def test_a_job_that_could_not_run_is_refused(jobs, metadata):
    for path, spec in (
        ("spec.run_circuits.circuits", run_spec(circuits=[])),
        ("spec.run_circuits.backend.backend", run_spec(backend={"backend": "abacus"})),
    ):
        request = pb.CreateJobRequest(
            spec=job_pb2.JobSpec(run_circuits=spec), request_id=str(uuid.uuid4())
        )
        refusal = refused(jobs.CreateJob, request, metadata=metadata)
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert refusal.fields == [path]


def test_a_time_limit_ends_a_job_with_its_name(finish):
    # Read in a moment, as that counts too; run for long.
    steps = "for int k in [0:20] { cx q[k], q[k+1]; h q[k]; }"
    program = f"{HEADER} qubit[22] q; bit[22] c; for int i in [1:40] {{ {steps} }} c = measure q;"
    spec = run_spec(circuits=[{"openqasm": program}])
    spec.time_limit.FromMilliseconds(300)
    job = finish(job_pb2.JobSpec(run_circuits=spec))
    assert job.state == job_pb2.JOB_STATE_FAILED
    assert "spec.time_limit" in job.error.message
    assert len(job.attempts) == 1  # another would take as long
