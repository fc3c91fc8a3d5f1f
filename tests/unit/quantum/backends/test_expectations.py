"""Expectations of every back end, exact and of shots, and gradients of those that have them."""

import math

import numpy as np
import pytest
from ketgate_server.quantum.base import Precision, Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.expression import Expression, parameter
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum, PauliTerm

from .. import oracle
from ..specimens import OBSERVABLES, circuit, ghz, measured, mixing, random_circuit

CASE = measured(3, [*mixing(3), Gate("ccx", (2, 0, 1)), Gate("sx", (2,))])


@pytest.fixture
def exact(bench):
    if not bench.can.exact:
        pytest.skip(f"{bench.name} has no exact results")
    return bench


def test_exact_expectations(exact):
    outcome = exact.estimate(CASE, OBSERVABLES)
    state = oracle.state_vector(CASE)
    expected = [oracle.expectation(state, observable) for observable in OBSERVABLES]
    np.testing.assert_allclose(outcome.values, expected, atol=1e-10)
    np.testing.assert_array_equal(outcome.standard_errors, 0)
    assert outcome.groups == 0
    assert outcome.gradients is None


def test_expectations_in_single_precision(exact):
    if not exact.can.single_precision:
        pytest.skip(f"{exact.name} has no single precision")
    outcome = exact.estimate(CASE, OBSERVABLES, precision=Precision.SINGLE)
    state = oracle.state_vector(CASE)
    expected = [oracle.expectation(state, observable) for observable in OBSERVABLES]
    np.testing.assert_allclose(outcome.values, expected, atol=1e-5)


def test_observables_on_qubits_that_nothing_acts_on(exact):
    case = circuit(6, ghz(2))
    z5 = PauliSum((PauliTerm(1.0, 0, 1 << 5), PauliTerm(0.5, 0b11, 0)))
    np.testing.assert_allclose(exact.estimate(case, [z5]).values, [1.5], atol=1e-10)


def test_standard_errors_are_honest(bench):
    """Over many seeds the deviations, in units of the errors told, have a spread of about 1."""
    state = oracle.state_vector(CASE)
    expected = np.array([oracle.expectation(state, observable) for observable in OBSERVABLES])
    deviations = []
    for seed in range(30):
        outcome = bench.estimate(CASE, OBSERVABLES, 400, seed=seed)
        assert outcome.groups > 1
        assert (outcome.standard_errors[:3] > 0).all()
        np.testing.assert_array_equal(outcome.standard_errors[3:], 0)
        np.testing.assert_allclose(outcome.values[3:], expected[3:], atol=1e-12)
        deviations.append((outcome.values - expected)[:3] / outcome.standard_errors[:3])
    spread = np.sqrt(np.mean(np.square(deviations)))
    assert 0.7 < spread < 1.3
    assert np.abs(deviations).max() < 5


def test_shots_and_exact_values_agree_under_errors_of_readout(exact):
    if not exact.can.noise:
        pytest.skip(f"{exact.name} has no noise")
    noise = NoiseModel({}, {None: (0.05, 0.1), 2: (0.0, 0.3)})
    limit = exact.estimate(CASE, OBSERVABLES[:3], noise=noise)
    ideal = exact.estimate(CASE, OBSERVABLES[:3])
    assert np.abs(limit.values - ideal.values).max() > 0.01
    shots = exact.estimate(CASE, OBSERVABLES[:3], 20_000, noise=noise)
    assert (np.abs(shots.values - limit.values) < 5 * shots.standard_errors).all()


A, B = parameter("a"), parameter("b")
PARAMETRIC = Circuit(
    3,
    0,
    (
        Gate("h", (0,)),
        Gate("rx", (0,), (A,)),
        Gate("ry", (1,), (Expression("*", (2.0, B)),)),
        Gate("u", (2,), (A, Expression("-", (B, 0.3)), 0.5)),
        Gate("crz", (0, 1), (Expression("sin", (A,)),)),
        Gate("rzz", (1, 2), (Expression("*", (A, B)),)),
        Gate("rzx", (0, 2), (B,)),
        Gate("cp", (2, 0), (A,)),
        *random_circuit(3, 8, 3),
        Gate("gphase", (), (A,)),
        Gate("rxx", (2, 1), (B,)),
        Gate("x", (1, 2), controls=(0,)),
        Gate("p", (1,), (0.2,)),
    ),
    parameters=("a", "b", "unused"),
)
ADJOINT = {"native", "pennylane"}
"""Back ends with gradients."""
VALUES = {"a": 0.37, "b": -1.21, "unused": 3.0}


def test_a_parametric_circuit_takes_its_values(exact):
    outcome = exact.estimate(PARAMETRIC, OBSERVABLES, parameters=VALUES)
    state = oracle.state_vector(PARAMETRIC.bind(VALUES))
    expected = [oracle.expectation(state, observable) for observable in OBSERVABLES]
    np.testing.assert_allclose(outcome.values, expected, atol=1e-10)


def test_gradients_are_those_of_finite_differences_or_are_refused(exact):
    if exact.name not in ADJOINT:
        with pytest.raises(Unsuitable, match="gradients"):
            exact.estimate(PARAMETRIC, OBSERVABLES, parameters=VALUES, gradients=True)
        return
    outcome = exact.estimate(PARAMETRIC, OBSERVABLES, parameters=VALUES, gradients=True)

    def value(name, shift):
        state = oracle.state_vector(PARAMETRIC.bind(VALUES | {name: VALUES[name] + shift}))
        return np.array([oracle.expectation(state, observable) for observable in OBSERVABLES])

    h = 1e-4
    slopes = [
        (8 * (value(n, h) - value(n, -h)) - (value(n, 2 * h) - value(n, -2 * h))) / (12 * h)
        for n in PARAMETRIC.parameters
    ]
    assert outcome.gradients.shape == (len(OBSERVABLES), 3)
    np.testing.assert_allclose(outcome.gradients, np.transpose(slopes), atol=1e-9)
    np.testing.assert_array_equal(outcome.gradients[:, 2], 0)
    assert not math.isclose(outcome.gradients[1, 0], 0.0)
