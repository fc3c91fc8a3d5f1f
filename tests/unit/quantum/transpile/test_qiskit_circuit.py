"""Circuits to Qiskit's and back: the same unitaries, phase included, and the same conditions."""

import math

import numpy as np
import pytest

pytest.importorskip("qiskit", reason="qiskit is not installed")

from ketgate_server.quantum.circuit import (
    Barrier,
    Circuit,
    Condition,
    Gate,
    If,
    Measure,
    Register,
    Reset,
)
from ketgate_server.quantum.expression import Expression, parameter
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.openqasm.recognition import unitary
from ketgate_server.quantum.transpile.from_qiskit import from_qiskit
from ketgate_server.quantum.transpile.qiskit_circuit import Unconvertible, to_qiskit
from qiskit.circuit import QuantumCircuit
from qiskit.quantum_info import Operator


def _angles(name: str, seed: int = 5) -> tuple[float, ...]:
    rng = np.random.default_rng(seed)
    return tuple(float(a) for a in rng.uniform(-3, 3, GATES[name].num_parameters))


def _same(circuit: Circuit) -> None:
    ours = unitary(list(circuit.operations), circuit.num_qubits)
    theirs = Operator(to_qiskit(circuit)).data
    np.testing.assert_allclose(theirs, ours, atol=1e-12)


@pytest.mark.parametrize("name", sorted(GATES))
def test_every_gate_has_the_same_matrix_there(name: str) -> None:
    spec = GATES[name]
    # On qubits that are neither in order nor beside one another.
    circuit = Circuit(4, 0, (Gate(name, (2, 0, 3)[: spec.num_qubits], _angles(name)),))
    _same(circuit)
    back = from_qiskit(to_qiskit(circuit))
    assert back.operations == circuit.operations


@pytest.mark.parametrize("name", sorted(GATES))
@pytest.mark.parametrize(("controls", "power"), [((0, 1), 1.0), ((1,), 0.5), ((), -2.0), ((0,), 3)])
def test_controls_and_powers(name: str, controls: tuple[int, ...], power: float) -> None:
    count = GATES[name].num_qubits + len(controls)
    gate = Gate(name, (3, 0, 4, 1, 2)[:count], _angles(name), controls, float(power))
    _same(Circuit(5, 0, (gate,)))
    back = from_qiskit(to_qiskit(Circuit(5, 0, (gate,))))
    np.testing.assert_allclose(unitary(list(back.operations), 5), unitary([gate], 5), atol=1e-10)


def test_many_controls_keep_their_gate() -> None:
    gate = Gate("x", tuple(range(8)), (), (1, 0, 1, 1, 0, 1, 1))
    circuit = Circuit(8, 0, (gate,))
    assert from_qiskit(to_qiskit(circuit)).operations == (gate,)


def test_registers_and_classical_control_come_back() -> None:
    inner = If(Condition((2,), "==", 1), (Gate("z", (1,)),))
    circuit = Circuit(
        num_qubits=3,
        num_bits=4,
        operations=(
            Gate("h", (0,)),
            Measure(0, 0),
            Measure(1, 2),
            Barrier((0, 2)),
            If(Condition((0, 1), "==", 2), (Gate("x", (2,)), inner), (Reset(1),)),
            If(Condition((2, 3), "<", 2), (Measure(1, 3),)),
        ),
        qubit_registers=(Register("a", 0, 2), Register("b", 2, 1)),
        bit_registers=(Register("c", 0, 2), Register("d", 2, 2)),
    )
    back = from_qiskit(to_qiskit(circuit))
    assert back.operations == circuit.operations
    assert back.qubit_registers == circuit.qubit_registers
    assert back.bit_registers == circuit.bit_registers


@pytest.mark.parametrize("comparison", ["==", "!=", "<", "<=", ">", ">="])
@pytest.mark.parametrize("value", [0, 2, 5, 7])
def test_a_condition_on_bits_of_no_register_means_the_same(comparison: str, value: int) -> None:
    condition = Condition((3, 0, 2), comparison, value)  # type: ignore[arg-type]
    circuit = Circuit(1, 4, (If(condition, (Gate("x", (0,)),), (Gate("z", (0,)),)),))
    back = from_qiskit(to_qiskit(circuit))
    for memory in range(16):
        assert _taken(back.operations, memory) == ("x" if condition.holds(memory) else "z")


def _taken(operations: tuple[object, ...], memory: int) -> str:
    (operation,) = operations
    if isinstance(operation, If):
        return _taken(
            operation.then if operation.condition.holds(memory) else operation.otherwise, memory
        )
    assert isinstance(operation, Gate)
    return operation.name


def test_parameters_without_values_come_back() -> None:
    angle = Expression("+", (Expression("sin", (parameter("a"),)), parameter("b")))
    circuit = Circuit(1, 0, (Gate("rx", (0,), (angle,)),), parameters=("a", "b"))
    back = from_qiskit(to_qiskit(circuit))
    assert set(back.parameters) == {"a", "b"}
    values = {"a": 0.3, "b": 1.25}
    (gate,) = back.bind(values).operations
    assert isinstance(gate, Gate)
    assert gate.parameters[0] == pytest.approx(math.sin(0.3) + 1.25)


def test_what_the_library_lacks_is_written_out_by_its_definition() -> None:
    circuit = QuantumCircuit(4)
    circuit.rccx(0, 1, 2)
    circuit.rcccx(3, 1, 2, 0)
    circuit.dcx(0, 3)
    circuit.r(0.3, 0.7, 2)
    back = from_qiskit(circuit)
    np.testing.assert_allclose(
        unitary(list(back.operations), 4), Operator(circuit).data, atol=1e-12
    )


def test_a_power_of_a_parameter_is_refused() -> None:
    gate = Gate("rx", (0,), (parameter("a"),), power=0.5)
    with pytest.raises(Unconvertible, match="rx"):
        to_qiskit(Circuit(1, 0, (gate,), parameters=("a",)))


def test_loops_of_qiskit_are_refused() -> None:
    circuit = QuantumCircuit(1)
    with circuit.for_loop(range(3)):
        circuit.x(0)
    with pytest.raises(Unconvertible, match="for_loop"):
        from_qiskit(circuit)
