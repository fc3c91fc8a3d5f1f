"""Circuits for Google's processors: placed on the grid, routed, and written with the gates that it
has, all by Cirq."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from ketgate_server.quantum import gates
from ketgate_server.quantum.base import CircuitOutcome, RunOptions
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, Measure, Operation
from ketgate_server.quantum.emulators.decompose import local_gates
from ketgate_server.quantum.gates import Matrix
from ketgate_server.quantum.providers import readings
from ketgate_server.quantum.providers.suitable import check_width

ZERO = 1e-9
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


def ours(theirs: Any, grid: Iterable[Any], num_bits: int) -> Circuit:
    """What `compiled` made, on a processor's qubits in their order: pulses on one as u or rz. Raises
    ValueError for a gate that we have no word for."""
    import cirq

    number = {qubit: k for k, qubit in enumerate(sorted(grid))}
    out: list[Operation] = []
    for operation in theirs.all_operations():
        on = tuple(number[qubit] for qubit in operation.qubits)
        if cirq.is_measurement(operation):
            out.append(Measure(on[0], int(cirq.measurement_key_name(operation))))
        elif len(on) == 1:
            out += local_gates(cirq.unitary(operation), on[0], ("rz", "u"))
        else:
            out.append(_two(cirq.unitary(operation), on))
    return Circuit(len(number), num_bits, tuple(out))


def _two(unitary: Matrix, on: tuple[int, ...]) -> Gate:
    """By what it does, as Cirq has several gates that are one: cz, or a power of iswap."""
    for name, angle in (
        ("cz", ()),
        ("xx_plus_yy", (-2.0 * math.atan2(unitary[1, 2].imag, unitary[1, 1].real), 0.0)),
    ):
        gate = Gate(name, on, angle)
        if abs(gates.matrix(gate) - unitary).max() < ZERO:
            return gate
    raise ValueError(f"no gate of ours does\n{unitary}")


def outcome(circuit: Circuit, measurements: Any, options: RunOptions) -> CircuitOutcome:
    """measurements: (shots, 1) arrays by key."""
    import numpy as np

    bits = sorted(int(key) for key in measurements)
    columns = [np.asarray(measurements[str(bit)])[:, 0] for bit in bits]
    read = np.stack(columns, axis=1).astype(np.uint8)
    warnings = [BARRIERS] if any(isinstance(op, Barrier) for op in circuit.walk()) else []
    return readings.outcome(read, bits, circuit.num_bits, memory=options.memory, warnings=warnings)
