"""Phase estimation: the eigenphase of a unitary, to a number of bits.

Kitaev; as in Nielsen and Chuang, section 5.2: controlled powers, then the inverse Fourier transform.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.quantum.algorithms.builder import Builder, moved, with_control
from ketgate_server.quantum.algorithms.fourier import inverse_transform
from ketgate_server.quantum.algorithms.matrices import apply, dense
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.circuit import Circuit, Operation

LISTED_MAX = 32
EXACT_QUBITS_MAX = 8
"""Unitaries of more qubits are not diagonalised for the check."""


@dataclass
class Estimate:
    phase: float
    """In turns, 0 to below 1."""
    resolution: float
    distribution: list[tuple[float, float]]
    """(phase, probability), the likeliest first."""
    baseline: Baseline | None


def circuit(
    unitary: Sequence[Operation], state: Sequence[Operation], num_qubits: int, precision_bits: int
) -> Circuit:
    """Counting qubits first, so that the bits read are the phase in units of 2^-precision_bits."""
    t = precision_bits
    target = list(range(t, t + num_qubits))
    built = Builder(t + num_qubits, t).add(moved(state, target)).each("h", range(t))
    on_target = moved(unitary, target)
    for k in range(t):
        power = with_control(on_target, k)
        for _ in range(1 << k):
            built.add(power)
    return built.add(inverse_transform(range(t))).measure(range(t)).circuit("phase-estimation")


def estimate(
    unitary: Sequence[Operation],
    state: Sequence[Operation],
    num_qubits: int,
    precision_bits: int,
    runner: Runner,
) -> Estimate:
    """Exact probabilities without shots, shares of the shots otherwise."""
    built = circuit(unitary, state, num_qubits, precision_bits)
    outcome = runner.run([built])[0]
    size = 1 << precision_bits
    total = sum(outcome.counts.values())
    weights = (
        {k: v / total for k, v in outcome.counts.items()}
        if outcome.counts
        else dict(outcome.probabilities)
    )
    ordered = sorted(weights.items(), key=lambda item: (-item[1], item[0]))[:LISTED_MAX]
    return Estimate(
        ordered[0][0] / size,
        1.0 / size,
        [(number / size, weight) for number, weight in ordered],
        exact_phase(unitary, state, num_qubits),
    )


def exact_phase(
    unitary: Sequence[Operation], state: Sequence[Operation], num_qubits: int
) -> Baseline | None:
    """The eigenphase whose eigenspace the state overlaps most, by diagonalising the matrix."""
    if num_qubits > EXACT_QUBITS_MAX:
        return None
    from scipy.linalg import schur

    started_s = time.monotonic()
    triangle, vectors = schur(dense(unitary, num_qubits), output="complex")
    start = np.zeros(1 << num_qubits, dtype=np.complex128)
    start[0] = 1.0
    overlaps = np.abs(vectors.conj().T @ apply(state, start)) ** 2
    phases = np.mod(np.angle(np.diagonal(triangle)) / (2.0 * np.pi), 1.0)
    phases[phases > 1.0 - 1e-12] = 0.0
    # Equal phases are one eigenspace.
    order = np.argsort(phases, kind="stable")
    best, best_weight = 0.0, -1.0
    start_at = 0
    for k in range(1, len(order) + 1):
        if k == len(order) or phases[order[k]] - phases[order[start_at]] > 1e-9:
            weight = float(overlaps[order[start_at:k]].sum())
            if weight > best_weight:
                best, best_weight = float(phases[order[start_at]]), weight
            start_at = k
    return Baseline(
        f"eigenphase by diagonalisation (overlap with the state {best_weight:.6f})",
        best,
        True,
        time.monotonic() - started_s,
    )
