"""The variational classifier against circuits in plain NumPy and finite differences."""

import numpy as np
import pytest
from ketgate_server.quantum.algorithms.matrices import apply
from ketgate_server.quantum.learning import variational as v


def some_states(m: int, n: int, seed: int) -> np.ndarray:
    rng = np.random.default_rng(seed)
    states = rng.normal(size=(m, 1 << n)) + 1j * rng.normal(size=(m, 1 << n))
    return states / np.linalg.norm(states, axis=1, keepdims=True)


@pytest.mark.parametrize("n", [1, 2, 3, 4])
def test_the_layers_are_the_circuit_they_say(n: int) -> None:
    angles = np.random.default_rng(n).normal(size=(2, 2, n))
    states = some_states(3, n, 1)
    wanted = apply(v.operations(angles), states.T.copy()).T
    np.testing.assert_allclose(v.forward(states, angles), wanted, atol=1e-12)


@pytest.mark.parametrize("n", [1, 3])
def test_gradients_against_finite_differences(n: int) -> None:
    rng = np.random.default_rng(2)
    states, labels = some_states(5, n, 3), rng.integers(0, 2, 5).astype(float)
    vector = np.concatenate([rng.normal(size=2 * 2 * n), [2.0, -0.3]])

    def loss(x: np.ndarray) -> float:
        weights = v.Weights(x[:-2].reshape(2, 2, n), float(x[-2]), float(x[-1]))
        logits = v.scores(states, weights)
        return float(np.mean(np.logaddexp(0.0, logits) - labels * logits))

    weights = v.Weights(vector[:-2].reshape(2, 2, n), float(vector[-2]), float(vector[-1]))
    found, slopes = v.loss_and_gradient(states, labels, weights)
    assert found == pytest.approx(loss(vector))
    for k in range(len(vector)):
        step = np.zeros_like(vector)
        step[k] = 1e-6
        numeric = (loss(vector + step) - loss(vector - step)) / 2e-6
        assert slopes[k] == pytest.approx(numeric, abs=1e-7)


def test_two_separable_classes_are_learnt_and_seeds_repeat() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 60).astype(float)
    angles = np.pi * labels + rng.normal(0, 0.3, 60)
    states = np.stack([np.cos(angles / 2), np.sin(angles / 2)], axis=1).astype(complex)
    states = np.kron(states, np.array([1.0, 0.0]))  # a second qubit in |0>: it is the readout
    runs = [
        v.train(
            states,
            labels,
            layers=2,
            epochs=30,
            learning_rate=0.1,
            batch_size=16,
            seed=4,
            stopped=lambda: False,
        )
        for _ in range(2)
    ]
    np.testing.assert_array_equal(runs[0].weights.angles, runs[1].weights.angles)
    assert runs[0].losses[-1] < 0.5 * runs[0].losses[0]
    right = (v.scores(states, runs[0].weights) > 0) == (labels > 0.5)
    assert right.mean() > 0.95


def test_a_stop_keeps_what_was_trained() -> None:
    calls = iter(range(100))
    found = v.train(
        some_states(20, 2, 0),
        np.tile([0.0, 1.0], 10),
        layers=1,
        epochs=50,
        learning_rate=0.1,
        batch_size=5,
        seed=0,
        stopped=lambda: next(calls) >= 10,
    )
    assert len(found.losses) == 2
    assert np.abs(found.weights.angles).max() > 0.0
