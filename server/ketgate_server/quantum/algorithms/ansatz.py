"""Trial states for variational algorithms: circuits with parameters."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise

from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.expression import Expression, parameter

ENTANGLEMENTS = ("linear", "ring", "complete")
ENTANGLERS = ("cx", "cz")


def entangled_pairs(num_qubits: int, entanglement: str) -> list[tuple[int, int]]:
    """Pairs of qubits that interact."""
    if entanglement == "complete":
        return list(combinations(range(num_qubits), 2))
    pairs = [(q, q + 1) for q in range(num_qubits - 1)]
    if entanglement == "ring" and num_qubits > 2:
        pairs.append((num_qubits - 1, 0))
    return pairs


def hardware_efficient(
    num_qubits: int, layers: int, entanglement: str = "linear", entangler: str = "cx"
) -> Circuit:
    """RY and RZ on every qubit, then entanglers: layers of it, and rotations at the end. 2 n
    (layers + 1) parameters."""
    built = Builder(num_qubits)
    names: list[str] = []

    def rotations() -> None:
        for axis in ("ry", "rz"):
            for qubit in range(num_qubits):
                names.append(f"theta_{len(names)}")
                built.gate(axis, qubit, angles=(parameter(names[-1]),))

    for _ in range(layers):
        rotations()
        for a, b in entangled_pairs(num_qubits, entanglement):
            built.gate(entangler, a, b)
    rotations()
    return built.circuit("hardware-efficient", parameters=names)


def pauli_rotation(
    built: Builder, letters: Sequence[tuple[int, str]], angle: Expression, factor: float
) -> None:
    """exp(-i factor angle P / 2) for the Pauli string P, given as (qubit, letter): basis changes, a
    ladder of CX, one rz."""
    for qubit, letter in letters:
        if letter == "X":
            built.gate("h", qubit)
        elif letter == "Y":
            built.gate("sdg", qubit).gate("h", qubit)
    qubits = [qubit for qubit, _ in letters]
    for a, b in pairwise(qubits):
        built.gate("cx", a, b)
    built.gate("rz", qubits[-1], angles=(Expression("*", (factor, angle)),))
    for a, b in reversed(list(pairwise(qubits))):
        built.gate("cx", a, b)
    for qubit, letter in letters:
        if letter == "X":
            built.gate("h", qubit)
        elif letter == "Y":
            built.gate("h", qubit).gate("s", qubit)
