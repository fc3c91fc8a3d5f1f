"""Expectations from what was read: groups of Paulis measured together, and errors of readout."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.noise_transfer import Operators
from ketgate_server.quantum.observable import PauliSum, PauliTerm

_S = 1.0 / np.sqrt(2.0)
TURNS: dict[int, Operators] = {
    1: np.array([[_S, _S], [_S, -_S]], dtype=np.complex128),
    2: np.array([[_S, -1j * _S], [_S, 1j * _S]], dtype=np.complex128),
}
"""Into the Z basis from that of X (1) and of Y (2)."""


def letters_of(term: PauliTerm) -> Iterator[tuple[int, int]]:
    """(qubit, letter): 1 X, 2 Y, 3 Z; rising."""
    support = term.x | term.z
    for qubit in range(support.bit_length()):
        on_x, on_z = (term.x >> qubit) & 1, (term.z >> qubit) & 1
        if on_x or on_z:
            yield qubit, 3 - on_x if on_z else 1


def basis(group: Sequence[PauliTerm]) -> dict[int, int]:
    """The letter that each qubit is measured in; qubits rising."""
    found: dict[int, int] = {}
    for term in group:
        found.update(letters_of(term))
    return dict(sorted(found.items()))


def as_read(observable: PauliSum, noise: NoiseModel, terms_max: int) -> PauliSum:
    """What is read of an observable where bits are read wrongly: each Pauli P becomes
    (1 - p10 - p01) P + (p01 - p10). KetgateError where that has too many terms."""
    if not noise.readout:
        return observable
    out: list[PauliTerm] = []
    for term in observable.terms:
        parts = [PauliTerm(term.coefficient, 0, 0)]
        for qubit, _ in letters_of(term):
            p10, p01 = noise.readout_error(qubit)
            bit = 1 << qubit
            kept = [
                PauliTerm(
                    p.coefficient * (1 - p10 - p01), p.x | (term.x & bit), p.z | (term.z & bit)
                )
                for p in parts
            ]
            shifted = [PauliTerm(p.coefficient * (p01 - p10), p.x, p.z) for p in parts]
            parts = kept + (shifted if p01 != p10 else [])
        out += parts
        if len(out) > terms_max:
            raise KetgateError(
                Reason.LIMIT_EXCEEDED,
                f"with errors of readout that differ between 0 and 1, an observable has more than "
                f"{terms_max} terms; give shots, or observables on fewer qubits",
            )
    return PauliSum.of(out)


def draw(shares: NDArray[np.float64], shots: int, seed: int) -> NDArray[np.int64]:
    """Outcomes (shots,) of a distribution."""
    edges = np.cumsum(shares)
    u = np.random.default_rng(seed).random(shots)
    found = np.searchsorted(edges, u * edges[-1], side="right")
    return np.asarray(np.minimum(found, len(shares) - 1), dtype=np.int64)


def read(
    states: NDArray[np.int64],
    qubits: Sequence[int],
    flips: Sequence[tuple[float, float]],
    seed: int,
) -> NDArray[np.int64]:
    """Outcomes, bit k of qubits[k], of basis states that are read with errors; same shape."""
    rng = np.random.default_rng([seed, 1])
    out = np.zeros_like(states)
    for k, (qubit, (p10, p01)) in enumerate(zip(qubits, flips, strict=True)):
        value = (states >> qubit) & 1
        wrong = rng.random(states.shape) < np.where(value == 1, p01, p10)
        out |= (value ^ wrong) << k
    return out


class Estimate:
    """Adds up groups; the variance of an observable is the sum of its groups' variances."""

    def __init__(self, observables: Sequence[PauliSum]) -> None:
        self._coefficients = [
            {(term.x, term.z): term.coefficient for term in observable.terms}
            for observable in observables
        ]
        self._values = np.array([one.get((0, 0), 0.0) for one in self._coefficients])
        self._variances = np.zeros(len(observables))

    def add(
        self, group: Sequence[PauliTerm], qubits: Sequence[int], outcomes: NDArray[np.int64]
    ) -> None:
        """outcomes: (independent runs, samples of each); bit k was read of qubits[k]."""
        place = {qubit: k for k, qubit in enumerate(qubits)}
        signs = []
        for term in group:
            mask = sum(1 << place[qubit] for qubit, _ in letters_of(term))
            signs.append(1.0 - 2.0 * (np.bitwise_count(outcomes & mask) & 1).mean(axis=1))
        stacked = np.array(signs)
        runs = outcomes.shape[0]
        for at, coefficients in enumerate(self._coefficients):
            weights = np.array([coefficients.get((term.x, term.z), 0.0) for term in group])
            if weights.any():
                values = weights @ stacked
                self._values[at] += values.mean()
                self._variances[at] += values.var(ddof=1) / runs if runs > 1 else np.inf

    def result(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(values, standard errors)."""
        return self._values, np.sqrt(self._variances)
