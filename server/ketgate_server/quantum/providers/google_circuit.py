"""Circuits for Google's processors: placed on the grid, routed, and written with the gates that it
has, all by Cirq."""

from __future__ import annotations

from typing import Any

from ketgate_server.quantum import gates
from ketgate_server.quantum.base import CircuitOutcome, RunOptions
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, Measure
from ketgate_server.quantum.providers import readings
from ketgate_server.quantum.providers.suitable import check_width

BARRIERS = "barriers were left out: Cirq's compiler may move gates across them"


def compiled(backend: str, circuit: Circuit, device: Any) -> Any:
    """A bound circuit that measures at its end as cirq.Circuit on the device's qubits; the key of a
    measurement is the number of its bit."""
    import cirq

    check_width(backend, circuit)
    number = {qubit: cirq.LineQubit(k) for k, qubit in enumerate(circuit.active_qubits)}
    bits = {
        number[operation.qubit]: operation.bit
        for operation in circuit.operations
        if isinstance(operation, Measure)
    }
    gateset = device.metadata.compilation_target_gatesets[0]
    few = cirq.optimize_for_target_gateset(_unitary(circuit, number), gateset=gateset)
    few = cirq.Circuit(few, [cirq.I(qubit) for qubit in bits if qubit not in few.all_qubits()])
    # Without measurements: routing would swap qubits that were measured already.
    routed, begin, moved = cirq.RouteCQC(device.metadata.nx_graph).route_circuit(few)
    final = cirq.Circuit(
        cirq.optimize_for_target_gateset(routed, gateset=gateset),
        cirq.Moment(
            cirq.measure(moved.get(begin[qubit], begin[qubit]), key=str(bit))
            for qubit, bit in bits.items()
        ),
    )
    device.validate_circuit(final)
    return final


def _unitary(circuit: Circuit, number: dict[int, Any]) -> Any:
    """Its gates as cirq.Circuit."""
    import cirq

    out = []
    for operation in circuit.operations:
        match operation:
            case Gate(qubits=()) | Barrier() | Measure():
                continue
            case Gate():
                # Cirq's first qubit is the most significant bit of an index.
                on = [number[qubit] for qubit in reversed(operation.qubits)]
                matrix = gates.matrix(operation)
                out.append(cirq.MatrixGate(matrix, unitary_check=False).on(*on))
            case _:
                raise AssertionError(f"{operation} is not for a circuit that measures at its end")
    return cirq.Circuit(out)


def outcome(circuit: Circuit, measurements: Any, options: RunOptions) -> CircuitOutcome:
    """measurements: (shots, 1) arrays by key."""
    import numpy as np

    bits = sorted(int(key) for key in measurements)
    columns = [np.asarray(measurements[str(bit)])[:, 0] for bit in bits]
    read = np.stack(columns, axis=1).astype(np.uint8)
    warnings = [BARRIERS] if any(isinstance(op, Barrier) for op in circuit.walk()) else []
    return readings.outcome(read, bits, circuit.num_bits, memory=options.memory, warnings=warnings)
