"""Gates as the kernel takes them: (qubits, matrix, controls, their value, generators)."""

from functools import lru_cache

from ketgate_native.statevector import KernelGate

from ketgate_server.quantum.circuit import Gate
from ketgate_server.quantum.gates import Matrix, matrix


@lru_cache(maxsize=8192)
def _matrix(name: str, angles: tuple[float, ...], power: float) -> Matrix:
    """Without controls. The kernel copies it, so it is shared."""
    return matrix(Gate(name, (), angles, power=power))


def controls(gate: Gate) -> tuple[int, int]:
    """(mask, value) of the controls that were put before a gate of the library."""
    mask = value = 0
    for qubit, wanted in zip(gate.qubits, gate.controls, strict=False):
        mask |= 1 << qubit
        value |= wanted << qubit
    return mask, value


def lowered(gate: Gate) -> KernelGate:
    """A bound gate."""
    mask, value = controls(gate)
    targets = gate.qubits[len(gate.controls) :]
    unitary = _matrix(gate.name, gate.parameters, gate.power)  # type: ignore[arg-type]
    return targets, unitary, mask, value, None
