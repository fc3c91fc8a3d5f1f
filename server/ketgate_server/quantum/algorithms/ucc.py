"""Unitary coupled cluster with singles and doubles, Jordan-Wigner, one Trotter step.

exp(theta (T - T^dagger)) for each excitation T; Pauli strings of one excitation commute, so each
factor is exact. Peruzzo et al., Nature Communications 5 (2014) 4213.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

from ketgate_server.quantum.algorithms.ansatz import pauli_rotation
from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.expression import parameter

Excitation = tuple[tuple[int, ...], tuple[int, ...]]
"""From these occupied orbitals to these empty ones."""


def excitations(
    num_qubits: int, occupied: Sequence[int], *, doubles_only: bool, spin_flips: bool
) -> list[Excitation]:
    """Singles and doubles. Spin orbitals alternate alpha, beta; excitations that change the total
    spin are left out unless spin_flips."""
    full = sorted(occupied)
    empty = [q for q in range(num_qubits) if q not in set(full)]

    def kept(from_: Sequence[int], to: Sequence[int]) -> bool:
        return spin_flips or sum(q % 2 for q in from_) == sum(q % 2 for q in to)

    singles: list[Excitation] = [((i,), (a,)) for i in full for a in empty if kept((i,), (a,))]
    doubles: list[Excitation] = [
        (pair, to)
        for pair in combinations(full, 2)
        for to in combinations(empty, 2)
        if kept(pair, to)
    ]
    return doubles if doubles_only else [*singles, *doubles]


def circuit(num_qubits: int, occupied: Sequence[int], chosen: Sequence[Excitation]) -> Circuit:
    """One parameter for each excitation; at zero it is the reference state."""
    built = Builder(num_qubits).each("x", sorted(occupied))
    names = []
    for k, (from_, to) in enumerate(chosen):
        names.append(f"theta_{k}")
        angle = parameter(names[-1])
        for letters, factor in generator(from_, to):
            pauli_rotation(built, letters, angle, factor)
    return built.circuit("ucc", parameters=names)


def generator(from_: Sequence[int], to: Sequence[int]) -> list[tuple[list[tuple[int, str]], float]]:
    """(Pauli string, factor) pairs with exp(theta (T - T^dagger)) = prod exp(-i factor theta P/2),
    where T creates `to` and annihilates `from_`, computed by multiplying out Jordan-Wigner
    operators."""
    terms: dict[tuple[int, int], complex] = {(0, 0): 1.0}
    for qubit in to:
        terms = _times(terms, qubit, creates=True)
    for qubit in reversed(list(from_)):
        terms = _times(terms, qubit, creates=False)
    out = []
    # T - T^dagger is anti-Hermitian: twice the anti-Hermitian part of T, each string i times real.
    for (x, z), coefficient in sorted(terms.items()):
        hermitian = coefficient * (-1j) ** (x & z).bit_count()  # as Y = i X Z
        imaginary = 2.0 * hermitian.imag
        if abs(imaginary) > 1e-12:
            # exp(theta i c P) = exp(-i (-2 c) theta P / 2)
            out.append((_letters(x, z), -2.0 * imaginary))
    return out


def _times(
    terms: dict[tuple[int, int], complex], qubit: int, *, creates: bool
) -> dict[tuple[int, int], complex]:
    """Multiply on the right by a Jordan-Wigner ladder operator. Strings are X^x Z^z with x, z bit
    masks; annihilation is (X + iY)/2 with Z on the qubits below, and iY = i i X Z = -X Z."""
    below = (1 << qubit) - 1
    bit = 1 << qubit
    # Annihilation |0><1| = X (1 - Z) / 2; creation |1><0| = X (1 + Z) / 2.
    sign = 1.0 if creates else -1.0
    out: dict[tuple[int, int], complex] = {}
    for (x, z), value in terms.items():
        for other_z, factor in ((below, 0.5), (below | bit, 0.5 * sign)):
            # X^x Z^z X^x' Z^z' = (-1)^(z . x') X^(x+x') Z^(z+z')
            phase = -1.0 if (z & bit).bit_count() % 2 else 1.0
            key = (x ^ bit, z ^ other_z)
            out[key] = out.get(key, 0.0) + value * factor * phase
    return {key: value for key, value in out.items() if abs(value) > 1e-14}


def _letters(x: int, z: int) -> list[tuple[int, str]]:
    out = []
    for qubit in range(max(x, z).bit_length()):
        which = ((x >> qubit) & 1) + 2 * ((z >> qubit) & 1)
        if which:
            out.append((qubit, "XZY"[which - 1]))
    return out
