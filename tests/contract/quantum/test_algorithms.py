"""AlgorithmService: each algorithm over gRPC, beside its classical baseline; refusals with field paths."""

# ruff: noqa: E501

import math

import grpc
import numpy as np
import pytest
from ketgate.jobs.v1 import job_pb2, job_service_pb2, job_service_pb2_grpc
from ketgate.quantum.v1 import algorithm_service_pb2 as pb
from ketgate.quantum.v1 import algorithm_service_pb2_grpc as services
from ketgate.quantum.v1 import circuit_pb2
from ketgate.type.v1 import ising_pb2, pauli_pb2, tensor_pb2

from .conftest import HEADER, refused

TIMEOUT_S = 200.0
SEEDED = pb.ExecutionOptions(seed=5)


def doubles(*values: float, shape=()) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(doubles=tensor_pb2.DoubleArray(values=values), shape=shape)


def integers(*values: int) -> tensor_pb2.Tensor:
    return tensor_pb2.Tensor(integers=tensor_pb2.Int64Array(values=values))


def array(tensor: tensor_pb2.Tensor) -> np.ndarray:
    dtype = {1: "<f8", 3: "<i8", 5: "i1", 6: "u1", 7: "<c16"}[tensor.dtype]
    return np.frombuffer(tensor.data, dtype).reshape(tuple(tensor.shape))


RING = ising_pb2.Ising(
    num_spins=6,
    linear=doubles(0.5, 0, 0, 0, 0, 0),
    quadratic=tensor_pb2.SparseMatrix(
        row=integers(0, 1, 2, 3, 4, 0),
        column=integers(1, 2, 3, 4, 5, 5),
        value=doubles(1, 1, 1, 1, 1, 1),
    ),
)


@pytest.fixture
def algorithms(channel: grpc.Channel) -> services.AlgorithmServiceStub:
    return services.AlgorithmServiceStub(channel)


@pytest.fixture
def run(algorithms, metadata):
    """run("Qaoa", layers=1, ...): the result."""

    def call(name: str, **spec):
        request = getattr(pb, f"Run{name}Request")(spec={"execution": SEEDED} | spec)
        method = getattr(algorithms, f"Run{name}")
        return method(request, metadata=metadata, timeout=TIMEOUT_S).result

    return call


def check_common(result, *, circuits: int = 1) -> None:
    assert result.evidence.backend == "native"
    assert result.evidence.seed == 5
    assert len(result.evidence.spec_digest) == 64
    assert result.resources.circuits >= circuits
    assert result.resources.num_qubits > 0
    assert result.resources.openqasm.startswith("OPENQASM 3")
    assert result.baseline.method


def test_qaoa_finds_the_ring_and_says_how_well(run) -> None:
    result = run("Qaoa", ising=RING, layers=3)
    check_common(result)
    assert result.baseline.value == pytest.approx(-6.5)
    assert result.baseline.proven
    best = result.samples[0]
    assert best.objective == pytest.approx(-6.5)
    assert array(best.values).tolist() == [-1, 1, -1, 1, -1, 1]
    assert -6.5 <= result.expectation < -4
    assert 0.7 < result.approximation_ratio <= 1.0
    assert 0.0 < result.ground_state_probability <= 1.0
    assert array(result.angles).shape == (2, 3)
    assert result.method == "state-vector"
    assert result.convergence
    again = run("Qaoa", ising=RING, layers=3)
    assert again.samples[0].count == best.count


def test_qaoa_on_circuits_with_shots(run) -> None:
    execution = pb.ExecutionOptions(seed=5, shots=500)
    optimizer = pb.OptimizerOptions(evaluations_max=20)
    result = run("Qaoa", ising=RING, layers=1, execution=execution, optimizer=optimizer)
    assert result.method == "circuits"
    assert result.standard_error > 0
    assert result.resources.shots >= 20 * 500
    assert sum(one.count for one in result.samples) <= 500


def test_qaoa_keeps_the_number_of_ones(run) -> None:
    result = run("Qaoa", ising=RING, layers=2, mixer=pb.QAOA_MIXER_XY_RING, hamming_weight=2)
    assert result.method == "subspace"
    assert all((array(one.values) == -1).sum() == 2 for one in result.samples)
    assert result.samples[0].objective == pytest.approx(result.baseline.value)


def test_qaoa_of_a_thousand_spins_by_the_closed_form(run) -> None:
    n = 1000
    ring = ising_pb2.Ising(
        num_spins=n,
        quadratic=tensor_pb2.SparseMatrix(
            row=integers(*range(n)),
            column=integers(*((k + 1) % n for k in range(n))),
            value=doubles(*([1.0] * n)),
        ),
    )
    result = run("Qaoa", ising=ring, layers=1)
    assert result.method == "closed-form"
    assert result.expectation == pytest.approx(-n / 2, rel=1e-6)  # 3/4 of the edges are cut
    assert not result.samples
    result = run("Qaoa", ising=ring, layers=2)
    assert result.method == "light-cones"
    assert result.expectation == pytest.approx(-n * 2 / 3, rel=1e-4)  # 5/6 of them


def test_vqe_reaches_the_least_eigenvalue(run) -> None:
    terms = [("ZZ", 1.0), ("XI", 0.5), ("IX", 0.5)]
    hamiltonian = pauli_pb2.PauliSum(
        terms=[pauli_pb2.PauliTerm(coefficient=c, paulis=p) for p, c in terms]
    )
    layered = pb.HardwareEfficientAnsatz(layers=2)
    result = run("Vqe", hamiltonian=hamiltonian, hardware_efficient=layered)
    check_common(result)
    assert result.energy == pytest.approx(-math.sqrt(2), abs=1e-4)
    assert result.baseline.value == pytest.approx(-math.sqrt(2))
    own = circuit_pb2.Circuit(
        openqasm=HEADER
        + "input float a; input float b; qubit[2] q; ry(a) q[0]; ry(b) q[1]; cx q[0], q[1];"
    )
    result = run("Vqe", hamiltonian=hamiltonian, circuit=own)
    assert list(result.parameter_names) == ["a", "b"]
    assert result.energy >= -math.sqrt(2) - 1e-9


def test_grover_finds_what_is_marked_and_what_satisfies(run) -> None:
    result = run("Grover", marked=pb.MarkedStates(num_bits=6, states=[45]))
    check_common(result)
    assert result.found
    assert array(result.values).tolist() == [1, 0, 1, 1, 0, 1]
    assert result.success_probability > 0.99
    clauses = [pb.Clause(literals=x) for x in ([1, 2], [-1, 3], [-3, -2], [2, -4])]
    result = run("Grover", formula=pb.Formula(num_variables=4, clauses=clauses))
    assert result.found
    values = [v == 1 for v in array(result.values)]
    assert values[1] or values[0]
    assert result.solutions > 0


def test_grover_adaptive_search_finds_the_least(run) -> None:
    qubo = ising_pb2.Qubo(
        num_variables=4,
        linear=doubles(-1, -2, 1, -1),
        quadratic=tensor_pb2.SparseMatrix(
            row=integers(0, 1), column=integers(1, 3), value=doubles(2, 3)
        ),
    )
    result = run("Grover", qubo=qubo)
    assert result.objective == pytest.approx(-2)
    assert result.baseline.value == pytest.approx(-2)
    assert result.convergence


def test_the_fourier_transform_agrees_with_the_classical_one(run) -> None:
    result = run("FourierTransform", num_qubits=5, state=3)
    check_common(result)
    wanted = np.exp(2j * np.pi * 3 * np.arange(32) / 32) / np.sqrt(32)
    np.testing.assert_allclose(array(result.amplitudes), wanted, atol=1e-12)
    assert result.baseline.value < 1e-12
    sampled = run(
        "FourierTransform", num_qubits=2, state=1, execution=pb.ExecutionOptions(seed=5, shots=400)
    )
    assert sum(sampled.counts.values()) == 400


def test_a_phase_is_estimated(run) -> None:
    unitary = circuit_pb2.Circuit(openqasm=HEADER + "qubit q; p(2 * pi * 0.3125) q;")
    state = circuit_pb2.Circuit(openqasm=HEADER + "qubit q; x q;")
    result = run("PhaseEstimation", unitary=unitary, state=state, precision_bits=4)
    check_common(result)
    assert result.phase == 0.3125
    assert result.distribution[0].probability == pytest.approx(1.0)
    assert result.baseline.value == pytest.approx(0.3125)


def test_an_amplitude_and_a_value_at_risk(run) -> None:
    circuit = circuit_pb2.Circuit(openqasm=HEADER + "qubit[2] q; ry(1) q[0]; cx q[0], q[1];")
    result = run("AmplitudeEstimation", circuit=circuit, objective_qubit=1, epsilon=0.02)
    check_common(result)
    assert result.lower <= math.sin(0.5) ** 2 <= result.upper
    assert result.baseline.value == pytest.approx(math.sin(0.5) ** 2)
    assert result.monte_carlo_samples > 0
    losses = pb.ValueAtRisk(
        losses=doubles(0, 1, 2, 5), probabilities=doubles(0.5, 0.3, 0.15, 0.05), confidence=0.9
    )
    result = run("AmplitudeEstimation", value_at_risk=losses)
    assert result.value_at_risk == 2.0 == result.baseline.value


def test_fifteen_is_factored(run) -> None:
    execution = pb.ExecutionOptions(seed=5)
    execution.time_limit.seconds = 50
    result = run("Factoring", number=15, base=7, execution=execution)
    check_common(result)
    assert result.found
    assert list(result.factors) == [3, 5]
    assert dict(result.orders) == {7: 4}
    assert result.resources.num_qubits == 11


BAD = [
    ("Qaoa", {"layers": 1}, "spec.problem"),
    ("Qaoa", {"ising": RING}, "spec.layers"),
    ("Qaoa", {"ising": RING, "layers": 1, "hamming_weight": 2}, "spec.hamming_weight"),
    ("Qaoa", {"ising": RING, "layers": 1, "mixer": pb.QAOA_MIXER_XY_RING}, "spec.hamming_weight"),
    ("Qaoa", {"ising": RING, "layers": 1, "warm_start": doubles(2, 0, 0, 0, 0, 0)}, "spec.warm_start"),
    ("Qaoa", {"ising": RING, "layers": 2, "initial_angles": doubles(1, 2, shape=(2, 1))}, "spec.initial_angles"),
    ("Qaoa", {"ising": RING, "layers": 1, "optimizer": {"method": "magic"}}, "spec.optimizer.method"),
    ("Qaoa", {"ising": RING, "layers": 1, "optimizer": {"method": "lbfgs"}, "execution": {"shots": 9}}, "spec.optimizer.method"),
    ("Vqe", {}, "spec.hamiltonian.terms"),
    ("Vqe", {"hamiltonian": {"terms": [{"coefficient": 1, "paulis": "Z"}]}}, "spec.ansatz"),
    ("Vqe", {"hamiltonian": {"terms": [{"coefficient": 1, "paulis": "ZZ"}]}, "ucc": {"num_electrons": 2}}, "spec.ucc.num_electrons"),
    ("Grover", {}, "spec.target"),
    ("Grover", {"marked": {"num_bits": 3, "states": [8]}}, "spec.marked.states[0]"),
    ("Grover", {"marked": {"num_bits": 0}}, "spec.marked.num_bits"),
    ("Grover", {"formula": {"num_variables": 2, "clauses": [{"literals": [3]}]}}, "spec.formula.clauses[0].literals"),
    ("FourierTransform", {}, "spec.num_qubits"),
    ("FourierTransform", {"num_qubits": 2, "state": 4}, "spec.state"),
    ("FourierTransform", {"amplitudes": doubles(1, 1)}, "spec.amplitudes"),
    ("PhaseEstimation", {}, "spec.unitary"),
    ("PhaseEstimation", {"unitary": {"openqasm": HEADER + "qubit q; reset q;"}, "precision_bits": 2}, "spec.unitary"),
    ("PhaseEstimation", {"unitary": {"openqasm": HEADER + "qubit q; x q;"}, "precision_bits": 21}, "spec.precision_bits"),
    ("AmplitudeEstimation", {}, "spec.target"),
    ("AmplitudeEstimation", {"circuit": {"openqasm": HEADER + "qubit q; h q;"}, "epsilon": 0.9}, "spec.epsilon"),
    ("AmplitudeEstimation", {"circuit": {"openqasm": HEADER + "qubit q; h q;"}, "objective_qubit": 1}, "spec.objective_qubit"),
    ("AmplitudeEstimation", {"value_at_risk": {"losses": doubles(1, 0), "probabilities": doubles(0.5, 0.5)}}, "spec.value_at_risk.losses"),
    ("Factoring", {"number": 3}, "spec.number"),
    ("Factoring", {"number": 15, "base": 15}, "spec.base"),
    ("Factoring", {"number": 15, "execution": {"backend": {"backend": "nope"}}}, "spec.execution.backend.backend"),
    ("Factoring", {"number": 15, "execution": {"backend": {"regions": ["mars"]}}}, "spec.execution.backend.regions"),
]  # fmt: skip


@pytest.mark.parametrize(("name", "spec", "path"), BAD, ids=[f"{n}-{p}" for n, _, p in BAD])
def test_bad_specs_are_refused_by_path(algorithms, metadata, name: str, spec, path: str) -> None:
    request = getattr(pb, f"Run{name}Request")(spec=spec)
    found = refused(getattr(algorithms, f"Run{name}"), request, metadata=metadata, timeout=200)
    assert found.code is grpc.StatusCode.INVALID_ARGUMENT, found
    assert found.fields == [path], found
    assert found.reason == "FIELD_INVALID"


@pytest.mark.parametrize(
    ("name", "spec", "limit"),
    [
        ("Qaoa", {"ising": RING, "layers": 100_000}, "quantum.layers_max"),
        ("Grover", {"marked": {"num_bits": 63}}, "quantum.search_qubits_max"),
        ("Factoring", {"number": 10**12}, "quantum.factor_max"),
        (
            "PhaseEstimation",
            {"unitary": {"openqasm": HEADER + "qubit q;" + "x q;" * 50}, "precision_bits": 20},
            "quantum.operations_max",
        ),
    ],
)
def test_what_is_too_large_is_refused_by_its_limit(algorithms, metadata, name, spec, limit) -> None:
    request = getattr(pb, f"Run{name}Request")(spec=spec)
    found = refused(getattr(algorithms, f"Run{name}"), request, metadata=metadata, timeout=200)
    assert found.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert found.quotas == [limit]


def test_an_estimate_runs_nothing(algorithms, metadata) -> None:
    request = pb.RunQaoaRequest(
        spec=pb.QaoaSpec(ising=RING, layers=2, execution=SEEDED), validate_only=True
    )
    answer = algorithms.RunQaoa(request, metadata=metadata, timeout=200)
    assert answer.estimate.backend == "native"
    assert answer.estimate.memory_bytes > 0
    assert not answer.HasField("result")


def test_a_time_limit_brings_the_best_so_far(run) -> None:
    n = 18
    rng = np.random.default_rng(0)
    row, column = np.triu_indices(n, 1)
    glass = ising_pb2.Ising(
        num_spins=n,
        quadratic=tensor_pb2.SparseMatrix(
            row=integers(*row.tolist()),
            column=integers(*column.tolist()),
            value=doubles(*rng.normal(size=len(row)).tolist()),
        ),
    )
    execution = pb.ExecutionOptions(seed=5)
    execution.time_limit.FromMilliseconds(1500)
    optimizer = pb.OptimizerOptions(evaluations_max=1_000_000, starts=1000)
    result = run("Qaoa", ising=glass, layers=12, execution=execution, optimizer=optimizer)
    assert result.expectation < 0
    assert result.evidence.times.total.ToMilliseconds() < 60_000  # a million evaluations take hours


def test_an_algorithm_as_a_job_gives_the_same(run, channel, metadata) -> None:
    spec = pb.QaoaSpec(ising=RING, layers=2, execution=SEEDED)
    jobs = job_service_pb2_grpc.JobServiceStub(channel)
    request = job_service_pb2.CreateJobRequest(spec=job_pb2.JobSpec(qaoa=spec))
    job = jobs.CreateJob(request, metadata=metadata, timeout=200).job
    wait = job_service_pb2.WaitJobRequest(name=job.name, view=job_service_pb2.JOB_VIEW_FULL)
    wait.timeout.seconds = 150
    done = jobs.WaitJob(wait, metadata=metadata, timeout=200).job
    assert done.state == job_pb2.JOB_STATE_SUCCEEDED, done.error
    again = run("Qaoa", ising=RING, layers=2)
    assert done.result.qaoa.angles == again.angles
    assert [one.count for one in done.result.qaoa.samples] == [one.count for one in again.samples]
