"""Noise of every back end that has it, against a plain density matrix."""

import numpy as np
import pytest
from ketgate_server.quantum.base import NoiseMethod, Precision, Unsuitable
from ketgate_server.quantum.circuit import Gate

from .. import oracle
from ..specimens import OBSERVABLES, dynamic_circuits, ghz, measured, mixing, noise_models
from .conftest import SHOTS, assert_sampled

TOLERANCE = 1e-10
DENSITY_ALONE = {"cirq", "braket-local", "pennylane", "qutip"}
"""Back ends that simulate noise by the density matrix and in no other way."""


@pytest.fixture
def noisy(bench):
    if not bench.can.noise:
        pytest.skip(f"{bench.name} has no noise")
    return bench


CASE = measured(3, [*ghz(3), *mixing(3), Gate("ccx", (2, 0, 1))], bits=(1, 0, 3))


@pytest.mark.parametrize("what", noise_models())
def test_exact_probabilities_under_noise(noisy, what):
    if not noisy.can.exact:
        pytest.skip(f"{noisy.name} has no exact results")
    noise = noise_models()[what]
    outcome = noisy.one(CASE, noise=noise)
    expected = oracle.distribution(CASE, noise)
    assert outcome.probabilities.keys() == expected.keys()
    for bits, p in expected.items():
        assert outcome.probabilities[bits] == pytest.approx(p, abs=TOLERANCE)
    assert bool(outcome.method) == bool(noise.gates)


@pytest.mark.parametrize("what", noise_models())
def test_shots_under_noise(noisy, what):
    noise = noise_models()[what]
    outcome = noisy.one(CASE, SHOTS, noise=noise)
    assert_sampled(outcome.counts, oracle.distribution(CASE, noise), SHOTS)


@pytest.mark.parametrize("what", ["damping", "everything"])
def test_shots_by_trajectories(noisy, what):
    noise = noise_models()[what]
    options = {"noise": noise, "noise_method": NoiseMethod.TRAJECTORIES}
    if noisy.name in DENSITY_ALONE:
        with pytest.raises(Unsuitable, match="trajectories"):
            noisy.one(CASE, SHOTS, **options)
        return
    outcome = noisy.one(CASE, SHOTS, **options)
    assert outcome.method == "trajectories"
    assert_sampled(outcome.counts, oracle.distribution(CASE, noise), SHOTS)


@pytest.mark.parametrize("what", ["teleportation", "reset", "nested", "measured twice"])
def test_noise_amid_measurements(noisy, what):
    if not (noisy.can.classical_control and noisy.can.reset):
        pytest.skip(f"{noisy.name} measures at the end alone")
    case, noise = dynamic_circuits()[what], noise_models()["everything"]
    outcome = noisy.one(case, SHOTS, noise=noise)
    assert_sampled(outcome.counts, oracle.distribution(case, noise), SHOTS)


@pytest.mark.parametrize("what", ["depolarizing", "damping"])
def test_exact_expectations_under_noise(noisy, what):
    if not noisy.can.exact:
        pytest.skip(f"{noisy.name} has no exact results")
    noise = noise_models()[what]
    outcome = noisy.estimate(CASE, OBSERVABLES, noise=noise)
    rho = oracle.density(CASE, noise)
    expected = [oracle.expectation(rho, observable) for observable in OBSERVABLES]
    np.testing.assert_allclose(outcome.values, expected, atol=TOLERANCE)
    np.testing.assert_array_equal(outcome.standard_errors, 0)


def test_noise_on_physical_qubits_stays_on_them(noisy):
    """Idle qubits may be left out of the state, which renumbers the others."""
    from ketgate_server.quantum.circuit import Circuit, Measure
    from ketgate_server.quantum.noise import NoiseModel

    from ..specimens import flip

    case = Circuit(9, 2, (Gate("x", (2,)), Gate("x", (7,)), Measure(2, 0), Measure(7, 1)))
    noise = NoiseModel({("x", (7,)): (flip(1.0),)}, {2: (0.0, 0.25)})
    counts = noisy.one(case, SHOTS, noise=noise).counts
    assert_sampled(counts, {0b01: 0.75, 0b00: 0.25}, SHOTS)


def test_noise_in_single_precision(noisy):
    if not (noisy.can.single_precision and noisy.can.exact):
        pytest.skip(f"{noisy.name} has no exact results in single precision")
    noise = noise_models()["everything"]
    if noisy.name == "pennylane":
        with pytest.raises(Unsuitable, match="noise in single precision"):
            noisy.one(CASE, noise=noise, precision=Precision.SINGLE)
        return
    outcome = noisy.one(CASE, noise=noise, precision=Precision.SINGLE)
    for bits, p in oracle.distribution(CASE, noise).items():
        assert outcome.probabilities[bits] == pytest.approx(p, abs=1e-5)
    if noisy.can.classical_control:
        case = dynamic_circuits()["nested"]
        outcome = noisy.one(case, SHOTS, noise=noise, precision=Precision.SINGLE)
        assert_sampled(outcome.counts, oracle.distribution(case, noise), SHOTS)
