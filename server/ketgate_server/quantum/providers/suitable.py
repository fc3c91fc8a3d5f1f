"""Whether a device of a cloud can do what a circuit and its options ask for."""

from __future__ import annotations

from ketgate_server.quantum.backends.suitable import check_dynamics, check_options
from ketgate_server.quantum.base import Description, RunOptions, Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Reset


def check(device: Description, circuit: Circuit, options: RunOptions) -> None:
    """Raises Unsuitable, with the place where there is one. The circuit may be unbound."""
    can = device.capabilities
    check_options(device.name, can, options)
    check_dynamics(device.name, can, circuit, options, expectations=False)
    if device.shots_max and options.shots > device.shots_max:
        most = device.shots_max
        raise Unsuitable(device.name, f"{options.shots} shots", f"it takes at most {most}")
    used = len(used_qubits(circuit))
    if used > device.num_qubits:
        has = device.num_qubits
        raise Unsuitable(device.name, f"a circuit on {used} qubits", f"it has {has}")
    if not any(isinstance(operation, Measure) for operation in circuit.walk()):
        raise Unsuitable(
            device.name, "a circuit without measurements", "a device returns outcomes alone"
        )


def used_qubits(circuit: Circuit) -> list[int]:
    """Qubits that something acts on, ascending."""
    found: set[int] = set()
    for operation in circuit.walk():
        match operation:
            case Gate(qubits=qubits):
                found.update(qubits)
            case Measure(qubit=qubit) | Reset(qubit=qubit):
                found.add(qubit)
    return sorted(found)
