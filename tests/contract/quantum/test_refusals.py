"""Each promise of the contract that a request can break, and the field that is named."""

import math

import grpc
import numpy as np
import pytest
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate.type.v1 import tensor_pb2
from ketgate_server.limits import LIMITS
from ketgate_server.tokens import TokenStore

from .conftest import BELL, HEADER, refused

PARAMETER = HEADER + "input float u0; qubit q; bit c; rx(u0) q; c = measure q;"
DIVIDES = HEADER + "input float u0; qubit q; bit c; rx(1 / u0) q; c = measure q;"
AMID = HEADER + "qubit q; bit c; c = measure q; h q;"


def run_spec(**more) -> pb.RunCircuitsSpec:
    usual = {"circuits": [{"openqasm": BELL}], "shots": 10}
    return pb.RunCircuitsSpec(**usual | more)


def estimate_spec(**more) -> pb.EstimateObservablesSpec:
    usual = {
        "circuits": [{"openqasm": BELL}],
        "observables": [{"terms": [{"coefficient": 1, "paulis": "Z"}]}],
    }
    return pb.EstimateObservablesSpec(**usual | more)


def channel(**more) -> dict:
    return {"noise": {"channels": {"gates": [{"gate": "h", **more}]}}}


def kraus(*operators) -> tensor_pb2.Tensor:
    array = np.array(operators, np.complex128)
    return tensor_pb2.Tensor(
        dtype=tensor_pb2.DATA_TYPE_COMPLEX128, shape=array.shape, data=array.tobytes()
    )


def terms(*given: dict) -> dict:
    return {"observables": [{"terms": list(given)}]}


RUNS = [
    ("spec.circuits", {"circuits": []}),
    ("spec.circuits[0].openqasm", {"circuits": [{}]}),
    ("spec.circuits[1].label", {"circuits": [{"openqasm": BELL}, {"openqasm": BELL, "label": "x" * 129}]}),
    ("spec.circuits[0].parameters", {"circuits": [{"openqasm": PARAMETER}]}),
    ("spec.circuits[0].parameters", {"circuits": [{"openqasm": BELL, "parameters": {"t": 1.0}}]}),
    ("spec.circuits[0].parameters[u0]", {"circuits": [{"openqasm": PARAMETER, "parameters": {"u0": math.nan}}]}),
    ("spec.circuits[0].parameters", {"circuits": [{"openqasm": DIVIDES, "parameters": {"u0": 0.0}}]}),
    ("spec.circuits[0]", {"circuits": [{"openqasm": HEADER + "qubit q; h q;"}]}),
    ("spec.shots", {"shots": -1}),
    ("spec.memory", {"shots": 0, "memory": True}),
    ("spec.precision", {"precision": 9}),
    ("spec.threads", {"threads": -1}),
    ("spec.threads", {"threads": 10_000}),
    ("spec.optimization_level", {"optimization_level": 4}),
    ("spec.time_limit", {"time_limit": {"seconds": 0}}),
    ("spec.time_limit", {"time_limit": {"seconds": 1, "nanos": -1}}),
    ("spec.time_limit", {"time_limit": {"seconds": 100_000}}),
    ("spec.backend.backend", {"backend": {"backend": "nativ"}}),
    ("spec.backend.policy", {"backend": {"policy": 99}}),
    ("spec.backend.allowed", {"backend": {"allowed": ["x"] * 65}}),
    ("spec.backend.allowed[0]", {"backend": {"allowed": [""]}}),
    ("spec.backend.allowed", {"backend": {"allowed": ["nobody"]}}),
    ("spec.backend.regions[0]", {"backend": {"regions": [""]}}),
    ("spec.caps.shots_max", {"caps": {"shots_max": -1}}),
    ("spec.caps.device_seconds_max", {"caps": {"device_seconds_max": math.inf}}),
    ("spec.caps.cost_max.asset", {"caps": {"cost_max": {"minor_units": 5}}}),
    ("spec.caps.cost_max.minor_units", {"caps": {"cost_max": {"asset": "USD", "minor_units": -5}}}),
    ("spec.mitigation.noise_factors", {"mitigation": {"noise_factors": [1, 3]}}),
    ("spec.mitigation.readout", {"shots": 0, "mitigation": {"readout": True}}),
    ("spec.noise", {"noise": {}}),
    ("spec.noise.device", {"noise": {"device": "emulator/none"}}),
    ("spec.noise.method", {"noise": {"device": "x", "method": 9}}),
    ("spec.noise.trajectories", {"noise": {"device": "x", "trajectories": -1}}),
    ("spec.noise.calibration", {"noise": {"calibration": b""}}),
    ("spec.noise.calibration", {"noise": {"calibration": b"{"}}),
    ("spec.noise.channels", {"noise": {"channels": {}}}),
    ("spec.noise.channels.gates[0].gate", {"noise": {"channels": {"gates": [{"gate": "nope", "bit_flip": 0.1}]}}}),
    ("spec.noise.channels.gates[0]", channel()),
    ("spec.noise.channels.gates[0].qubits", channel(qubits=[0, 1], bit_flip=0.1)),
    ("spec.noise.channels.gates[0].qubits", channel(qubits=[-1], bit_flip=0.1)),
    ("spec.noise.channels.gates[0].depolarizing", channel(depolarizing=1.4)),
    ("spec.noise.channels.gates[0].bit_flip", channel(bit_flip=-0.1)),
    ("spec.noise.channels.gates[0].phase_flip", channel(phase_flip=math.nan)),
    ("spec.noise.channels.gates[0].pauli.paulis", channel(pauli={"paulis": ["XX"], "probabilities": [0.1]})),
    ("spec.noise.channels.gates[0].pauli", channel(pauli={"paulis": ["X"], "probabilities": [1.1]})),
    ("spec.noise.channels.gates[0].thermal.t2_us", channel(thermal={"t1_us": 1, "t2_us": 3, "duration_ns": 1})),
    ("spec.noise.channels.gates[0].kraus", channel(kraus=kraus([[1, 0], [0, 0.5]]))),
    ("spec.noise.channels.gates[0].kraus", channel(kraus=kraus([[1]]))),
    ("spec.noise.channels.readout[0].p1_given_0", {"noise": {"channels": {"readout": [{"p1_given_0": 2}]}}}),
    ("spec.noise.channels.readout[1].qubit", {"noise": {"channels": {"readout": [{"qubit": 1}, {"qubit": 1}]}}}),
]  # fmt: skip

ESTIMATES = [
    ("spec.observables", {"observables": []}),
    ("spec.observables[0].terms", {"observables": [{}]}),
    ("spec.observables[0].terms[0].coefficient", terms({"coefficient": math.inf, "paulis": "Z"})),
    ("spec.observables[0].terms[1].paulis", terms({"paulis": "Z"}, {"paulis": "Q"})),
    ("spec.observables[0].terms[0].paulis", terms({"paulis": "ZZZ"})),
    ("spec.observables[0].terms[0].qubits", terms({"paulis": "Z", "qubits": [2]})),
    ("spec.observables[0].terms[0].qubits", terms({"paulis": "ZZ", "qubits": [0]})),
    ("spec.observables[0].terms[0].qubits", terms({"paulis": "ZZ", "qubits": [1, 1]})),
    ("spec.circuits[0]", {"circuits": [{"openqasm": AMID}]}),
    ("spec.gradients", {"gradients": True, "shots": 5}),
    ("spec.gradients", {"gradients": True, **channel(bit_flip=0.1)}),
    ("spec.mitigation.noise_factors", {"mitigation": {"noise_factors": [3.0]}}),
    ("spec.mitigation.noise_factors", {"mitigation": {"noise_factors": [0.5, 3.0]}}),
    ("spec.mitigation.noise_factors", {"mitigation": {"noise_factors": [3.0, 3.0]}}),
    ("spec.mitigation.extrapolation", {"mitigation": {"noise_factors": [1, 3], "extrapolation": "magic"}}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "more"), RUNS)
def test_a_run_that_breaks_a_promise_is_refused_by_its_field(path, more, stub, metadata):
    request = pb.RunCircuitsRequest(spec=run_spec(**more), validate_only=True)
    refusal = refused(stub.RunCircuits, request, metadata=metadata)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [path], refusal.message
    assert "expected" in refusal.message


@pytest.mark.parametrize(("path", "more"), ESTIMATES)
def test_an_estimation_that_breaks_a_promise_is_refused_by_its_field(path, more, stub, metadata):
    request = pb.EstimateObservablesRequest(spec=estimate_spec(**more), validate_only=True)
    refusal = refused(stub.EstimateObservables, request, metadata=metadata)
    assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
    assert refusal.fields == [path], refusal.message


TOO_LARGE = {
    "state": "qubit[21] q; h q;",
    "exact": "qubit[21] q; bit[21] c; c = measure q;",
    "wide": "qubit[70] q; bit[70] c; c = measure q;",
    "long": "qubit q; bit c; for int i in [1:2000000] { x q; } c = measure q;",
    "broad": "qubit[5000] q; bit c; c = measure q[0];",
}


def large(name: str, **more) -> dict:
    return {"circuits": [{"openqasm": HEADER + TOO_LARGE[name]}], **more}


@pytest.mark.parametrize(
    ("limit", "more"),
    [
        ("quantum.circuits_max", {"circuits": [{"openqasm": BELL}] * 1_001}),
        ("quantum.shots_max", {"shots": 1_000_001}),
        ("quantum.program_bytes_max", {"circuits": [{"openqasm": "/" * ((4 << 20) + 1)}]}),
        ("quantum.state_qubits_max", large("state", state_vector=True)),
        ("quantum.state_qubits_max", large("exact", shots=0)),
        ("rpc.message_bytes_max", large("wide", shots=1_000_000)),
        ("quantum.operations_max", large("long")),
        ("quantum.program_qubits_max", large("broad")),
    ],
)
def test_what_is_too_large_names_the_limit(limit, more, stub, metadata):
    assert limit in LIMITS
    request = pb.RunCircuitsRequest(spec=run_spec(**more))
    refusal = refused(stub.RunCircuits, request, metadata=metadata)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "LIMIT_EXCEEDED",
    ), refusal.message
    assert refusal.quotas == [limit]


def test_too_many_qubits_for_a_simulator_are_refused_before_memory_is_taken(stub, metadata):
    program = HEADER + "qubit[40] q; bit[40] c; h q; c = measure q;"
    spec = run_spec(circuits=[{"openqasm": program}], backend={"backend": "native"})
    refusal = refused(stub.RunCircuits, pb.RunCircuitsRequest(spec=spec), metadata=metadata)
    assert refusal.reason in ("BACKEND_UNSUITABLE", "LIMIT_EXCEEDED")
    assert "40" in refusal.message or "memory" in refusal.message


def test_a_program_that_cannot_be_read_is_refused_with_its_place(stub, metadata):
    spec = run_spec(circuits=[{"openqasm": BELL}, {"openqasm": HEADER + "qubit q;\n  hh q;"}])
    refusal = refused(stub.RunCircuits, pb.RunCircuitsRequest(spec=spec), metadata=metadata)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "PROGRAM_INVALID",
    )
    assert refusal.fields == ["spec.circuits[1].openqasm"]
    assert (refusal.metadata["line"], refusal.metadata["column"]) == ("3", "3")


def test_a_cap_of_shots_is_kept_over_all_circuits(stub, metadata):
    spec = run_spec(circuits=[{"openqasm": BELL}] * 3, shots=10, caps={"shots_max": 29})
    refusal = refused(stub.RunCircuits, pb.RunCircuitsRequest(spec=spec), metadata=metadata)
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.RESOURCE_EXHAUSTED,
        "CAP_EXCEEDED",
    )
    assert refusal.quotas == ["spec.caps.shots_max"]


@pytest.mark.parametrize("method", ["RunCircuits", "RunCircuitsStream", "EstimateObservables"])
def test_a_request_without_a_spec_is_refused(method, stub, metadata):
    request = getattr(pb, f"{method}Request")()
    refusal = refused(getattr(stub, method), request, metadata=metadata)
    assert refusal.fields == ["spec"]


@pytest.fixture
def caller_with(server):
    """Metadata of a new token with some roles."""
    store = TokenStore.open(server.data_dir)

    def make(*roles: str) -> tuple[tuple[str, str], ...]:
        secret, _ = store.create(f"quantum-{'-'.join(roles)}", roles=roles)
        return (("authorization", f"Bearer {secret}"),)

    yield make
    store.close()


def test_calls_need_the_role(stub, caller_with):
    request = pb.RunCircuitsRequest(spec=run_spec())
    refusal = refused(stub.RunCircuits, request, metadata=caller_with("optimization.user"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.PERMISSION_DENIED, "ROLE_MISSING")
    assert refusal.metadata["role"] == "quantum.user"
    result = stub.RunCircuits(request, metadata=caller_with("quantum.user")).result
    assert result.evidence.backend == "native"
