"""Optimizers, trial states and eigensolvers."""

from typing import Any

import numpy as np
import pytest
import scipy.linalg
from ketgate_server.quantum.algorithms import ansatz, ucc, vqe
from ketgate_server.quantum.algorithms.answer import Convergence
from ketgate_server.quantum.algorithms.matrices import dense
from ketgate_server.quantum.algorithms.optimizer import OptimizerOptions, minimize
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.observable import PauliSum, PauliTerm


def bowl(angles: np.ndarray) -> float:
    return float(((angles - 0.3) ** 2).sum()) - 2.0


def slope(angles: np.ndarray) -> tuple[float, np.ndarray]:
    return bowl(angles), 2 * (angles - 0.3)


def test_gradients_lead_to_the_minimum() -> None:
    convergence = Convergence()
    found = minimize(bowl, slope, [np.zeros(4)], OptimizerOptions(), convergence, seed=0)
    assert found.value == pytest.approx(-2.0)
    assert found.complete
    assert convergence.points[-1].evaluations == found.evaluations


def test_spsa_comes_near_without_them_and_repeats_itself() -> None:
    options = OptimizerOptions(method="spsa", evaluations_max=400)
    runs = [minimize(bowl, None, [np.ones(4)], options, Convergence(), seed=5) for _ in range(2)]
    assert runs[0].value == runs[1].value
    assert runs[0].value < -1.99
    assert runs[0].evaluations <= 400


def test_spsa_stands_noise() -> None:
    rng = np.random.default_rng(0)
    options = OptimizerOptions(method="spsa", evaluations_max=600)
    found = minimize(
        lambda x: bowl(x) + rng.normal(0, 0.05), None, [np.ones(3)], options, Convergence(), seed=1
    )
    assert bowl(found.angles) < -1.95


def test_evaluations_are_bounded_and_starts_share_them() -> None:
    options = OptimizerOptions(method="lbfgs", evaluations_max=12, starts=2)
    found = minimize(bowl, slope, [np.ones(2), -np.ones(2)], options, Convergence(), seed=0)
    assert found.evaluations <= 12 + 4


def test_a_stop_leaves_the_best_so_far() -> None:
    calls = 0

    def stopping(angles: np.ndarray) -> float:
        nonlocal calls
        calls += 1
        if calls > 7:
            raise Stopped
        return bowl(angles)

    options = OptimizerOptions(method="spsa")
    found = minimize(stopping, None, [np.ones(2)], options, Convergence(), seed=0)
    assert not found.complete
    calls = 100
    with pytest.raises(Stopped):
        minimize(stopping, None, [np.ones(2)], options, Convergence(), seed=0)


def test_convergence_stays_bounded() -> None:
    convergence = Convergence(points_max=10)
    for k in range(1000):
        convergence.note(k, float(-k))
    assert len(convergence.points) <= 10
    assert convergence.points[-1].evaluations == 999


def ladder(n: int, qubit: int, *, creates: bool) -> np.ndarray:
    lower = np.array([[0.0, 1.0], [0.0, 0.0]])
    out = np.eye(1)
    for k in range(n):
        part = (lower.T if creates else lower) if k == qubit else np.eye(2)
        out = np.kron(np.diag([1.0, -1.0]) if k < qubit else part, out)
    return out


@pytest.mark.parametrize(
    ("from_", "to"),
    [((0,), (2,)), ((1,), (4,)), ((0, 1), (2, 3)), ((0, 2), (3, 4)), ((1, 2), (0, 4))],
)
def test_excitations_are_exact_exponentials_of_ladder_operators(from_: Any, to: Any) -> None:
    n, angle = 5, 0.37
    product = np.eye(1 << n)
    for q in to:
        product = product @ ladder(n, q, creates=True)
    for q in reversed(from_):
        product = product @ ladder(n, q, creates=False)
    wanted = scipy.linalg.expm(angle * (product - product.T))
    made = ucc.circuit(n, [], [(from_, to)]).bind({"theta_0": angle})
    np.testing.assert_allclose(dense(made.operations, n), wanted, atol=1e-12)


def test_excitations_keep_the_spin() -> None:
    kept = ucc.excitations(4, [0, 1], doubles_only=False, spin_flips=False)
    assert kept == [((0,), (2,)), ((1,), (3,)), ((0, 1), (2, 3))]
    assert len(ucc.excitations(4, [0, 1], doubles_only=False, spin_flips=True)) == 5
    assert ucc.excitations(4, [0, 1], doubles_only=True, spin_flips=False) == [((0, 1), (2, 3))]


@pytest.mark.parametrize("entanglement", ansatz.ENTANGLEMENTS)
def test_a_hardware_efficient_circuit(entanglement: str) -> None:
    made = ansatz.hardware_efficient(4, 2, entanglement, "cz")
    assert len(made.parameters) == 2 * 4 * 3
    pairs = {"linear": 3, "ring": 4, "complete": 6}[entanglement]
    assert sum(op.name == "cz" for op in made.operations) == 2 * pairs


# Molecular hydrogen at 0.735 angstrom, STO-3G, Jordan-Wigner over alpha0 beta0 alpha1 beta1, in
# hartree, without nuclear repulsion; the least eigenvalue is -1.857275 (Kandala et al. 2017, and any
# quantum chemistry program).
H2 = [
    (-0.8105479805, ""),
    (0.1721839330, "Z0"),
    (0.1721839330, "Z1"),
    (-0.2257534922, "Z2"),
    (-0.2257534922, "Z3"),
    (0.1689275387, "Z0 Z1"),
    (0.1209126326, "Z0 Z2"),
    (0.1661454325, "Z0 Z3"),
    (0.1661454325, "Z1 Z2"),
    (0.1209126326, "Z1 Z3"),
    (0.1746434307, "Z2 Z3"),
    (-0.0452327999, "X0 X1 Y2 Y3"),
    (0.0452327999, "X0 Y1 Y2 X3"),
    (0.0452327999, "Y0 X1 X2 Y3"),
    (-0.0452327999, "Y0 Y1 X2 X3"),
]


def pauli_sum(terms: list[tuple[float, str]]) -> PauliSum:
    made = []
    for coefficient, text in terms:
        x = z = 0
        for word in text.split():
            bit = 1 << int(word[1:])
            x |= bit if word[0] in "XY" else 0
            z |= bit if word[0] in "ZY" else 0
        made.append(PauliTerm(coefficient, x, z))
    return PauliSum.of(made)


def test_hydrogen_by_unitary_coupled_cluster(executor) -> None:
    hamiltonian = pauli_sum(H2)
    chosen = ucc.excitations(4, [0, 1], doubles_only=False, spin_flips=False)
    trial = ucc.circuit(4, [0, 1], chosen)
    found = vqe.run(
        hamiltonian,
        trial,
        [np.zeros(len(trial.parameters))],
        Runner(executor()),
        OptimizerOptions(),
    )
    assert found.baseline.value == pytest.approx(-1.857275, abs=1e-5)
    assert found.minimum.value == pytest.approx(found.baseline.value, abs=1e-6)


def test_shots_give_an_error_bar_and_spsa(executor) -> None:
    hamiltonian = pauli_sum([(1.0, "Z0"), (0.5, "X0")])
    trial = ansatz.hardware_efficient(1, 1)
    runner = Runner(executor(shots=4000))
    starts = vqe.random_starts(trial, 1, 3)
    found = vqe.run(hamiltonian, trial, starts, runner, OptimizerOptions(evaluations_max=200))
    assert found.minimum.value == pytest.approx(-np.sqrt(1.25), abs=0.15)
    assert found.standard_error > 0
    assert runner.used.shots > 0


@pytest.mark.parametrize("n", [3, 6])
def test_the_exact_energy_is_the_least_eigenvalue(n: int) -> None:
    rng = np.random.default_rng(n)
    terms = [
        PauliTerm(float(rng.normal()), int(rng.integers(1 << n)), int(rng.integers(1 << n)))
        for _ in range(8)
    ]
    hamiltonian = PauliSum.of(terms)
    matrix = np.stack(
        [vqe.times(hamiltonian, row) for row in np.eye(1 << n, dtype=complex)], axis=1
    )
    np.testing.assert_allclose(matrix, matrix.conj().T, atol=1e-12)
    least = float(np.linalg.eigvalsh(matrix)[0])
    assert vqe.exact_energy(hamiltonian, n).value == pytest.approx(least, abs=1e-8)
