"""Parts that are undone, controlled, moved: each against its matrix."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.quantum.algorithms.builder import Builder, inverse, moved, with_control
from ketgate_server.quantum.algorithms.matrices import dense
from ketgate_server.quantum.circuit import Gate, Measure
from ketgate_server.quantum.expression import parameter
from ketgate_server.quantum.gates import GATES, controlled

ALL = sorted(GATES)


def some(name: str, seed: int) -> Gate:
    spec = GATES[name]
    rng = np.random.default_rng(seed)
    qubits = tuple(int(q) for q in rng.permutation(3)[: spec.num_qubits])
    return Gate(name, qubits, tuple(rng.uniform(-4, 4, spec.num_parameters)))


@pytest.mark.parametrize("name", ALL)
def test_every_gate_is_undone(name: str) -> None:
    gates = [some(name, 1), Gate("h", (1,)), some(name, 2)]
    product = dense([*gates, *inverse(gates)], 3)
    np.testing.assert_allclose(product, np.eye(8), atol=1e-12)


@given(st.lists(st.tuples(st.sampled_from(ALL), st.integers(0, 99)), min_size=1, max_size=6))
def test_inverse_of_a_power_and_of_controls(chosen: list[tuple[str, int]]) -> None:
    gates = [some(name, seed) for name, seed in chosen]
    gates = [
        Gate(g.name, (3, *g.qubits), g.parameters, (k % 2,), power=[1.0, 0.5, -2.0][k % 3])
        for k, g in enumerate(gates)
    ]
    product = dense([*gates, *inverse(gates)], 4)
    np.testing.assert_allclose(product, np.eye(16), atol=1e-10)


@pytest.mark.parametrize("value", [0, 1])
def test_a_controlled_part(value: int) -> None:
    gates = [some(name, 3) for name in ("u", "gphase", "cx", "rzz", "ccx")]
    free = dense(gates, 3)
    held = dense(with_control(moved(gates, [1, 2, 3]), 0, value), 4)
    np.testing.assert_allclose(held, controlled(free, value), atol=1e-12)


def test_parameters_are_negated_as_expressions() -> None:
    gate = Gate("rx", (0,), (parameter("t"),))
    built = Builder(1).add([gate, *inverse([gate])]).circuit(parameters=["t"])
    np.testing.assert_allclose(dense(built.bind({"t": 0.7}).operations, 1), np.eye(2), atol=1e-15)


def test_what_is_no_gate_cannot_be_undone_or_controlled() -> None:
    with pytest.raises(ValueError, match="Measure cannot be undone"):
        inverse([Measure(0, 0)])
    with pytest.raises(ValueError, match="Measure cannot be controlled"):
        with_control([Measure(0, 0)], 1)


@pytest.mark.parametrize("values", [(1,), (0, 1), (0, 0, 1)])
def test_controls_are_sliced_as_the_full_matrix_says(values: tuple[int, ...]) -> None:
    from ketgate_server.quantum.gates import matrix

    order = (4, 0, 2, 3, 1)
    qubits = order[: len(values) + 2]
    gate = Gate("rzx", qubits, (0.7,), values, power=0.5)
    bits = np.arange(32)
    index = sum(((bits >> q) & 1) << k for k, q in enumerate(qubits))
    rest = np.zeros(32, dtype=int) + sum(
        ((bits >> q) & 1) << k for k, q in enumerate(q for q in range(5) if q not in qubits)
    )
    full = matrix(gate)[np.ix_(index, index)] * (rest[:, None] == rest[None, :])
    np.testing.assert_allclose(dense([gate], 5), full, atol=1e-12)
