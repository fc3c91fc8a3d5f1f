"""QAOA by ketgate and by public simulators, each as a function that a comparison can take by name (module:function).

Each is NAME(n, edges, weights, threads, dtype) -> evaluate(gammas, betas) -> cut value, where the phase is exp(-i gamma
sum w z z), the mixer exp(-i beta sum X), and the cut sum w (1 - z z) / 2. dtype: "c128" or "c64".
"""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from ketgate_native.qaoa import Qaoa
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Evaluate = Callable[[Floats, Floats], float]


def _problem(
    n: int, edges: Sequence[tuple[int, int]], weights: Floats, dtype: str, fold: bool | None
) -> Qaoa:
    ends = np.array(edges, dtype=np.int64)
    total = float(np.sum(weights))
    # The cut is expected; phases are those of the couplings alone.
    observable = (np.zeros(n), ends[:, 0], ends[:, 1], -0.5 * weights, 0.5 * total)
    return Qaoa(
        np.zeros(n),
        ends[:, 0],
        ends[:, 1],
        weights,
        observable=observable,
        single=dtype == "c64",
        fold=fold,
    )


def ketgate(
    n: int, edges: Sequence[tuple[int, int]], weights: Floats, threads: int, dtype: str
) -> Evaluate:
    """As a user gets it: half a state, as a cut has no fields."""
    problem = _problem(n, edges, weights, dtype, None)
    return lambda gammas, betas: problem.expectation(gammas, betas, threads=threads)


def ketgate_whole(
    n: int, edges: Sequence[tuple[int, int]], weights: Floats, threads: int, dtype: str
) -> Evaluate:
    """Without the symmetry: what problems with fields cost."""
    problem = _problem(n, edges, weights, dtype, False)
    return lambda gammas, betas: problem.expectation(gammas, betas, threads=threads)


def lightning(
    n: int, edges: Sequence[tuple[int, int]], weights: Floats, threads: int, dtype: str
) -> Evaluate:
    import pennylane as qml

    complex_type = np.complex128 if dtype == "c128" else np.complex64
    device = qml.device("lightning.qubit", wires=n, c_dtype=complex_type)
    couplings = [qml.PauliZ(i) @ qml.PauliZ(j) for i, j in edges]
    energy = qml.Hamiltonian([float(w) for w in weights], couplings)

    @qml.qnode(device, diff_method=None)
    def expected(gammas: Floats, betas: Floats) -> Any:
        for q in range(n):
            qml.Hadamard(q)
        for gamma, beta in zip(gammas, betas, strict=True):
            for (i, j), w in zip(edges, weights, strict=True):
                qml.IsingZZ(2 * gamma * w, wires=[i, j])
            for q in range(n):
                qml.RX(2 * beta, wires=q)
        return qml.expval(energy)

    total = float(np.sum(weights))
    return lambda gammas, betas: 0.5 * (total - float(expected(gammas, betas)))


def qsim(
    n: int, edges: Sequence[tuple[int, int]], weights: Floats, threads: int, dtype: str
) -> Evaluate:
    import cirq
    import qsimcirq

    if dtype != "c64":
        raise NotImplementedError("complex64 only")
    options = qsimcirq.QSimOptions(cpu_threads=threads, max_fused_gate_size=4)
    simulator, qubits = qsimcirq.QSimSimulator(options), cirq.LineQubit.range(n)
    terms = zip(edges, weights, strict=True)
    energy = sum(float(w) * cirq.Z(qubits[i]) * cirq.Z(qubits[j]) for (i, j), w in terms)
    total = float(np.sum(weights))

    def evaluate(gammas: Floats, betas: Floats) -> float:
        gates: list[Any] = [cirq.H(q) for q in qubits]
        for gamma, beta in zip(gammas, betas, strict=True):
            for (i, j), w in zip(edges, weights, strict=True):
                turn = cirq.ZZPowGate(exponent=2 * gamma * w / np.pi, global_shift=-0.5)
                gates.append(turn(qubits[i], qubits[j]))
            gates += [cirq.rx(2 * beta)(q) for q in qubits]
        found = simulator.simulate_expectation_values(cirq.Circuit(gates), observables=[energy])
        return 0.5 * (total - float(np.real(found[0])))

    return evaluate


PEERS = {
    "ketgate": (ketgate, "ketgate_native"),
    "ketgate, whole state": (ketgate_whole, "ketgate_native"),
    "lightning": (lightning, "pennylane_lightning"),
    "qsim": (qsim, "qsimcirq"),
}
"""By name: the function, and the module that it needs."""
