"""Noisy runs against the plain density matrix: exact, sampled, and by trajectories."""

import math
from dataclasses import replace

import numpy as np
import pytest
from ketgate_server.quantum.base import NoiseMethod, RunOptions, Stopped, Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate, Measure
from ketgate_server.quantum.native.noisy import expectations_noisy, run_noisy
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.noise_channels import (
    amplitude_damping,
    depolarizing,
    pauli,
    thermal_relaxation,
)
from ketgate_server.quantum.noise_transfer import pauli_matrices
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.workers.order import OrderTask

from .. import oracle
from ..specimens import (
    OBSERVABLES,
    dynamic_circuits,
    gate_cases,
    measured,
    mixing,
    noise_models,
    random_circuit,
)

METHODS = [NoiseMethod.DENSITY_MATRIX, NoiseMethod.TRAJECTORIES]
SHOTS = 20_000
DEVICE = NoiseModel(
    {
        ("*1", None): depolarizing(0.01, 1) + thermal_relaxation(50.0, 70.0, 900.0, 0.05, 1),
        ("*2", None): depolarizing(0.03, 2) + thermal_relaxation(50.0, 40.0, 2000.0, 0.0, 2),
        ("*3", None): amplitude_damping(0.1, 3),
    },
    {None: (0.02, 0.05)},
)
PAULI = NoiseModel({("*1", None): depolarizing(0.05, 1), ("cx", None): pauli(["XZ"], [0.2])})


def run(circuit, noise, shots=0, **options):
    given = RunOptions(shots, options.pop("seed", 5), noise=noise, **options)
    return run_noisy([circuit], given, OrderTask())[0]


def estimate(circuit, observables, noise, shots=0, **options):
    given = RunOptions(shots, options.pop("seed", 5), noise=noise, **options)
    return expectations_noisy(circuit, observables, given, OrderTask())


def assert_sampled(counts, expected, shots):
    assert sum(counts.values()) == shots
    for key in counts.keys() | expected.keys():
        p = expected.get(key, 0.0)
        allowed = 5 * math.sqrt(p * (1 - p) / shots) + 3 / shots
        assert abs(counts.get(key, 0) / shots - p) < allowed, (key, counts.get(key), p)


@pytest.mark.parametrize("name", gate_cases())
def test_every_gate_is_exact_in_the_density_matrix(name):
    circuit = gate_cases()[name]
    circuit = measured(circuit.num_qubits, circuit.operations)
    expected = oracle.distribution(circuit, DEVICE)
    found = run(circuit, DEVICE).probabilities
    for key, p in expected.items():
        assert found.get(key, 0.0) == pytest.approx(p, abs=1e-10)


@pytest.mark.parametrize("name", ["cx", "ccx", "cswap", "u", "rzx", "ecr"])
def test_every_width_of_gate_is_right_in_trajectories(name):
    circuit = gate_cases()[name]
    circuit = measured(circuit.num_qubits, circuit.operations)
    expected = oracle.distribution(circuit, DEVICE)
    found = run(circuit, DEVICE, SHOTS, noise_method=NoiseMethod.TRAJECTORIES)
    assert found.method == "trajectories"
    assert_sampled(found.counts, expected, SHOTS)


@pytest.mark.parametrize("what", noise_models())
@pytest.mark.parametrize("name", dynamic_circuits())
def test_dynamic_circuits_are_exact(name, what):
    circuit, noise = dynamic_circuits()[name], noise_models()[what]
    expected = oracle.distribution(circuit, noise)
    found = run(circuit, noise).probabilities
    for key, p in expected.items():
        assert found.get(key, 0.0) == pytest.approx(p, abs=1e-10)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["teleportation", "nested", "a bit written twice", "<= 5"])
def test_dynamic_circuits_are_sampled(name, method):
    circuit, noise = dynamic_circuits()[name], noise_models()["everything"]
    found = run(circuit, noise, SHOTS, noise_method=method, memory=True)
    assert_sampled(found.counts, oracle.distribution(circuit, noise), SHOTS)
    assert found.memory.shape == (SHOTS, circuit.num_bits)
    keys = found.memory.astype(int) @ (1 << np.arange(circuit.num_bits))
    assert {int(k): int((keys == k).sum()) for k in np.unique(keys)} == dict(found.counts)


@pytest.mark.parametrize("noise", [DEVICE, PAULI], ids=["device", "pauli"])
def test_expectations_agree_with_the_density_matrix(noise):
    bare = NoiseModel(noise.gates)
    circuit = measured(3, [*mixing(3), *random_circuit(3, 12, 4)])
    rho = oracle.density(circuit, bare)
    expected = [oracle.expectation(rho, observable) for observable in OBSERVABLES]
    exact = estimate(circuit, OBSERVABLES, bare)
    np.testing.assert_allclose(exact.values, expected, atol=1e-10)
    assert not exact.standard_errors.any()
    for shots, method in ((0, METHODS[1]), (SHOTS, METHODS[0]), (SHOTS, METHODS[1])):
        found = estimate(circuit, OBSERVABLES, bare, shots, noise_method=method, trajectories=5000)
        distance = np.abs(found.values - expected)
        assert (distance <= 5 * found.standard_errors + 1e-12).all(), (shots, method)
        assert found.standard_errors.max() < 0.1


@pytest.mark.parametrize("method", METHODS)
def test_errors_of_readout_are_in_expectations_however_they_are_taken(method):
    circuit = measured(3, mixing(3))
    noise = NoiseModel(DEVICE.gates, {None: (0.05, 0.1), 2: (0.0, 0.3)})
    exact = estimate(circuit, OBSERVABLES, noise)
    sampled = estimate(circuit, OBSERVABLES, noise, SHOTS, noise_method=method)
    assert (np.abs(sampled.values - exact.values) <= 5 * sampled.standard_errors + 1e-12).all()
    without = estimate(circuit, OBSERVABLES, NoiseModel(noise.gates))
    assert np.abs(exact.values - without.values).max() > 0.01


def fidelity(a, b):
    """Of two density matrices."""
    values, vectors = np.linalg.eigh(a)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.conj().T
    inner = np.linalg.eigvalsh(root @ b @ root)
    return float(np.sqrt(np.maximum(inner, 0)).sum() ** 2)


def tomography(circuit, noise, n, **options):
    """The density matrix from the expectations of all Pauli strings."""
    terms = []
    for index in range(4**n):
        letters = [(index >> (2 * q)) & 3 for q in range(n)]
        x = sum(1 << q for q, letter in enumerate(letters) if letter in (1, 2))
        z = sum(1 << q for q, letter in enumerate(letters) if letter in (2, 3))
        terms.append(PauliSum((PauliTerm(1.0, x, z),)))
    values = estimate(circuit, terms, noise, **options).values
    return np.tensordot(values, pauli_matrices(n), axes=1) / 2**n


def test_trajectories_average_to_the_exact_state():
    circuit = Circuit(4, 0, tuple(random_circuit(4, 25, 3)))
    noise = NoiseModel(DEVICE.gates)
    options = {"noise_method": NoiseMethod.TRAJECTORIES, "trajectories": 8000, "threads": 2}
    found = tomography(circuit, noise, 4, **options)
    assert fidelity(oracle.density(circuit, noise), found) > 0.999


def of_string(rho, x, z):
    """Tr(P rho), P|i> = i^|x z| (-1)^|i z| |i ^ x>."""
    index = np.arange(len(rho))
    signs = (1j ** (x & z).bit_count()) * (-1.0) ** np.bitwise_count(index & z)
    return float((signs * rho[index, index ^ x]).sum().real)


def test_eight_qubits_have_the_exact_state():
    gates = [Gate("h", (0,)), *(Gate("cx", (q, q + 1)) for q in range(7))]
    gates += [Gate("ry", (q,), (0.3 * q,)) for q in range(8)]
    cx = pauli(["XZ"], [0.05]) + thermal_relaxation(50.0, 40.0, 2000.0, 0.0, 2)
    noise = NoiseModel({("*1", None): amplitude_damping(0.02, 1), ("cx", None): cx})
    circuit = measured(8, gates)
    rho = oracle.density(circuit, noise)
    exact = run(circuit, noise).probabilities
    np.testing.assert_allclose([exact.get(k, 0) for k in range(256)], np.diag(rho).real, atol=1e-10)
    pairs = np.random.default_rng(8).integers(0, 256, (500, 2)).tolist()
    observables = [PauliSum((PauliTerm(1.0, x, z),)) for x, z in pairs]
    expected = [of_string(rho, x, z) for x, z in pairs]
    np.testing.assert_allclose(estimate(circuit, observables, noise).values, expected, atol=1e-10)
    found = estimate(circuit, observables, noise, noise_method=NoiseMethod.TRAJECTORIES)
    assert (np.abs(found.values - expected) <= 5 * found.standard_errors + 1e-9).all()


def test_trajectories_take_what_a_density_matrix_cannot():
    n = 16
    gates = [Gate("h", (0,)), *(Gate("cx", (q, q + 1)) for q in range(n - 1))]
    noise = NoiseModel({("cx", None): depolarizing(0.01, 2)})
    found = run(measured(n, gates), noise, 200)
    assert found.method == "trajectories"
    assert found.counts[0] + found.counts[2**n - 1] > 120
    with pytest.raises(Unsuitable, match="16 qubits with noise, and what is measured amid"):
        run(measured(n, gates), noise)
    with pytest.raises(Unsuitable, match="takes at most 12"):
        run(measured(n, gates), noise, 10, noise_method=NoiseMethod.DENSITY_MATRIX)


def test_more_outcomes_amid_the_circuit_than_states_are_left_to_trajectories():
    rounds = [one for k in range(10) for one in (Gate("h", (0,)), Measure(0, k))]
    circuit = Circuit(1, 11, (*rounds, Gate("h", (0,)), Measure(0, 10)))
    assert run(circuit, PAULI, 100).method == "trajectories"
    with pytest.raises(Unsuitable, match="too many outcomes amid the circuit"):
        run(circuit, PAULI, 100, noise_method=NoiseMethod.DENSITY_MATRIX)
    again = Circuit(
        1, 1, tuple(replace(one, bit=0) if hasattr(one, "bit") else one for one in rounds)
    )
    assert run(again, PAULI, 100).method == "density-matrix"


def test_circuits_of_a_batch_have_seeds_of_their_own():
    circuit = measured(3, mixing(3))
    options = RunOptions(1000, 5, noise=PAULI)
    first, second = run_noisy([circuit, circuit], options, OrderTask())
    assert first.counts == run(circuit, PAULI, 1000).counts != second.counts


def test_a_gate_with_many_controls_runs_in_trajectories():
    gates = [Gate("x", (q,)) for q in range(6)]
    gates.append(Gate("x", tuple(range(7)), controls=(1, 1, 1, 1, 1, 1)))
    found = run(measured(7, gates), PAULI, 50)
    assert found.method == "trajectories"
    assert max(found.counts, key=found.counts.__getitem__) == 127


@pytest.mark.parametrize("method", METHODS)
def test_the_seed_alone_decides(method):
    circuit = measured(3, mixing(3))
    options = {"noise_method": method}
    first = run(circuit, DEVICE, 500, **options).counts
    assert run(circuit, DEVICE, 500, threads=2, **options).counts == first
    assert run(circuit, DEVICE, 500, threads=2, memory=True, **options).counts == first
    assert run(circuit, DEVICE, 500, seed=6, **options).counts != first


def test_only_the_qubits_that_are_used_are_simulated():
    circuit = Circuit(133, 1, (Gate("h", (130,)), Gate("cx", (130, 7)), Measure(7, 0)))
    assert run(circuit, DEVICE).probabilities[0] == pytest.approx(0.5, abs=0.05)


@pytest.mark.parametrize("method", METHODS)
def test_a_stop_is_told(method):
    task = OrderTask()
    task.stop()
    options = RunOptions(10_000, 1, noise=DEVICE, noise_method=method)
    circuit = measured(8, random_circuit(8, 60, 1))
    with pytest.raises(Stopped):
        run_noisy([circuit], options, task)


def test_the_state_vector_of_noise_is_refused():
    with pytest.raises(Unsuitable, match="the state is mixed"):
        run(measured(1, []), DEVICE, 1, state_vector=True)
