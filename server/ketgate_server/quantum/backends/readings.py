"""From a state to what is read of it: probabilities of outcomes, shots, expectations.

A state is an array: (2^n,) amplitudes, or the (2^n, 2^n) density matrix; qubit 0 is the least
significant bit of an index.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
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


def expectations(state: State, observables: Sequence[PauliSum]) -> Floats:
    """(number of observables,) exact, of the state as it would be normalised."""
    by_flip: dict[int, set[int]] = {}
    for observable in observables:
        for term in observable.terms:
            by_flip.setdefault(term.x, set()).add(term.z)
    values = {
        (x, z): value for x, zs in by_flip.items() for z, value in _flipped(state, x, zs).items()
    }
    norm = float(state.trace().real if state.ndim == 2 else np.vdot(state, state).real)
    totals = [
        sum(term.coefficient * values[term.x, term.z] for term in observable.terms)
        for observable in observables
    ]
    return np.array(totals, dtype=np.float64) / norm


def _flipped(state: State, x: int, zs: Iterable[int]) -> dict[int, float]:
    """Expectations, by z, of the strings that flip the same qubits: they share one product."""
    # P|i> = i^|x & z| (-1)^|i & z| |i ^ x>
    index = np.arange(len(state), dtype=np.uint32)  # enough for every state that fits here
    there = index ^ np.uint32(x)
    density = state.ndim == 2
    product = state[index, there] if density else (state[there] if x else state).conj() * state
    real, imaginary = product.real.astype(np.float64), product.imag.astype(np.float64)
    out = {}
    for z in zs:
        odd = (np.bitwise_count(index & np.uint32(z)) & 1).astype(bool)
        # i^k times the sum: its real part is plus or minus one of the two.
        turns = (x & z).bit_count() & 3
        part = imaginary if turns & 1 else real
        value = float(part.sum() - 2.0 * part[odd].sum())
        out[z] = -value if turns in (1, 2) else value
    return out


def turned(state: State, group: Sequence[PauliTerm]) -> State:
    """The state in the basis in which every term of a qubit-wise commuting group is diagonal."""
    x = z = 0
    for term in group:
        x, z = x | term.x, z | term.z
    for qubit in range(num_qubits(state)):
        if x >> qubit & 1:
            state = _on_qubit(FROM_Y if z >> qubit & 1 else H, state, qubit)
    return state


def parities(outcomes: NDArray[np.int64], group: Sequence[PauliTerm]) -> Floats:
    """(number of terms, number of outcomes): +1 or -1, of outcomes in the turned basis."""
    supports = np.array([term.x | term.z for term in group], dtype=np.int64)
    ones = np.bitwise_count(outcomes[None, :] & supports[:, None])
    return np.asarray(1.0 - 2.0 * (ones & 1), dtype=np.float64)


def _on_qubit(matrix: NDArray[Any], state: State, qubit: int) -> State:
    """The matrix on one qubit; on both sides of a density matrix."""
    size = 1 << qubit
    if state.ndim == 2:
        columns = _applied(matrix.conj(), state.reshape(-1, 2, size)).reshape(state.shape)
        return _applied(matrix, columns.reshape(-1, 2, size * len(state))).reshape(state.shape)
    return _applied(matrix, state.reshape(-1, 2, size)).reshape(state.shape)


def _applied(matrix: NDArray[Any], grid: NDArray[Any]) -> NDArray[Any]:
    """The matrix on the middle axis."""
    zero, one = grid[:, 0], grid[:, 1]
    out = np.empty_like(grid)
    for row in (0, 1):
        np.multiply(zero, grid.dtype.type(matrix[row, 0]), out=out[:, row])
        out[:, row] += grid.dtype.type(matrix[row, 1]) * one
    return out
