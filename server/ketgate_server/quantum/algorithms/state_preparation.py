"""Circuits that make a given state from |0...0>: multiplexed rotations with Gray-code ladders.

Mottonen, Vartiainen, Bergholm, Salomaa, Quantum Information and Computation 5 (2005) 467: about
2^n CX for real amplitudes, twice that for complex ones.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.circuit import Gate, Operation

NEGLIGIBLE = 1e-15


def prepare(amplitudes: NDArray[np.complex128], qubits: Sequence[int]) -> list[Operation]:
    """amplitudes: (2^n,) of norm 1; index bit k belongs to qubits[k]. Exact, global phase
    included."""
    n = len(qubits)
    magnitudes = np.abs(amplitudes).astype(np.float64)
    out: list[Operation] = []
    for k in reversed(range(n)):  # the most significant qubit first
        # Weight of each half, by the values of the qubits above k.
        weights = np.sqrt((magnitudes.reshape(1 << (n - 1 - k), 2, 1 << k) ** 2).sum(axis=2))
        angles = 2.0 * np.arctan2(weights[:, 1], weights[:, 0])
        out += multiplexed("ry", angles, qubits[k + 1 :], qubits[k])
    phases = np.where(magnitudes > NEGLIGIBLE, np.angle(amplitudes), 0.0)
    if np.any(np.abs(phases) > NEGLIGIBLE):
        out += diagonal(phases, qubits)
    return out


def diagonal(phases: NDArray[np.float64], qubits: Sequence[int]) -> list[Operation]:
    """exp(i phases[j]) on basis state j."""
    out: list[Operation] = []
    rest = phases.astype(np.float64)
    for k in range(len(qubits)):
        pairs = rest.reshape(-1, 2)
        # rz(a) = diag(exp(-ia/2), exp(ia/2)) gives the difference; the mean goes on upwards.
        out += multiplexed("rz", pairs[:, 1] - pairs[:, 0], qubits[k + 1 :], qubits[k])
        rest = pairs.mean(axis=1)
    if abs(float(rest[0])) > NEGLIGIBLE:
        out.append(Gate("gphase", (), (float(rest[0]),)))
    return out


def multiplexed(
    rotation: str, angles: NDArray[np.float64], controls: Sequence[int], target: int
) -> list[Operation]:
    """rotation(angles[c]) on target where the controls read c (controls[0] is its lowest bit).
    rotation: "ry" or "rz"."""
    if not np.any(np.abs(angles) > NEGLIGIBLE):
        return []
    if not controls:
        return [Gate(rotation, (target,), (float(angles[0]),))]
    if np.ptp(angles) <= NEGLIGIBLE:
        return [Gate(rotation, (target,), (float(angles[0]),))]
    count = len(angles)
    # A CX around ry or rz negates its angle, so angle c is a signed sum of the ladder's angles.
    gray = np.arange(count) ^ (np.arange(count) >> 1)
    signs = 1.0 - 2.0 * (_parity(np.arange(count)[:, None] & gray[None, :]))
    ladder = signs.T @ angles / count
    out: list[Operation] = []
    for step in range(count):
        if abs(float(ladder[step])) > NEGLIGIBLE:
            out.append(Gate(rotation, (target,), (float(ladder[step]),)))
        changed = int(gray[step] ^ gray[(step + 1) % count])
        out.append(Gate("cx", (controls[changed.bit_length() - 1], target)))
    return out


def _parity(values: NDArray[np.int64]) -> NDArray[np.int64]:
    out = np.zeros_like(values)
    while np.any(values):
        out ^= values & 1
        values = values >> 1
    return out
