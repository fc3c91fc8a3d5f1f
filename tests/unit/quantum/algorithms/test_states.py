"""Fourier transforms and prepared states against NumPy."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.quantum.algorithms.fourier import inverse_transform, transform
from ketgate_server.quantum.algorithms.matrices import apply, dense
from ketgate_server.quantum.algorithms.state_preparation import diagonal, multiplexed, prepare


def draw(n: int, seed: int, *, zeros: bool = False) -> np.ndarray:
    rng = np.random.default_rng(seed)
    state = rng.normal(size=1 << n) + 1j * rng.normal(size=1 << n)
    if zeros:
        state[rng.random(1 << n) < 0.6] = 0.0
        state[int(rng.integers(1 << n))] = 1.0
    return state / np.linalg.norm(state)


def zero(n: int) -> np.ndarray:
    state = np.zeros(1 << n, dtype=complex)
    state[0] = 1.0
    return state


@given(n=st.integers(1, 6), seed=st.integers(0, 10**6), zeros=st.booleans())
def test_any_state_is_prepared_exactly_phase_included(n: int, seed: int, zeros: bool) -> None:
    wanted = draw(n, seed, zeros=zeros)
    np.testing.assert_allclose(apply(prepare(wanted, range(n)), zero(n)), wanted, atol=1e-12)


def test_real_positive_states_need_no_phases() -> None:
    wanted = np.abs(draw(4, 1)).astype(complex)
    names = {gate.name for gate in prepare(wanted, range(4))}
    assert names == {"ry", "cx"}


def test_any_diagonal() -> None:
    phases = np.random.default_rng(3).uniform(-3, 3, 16)
    np.testing.assert_allclose(
        dense(diagonal(phases, range(4)), 4), np.diag(np.exp(1j * phases)), atol=1e-12
    )


@pytest.mark.parametrize("rotation", ["ry", "rz"])
def test_multiplexed_rotations_take_each_its_angle(rotation: str) -> None:
    angles = np.random.default_rng(5).uniform(-3, 3, 8)
    made = dense(multiplexed(rotation, angles, [1, 2, 3], 0), 4)
    for c, angle in enumerate(angles):
        block = made[2 * c : 2 * c + 2, 2 * c : 2 * c + 2]
        half = angle / 2
        wanted = (
            [[np.cos(half), -np.sin(half)], [np.sin(half), np.cos(half)]]
            if rotation == "ry"
            else np.diag([np.exp(-1j * half), np.exp(1j * half)])
        )
        np.testing.assert_allclose(block, wanted, atol=1e-12)


@given(n=st.integers(1, 6), seed=st.integers(0, 10**6))
def test_the_fourier_transform_is_the_classical_one(n: int, seed: int) -> None:
    state = draw(n, seed)
    there = apply(transform(range(n)), state)
    np.testing.assert_allclose(there, np.fft.ifft(state, norm="ortho"), atol=1e-12)
    np.testing.assert_allclose(apply(inverse_transform(range(n)), there), state, atol=1e-12)


def test_an_approximate_transform_leaves_small_phases_out() -> None:
    full, less = transform(range(8)), transform(range(8), approximation_degree=5)
    assert len(less) < len(full)
    assert min(gate.parameters[0] for gate in less if gate.name == "cp") >= np.pi / 16
    fidelity = abs(np.vdot(apply(full, draw(8, 2)), apply(less, draw(8, 2)))) ** 2
    assert 0.9 < fidelity < 1.0 - 1e-6
