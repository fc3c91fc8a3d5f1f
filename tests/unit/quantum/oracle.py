"""A simulator that is slow and obvious: every operator is a full matrix, every outcome a branch.

It is what all back ends are held against. Qubit 0 is the least significant bit; at most about six.
"""

import numpy as np
from ketgate_server.quantum.circuit import Gate, If, Measure, Reset
from ketgate_server.quantum.gates import matrix

PAULIS = {
    (0, 0): np.eye(2),
    (1, 0): np.array([[0, 1], [1, 0]]),
    (1, 1): np.array([[0, -1j], [1j, 0]]),
    (0, 1): np.diag([1, -1]),
}


def expanded(small, qubits, n):
    """The operator on all n qubits."""
    columns = np.arange(1 << n)
    inner = sum((columns >> q & 1) << j for j, q in enumerate(qubits)) if qubits else 0 * columns
    untouched = columns & ~sum(1 << q for q in qubits)
    full = np.zeros((1 << n, 1 << n), dtype=complex)
    for row in range(len(small)):
        outer = sum((row >> j & 1) << q for j, q in enumerate(qubits))
        full[untouched | outer, columns] = small[row, inner]
    return full


def state_vector(circuit):
    """Of the gates alone; measurements are left out."""
    state = np.zeros(1 << circuit.num_qubits, dtype=complex)
    state[0] = 1
    for one in circuit.operations:
        if isinstance(one, Gate):
            state = expanded(matrix(one), one.qubits, circuit.num_qubits) @ state
    return state


def after(rho, kraus, qubits, n):
    maps = [expanded(one, qubits, n) for one in kraus]
    return sum(one @ rho @ one.conj().T for one in maps)


def density(circuit, noise):
    """The density matrix after the gates and their noise; measurements are left out."""
    n = circuit.num_qubits
    rho = ground(n)
    for one in circuit.operations:
        if isinstance(one, Gate):
            rho = _gate(rho, one, n, noise)
    return rho


def ground(n):
    rho = np.zeros((1 << n, 1 << n), dtype=complex)
    rho[0, 0] = 1
    return rho


def distribution(circuit, noise=None):
    """Exact probabilities of what the classical bits hold in the end; {memory: probability}."""
    told = {}
    branches = [(ground(circuit.num_qubits), 0, 1.0, list(circuit.operations))]
    while branches:
        rho, memory, weight, rest = branches.pop()
        if not rest:
            told[memory] = told.get(memory, 0.0) + weight
            continue
        one, rest = rest[0], rest[1:]
        for after_rho, after_memory, share, more in _next(
            one, rho, memory, circuit.num_qubits, noise
        ):
            if share > 1e-15:
                branches.append((after_rho, after_memory, weight * share, [*more, *rest]))
    return told


def _next(one, rho, memory, n, noise):
    """(state, memory, probability, operations to do first) after one operation."""
    match one:
        case Gate():
            yield _gate(rho, one, n, noise), memory, 1.0, ()
        case If(condition=condition):
            yield rho, memory, 1.0, one.then if condition.holds(memory) else one.otherwise
        case Reset(qubit=qubit):
            down = np.array([[[1, 0], [0, 0]], [[0, 1], [0, 0]]])
            rho = after(rho, down, (qubit,), n)
            yield _around(rho, "reset", qubit, n, noise), memory, 1.0, ()
        case Measure(qubit=qubit, bit=bit):
            rho = _around(rho, "measure", qubit, n, noise)
            up, down = noise.readout_error(qubit) if noise else (0.0, 0.0)
            for value in (0, 1):
                projector = expanded(np.diag([1 - value, value]), (qubit,), n)
                part = projector @ rho @ projector
                probability = part.trace().real
                if probability > 1e-15:
                    wrong = (up, down)[value]
                    for read, share in ((value, 1 - wrong), (1 - value, wrong)):
                        written = memory & ~(1 << bit) | read << bit
                        yield part / probability, written, probability * share, ()
        case _:
            yield rho, memory, 1.0, ()


def _gate(rho, gate, n, noise):
    unitary = expanded(matrix(gate), gate.qubits, n)
    rho = unitary @ rho @ unitary.conj().T
    for channel in noise.channels(gate) if noise else ():
        rho = after(rho, channel.kraus, [gate.qubits[j] for j in channel.qubits], n)
    return rho


def _around(rho, name, qubit, n, noise):
    channels = noise.gates.get((name, (qubit,)), noise.gates.get((name, None), ())) if noise else ()
    for channel in channels:
        rho = after(rho, channel.kraus, (qubit,), n)
    return rho


def pauli_matrix(observable, n):
    """The observable, as a full matrix."""
    full = np.zeros((1 << n, 1 << n), dtype=complex)
    for term in observable.terms:
        product = np.eye(1 << n)
        for q in range(n):
            letter = PAULIS[term.x >> q & 1, term.z >> q & 1]
            product = product @ expanded(letter, (q,), n)
        full += term.coefficient * product
    return full


def expectation(state, observable):
    """Of a vector or a density matrix."""
    full = pauli_matrix(observable, len(state).bit_length() - 1)
    if state.ndim == 2:
        return float((full @ state).trace().real)
    return float(np.vdot(state, full @ state).real)
