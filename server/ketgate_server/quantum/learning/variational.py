"""A variational classifier: rotations and entanglers after a feature map, trained by adjoint gradients.

The feature map has nothing to train, so each sample's state is prepared once; an epoch then moves whole
batches of states through the trainable layers, and one walk back gives the derivatives by every angle
(Jones and Gacon, arXiv:2009.02823).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.circuit import Operation

States = NDArray[np.complex128]
"""(m, 2^n): a state for each sample."""
Angles = NDArray[np.float64]
"""(layers, 2, n): RY, then RZ, on each qubit."""

BETA_1, BETA_2, EPSILON = 0.9, 0.999, 1e-8
"""Of Adam (Kingma and Ba, ICLR 2015)."""
LOGIT_SCALE = 4.0
"""Of the readout at the start of the training."""


@dataclass(frozen=True)
class Weights:
    """What was trained. Score of a sample: scale * <Z_0> + bias; above 0 it is the greater label."""

    angles: Angles
    scale: float
    bias: float


@dataclass
class Training:
    """How it went."""

    weights: Weights
    losses: list[float] = field(default_factory=list)
    """Mean cross-entropy of each epoch."""
    evaluations: int = 0
    """States that went through the layers; a gradient counts four."""


def forward(states: States, angles: Angles) -> States:
    """Each state after the layers."""
    n = _num_qubits(states)
    psi = states.T.copy()
    ring = ring_of_cx(n)
    for ry, rz in angles:
        for qubit in range(n):
            _rotate(psi, qubit, ry[qubit], rz[qubit])
        psi = psi[ring]
    return np.ascontiguousarray(psi.T)


def readout(states: States) -> NDArray[np.float64]:
    """<Z_0> of each state, (m,)."""
    weights = np.abs(states) ** 2
    return np.asarray(weights[:, 0::2].sum(axis=1) - weights[:, 1::2].sum(axis=1))


def scores(states: States, weights: Weights) -> NDArray[np.float64]:
    return weights.scale * readout(forward(states, weights.angles)) + weights.bias


def train(
    states: States,
    labels: NDArray[np.float64],
    *,
    layers: int,
    epochs: int,
    learning_rate: float,
    batch_size: int,
    seed: int,
    stopped: Callable[[], bool],
    on_epoch: Callable[[int, float], None] = lambda *_: None,
) -> Training:
    """labels: (m,) 0 and 1. Stops between batches; what was trained by then is the answer."""
    rng = np.random.default_rng(seed)
    n = _num_qubits(states)
    angles = rng.uniform(-0.1, 0.1, (layers, 2, n))
    vector = np.concatenate([angles.ravel(), [LOGIT_SCALE, 0.0]])
    first, second = np.zeros_like(vector), np.zeros_like(vector)
    out = Training(_unpacked(vector, angles.shape))
    step = 0
    for epoch in range(epochs):
        total = 0.0
        for batch in _batches(rng.permutation(len(states)), batch_size):
            if stopped():
                out.weights = _unpacked(vector, angles.shape)
                return out
            loss, slope = loss_and_gradient(
                states[batch], labels[batch], _unpacked(vector, angles.shape)
            )
            total += loss * len(batch)
            out.evaluations += 4 * len(batch)
            step += 1
            first = BETA_1 * first + (1.0 - BETA_1) * slope
            second = BETA_2 * second + (1.0 - BETA_2) * slope**2
            rate = learning_rate * math.sqrt(1.0 - BETA_2**step) / (1.0 - BETA_1**step)
            vector = vector - rate * first / (np.sqrt(second) + EPSILON)
        out.losses.append(total / len(states))
        on_epoch(epoch + 1, out.losses[-1])
    out.weights = _unpacked(vector, angles.shape)
    return out


def loss_and_gradient(
    states: States, labels: NDArray[np.float64], weights: Weights
) -> tuple[float, NDArray[np.float64]]:
    """Mean cross-entropy and its derivatives by all angles, the scale and the bias."""
    n, m = _num_qubits(states), len(states)
    ring = ring_of_cx(n)
    back = np.argsort(ring)
    psi = states.T.copy()
    for ry, rz in weights.angles:
        for qubit in range(n):
            _rotate(psi, qubit, ry[qubit], rz[qubit])
        psi = psi[ring]
    signs = 1.0 - 2.0 * (np.arange(1 << n) & 1)
    z = signs @ (np.abs(psi) ** 2)
    logits = weights.scale * z + weights.bias
    chance = 1.0 / (1.0 + np.exp(-logits))
    loss = float(np.mean(np.logaddexp(0.0, logits) - labels * logits))
    pull = (chance - labels) / m  # of each logit
    adjoint = (pull * weights.scale) * (signs[:, None] * psi)
    slopes = np.zeros_like(weights.angles)
    for layer in reversed(range(len(weights.angles))):
        psi, adjoint = psi[back], adjoint[back]
        ry, rz = weights.angles[layer]
        for qubit in reversed(range(n)):
            slopes[layer, 1, qubit] = _slope_z(adjoint, psi, qubit)
            _rotate_z(psi, qubit, -rz[qubit])
            _rotate_z(adjoint, qubit, -rz[qubit])
            slopes[layer, 0, qubit] = _slope_y(adjoint, psi, qubit)
            _rotate_y(psi, qubit, -ry[qubit])
            _rotate_y(adjoint, qubit, -ry[qubit])
    tail = [float(pull @ z), float(pull.sum())]
    return loss, np.concatenate([slopes.ravel(), tail])


def operations(angles: Angles) -> list[Operation]:
    """The trainable layers as gates."""
    n = angles.shape[2]
    built = Builder(n)
    for ry, rz in angles:
        for qubit in range(n):
            built.gate("ry", qubit, angles=(float(ry[qubit]),))
            built.gate("rz", qubit, angles=(float(rz[qubit]),))
        for a, b in _ring(n):
            built.gate("cx", a, b)
    return built.operations


def ring_of_cx(n: int) -> NDArray[np.int64]:
    """psi[ring_of_cx(n)] is psi after CX from each qubit to the next, around the ring."""
    index = np.arange(1 << n)
    for a, b in reversed(_ring(n)):  # where each amplitude comes from: undo the last first
        index = index ^ (((index >> a) & 1) << b)
    return index


def _ring(n: int) -> list[tuple[int, int]]:
    pairs = [(q, q + 1) for q in range(n - 1)]
    return pairs + ([(n - 1, 0)] if n > 2 else [])


def _batches(order: NDArray[np.int64], size: int) -> Iterator[NDArray[np.int64]]:
    for start in range(0, len(order), size):
        yield order[start : start + size]


def _unpacked(vector: NDArray[np.float64], shape: tuple[int, ...]) -> Weights:
    return Weights(vector[:-2].reshape(shape), float(vector[-2]), float(vector[-1]))


def _num_qubits(states: States) -> int:
    return int(states.shape[1]).bit_length() - 1


def _halves(psi: States, qubit: int) -> tuple[States, States]:
    """Views of the amplitudes with the qubit 0 and 1; psi is (2^n, m)."""
    view = psi.reshape(-1, 2, 1 << qubit, psi.shape[1])
    return view[:, 0], view[:, 1]


def _rotate(psi: States, qubit: int, ry: float, rz: float) -> None:
    _rotate_y(psi, qubit, ry)
    _rotate_z(psi, qubit, rz)


def _rotate_y(psi: States, qubit: int, angle: float) -> None:
    zero, one = _halves(psi, qubit)
    c, s = math.cos(angle / 2.0), math.sin(angle / 2.0)
    moved = c * zero - s * one
    one[...] = s * zero + c * one
    zero[...] = moved


def _rotate_z(psi: States, qubit: int, angle: float) -> None:
    zero, one = _halves(psi, qubit)
    zero *= complex(math.cos(angle / 2.0), -math.sin(angle / 2.0))
    one *= complex(math.cos(angle / 2.0), math.sin(angle / 2.0))


def _slope_z(adjoint: States, psi: States, qubit: int) -> float:
    """Im <adjoint| Z |psi>: the derivative by the angle of exp(-i angle Z / 2), summed over the
    batch."""
    (a, b), (c, d) = _halves(adjoint, qubit), _halves(psi, qubit)
    return float(np.vdot(a, c).imag - np.vdot(b, d).imag)


def _slope_y(adjoint: States, psi: States, qubit: int) -> float:
    """Im <adjoint| Y |psi>; Y|0> = i|1>, Y|1> = -i|0>."""
    (a, b), (c, d) = _halves(adjoint, qubit), _halves(psi, qubit)
    return float((1j * np.vdot(b, c) - 1j * np.vdot(a, d)).imag)
