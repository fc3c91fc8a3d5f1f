"""Channels by their names: what each does to a state, and what is refused."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.quantum import noise_channels as channels
from ketgate_server.quantum.noise import Channel
from ketgate_server.quantum.noise_transfer import (
    embedded,
    kraus_of_transfer,
    pauli_probabilities,
    transfer_of_channels,
    transfer_of_kraus,
    transfer_of_unitary,
)

RHO = np.array([[0.3, 0.1 + 0.2j], [0.1 - 0.2j, 0.7]])
X, Y, Z = (channels.PAULIS[letter] for letter in "XYZ")


def apply(channel: Channel, rho):
    return sum(k @ rho @ k.conj().T for k in channel.kraus)


def complete(channel: Channel) -> bool:
    total = sum(k.conj().T @ k for k in channel.kraus)
    return bool(np.abs(total - np.eye(len(total))).max() < 1e-12)


def test_depolarizing_replaces_the_state():
    (channel,) = channels.depolarizing(0.2, 1)
    np.testing.assert_allclose(apply(channel, RHO), 0.8 * RHO + 0.2 * np.eye(2) / 2, atol=1e-14)
    (pair,) = channels.depolarizing(16 / 15, 2)
    rho = np.zeros((4, 4))
    rho[0, 0] = 1.0
    expected = (1 - 16 / 15) * rho + 16 / 15 * np.eye(4) / 4
    np.testing.assert_allclose(apply(pair, rho), expected, atol=1e-14)


def test_flips_and_dampings():
    np.testing.assert_allclose(
        apply(channels.bit_flip(0.1, 1)[0], RHO), 0.9 * RHO + 0.1 * X @ RHO @ X
    )
    np.testing.assert_allclose(
        apply(channels.phase_flip(0.1, 1)[0], RHO), 0.9 * RHO + 0.1 * Z @ RHO @ Z
    )
    damped = apply(channels.amplitude_damping(0.4, 1)[0], RHO)
    np.testing.assert_allclose(damped[1, 1], 0.7 * 0.6)
    np.testing.assert_allclose(damped[0, 1], RHO[0, 1] * math.sqrt(0.6))
    dephased = apply(channels.phase_damping(0.4, 1)[0], RHO)
    np.testing.assert_allclose(dephased, RHO * [[1, math.sqrt(0.6)], [math.sqrt(0.6), 1]])


@given(
    t1=st.floats(1, 500),
    ratio=st.floats(0.05, 2.0),
    duration=st.floats(0, 1e6),
    excited=st.floats(0, 1),
)
def test_relaxation_has_its_times(t1, ratio, duration, excited):
    channel = channels.relaxation(t1, t1 * ratio, duration, excited)
    assert complete(channel)
    after = apply(channel, RHO)
    kept = math.exp(-duration / 1000 / t1)
    assert after[1, 1].real == pytest.approx(excited + (0.7 - excited) * kept, abs=1e-9)
    coherence = math.exp(-duration / 1000 / (t1 * ratio))
    assert abs(after[0, 1]) == pytest.approx(abs(RHO[0, 1]) * coherence, abs=1e-9)


def test_each_qubit_has_its_own():
    found = channels.thermal_relaxation(50.0, 60.0, 300.0, 0.0, 2)
    assert [channel.qubits for channel in found] == [(0,), (1,)]


def test_letters_are_in_the_order_of_the_gate():
    (channel,) = channels.pauli(["XZ"], [1.0])
    np.testing.assert_allclose(channel.kraus[0], np.kron(Z, X))
    assert channel.paulis == (("XZ", 1.0),)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: channels.depolarizing(1.4, 1), "probability: expected a number from 0 to 1.33333"),
        (lambda: channels.bit_flip(-0.1, 1), "probability: expected a number from 0 to 1"),
        (lambda: channels.relaxation(50, 101, 1), "t2_us: expected a number above 0 to 100"),
        (lambda: channels.relaxation(0, 0, 1), "t1_us: expected a number above 0"),
        (lambda: channels.relaxation(math.nan, 1, 1), "t1_us: expected"),
        (lambda: channels.pauli(["XA"], [0.1]), "expected 2 letters of I, X, Y, Z, given 'XA'"),
        (lambda: channels.pauli(["X", "Y"], [0.6, 0.6]), "at most 1 together"),
        (lambda: channels.pauli(["X"], [0.1, 0.2]), "expected one for each of 1"),
        (lambda: channels.kraus(np.eye(2)), "expected shape"),
        (lambda: channels.kraus([np.eye(2) * 0.9]), "a sum that is 0.19 away"),
        (lambda: channels.kraus([np.full((2, 2), np.nan)]), "finite numbers"),
    ],
)
def test_what_is_no_channel_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


@given(seed=st.integers(0, 10**6), size=st.integers(1, 2))
def test_transfer_matrices_and_kraus_operators_are_the_same_map(seed, size):
    rng = np.random.default_rng(seed)
    dim = 2**size
    raw = rng.normal(size=(3, dim, dim)) + 1j * rng.normal(size=(3, dim, dim))
    root = np.linalg.inv(np.linalg.cholesky(np.einsum("mji,mjk->ik", raw.conj(), raw)).conj().T)
    kraus = raw @ root
    transfer = transfer_of_kraus(kraus)
    np.testing.assert_allclose(transfer[0], np.eye(4**size)[0], atol=1e-10)
    again = kraus_of_transfer(transfer)
    assert len(again) <= 3
    np.testing.assert_allclose(transfer_of_kraus(again), transfer, atol=1e-10)


def test_mixtures_of_paulis_are_seen():
    (channel,) = channels.pauli(["XI", "IZ"], [0.1, 0.2])
    shares = pauli_probabilities(transfer_of_kraus(channel.kraus))
    assert shares is not None
    # letter j on qubit j: XI is index 1, IZ is 3 * 4
    np.testing.assert_allclose([shares[0], shares[1], shares[12]], [0.7, 0.1, 0.2], atol=1e-14)
    fallen = transfer_of_kraus(channels.amplitude_damping(0.1, 1)[0].kraus)
    assert pauli_probabilities(fallen) is None


def test_a_map_on_one_of_two_qubits():
    (channel,) = channels.amplitude_damping(0.3, 1)
    whole = embedded(transfer_of_kraus(channel.kraus), (1,), 2)
    np.testing.assert_allclose(
        whole,
        transfer_of_kraus(np.array([np.kron(k, np.eye(2)) for k in channel.kraus])),
        atol=1e-14,
    )
    both = channels.amplitude_damping(0.3, 2)
    apart = whole @ embedded(transfer_of_kraus(channel.kraus), (0,), 2)
    np.testing.assert_allclose(transfer_of_channels(both, 2), apart, atol=1e-14)
    np.testing.assert_allclose(transfer_of_unitary(X), np.diag([1.0, 1.0, -1.0, -1.0]))
