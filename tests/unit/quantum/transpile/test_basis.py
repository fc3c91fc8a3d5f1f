"""Every gate in u and cx has its matrix, phase included."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Measure
from ketgate_server.quantum.expression import parameter
from ketgate_server.quantum.gates import GATES, matrix
from ketgate_server.quantum.openqasm.recognition import unitary
from ketgate_server.quantum.transpile.basis import rewrite, written
from ketgate_server.quantum.transpile.controlled import angles, square_root


def _check(gate: Gate, num_qubits: int) -> list[Gate]:
    circuit = rewrite(Circuit(num_qubits, 0, (gate,)), ())
    gates = [operation for operation in circuit.operations if isinstance(operation, Gate)]
    assert {g.name for g in gates} <= {"u", "cx", "gphase"}
    assert not any(g.controls or g.power != 1.0 for g in gates)
    np.testing.assert_allclose(unitary(gates, num_qubits), unitary([gate], num_qubits), atol=1e-10)
    return gates


@pytest.mark.parametrize("name", sorted(GATES))
@pytest.mark.parametrize(
    ("controls", "power"), [((), 1.0), ((), -0.3), ((1,), 2.0), ((0, 1), 1.0), ((0,), 0.5)]
)
def test_a_gate(name: str, power: float, controls: tuple[int, ...]) -> None:
    spec = GATES[name]
    gate = Gate(
        name,
        (3, 0, 4, 1, 2)[: spec.num_qubits + len(controls)],
        (0.37, -1.9, 2.3, 0.8)[: spec.num_parameters],
        controls,
        power,
    )
    _check(gate, 5)


@pytest.mark.parametrize("count", range(1, 6))
def test_many_controls_cost_a_square_at_most(count: int) -> None:
    gates = _check(Gate("x", tuple(range(count + 1)), (), (1,) * count), count + 1)
    assert sum(g.name == "cx" for g in gates) <= 50 * count**2
    _check(
        Gate("ry", tuple(range(count + 1)), (0.7,), (1, 0) * (count // 2) + (1,) * (count % 2)),
        count + 1,
    )


def test_what_is_kept_stays() -> None:
    inner = (Gate("h", (0,)), Gate("swap", (0, 1)))
    circuit = Circuit(
        2, 1, (Gate("cx", (0, 1)), Measure(0, 0), If(Condition((0,), "==", 1), inner))
    )
    found = rewrite(circuit, ("h", "cx"))
    assert found.operations[:2] == circuit.operations[:2]
    branch = found.operations[2]
    assert isinstance(branch, If)
    assert [g.name for g in branch.then if isinstance(g, Gate)] == ["h", "cx", "cx", "cx"]


def test_rotations_of_two_qubits_take_two_cx() -> None:
    for name in ("rzz", "rxx", "ryy", "rzx"):
        gates, _ = written(Gate(name, (0, 1), (0.3,)))
        assert sum(g.name == "cx" for g in gates) == 2


def test_a_parameter_without_a_value_is_refused() -> None:
    with pytest.raises(ValueError, match="rx"):
        written(Gate("rx", (0,), (parameter("a"),)))


UNITARIES = st.tuples(*[st.floats(-7, 7)] * 4).map(
    lambda a: np.exp(1j * a[3]) * matrix(Gate("u", (0,), a[:3]))
)


@given(UNITARIES)
def test_angles_and_roots_of_any_unitary(given_matrix: np.ndarray) -> None:
    theta, phi, lam, alpha = angles(given_matrix)
    again = np.exp(1j * alpha) * matrix(Gate("u", (0,), (theta, phi, lam)))
    np.testing.assert_allclose(again, given_matrix, atol=1e-13)
    root = square_root(given_matrix)
    np.testing.assert_allclose(root @ root, given_matrix, atol=1e-12)
    np.testing.assert_allclose(root @ root.conj().T, np.eye(2), atol=1e-12)
