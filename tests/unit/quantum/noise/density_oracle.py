"""The slow, obvious density matrix: Kraus operators on matrices of 2^n by 2^n, branch by branch."""

from dataclasses import dataclass, replace

import numpy as np
from ketgate_server.quantum import gates
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, If, Measure, Operation, Reset
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.noise_channels import PAULIS
from ketgate_server.quantum.observable import PauliSum
from numpy.typing import NDArray

Matrix = NDArray[np.complex128]


@dataclass
class Oracle:
    """Unnormalised states by what was read; qubit 0 is the least significant bit."""

    num_qubits: int
    states: dict[int, Matrix]

    @property
    def matrix(self) -> Matrix:
        return np.asarray(sum(self.states.values()))

    def probabilities(self) -> dict[int, float]:
        return {m: float(np.trace(rho).real) for m, rho in self.states.items()}

    def expectation(self, observable: PauliSum) -> float:
        total = 0.0
        for term in observable.terms:
            operator = np.eye(1, dtype=complex)
            for q in range(self.num_qubits):
                letter = "IXZY"[((term.x >> q) & 1) + 2 * ((term.z >> q) & 1)]
                operator = np.kron(PAULIS[letter], operator)
            total += term.coefficient * float(np.trace(operator @ self.matrix).real)
        return total


def full(matrix: Matrix, qubits: tuple[int, ...], num_qubits: int) -> Matrix:
    """A matrix on some qubits as one on all of them, entry by entry."""
    size = 2**num_qubits
    out = np.zeros((size, size), dtype=complex)
    mask = sum(1 << q for q in qubits)
    for column in range(size):
        part = sum(((column >> q) & 1) << k for k, q in enumerate(qubits))
        for row in range(len(matrix)):
            target = column & ~mask | sum(((row >> k) & 1) << q for k, q in enumerate(qubits))
            out[target, column] += matrix[row, part]
    return out


def simulate(circuit: Circuit, noise: NoiseModel) -> Oracle:
    """Every operation, measurements and branches included."""
    size = 2**circuit.num_qubits
    rho = np.zeros((size, size), dtype=complex)
    rho[0, 0] = 1.0
    return Oracle(circuit.num_qubits, _run(circuit.operations, {0: rho}, noise, circuit.num_qubits))


def _kraus(states: dict[int, Matrix], operators: list[Matrix]) -> dict[int, Matrix]:
    return {m: sum(k @ rho @ k.conj().T for k in operators) for m, rho in states.items()}  # type: ignore[misc]


def _run(
    operations: tuple[Operation, ...], states: dict[int, Matrix], noise: NoiseModel, n: int
) -> dict[int, Matrix]:
    for operation in operations:
        match operation:
            case Gate():
                bare = replace(operation, qubits=tuple(range(len(operation.qubits))))
                states = _kraus(states, [full(gates.matrix(bare), operation.qubits, n)])
                for channel in noise.channels(operation):
                    on = tuple(operation.qubits[k] for k in channel.qubits)
                    states = _kraus(states, [full(k, on, n) for k in channel.kraus])
            case Reset():
                jumps = [np.array([[1, 0], [0, 0]]), np.array([[0, 1], [0, 0]])]
                states = _kraus(states, [full(k, (operation.qubit,), n) for k in jumps])
                for channel in noise.gates.get(("reset", None), ()):
                    states = _kraus(states, [full(k, (operation.qubit,), n) for k in channel.kraus])
            case Measure():
                states = _measure(operation, states, noise, n)
            case If():
                joined: dict[int, Matrix] = {}
                for memory, rho in states.items():
                    side = (
                        operation.then if operation.condition.holds(memory) else operation.otherwise
                    )
                    for after, out in _run(side, {memory: rho}, noise, n).items():
                        joined[after] = joined.get(after, 0) + out  # type: ignore[operator]
                states = joined
            case Barrier():
                pass
    return states


def _measure(
    measure: Measure, states: dict[int, Matrix], noise: NoiseModel, n: int
) -> dict[int, Matrix]:
    p10, p01 = noise.readout_error(measure.qubit)
    out: dict[int, Matrix] = {}
    for memory, rho in states.items():
        for value in (0, 1):
            projector = full(np.diag([1.0 - value, float(value)]), (measure.qubit,), n)
            part = projector @ rho @ projector
            wrong = p01 if value else p10
            for read, share in ((value, 1 - wrong), (1 - value, wrong)):
                if share:
                    key = (memory & ~(1 << measure.bit)) | (read << measure.bit)
                    out[key] = out.get(key, 0) + share * part  # type: ignore[operator]
    return out
