"""From a state to what is read of it: probabilities of outcomes, shots, expectations.

A state is an array: (2^n,) amplitudes, or the (2^n, 2^n) density matrix; qubit 0 is the least
significant bit of an index.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.observable import PauliSum, PauliTerm

State = NDArray[Any]
Floats = NDArray[np.float64]
PROBABILITY_MIN = 1e-12
"""Probabilities below it are not told."""
H = np.array([[1, 1], [1, -1]]) / np.sqrt(2)
FROM_Y = H @ np.diag([1, -1j])
"""Turns the basis of Y into that of Z."""


def num_qubits(state: State) -> int:
    return len(state).bit_length() - 1


def populations(state: State) -> Floats:
    """(2^n,) probabilities of the basis states, normalised: single precision drifts."""
    raw = state.diagonal().real if state.ndim == 2 else state.real**2 + state.imag**2
    out = np.maximum(raw.astype(np.float64), 0.0)
    normalised: Floats = out / out.sum()
    return normalised


def marginal(state: State, qubits: Sequence[int]) -> Floats:
    """(2^k,) probabilities of outcomes on some distinct qubits; bit j of an index is qubits[j]."""
    n = num_qubits(state)
    grid: Floats = populations(state).reshape((2,) * n)
    rest = tuple(n - 1 - qubit for qubit in range(n) if qubit not in set(qubits))
    summed: Floats = grid.sum(axis=rest)
    kept = sorted(qubits, reverse=True)  # the qubit of each axis that is left
    axes = [kept.index(qubit) for qubit in reversed(qubits)]
    return summed.transpose(axes).reshape(-1)


def misread(probabilities: Floats, errors: Sequence[tuple[float, float]]) -> Floats:
    """Probabilities of what is read; errors: (P(1|0), P(0|1)) of each bit, the lowest first."""
    k = len(errors)
    grid = probabilities.reshape((2,) * k)
    for bit, (up, down) in enumerate(errors):
        if up or down:
            confusion = np.array([[1 - up, down], [up, 1 - down]])
            axis = k - 1 - bit
            grid = np.moveaxis(np.tensordot(confusion, grid, axes=(1, axis)), 0, axis)
    return np.ascontiguousarray(grid).reshape(-1)


def draw(probabilities: Floats, shots: int, rng: np.random.Generator) -> NDArray[np.int64]:
    """(shots,) independent outcomes."""
    edges = np.cumsum(probabilities)
    drawn = np.searchsorted(edges, rng.random(shots) * edges[-1], side="right")
    outcomes: NDArray[np.int64] = np.minimum(drawn, len(probabilities) - 1).astype(np.int64)
    return outcomes


def to_bits(outcome: int, bits: Sequence[int]) -> int:
    """The number whose bit bits[j] is bit j of the outcome."""
    return sum(((outcome >> j) & 1) << bit for j, bit in enumerate(bits))


def probabilities_by_outcome(probabilities: Floats, bits: Sequence[int]) -> dict[int, float]:
    """Those that are told, by the number that the classical bits hold."""
    told = np.flatnonzero(probabilities > PROBABILITY_MIN)
    return {to_bits(int(outcome), bits): float(probabilities[outcome]) for outcome in told}


def counts_by_outcome(drawn: NDArray[np.int64], bits: Sequence[int]) -> dict[int, int]:
    outcomes, counts = np.unique(drawn, return_counts=True)
    return {
        to_bits(int(outcome), bits): int(count)
        for outcome, count in zip(outcomes, counts, strict=True)
    }


def shuffled(
    counts: Mapping[int, int], num_bits: int, rng: np.random.Generator
) -> NDArray[np.uint8]:
    """(shots, num_bits) in random order, as shots are independent of one another."""
    outcomes = sorted(counts)
    rows = np.array(
        [[outcome >> bit & 1 for bit in range(num_bits)] for outcome in outcomes], dtype=np.uint8
    ).reshape(len(outcomes), num_bits)
    return rng.permutation(np.repeat(rows, [counts[one] for one in outcomes], axis=0))


def expectation(state: State, observable: PauliSum) -> float:
    """Exact, of a normalised state."""
    index = np.arange(len(state))
    total = 0.0
    for term in observable.terms:
        # P|i> = i^|x & z| (-1)^|i & z| |i ^ x>
        sign = 1.0 - 2.0 * (np.bitwise_count(index & term.z) & 1)
        flipped = index ^ term.x
        density = state.ndim == 2
        value = sign @ state[index, flipped] if density else np.vdot(state[flipped], sign * state)
        total += term.coefficient * float((1j ** ((term.x & term.z).bit_count()) * value).real)
    norm = float(state.trace().real if state.ndim == 2 else np.vdot(state, state).real)
    return total / norm


def turned(state: State, group: Sequence[PauliTerm]) -> State:
    """The state in the basis in which every term of a qubit-wise commuting group is diagonal."""
    x = z = 0
    for term in group:
        x, z = x | term.x, z | term.z
    n = num_qubits(state)
    for qubit in range(n):
        if x >> qubit & 1:
            turn = FROM_Y if z >> qubit & 1 else H
            state = _on_axis(turn, state, n - 1 - qubit, n)
    return state


def parities(outcomes: NDArray[np.int64], group: Sequence[PauliTerm]) -> Floats:
    """(number of terms, number of outcomes): +1 or -1, of outcomes in the turned basis."""
    supports = np.array([term.x | term.z for term in group], dtype=np.int64)
    ones = np.bitwise_count(outcomes[None, :] & supports[:, None])
    return np.asarray(1.0 - 2.0 * (ones & 1), dtype=np.float64)


def _on_axis(matrix: NDArray[Any], state: State, axis: int, n: int) -> State:
    """The matrix on one qubit; on both sides of a density matrix."""
    shape = state.shape
    grid = state.reshape((2,) * (n * state.ndim))
    grid = np.moveaxis(np.tensordot(matrix, grid, axes=(1, axis)), 0, axis)
    if state.ndim == 2:
        column = n + axis
        grid = np.moveaxis(np.tensordot(matrix.conj(), grid, axes=(1, column)), 0, column)
    return np.ascontiguousarray(grid).reshape(shape)
