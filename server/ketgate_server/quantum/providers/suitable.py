"""Whether a device of a cloud can do what a circuit and its options ask for."""

from __future__ import annotations

from ketgate_server.quantum.backends.suitable import check_dynamics, check_options
from ketgate_server.quantum.base import Description, RunOptions, Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.providers import braket_gates
from ketgate_server.quantum.providers.braket_gates import NATIVE

CIRQ_QUBITS_MAX = 3
"""Cirq writes matrices of up to so many qubits with gates of two."""


def check(device: Description, circuit: Circuit, options: RunOptions) -> None:
    """Raises Unsuitable, with the place where there is one. The circuit may be unbound."""
    can = device.capabilities
    check_options(device.name, can, options)
    check_dynamics(device.name, can, circuit, options, expectations=False)
    if device.shots_max and options.shots > device.shots_max:
        most = device.shots_max
        raise Unsuitable(device.name, f"{options.shots} shots", f"it takes at most {most}")
    used = len(circuit.active_qubits)
    if used > device.num_qubits:
        has = device.num_qubits
        raise Unsuitable(device.name, f"a circuit on {used} qubits", f"it has {has}")
    if not circuit.measures:
        raise Unsuitable(
            device.name, "a circuit without measurements", "a device returns outcomes alone"
        )
    if device.provider == "aws":
        supported = frozenset(NATIVE[name].lower() for name in device.basis_gates)
        braket_gates.check(device.name, circuit, supported)
    if device.provider == "google":
        check_width(device.name, circuit)


def check_width(backend: str, circuit: Circuit) -> None:
    """Raises Unsuitable for a gate that Cirq cannot write with gates of two qubits."""
    for operation in circuit.walk():
        if isinstance(operation, Gate) and len(operation.qubits) > CIRQ_QUBITS_MAX:
            raise Unsuitable(
                backend,
                f"the gate {operation.name!r} on {len(operation.qubits)} qubits",
                f"write it with gates of at most {CIRQ_QUBITS_MAX} qubits",
                operation.place,
            )
