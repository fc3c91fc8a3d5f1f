"""A calibration file of one's own: its noise in runs and estimates, exact or by trajectories."""

import json

import grpc
import pytest
from ketgate.quantum.v1 import backend_pb2, circuit_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate_server.parts import part_version

from .conftest import BELL, HEADER, refused

TIMEOUT_S = 200.0
SIZE = 13
FILE = {
    "format": "ketgate-calibration-1",
    "name": "our-chip",
    "time": "2026-05-04T10:00:00Z",
    "num_qubits": SIZE,
    "basis_gates": ["rz", "sx", "x", "cz"],
    "coupling": [[k, k + 1] for k in range(SIZE - 1)],
    "qubits": [
        {"qubit": k, "t1_us": 120.0, "t2_us": 80.0, "p1_given_0": 0.02, "p0_given_1": 0.04}
        for k in range(SIZE)
    ],
    "gates": [
        *({"gate": "sx", "qubits": [k], "error": 0.001} for k in range(SIZE)),
        *({"gate": "cz", "qubits": [k, k + 1], "error": 0.02} for k in range(SIZE - 1)),
    ],
}
pytestmark = pytest.mark.skipif(
    part_version("qiskit") is None, reason="the compiler is not installed"
)


@pytest.fixture
def spec() -> pb.RunCircuitsSpec:
    spec = pb.RunCircuitsSpec(circuits=[{"openqasm": BELL}], shots=4000, seed=1)
    spec.noise.calibration = json.dumps(FILE).encode()
    return spec


def test_its_noise_is_in_the_counts_and_told(stub, metadata, spec):
    request = pb.RunCircuitsRequest(spec=spec)
    result = stub.RunCircuits(request, metadata=metadata, timeout=TIMEOUT_S).result
    circuit, evidence = result.circuits[0], result.evidence
    assert evidence.backend == "emulator/our-chip"
    assert evidence.kind == backend_pb2.BACKEND_KIND_EMULATOR
    assert evidence.method == "density-matrix"
    assert evidence.calibration_time.seconds == 1_777_888_800
    assert len(evidence.noise_digest) == 64
    assert "cz" in circuit.resources.operations
    odd = circuit.counts["01"] + circuit.counts["10"]
    assert 0.03 < odd / 4000 < 0.12  # two readouts, each wrong in 2 to 4 of 100, and the gates
    again = stub.RunCircuits(request, metadata=metadata, timeout=TIMEOUT_S).result
    assert again.circuits[0].counts == circuit.counts


def test_the_estimate_tells_the_fidelity_that_the_run_has(stub, metadata, spec):
    request = pb.EstimateRunRequest(run_circuits=spec)
    estimate = stub.EstimateRun(request, metadata=metadata, timeout=TIMEOUT_S).estimate
    assert estimate.backend == "emulator/our-chip"
    assert 0.85 < estimate.expected_fidelity < 0.97
    assert estimate.cost.minor_units == 0


def test_beyond_the_limit_of_density_matrices_there_are_trajectories(stub, metadata, spec):
    """Unasked: 13 qubits are one more than the default of quantum.density_qubits_max."""
    chain = "h q[0]; for int k in [0:11] { cx q[k], q[k+1]; }"
    program = f"{HEADER} qubit[{SIZE}] q; bit[{SIZE}] c; {chain} c = measure q;"
    spec.circuits[0].openqasm = program
    spec.shots = 200
    request = pb.RunCircuitsRequest(spec=spec)
    result = stub.RunCircuits(request, metadata=metadata, timeout=TIMEOUT_S).result
    assert result.evidence.method == "trajectories"
    assert sum(result.circuits[0].counts.values()) == 200
    spec.noise.method = circuit_pb2.NOISE_METHOD_DENSITY_MATRIX
    refusal = refused(stub.RunCircuits, request_of(spec), metadata=metadata)
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert "at most 12" in refusal.message


def test_another_back_end_beside_it_is_refused(stub, metadata, spec):
    spec.backend.backend = "native"
    refusal = refused(stub.RunCircuits, request_of(spec), metadata=metadata)
    assert refusal.reason == "BACKEND_UNSUITABLE"
    assert "name no back end beside it" in refusal.message


def request_of(spec: pb.RunCircuitsSpec) -> pb.RunCircuitsRequest:
    return pb.RunCircuitsRequest(spec=spec)
