"""QuantumService runs circuits and estimates observables, as a client meets it."""

import math
import threading

import grpc
import numpy as np
import pytest
from ketgate.quantum.v1 import backend_pb2, circuit_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate.type.v1 import pauli_pb2, tensor_pb2

from .conftest import BELL, HEADER, refused

TIMEOUT_S = 200.0
CIRCUIT = circuit_pb2.Circuit


def spec(*programs: str, **more) -> pb.RunCircuitsSpec:
    circuits = [CIRCUIT(openqasm=program) for program in programs or (BELL,)]
    return pb.RunCircuitsSpec(circuits=circuits, **{"seed": 7} | more)


def pauli(letters: str, coefficient: float = 1.0) -> pauli_pb2.PauliSum:
    return pauli_pb2.PauliSum(terms=[pauli_pb2.PauliTerm(coefficient=coefficient, paulis=letters)])


@pytest.fixture
def run(stub, metadata):
    def call(given: pb.RunCircuitsSpec, **more) -> pb.RunCircuitsResponse:
        request = pb.RunCircuitsRequest(spec=given, **more)
        return stub.RunCircuits(request, metadata=metadata, timeout=TIMEOUT_S)

    return call


@pytest.fixture
def estimate(stub, metadata):
    def call(**given) -> pb.EstimateObservablesResponse:
        request = pb.EstimateObservablesRequest(spec=pb.EstimateObservablesSpec(**given))
        return stub.EstimateObservables(request, metadata=metadata, timeout=TIMEOUT_S)

    return call


def test_a_bell_pair_is_sampled_and_told_with_its_evidence(run):
    result = run(spec(shots=1000)).result
    (circuit,) = result.circuits
    assert set(circuit.counts) == {"00", "11"}
    assert sum(circuit.counts.values()) == 1000
    assert abs(circuit.counts["00"] - 500) < 5 * math.sqrt(250)
    assert 0.014 < circuit.standard_error_max < 0.016
    assert [(r.name, r.size) for r in circuit.registers] == [("c", 2)]
    resources = circuit.resources
    assert (resources.num_qubits, resources.depth, resources.num_bits) == (2, 3, 2)
    assert dict(resources.operations) == {"h": 1, "cx": 1, "measure": 2}
    evidence = result.evidence
    assert evidence.backend == "native"
    assert evidence.kind == backend_pb2.BACKEND_KIND_SIMULATOR
    assert evidence.version
    assert (evidence.seed, evidence.shots, evidence.threads) == (7, 1000, 1)
    assert evidence.noise_model == "ideal"
    assert not evidence.HasField("expected_fidelity")
    assert len(evidence.spec_digest) == 64
    assert 0 < evidence.times.running.ToNanoseconds() <= evidence.times.total.ToNanoseconds()


def test_the_same_seed_brings_the_same_result_and_another_another(run):
    first, again = run(spec(shots=1000)).result, run(spec(shots=1000)).result
    assert list(first.circuits) == list(again.circuits)
    other = run(spec(shots=1000, seed=8)).result
    assert other.circuits[0].counts != first.circuits[0].counts


def test_a_drawn_seed_is_told_and_brings_the_same_again(run):
    given = spec(shots=1000)
    given.ClearField("seed")
    first = run(given).result
    again = run(spec(shots=1000, seed=first.evidence.seed)).result
    assert list(again.circuits) == list(first.circuits)


def test_exact_probabilities_have_no_shots(run):
    (circuit,) = run(spec()).result.circuits
    assert not circuit.counts
    assert circuit.probabilities == pytest.approx({"00": 0.5, "11": 0.5})
    assert circuit.standard_error_max == 0.0


def test_registers_are_separated_and_the_highest_bit_comes_first(run):
    program = (
        HEADER
        + "qubit[4] q; bit[3] a; bit b; x q[0]; x q[3]; a = measure q[0:2]; b = measure q[3];"
    )
    (circuit,) = run(spec(program, shots=5)).result.circuits
    assert circuit.counts == {"001 1": 5}


def test_every_shot_can_be_had(run):
    program = HEADER + "qubit[3] q; bit[3] c; x q[1]; h q[2]; c = measure q;"
    (circuit,) = run(spec(program, shots=20, memory=True)).result.circuits
    assert circuit.memory.dtype == tensor_pb2.DATA_TYPE_UINT8
    shots = np.frombuffer(circuit.memory.data, np.uint8).reshape(tuple(circuit.memory.shape))
    assert shots.shape == (20, 3)
    assert shots[:, 0].sum() == 0
    assert shots[:, 1].sum() == 20
    assert shots[:, 2].sum() == circuit.counts["110"]


@pytest.mark.parametrize(
    ("precision", "dtype", "kind"),
    [
        (circuit_pb2.PRECISION_DOUBLE, tensor_pb2.DATA_TYPE_COMPLEX128, np.complex128),
        (circuit_pb2.PRECISION_SINGLE, tensor_pb2.DATA_TYPE_COMPLEX64, np.complex64),
    ],
)
def test_the_state_vector_is_that_before_the_measurements(run, precision, dtype, kind):
    given = spec(shots=0, state_vector=True, precision=precision)
    (circuit,) = run(given).result.circuits
    assert circuit.state_vector.dtype == dtype
    state = np.frombuffer(circuit.state_vector.data, kind)
    assert state == pytest.approx(np.array([1, 0, 0, 1]) / math.sqrt(2), abs=1e-6)


def test_parameters_are_bound(run):
    program = HEADER + "input angle u0; qubit q; bit c; rx(2 * u0) q; c = measure q;"
    circuit = CIRCUIT(openqasm=program, parameters={"u0": math.pi / 6}, label="tilted")
    (found,) = run(pb.RunCircuitsSpec(circuits=[circuit])).result.circuits
    assert found.label == "tilted"
    assert found.probabilities == pytest.approx({"0": 0.75, "1": 0.25})


def test_measurements_amid_a_circuit_steer_it(run):
    program = (
        HEADER
        + "qubit[2] q; bit[2] c; h q[0]; c[0] = measure q[0]; if (c[0]) { x q[1]; } c[1] = measure q[1];"
    )
    (circuit,) = run(spec(program, shots=200)).result.circuits
    assert set(circuit.counts) == {"00", "11"}


def test_a_stream_brings_what_the_unary_call_does(run, stub, metadata):
    given = spec(*[BELL] * 5, shots=100)
    whole = run(given).result
    request = pb.RunCircuitsStreamRequest(spec=given)
    events = list(stub.RunCircuitsStream(request, metadata=metadata, timeout=TIMEOUT_S))
    assert [event.WhichOneof("event") for event in events] == ["circuit"] * 5 + ["evidence"]
    assert [event.circuit for event in events[:5]] == list(whole.circuits)
    assert [event.circuit.index for event in events[:5]] == list(range(5))
    assert len({str(c.counts) for c in whole.circuits}) > 1


def test_a_dry_run_tells_what_it_would_take(run):
    response = run(spec(shots=100), validate_only=True)
    assert not response.HasField("result")
    found = response.estimate
    assert (found.backend, found.shots) == ("native", 100)
    assert found.memory_bytes > 0
    assert found.resources[0].num_qubits == 2


def test_expectations_are_exact_without_shots(estimate):
    found = estimate(
        circuits=[CIRCUIT(openqasm=BELL)],
        observables=[pauli("ZZ"), pauli("XX", 2.0), pauli("YY"), pauli("Z")],
    ).result.expectations
    assert [(one.circuit, one.observable) for one in found] == [(0, k) for k in range(4)]
    assert [one.value for one in found] == pytest.approx([1.0, 2.0, -1.0, 0.0])
    assert {one.standard_error for one in found} == {0.0}


def test_expectations_of_shots_have_standard_errors(estimate):
    program = HEADER + "qubit q; ry(1.0) q;"
    (found,) = estimate(
        circuits=[CIRCUIT(openqasm=program)], observables=[pauli("Z")], shots=10_000, seed=3
    ).result.expectations
    assert found.standard_error == pytest.approx(math.sin(1.0) / 100, rel=0.1)
    assert abs(found.value - math.cos(1.0)) < 5 * found.standard_error
    assert found.groups == 1


def test_gradients_are_by_parameter(estimate):
    program = HEADER + "input float a; input float b; qubit q; ry(a) q; rz(b) q; ry(2 * b) q;"
    (found,) = estimate(
        circuits=[CIRCUIT(openqasm=program, parameters={"a": 0.3, "b": 0.7})],
        observables=[pauli("Z")],
        gradients=True,
    ).result.expectations

    def value(a: float, b: float) -> float:
        return math.cos(a) * math.cos(2 * b) - math.sin(a) * math.cos(b) * math.sin(2 * b)

    step = 1e-6
    assert found.value == pytest.approx(value(0.3, 0.7))
    assert dict(found.gradient) == pytest.approx(
        {
            "a": (value(0.3 + step, 0.7) - value(0.3 - step, 0.7)) / (2 * step),
            "b": (value(0.3, 0.7 + step) - value(0.3, 0.7 - step)) / (2 * step),
        },
        abs=1e-8,
    )


def test_noise_of_the_request_is_added_and_named(run):
    gates = [circuit_pb2.GateNoise(gate="x", bit_flip=0.25)]
    noise = circuit_pb2.NoiseSpec(channels=circuit_pb2.NoiseModel(gates=gates))
    program = HEADER + "qubit q; bit c; x q; c = measure q;"
    result = run(spec(program, shots=4000, noise=noise)).result
    assert abs(result.circuits[0].counts["0"] - 1000) < 5 * math.sqrt(750)
    evidence = result.evidence
    assert evidence.method in ("density-matrix", "trajectories")
    assert len(evidence.noise_digest) == 64
    assert evidence.noise_model == "the channels of the request"


def test_large_state_vectors_become_artifacts(run):
    program = HEADER + "qubit[19] q; h q[18];"
    (circuit,) = run(spec(program, shots=0, state_vector=True)).result.circuits
    assert circuit.state_vector.WhichOneof("values") == "artifact"
    assert list(circuit.state_vector.shape) == [1 << 19]


STEP = "for int k in [0:18] { cx q[k], q[k+1]; h q[k]; }"
LONG = f"{HEADER} qubit[20] q; bit[20] c; for int i in [1:2000] {{ {STEP} }} c = measure q;"


def test_the_time_limit_is_kept_and_named(stub, metadata):
    given = spec(LONG, shots=1)
    given.time_limit.FromMilliseconds(300)
    refusal = refused(stub.RunCircuits, pb.RunCircuitsRequest(spec=given), metadata=metadata)
    assert refusal.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert refusal.metadata["field"] == "spec.time_limit"


def test_a_cancelled_run_leaves_the_server_free(stub, metadata, run):
    future = stub.RunCircuits.future(
        pb.RunCircuitsRequest(spec=spec(LONG, shots=1)), metadata=metadata
    )
    over = threading.Event()
    future.add_done_callback(lambda _: over.set())
    future.cancel()
    assert over.wait(TIMEOUT_S)
    assert run(spec(shots=10)).result.circuits[0].counts
