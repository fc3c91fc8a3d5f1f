"""Jobs at clouds through a whole server and the clouds' real SDKs: nothing is lost or sent twice,
whatever happens to the server, to its connection, or to the job."""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import grpc
import ketgate
import pytest
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.jobs.v1 import job_service_pb2_grpc as services
from ketgate.quantum.v1 import backend_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as quantum
from ketgate.quantum.v1 import quantum_service_pb2_grpc as quantum_services

from ..quantum_emulators.braket_api import BraketApi
from ..specs import ising, random_couplings

pytestmark = pytest.mark.timeout(900)  # the SDKs take long to start where the machine is busy

TIMEOUT_S = 200.0
FORTE = "braket/us-east-1/forte-1"
FLIP = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; x q[1]; c = measure q;'
BRAKET = """
[jobs]
workers = 1

[quantum.braket]
enabled = true
regions = ["us-east-1"]
bucket = "results"
read_timeout_s = 10.0
"""
SUBMITTED, SUCCEEDED = job_pb2.JOB_STATE_SUBMITTED, job_pb2.JOB_STATE_SUCCEEDED


class Session:
    """A client of a server whose settings are given."""

    def __init__(
        self, start: Any, folder: Path, settings: str, data_dir: Path | None = None
    ) -> None:
        file = folder / "ketgate.toml"
        file.write_text(settings)
        self.server = start("--config", str(file), data_dir=data_dir)
        self.channel = self.server.channel()
        self._jobs = services.JobServiceStub(self.channel)
        self._quantum = quantum_services.QuantumServiceStub(self.channel)

    def call(self, method: str, request: Any) -> Any:
        stub = self._quantum if hasattr(self._quantum, method) else self._jobs
        asked = getattr(stub, method)
        return asked(request, metadata=self.server.metadata, timeout=TIMEOUT_S)

    def until_online(self, backend: str) -> None:
        def online() -> bool:
            try:
                told = self.call("GetBackend", quantum.GetBackendRequest(name=backend)).backend
            except grpc.RpcError:
                return False
            return bool(told.status == backend_pb2.BACKEND_STATUS_ONLINE)

        until(online)

    def create(self, spec: job_pb2.JobSpec, request_id: str = "a") -> str:
        request = pb.CreateJobRequest(spec=spec, request_id=request_id)
        return str(self.call("CreateJob", request).job.name)

    def state(self, name: str) -> int:
        return int(self.call("GetJob", pb.GetJobRequest(name=name)).job.state)

    def finished(self, name: str) -> job_pb2.Job:
        request = pb.WaitJobRequest(name=name, view=pb.JOB_VIEW_FULL)
        request.timeout.seconds = 180
        job: job_pb2.Job = self.call("WaitJob", request).job
        return job

    def audit(self, name: str) -> dict[str, dict[str, str]]:
        """What the log tells of a job at its provider, by action."""
        with ketgate.connect(ready_file=self.server.ready_file) as client:
            entries = [e for e in client.audit.entries() if e.resource == name]
        return {e.action: dict(e.facts) for e in entries if e.action.startswith("quantum.")}

    def kill(self) -> None:
        self.channel.close()
        self.server.process.kill()
        self.server.process.wait(TIMEOUT_S)

    def stop(self) -> None:
        self.channel.close()
        assert self.server.stop() == 0


def until(holds: Callable[[], bool]) -> None:
    """Other processes and their SDKs: there is nothing to wait on."""
    end_s = time.monotonic() + TIMEOUT_S
    while not holds():
        assert time.monotonic() < end_s
        time.sleep(0.2)


def flip(backend: str, shots: int = 20) -> quantum.RunCircuitsSpec:
    return quantum.RunCircuitsSpec(
        circuits=[{"openqasm": FLIP}], shots=shots, backend={"backend": backend}
    )


@pytest.fixture(autouse=True)
def _state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def test_a_job_at_a_qpu_outlives_its_server(
    start_server: Any, tmp_path: Path, braket_api: BraketApi
) -> None:
    pytest.importorskip("braket.aws", reason="amazon-braket-sdk is not installed")
    braket_api.never_ends = True
    braket_api.faults.queued["CreateQuantumTask"] = ["lost"]
    first = Session(start_server, tmp_path, BRAKET)
    first.until_online(FORTE)
    with pytest.raises(grpc.RpcError) as caught:
        first.call("RunCircuits", quantum.RunCircuitsRequest(spec=flip(FORTE)))
    assert caught.value.code() is grpc.StatusCode.FAILED_PRECONDITION  # type: ignore[attr-defined]
    assert "create a job with this spec" in caught.value.details()  # type: ignore[attr-defined]
    assert not braket_api.tasks

    name = first.create(job_pb2.JobSpec(run_circuits=flip(FORTE)))
    until(lambda: any(task.status == "RUNNING" for task in braket_api.tasks.values()))
    until(lambda: first.state(name) == SUBMITTED)
    small = ising(random_couplings(8, 0.5, 1))
    small.time_limit.FromMilliseconds(50)
    other = first.create(job_pb2.JobSpec(solve=small), "b")  # the one worker is free
    assert first.finished(other).state == SUCCEEDED
    assert first.state(name) == SUBMITTED
    first.kill()
    braket_api.never_ends = False

    second = Session(start_server, tmp_path, BRAKET, first.server.data_dir)
    job = second.finished(name)
    assert job.state == SUCCEEDED, job.error
    assert job.attempt_count == 1
    result = job.result.run_circuits
    assert dict(result.circuits[0].counts) == {"10": 20}
    (task,) = braket_api.tasks.values()  # though the answer to the submission was lost
    assert result.evidence.provider_job == task.arn
    assert (result.evidence.cost.minor_units, result.evidence.cost.asset) == (30 + 20 * 8, "USD")
    told = second.audit(name)
    assert set(told) == {"quantum.submitted", "quantum.done"}
    assert told["quantum.done"]["provider_job"] == task.arn
    assert told["quantum.done"]["cost_minor_units"] == "190"
    assert task.wanted["clientToken"] == "ketgate-" + name.removeprefix("jobs/")
    second.stop()


def test_a_cancelled_job_is_cancelled_at_its_provider(
    start_server: Any, tmp_path: Path, braket_api: BraketApi
) -> None:
    pytest.importorskip("braket.aws", reason="amazon-braket-sdk is not installed")
    braket_api.never_ends = True
    session = Session(start_server, tmp_path, BRAKET)
    session.until_online(FORTE)
    name = session.create(job_pb2.JobSpec(run_circuits=flip(FORTE)))
    until(lambda: session.state(name) == SUBMITTED and bool(braket_api.tasks))
    session.call("CancelJob", pb.CancelJobRequest(name=name))
    assert session.finished(name).state == job_pb2.JOB_STATE_CANCELLED
    (task,) = braket_api.tasks.values()
    assert task.ended == "CANCELLED"
    session.stop()


@pytest.mark.parametrize(
    ("package", "backend", "settings"),
    [
        (
            "qiskit_ibm_runtime",
            "ibm/fake_manila",
            {"section": "ibm", "channel": "local", "devices": ["fake_manila"]},
        ),
        (
            "cirq_google",
            "google/rainbow",
            {"section": "google", "virtual": True, "processors": ["rainbow"]},
        ),
    ],
)
def test_a_job_on_the_simulated_devices_of_an_sdk(
    start_server: Any, tmp_path: Path, package: str, backend: str, settings: dict[str, Any]
) -> None:
    """IBM's local testing mode, and Google's virtual engine."""
    pytest.importorskip(package, reason=f"{package} is not installed")
    section = settings.pop("section")
    lines = [f"{name} = {json.dumps(value)}" for name, value in settings.items()]
    text = "\n".join([f"[quantum.{section}]", "enabled = true", *lines])
    session = Session(start_server, tmp_path, text)
    session.until_online(backend)
    name = session.create(job_pb2.JobSpec(run_circuits=flip(backend, shots=200)))
    job = session.finished(name)
    assert job.state == SUCCEEDED, job.error
    result = job.result.run_circuits
    assert result.evidence.backend == backend
    assert result.evidence.provider_job
    counts = dict(result.circuits[0].counts)
    assert sum(counts.values()) == 200
    assert counts["10"] > 120  # these devices err
    session.stop()
