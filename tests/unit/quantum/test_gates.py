"""Powers of gates, where the obvious way loses digits."""

import numpy as np
import pytest
from ketgate_server.quantum.circuit import Gate
from ketgate_server.quantum.gates import GATES, matrix

FIXED = [name for name, spec in GATES.items() if not spec.num_parameters]


@pytest.mark.parametrize("name", FIXED)
@pytest.mark.parametrize("power", [2.0**40 + 3, -(2.0**52) - 5, 1e18, 77.0, -65.0])
def test_large_powers_of_fixed_gates_keep_all_digits(name, power):
    qubits = tuple(range(GATES[name].num_qubits))
    small = matrix(Gate(name, qubits))
    expected = np.linalg.matrix_power(small, int(power) % 8)
    assert np.abs(matrix(Gate(name, qubits, power=power)) - expected).max() < 1e-14


@pytest.mark.parametrize("power", [65.0, 1_001.0, 0.25, -70.5])
def test_other_powers_are_those_of_the_eigenvalues(power):
    raised = matrix(Gate("u", (0,), (0.3, 0.2, 0.9), power=power))
    values, vectors = np.linalg.eig(matrix(Gate("u", (0,), (0.3, 0.2, 0.9))))
    phases = np.exp(1j * power * np.angle(values))
    assert np.abs(raised - vectors @ np.diag(phases) @ np.linalg.inv(vectors)).max() < 1e-12
