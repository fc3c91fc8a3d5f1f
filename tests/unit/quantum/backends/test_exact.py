"""Exact states and probabilities of every back end against full matrices."""

import numpy as np
import pytest
from ketgate_server.quantum.base import Precision
from ketgate_server.quantum.circuit import Circuit, Gate, Measure

from .. import oracle
from ..specimens import circuit, exact_circuits, fourier, gate_cases, ghz, measured, mixing

TOLERANCE = 1e-10
SINGLE_TOLERANCE = 1e-5


@pytest.fixture
def exact(bench):
    if not bench.can.exact:
        pytest.skip(f"{bench.name} has no exact results")
    return bench


@pytest.fixture
def vectors(exact):
    if not exact.can.state_vector:
        pytest.skip(f"{exact.name} has no state vector")
    return exact


def deviation(state, expected):
    return float(np.abs(np.asarray(state) - expected).max())


def test_every_gate_controlled_and_to_powers_with_its_phase(vectors):
    cases = gate_cases()
    outcomes = vectors.run(list(cases.values()), state_vector=True)
    wrong = {}
    for (what, case), outcome in zip(cases.items(), outcomes, strict=True):
        error = deviation(outcome.state_vector, oracle.state_vector(case))
        if not error <= TOLERANCE:
            wrong[what] = error
    assert not wrong


def test_single_precision_is_that(vectors):
    if not vectors.can.single_precision:
        pytest.skip(f"{vectors.name} has no single precision")
    cases = list(gate_cases(variants=(((), 1.0),)).values())
    outcomes = vectors.run(cases, state_vector=True, precision=Precision.SINGLE)
    for case, outcome in zip(cases, outcomes, strict=True):
        assert np.asarray(outcome.state_vector).dtype == np.complex64
        assert deviation(outcome.state_vector, oracle.state_vector(case)) <= SINGLE_TOLERANCE


def test_probabilities_at_the_end(exact):
    cases = exact_circuits()
    outcomes = exact.run(list(cases.values()))
    for (what, case), outcome in zip(cases.items(), outcomes, strict=True):
        assert not outcome.counts
        small = case if case.num_qubits < 9 else circuit(2, [*ghz(2), Measure(1, 1)])
        expected = {m: p for m, p in oracle.distribution(small).items() if p > 1e-12}
        assert outcome.probabilities.keys() == expected.keys(), what
        for outcome_bits, p in expected.items():
            assert outcome.probabilities[outcome_bits] == pytest.approx(p, abs=TOLERANCE), what


def test_a_larger_fourier_transform_of_a_basis_state_is_a_plane_wave(vectors):
    n, k = 10, 619
    preparation = [Gate("x", (q,)) for q in range(n) if k >> q & 1]
    state = vectors.one(circuit(n, [*preparation, *fourier(n)]), state_vector=True).state_vector
    plane_wave = np.exp(2j * np.pi * k * np.arange(1 << n) / (1 << n)) / 2 ** (n / 2)
    assert deviation(state, plane_wave) <= TOLERANCE


def test_the_state_is_that_before_the_final_measurements_and_comes_beside_outcomes(vectors):
    case = measured(3, [*mixing(3), Gate("gphase", (), (0.4,))])
    outcome = vectors.one(case, state_vector=True)
    assert deviation(outcome.state_vector, oracle.state_vector(case)) <= TOLERANCE
    assert len(outcome.probabilities) == 8
    sampled = vectors.one(case, shots=100, state_vector=True)
    assert deviation(sampled.state_vector, oracle.state_vector(case)) <= TOLERANCE
    assert sum(sampled.counts.values()) == 100


def test_idle_qubits_are_part_of_the_state(vectors):
    case = circuit(3, [Gate("x", (1,))])
    state = vectors.one(case, state_vector=True).state_vector
    np.testing.assert_allclose(state, np.eye(8)[2], atol=TOLERANCE)


def test_a_circuit_that_does_nothing(vectors):
    outcome = vectors.one(Circuit(2, 3, ()), state_vector=True)
    np.testing.assert_allclose(outcome.state_vector, np.eye(4)[0], atol=TOLERANCE)
    assert outcome.probabilities == {0: pytest.approx(1.0)}
    assert vectors.one(Circuit(2, 3, ()), shots=7).counts == {0: 7}


def test_a_batch_keeps_its_order(exact):
    cases = [circuit(3, [*(Gate("x", (q,)) for q in range(3) if k >> q & 1)]) for k in range(8)]
    cases = [measured(3, case.operations) for case in cases]
    assert [list(o.probabilities) for o in exact.run(cases)] == [[k] for k in range(8)]
    assert exact.run([]) == []
