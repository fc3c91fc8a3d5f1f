"""Folding keeps what a circuit does; extrapolation finds curves that it is given."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Measure
from ketgate_server.quantum.gates import GATES, matrix
from ketgate_server.quantum.mitigation.folding import achieved, fold, inverse
from ketgate_server.quantum.mitigation.zne import extrapolate

from .. import oracle
from ..specimens import ghz, random_circuit


@pytest.mark.parametrize("name", GATES)
def test_every_gate_is_undone(name):
    spec = GATES[name]
    angles = tuple(np.random.default_rng(2).uniform(-3, 3, spec.num_parameters))
    for power in (1.0, -1.0, 0.5):
        gate = Gate(name, tuple(range(spec.num_qubits)), angles, power=power)
        both = matrix(inverse(gate)) @ matrix(gate)
        np.testing.assert_allclose(both, np.eye(len(both)), atol=1e-10)


@given(seed=st.integers(0, 10**6), factor=st.floats(1, 5))
@settings(max_examples=20, deadline=None)
def test_a_folded_circuit_does_the_same(seed, factor):
    circuit = Circuit(3, 0, tuple(random_circuit(3, 6, seed)))
    folded = fold(circuit, factor)
    state, expected = oracle.state_vector(folded), oracle.state_vector(circuit)
    assert abs(np.vdot(state, expected)) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(("factor", "times"), [(1.0, 4), (3.0, 12), (5.0, 20), (2.0, 8), (1.5, 6)])
def test_gates_on_two_qubits_are_there_as_often_as_the_factor_says(factor, times):
    circuit = Circuit(5, 0, tuple(ghz(5)))
    names = [one.name for one in fold(circuit, factor).walk() if isinstance(one, Gate)]
    assert (names.count("cx"), names.count("h")) == (times, 1)
    assert achieved(circuit, factor) == factor


def test_without_gates_on_two_qubits_all_are_folded():
    circuit = Circuit(1, 1, (Gate("h", (0,)), Gate("t", (0,)), Measure(0, 0)))
    names = [one.name for one in fold(circuit, 3.0).walk() if isinstance(one, Gate)]
    assert names == ["h", "h", "h", "t", "tdg", "t"]
    assert fold(Circuit(1, 1, (Measure(0, 0),)), 3.0).operations == (Measure(0, 0),)


def test_gates_in_branches_are_folded_too():
    inner = If(Condition((0,), "==", 1), (Gate("cz", (0, 1)),))
    folded = fold(Circuit(2, 1, (inner,)), 3.0)
    names = [one.name for one in folded.walk() if isinstance(one, Gate)]
    assert names == ["cz", "cz", "cz"]


def test_curves_are_found():
    factors = [1.0, 2.0, 3.0]
    line = [0.9 - 0.1 * x for x in factors]
    assert extrapolate(factors, line, [0, 0, 0], "linear")[0] == pytest.approx(0.9)
    bend = [0.9 - 0.1 * x + 0.02 * x * x for x in factors]
    assert extrapolate(factors, bend, [0.01] * 3, "polynomial-2")[0] == pytest.approx(0.9)
    decay = [-0.8 * np.exp(-0.3 * x) for x in factors]
    value, error, note = extrapolate(factors, decay, [0, 0, 0], "exponential")
    assert value == pytest.approx(-0.8)
    assert (error, note) == (pytest.approx(0, abs=1e-9), "")


def test_values_that_do_not_decay_are_extrapolated_linearly_and_it_is_told():
    value, _, note = extrapolate([1, 3], [0.2, -0.2], [0.01, 0.01], "exponential")
    assert value == pytest.approx(0.4)
    assert "linear in place of exponential" in note


@pytest.mark.parametrize("kind", ["linear", "polynomial-2", "exponential"])
def test_standard_errors_are_those_of_many_repetitions(kind):
    rng = np.random.default_rng(5)
    factors = np.array([1.0, 1.5, 2.0, 3.0])
    true = 0.9 * np.exp(-0.2 * factors)
    sigma = np.array([0.004, 0.005, 0.006, 0.008])
    found = [extrapolate(factors, true + rng.normal(0, sigma), sigma, kind)[:2] for _ in range(400)]
    values, errors = np.array(found).T
    assert values.std() == pytest.approx(errors.mean(), rel=0.2)


def test_too_few_factors_are_refused():
    with pytest.raises(ValueError, match="at least 3 that differ for polynomial-2"):
        extrapolate([1, 3], [0, 0], [0, 0], "polynomial-2")
