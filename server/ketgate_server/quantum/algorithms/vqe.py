"""The variational quantum eigensolver: the least expectation of a Hamiltonian over trial states."""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.answer import Baseline, Convergence
from ketgate_server.quantum.algorithms.optimizer import Angles, Minimum, OptimizerOptions, minimize
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.observable import PauliSum

EXACT_QUBITS_MAX = 16
SPREAD = 0.1
"""Random first parameters are within +- this many radians: near the start, away from plateaus."""


@dataclass
class Vqe:
    minimum: Minimum
    standard_error: float
    convergence: Convergence
    baseline: Baseline | None


def run(
    hamiltonian: PauliSum,
    ansatz: Circuit,
    starts: list[Angles],
    runner: Runner,
    options: OptimizerOptions,
) -> Vqe:
    """starts: first parameters in the order of ansatz.parameters; one search for each."""
    convergence = Convergence()
    minimum, error = search(hamiltonian, ansatz, starts, runner, options, convergence)
    return Vqe(minimum, error, convergence, exact_energy(hamiltonian, ansatz.num_qubits))


def search(
    hamiltonian: PauliSum,
    ansatz: Circuit,
    starts: list[Angles],
    runner: Runner,
    options: OptimizerOptions,
    convergence: Convergence | None = None,
) -> tuple[Minimum, float]:
    """The best parameters, with the standard error of their energy."""
    names = ansatz.parameters
    errors: dict[bytes, float] = {}

    def value(angles: Angles) -> float:
        runner.check()
        found = runner.expectations(
            ansatz, [hamiltonian], parameters=dict(zip(names, angles.tolist(), strict=True))
        )
        errors[angles.tobytes()] = float(found.standard_errors[0])
        return float(found.values[0])

    def gradient(angles: Angles) -> tuple[float, Angles]:
        runner.check()
        found = runner.expectations(
            ansatz,
            [hamiltonian],
            parameters=dict(zip(names, angles.tolist(), strict=True)),
            gradients=True,
        )
        assert found.gradients is not None
        return float(found.values[0]), np.asarray(found.gradients[0], dtype=np.float64)

    uses_gradient = options.method == "lbfgs" or (
        not options.method and runner.exact and runner.is_native
    )
    minimum = minimize(
        value,
        gradient if uses_gradient else None,
        starts,
        options,
        convergence or Convergence(),
        runner.options.seed,
    )
    return minimum, errors.get(minimum.angles.tobytes(), 0.0)


def random_starts(ansatz: Circuit, count: int, seed: int) -> list[Angles]:
    rng = np.random.default_rng(seed)
    return [rng.uniform(-SPREAD, SPREAD, len(ansatz.parameters)) for _ in range(count)]


def exact_energy(hamiltonian: PauliSum, num_qubits: int) -> Baseline | None:
    """The least eigenvalue: by diagonalisation of small ones, by Lanczos up to EXACT_QUBITS_MAX."""
    if num_qubits > EXACT_QUBITS_MAX:
        return None
    started_s = time.monotonic()
    size = 1 << num_qubits
    if hamiltonian.is_diagonal:
        values = times(hamiltonian, np.ones(size, dtype=np.complex128)).real
        return _baseline("least entry of the diagonal", float(values.min()), started_s)
    if num_qubits <= 5:
        matrix = np.stack([times(hamiltonian, row) for row in np.eye(size, dtype=complex)], axis=1)
        return _baseline("diagonalisation", float(np.linalg.eigvalsh(matrix)[0]), started_s)
    from scipy.sparse.linalg import LinearOperator, eigsh

    operator = LinearOperator(
        (size, size), matvec=lambda v: times(hamiltonian, v.reshape(-1)), dtype=np.complex128
    )
    start = np.random.default_rng(0).normal(size=size)
    least = eigsh(operator, k=1, which="SA", v0=start, return_eigenvectors=False)
    return _baseline("Lanczos", float(least[0]), started_s)


def _baseline(method: str, value: float, started_s: float) -> Baseline:
    return Baseline(method, value, True, time.monotonic() - started_s)


def times(observable: PauliSum, state: NDArray[np.complex128]) -> NDArray[np.complex128]:
    """The observable applied to a state, in plain NumPy."""
    index = np.arange(len(state))
    out = np.zeros(len(state), dtype=np.complex128)
    for term in observable.terms:
        parity = np.bitwise_count(index & term.z) & 1
        phase = 1j ** (term.x & term.z).bit_count()
        # Y = i X Z: <i ^ x| P |i> = i^#Y (-1)^(i . z)
        out[index ^ term.x] += term.coefficient * phase * (1.0 - 2.0 * parity) * state
    return out
