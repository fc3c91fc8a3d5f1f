"""What a circuit is compiled to, and what came of it. Plain values: they pass between processes."""

from __future__ import annotations

from dataclasses import dataclass

from ketgate_server.quantum.circuit import Circuit


@dataclass(frozen=True)
class Target:
    """A device as a compiler sees it."""

    basis_gates: tuple[str, ...]
    """Names in gates.GATES. Measurement, reset, barriers and conditions are always kept."""
    coupling: tuple[tuple[int, int], ...] = ()
    """Pairs that a gate of two qubits may act on, its first qubit first: both orders for both.
    Empty: all pairs."""
    num_qubits: int = 0
    """0: as many as the circuit has."""


@dataclass(frozen=True)
class Transpiled:
    """A circuit on the qubits of a target."""

    circuit: Circuit
    initial_layout: tuple[int, ...]
    """The target's qubit of each qubit of the program, at the start."""
    final_layout: tuple[int, ...]
    """The same at the end: swaps may have moved it."""
    compiler: str
    """Package and version."""
