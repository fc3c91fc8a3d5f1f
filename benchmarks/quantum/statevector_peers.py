"""Public state-vector simulators beside ours: each takes a list of gates and gives a function that runs them from
|0...0> and returns <Z_0>. What a peer can prepare once (building, optimising its circuit) is left out of its time.

A gate is (name, qubits, angles) with the names of OpenQASM: h, u, cx, cp, swap.
"""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

Gate = tuple[str, tuple[int, ...], tuple[float, ...]]
Run = Callable[[], float]


def installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        return False


def ketgate(n: int, gates: Sequence[Gate], threads: int, precision: str) -> Run:
    """Fusion and planning are part of every run here."""
    from ketgate_native.statevector import Program, StateVector
    from ketgate_server.quantum.circuit import Gate as CircuitGate
    from ketgate_server.quantum.native.lowering import lowered

    given = [lowered(CircuitGate(name, qubits, angles)) for name, qubits, angles in gates]
    state = StateVector(n, precision=precision)

    def run() -> float:
        state.reset()
        state.apply(Program(n, given, precision=precision), threads=threads)
        return float(state.expectations([0], [1], threads=threads)[0])

    return run


def aer(n: int, gates: Sequence[Gate], threads: int, precision: str) -> Run:
    import qiskit_aer.library  # noqa: F401  adds save_expectation_value
    from qiskit import QuantumCircuit
    from qiskit.quantum_info import SparsePauliOp
    from qiskit_aer import AerSimulator

    circuit = QuantumCircuit(n)
    for name, qubits, angles in gates:
        getattr(circuit, name)(*angles, *qubits)
    circuit.save_expectation_value(SparsePauliOp.from_sparse_list([("Z", [0], 1.0)], n), range(n))
    simulator = AerSimulator(
        method="statevector", precision=precision, max_parallel_threads=threads
    )

    def run() -> float:
        found = simulator.run(circuit, shots=1).result().data(0)
        return float(np.real(found["expectation_value"]))

    return run


def qsim(n: int, gates: Sequence[Gate], threads: int, precision: str) -> Run:
    if precision != "single":
        raise NotImplementedError("complex64 only")
    import cirq
    import qsimcirq

    line = cirq.LineQubit.range(n)
    operations = []
    for name, qubits, angles in gates:
        on = [line[q] for q in qubits]
        match name:
            case "h":
                operations.append(cirq.H(*on))
            case "u":
                operations.append(cirq.MatrixGate(_u(*angles))(*on))
            case "cx":
                operations.append(cirq.CNOT(*on))
            case "cp":
                operations.append(cirq.CZPowGate(exponent=angles[0] / np.pi)(*on))
            case "swap":
                operations.append(cirq.SWAP(*on))
    circuit = cirq.Circuit(operations)
    options = {"t": threads, "f": 4}
    simulator = qsimcirq.QSimSimulator(qsim_options=options)
    observable = cirq.PauliSum.from_pauli_strings([cirq.Z(line[0])])

    def run() -> float:
        (value,) = simulator.simulate_expectation_values(
            circuit, [observable], qubit_order=line[::-1]
        )
        return float(np.real(value))

    return run


def _u(theta: float, phi: float, lam: float) -> Any:
    from ketgate_server.quantum.gates import GATES

    return GATES["u"].matrix(theta, phi, lam)


def qulacs(n: int, gates: Sequence[Gate], threads: int, precision: str) -> Run:
    if precision != "double":
        raise NotImplementedError("complex128 only")
    import qulacs as q
    from qulacs.circuit import QuantumCircuitOptimizer

    circuit = q.QuantumCircuit(n)
    for name, qubits, angles in gates:
        match name:
            case "h":
                circuit.add_H_gate(*qubits)
            case "u":
                circuit.add_dense_matrix_gate(qubits[0], _u(*angles))
            case "cx":
                circuit.add_CNOT_gate(*qubits)
            case "cp":
                gate = q.gate.to_matrix_gate(q.gate.U1(qubits[1], angles[0]))
                gate.add_control_qubit(qubits[0], 1)
                circuit.add_gate(gate)
            case "swap":
                circuit.add_SWAP_gate(*qubits)
    QuantumCircuitOptimizer().optimize_light(circuit)
    state = q.QuantumState(n)
    observable = q.Observable(n)
    observable.add_operator(1.0, "Z 0")

    def run() -> float:
        state.set_zero_state()
        circuit.update_quantum_state(state)
        return float(observable.get_expectation_value(state))

    return run


def lightning(n: int, gates: Sequence[Gate], threads: int, precision: str) -> Run:
    import pennylane as qml

    device = qml.device(
        "lightning.qubit", wires=n, c_dtype=np.complex128 if precision == "double" else np.complex64
    )
    operations = []
    for name, qubits, angles in gates:
        match name:
            case "h":
                operations.append(qml.Hadamard(*qubits))
            case "u":
                theta, phi, lam = angles
                operations.append(qml.U3(theta, phi, lam, wires=qubits))
            case "cx":
                operations.append(qml.CNOT(qubits))
            case "cp":
                operations.append(qml.ControlledPhaseShift(*angles, wires=qubits))
            case "swap":
                operations.append(qml.SWAP(qubits))
    tape = qml.tape.QuantumScript(operations, [qml.expval(qml.Z(0))])

    def run() -> float:
        return float(device.execute(tape))

    return run


@dataclass(frozen=True)
class Peer:
    name: str
    module: str
    prepare: Callable[[int, Sequence[Gate], int, str], Run]


PEERS = (
    Peer("ketgate", "ketgate_native", ketgate),
    Peer("aer", "qiskit_aer", aer),
    Peer("qsim", "qsimcirq", qsim),
    Peer("qulacs", "qulacs", qulacs),
    Peer("lightning", "pennylane_lightning", lightning),
)
