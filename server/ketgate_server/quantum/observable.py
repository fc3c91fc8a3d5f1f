"""Pauli sums: observables and Hamiltonians."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ketgate_server.cached import cached_property


@dataclass(frozen=True, slots=True)
class PauliTerm:
    """coefficient * a product of Paulis. Bit q of x and z tells the Pauli on qubit q:
    x only X, z only Z, both Y, none identity."""

    coefficient: float
    x: int
    z: int

    @property
    def weight(self) -> int:
        return (self.x | self.z).bit_count()


@dataclass(frozen=True)
class PauliSum:
    """A real sum of Pauli strings. Terms are distinct; the identity is x = z = 0."""

    terms: tuple[PauliTerm, ...]

    @staticmethod
    def of(terms: Iterable[PauliTerm]) -> PauliSum:
        """Strings that occur twice are added up; order of first occurrence."""
        found: dict[tuple[int, int], float] = {}
        for term in terms:
            key = (term.x, term.z)
            found[key] = found.get(key, 0.0) + term.coefficient
        return PauliSum(tuple(PauliTerm(value, x, z) for (x, z), value in found.items()))

    @property
    def num_qubits(self) -> int:
        """One more than the greatest qubit that is acted on."""
        return max((max(term.x, term.z).bit_length() for term in self.terms), default=0)

    @cached_property
    def is_diagonal(self) -> bool:
        return all(term.x == 0 for term in self.terms)

    def masks(self) -> tuple[NDArray[np.float64], NDArray[np.uint64], NDArray[np.uint64]]:
        """(coefficients, x, z), shape (m,) each; for kernels, below 64 qubits."""
        return (
            np.array([term.coefficient for term in self.terms], dtype=np.float64),
            np.array([term.x for term in self.terms], dtype=np.uint64),
            np.array([term.z for term in self.terms], dtype=np.uint64),
        )


def qubit_wise_groups(observables: Sequence[PauliSum]) -> list[list[PauliTerm]]:
    """Groups of terms that can be measured together, each qubit in one basis; greedy, the terms of
    greatest coefficient first. The identity is left out."""
    strings: dict[tuple[int, int], PauliTerm] = {}
    for observable in observables:
        for term in observable.terms:
            if term.x or term.z:
                known = strings.get((term.x, term.z))
                if known is None or abs(known.coefficient) < abs(term.coefficient):
                    strings[(term.x, term.z)] = term
    groups: list[tuple[list[PauliTerm], list[int]]] = []
    for term in sorted(strings.values(), key=lambda t: (-abs(t.coefficient), t.x, t.z)):
        support = term.x | term.z
        for members, basis in groups:
            common = support & (basis[0] | basis[1])
            if not ((term.x ^ basis[0]) | (term.z ^ basis[1])) & common:
                members.append(term)
                basis[0] |= term.x
                basis[1] |= term.z
                break
        else:
            groups.append(([term], [term.x, term.z]))
    return [members for members, _ in groups]
