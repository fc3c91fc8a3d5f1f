"""Values for parameters."""

import pytest
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If
from ketgate_server.quantum.expression import Expression, parameter

SQUARE = Expression("*", (parameter("a"), parameter("a")))


def test_every_gate_gets_its_value_also_inside_of_conditions() -> None:
    gate = Gate("rx", (0,), (SQUARE,))
    circuit = Circuit(1, 1, (gate, If(Condition((0,), "==", 1), (gate,))), parameters=("a",))
    bound = circuit.bind({"a": 3.0})
    assert bound.parameters == ()
    assert [op.parameters for op in bound.walk() if isinstance(op, Gate)] == [(9.0,), (9.0,)]


def test_an_angle_that_overflows_is_refused() -> None:
    circuit = Circuit(1, 0, (Gate("rx", (0,), (SQUARE,)),), parameters=("a",))
    with pytest.raises(ValueError, match="rx is"):
        circuit.bind({"a": 1e200})
