"""A circuit as a Braket circuit of the gates that a device takes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, Measure
from ketgate_server.quantum.providers.braket_gates import NATIVE, reduced

BARRIERS = (
    "barriers were left out: the device's compiler takes none, and may move gates across them"
)


@dataclass(frozen=True)
class Measured:
    """Where the outcomes of a circuit go."""

    bits: dict[int, int]
    """Classical bit of each qubit of the Braket circuit that is measured."""
    warnings: tuple[str, ...] = ()


def measured(circuit: Circuit) -> Measured:
    """Of a circuit that measures at its end: the same for the submission and for its result."""
    number = {qubit: place for place, qubit in enumerate(circuit.active_qubits)}
    bits = {
        number[operation.qubit]: operation.bit
        for operation in circuit.operations
        if isinstance(operation, Measure)
    }
    barriers = any(isinstance(operation, Barrier) for operation in circuit.operations)
    return Measured(bits, (BARRIERS,) if barriers else ())


def convert(backend: str, circuit: Circuit, supported: frozenset[str]) -> Any:
    """A bound circuit as braket.circuits.Circuit, on qubits 0 to k - 1 in the order of those that are
    used.

    supported: names of the device's gates, lower case. Raises Unsuitable for what it cannot do.
    """
    from braket.circuits import Circuit as BraketCircuit
    from braket.circuits import Instruction, gates

    number = {qubit: place for place, qubit in enumerate(circuit.active_qubits)}
    out = BraketCircuit()
    for operation in circuit.operations:
        if isinstance(operation, Barrier | Measure):
            continue
        if not isinstance(operation, Gate):
            what = type(operation).__name__.lower()
            raise Unsuitable(backend, what, "it measures at the end alone", operation.place)
        for gate in reduced(backend, operation, supported):
            kind = getattr(gates, NATIVE[gate.name])
            angles = [float(angle) for angle in gate.parameters]  # type: ignore[arg-type]
            out.add_instruction(
                Instruction(kind(*angles), [number[qubit] for qubit in gate.qubits])
            )
    return out.measure(sorted(measured(circuit).bits))
