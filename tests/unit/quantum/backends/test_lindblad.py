"""The Markovian process of a channel: that it makes the channel again, and is none where there is
none."""

import math

import numpy as np
import pytest
from ketgate_server.quantum.backends.lindblad import Generator, generator
from ketgate_server.quantum.backends.qutip import QutipBackend
from ketgate_server.quantum.base import RunOptions
from ketgate_server.quantum.noise import NoiseModel
from scipy.linalg import expm

from ..specimens import damping, depolarizing, flip

I2 = np.eye(2)


def superoperator(kraus):
    return sum(np.kron(one.conj(), one) for one in kraus)


def liouvillian(made):
    size = len(made.hamiltonian)
    one = np.eye(size)
    h = made.hamiltonian
    out = -1j * (np.kron(one, h) - np.kron(h.T, one))
    for jump in made.jumps:
        decay = jump.conj().T @ jump
        out = out + np.kron(jump.conj(), jump)
        out = out - (np.kron(one, decay) + np.kron(decay.T, one)) / 2
    return out


def thermal(t1, t2, time, excited):
    """Relaxation and dephasing, as Kraus operators of its Choi matrix."""
    decay, phase = math.exp(-time / t1), math.exp(-time / t2)
    up = (1 - decay) * excited
    down = (1 - decay) * (1 - excited)
    choi = np.array(
        [[1 - up, 0, 0, phase], [0, up, 0, 0], [0, 0, down, 0], [phase, 0, 0, 1 - down]]
    )
    return from_choi(choi)


def from_choi(choi):
    """Columns stacked: choi[(i, j), (k, l)] is the entry j, l of the image of |i><k|."""
    values, vectors = np.linalg.eigh(choi)
    return np.array(
        [
            math.sqrt(value) * vector.reshape(2, 2).T
            for value, vector in zip(values, vectors.T, strict=True)
            if value > 1e-15
        ]
    )


def driven_decay():
    """A qubit that is driven while it decays."""
    made = Generator(np.array([[0.2, 0.4], [0.4, -0.2]]), (np.array([[0, 0.5], [0, 0]]),))
    channel = expm(liouvillian(made)).reshape(2, 2, 2, 2)  # [l, j, k, i]: j, l of |i><k|
    return from_choi(channel.transpose(3, 1, 2, 0).reshape(4, 4))


def rotation(angle):
    return np.array(
        [[math.cos(angle / 2), -math.sin(angle / 2)], [math.sin(angle / 2), math.cos(angle / 2)]]
    )


MARKOVIAN = {
    "nothing": I2[None],
    "a rotation": rotation(0.4)[None],
    "depolarizing": depolarizing(0.1).kraus,
    "depolarizing of two": depolarizing(0.2, 2).kraus,
    "damping": damping(0.3).kraus,
    "a flip": flip(0.2).kraus,
    "thermal": thermal(50.0, 70.0, 9.0, 0.2),
    "driven decay": driven_decay(),
}


@pytest.mark.parametrize("what", MARKOVIAN)
def test_the_process_makes_the_channel(what):
    kraus = MARKOVIAN[what]
    made = generator(kraus)
    assert made is not None
    np.testing.assert_allclose(made.hamiltonian, made.hamiltonian.conj().T, atol=1e-12)
    np.testing.assert_allclose(expm(liouvillian(made)), superoperator(kraus), atol=1e-8)


def test_the_rates_of_thermal_relaxation_are_one_over_t1_and_t2():
    made = generator(thermal(50.0, 70.0, 9.0, 0.0))
    decay = sum(abs(jump[0, 1]) ** 2 for jump in made.jumps)
    assert decay == pytest.approx(9.0 / 50.0, rel=1e-6)
    coherence = -liouvillian(made)[1, 1].real
    assert coherence == pytest.approx(9.0 / 70.0, rel=1e-6)


@pytest.mark.parametrize("kraus", [flip(0.5).kraus, flip(0.8).kraus, damping(1.0).kraus])
def test_what_no_such_process_makes_has_none(kraus):
    assert generator(kraus) is None


def test_it_is_told_whether_the_master_equation_was_integrated():
    """A flip that is more likely than not is no Markovian process."""
    backend = QutipBackend()
    told = {}
    for name, chances in {"soft": (0.1,), "hard": (0.9,), "both": (0.1, 0.9)}.items():
        channels = tuple(flip(chance) for chance in chances)
        options = RunOptions(10, 1, noise=NoiseModel({("*1", None): channels}))
        told[name] = backend._method(options)
    assert told == {
        "soft": "master-equation",
        "hard": "density-matrix",
        "both": "master-equation and density-matrix",
    }
    assert backend._method(RunOptions(10, 1, noise=NoiseModel({}, {None: (0.1, 0.1)}))) == ""
