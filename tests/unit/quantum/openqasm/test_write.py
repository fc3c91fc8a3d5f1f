"""What is written reads back to an equal circuit."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.errors import KetgateError
from ketgate_server.quantum.circuit import (
    Barrier,
    Circuit,
    Condition,
    Gate,
    If,
    Measure,
    Operation,
    Register,
    Reset,
)
from ketgate_server.quantum.expression import Expression, parameter
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.openqasm.definitions import DEFINITIONS
from ketgate_server.quantum.openqasm.modifiers import controlled, raised
from ketgate_server.quantum.openqasm.read import read
from ketgate_server.quantum.openqasm.write import write2, write3

from .programs import PROGRAMS, bare, read3, short

QUBITS, BITS = 5, 4
ANGLES = st.one_of(
    st.sampled_from([math.pi, -math.pi / 2, 3 * math.pi / 4, 0.0, 1e-9, -1.5e300]),
    st.floats(-10, 10, allow_nan=False),
)
PERMUTED = st.permutations(range(QUBITS))


@st.composite
def gates(draw: st.DrawFn) -> Gate:
    name = draw(st.sampled_from(sorted(GATES)))
    spec = GATES[name]
    order = draw(PERMUTED)
    angles = tuple(draw(ANGLES) for _ in range(spec.num_parameters))
    gate = Gate(name, tuple(order[: spec.num_qubits]), angles)
    gate = raised(gate, draw(st.sampled_from([1.0, 1.0, -1.0, 2.0, 0.5, -0.25])))
    values = draw(st.lists(st.integers(0, 1), max_size=QUBITS - spec.num_qubits))
    if values:
        qubits = order[spec.num_qubits : spec.num_qubits + len(values)]
        gate = controlled(gate, tuple(values), tuple(qubits))
    return gate


CONDITIONS = st.builds(
    lambda bits, comparison, value: Condition(tuple(bits), comparison, value % (1 << len(bits))),
    st.permutations(range(BITS)).flatmap(lambda p: st.integers(1, BITS).map(lambda n: p[:n])),
    st.sampled_from(["==", "!="]),
    st.integers(0, 15),
)
SIMPLE = st.one_of(
    gates(),
    st.builds(Measure, st.integers(0, QUBITS - 1), st.integers(0, BITS - 1)),
    st.builds(Reset, st.integers(0, QUBITS - 1)),
    PERMUTED.flatmap(lambda p: st.integers(1, QUBITS).map(lambda n: Barrier(tuple(p[:n])))),
)
OPERATIONS = st.recursive(
    SIMPLE,
    lambda inner: st.builds(
        lambda condition, then, otherwise: If(condition, tuple(then), tuple(otherwise)),
        CONDITIONS,
        st.lists(inner, max_size=3),
        st.lists(inner, max_size=2),
    ),
    max_leaves=6,
)
REGISTERS = (
    (Register("a", 0, 2), Register("b", 2, 3)),
    (Register("c", 0, 1), Register("d", 1, 3)),
)


@given(st.lists(OPERATIONS, max_size=8))
def test_openqasm_3_reads_back(operations: list[Operation]) -> None:
    circuit = Circuit(QUBITS, BITS, tuple(operations), *REGISTERS)
    text = write3(circuit)
    back = read(text)
    assert replace(back, operations=bare(back.operations)) == circuit
    assert write3(back) == text


@given(st.lists(gates().filter(lambda g: not g.controls and g.power == 1.0), max_size=8))
def test_openqasm_2_reads_back(given_gates: list[Gate]) -> None:
    circuit = Circuit(QUBITS, BITS, (*given_gates, Measure(0, 3), Reset(2)), *REGISTERS)
    back = read(write2(circuit))
    kept = tuple(op for op in circuit.operations if getattr(op, "name", "") != "gphase")
    assert replace(back, operations=bare(back.operations)) == replace(circuit, operations=kept)


@pytest.mark.parametrize("name", sorted(PROGRAMS))
def test_the_corpus_reads_back(name: str) -> None:
    circuit = read3(PROGRAMS[name])
    back = read(write3(circuit))
    assert bare(back.operations) == bare(circuit.operations)
    assert back.parameters == circuit.parameters
    assert [r.size for r in back.bit_registers] == [r.size for r in circuit.bit_registers]


@pytest.mark.parametrize("name", sorted(DEFINITIONS))
def test_a_definition_has_the_matrix_of_the_library(name: str) -> None:
    """Else it would be read as the gates of its body."""
    spec = GATES[name]
    gate = Gate(name, tuple(range(spec.num_qubits)), (0.3, 0.7, -1.1, 2.0)[: spec.num_parameters])
    assert len(read(write2(Circuit(3, 0, (gate,)))).operations) == 1


def test_formulas_are_written() -> None:
    a, b = parameter("a"), parameter("b")
    angle = Expression("/", (Expression("sin", (Expression("-", (a, -0.5)),)), b))
    power = Expression("**", (Expression("neg", (a,)), 2.0))
    circuit = Circuit(
        1, 0, (Gate("rx", (0,), (angle,)), Gate("p", (0,), (power,))), (), (), ("a", "b")
    )
    back = read(write3(circuit))
    assert bare(back.operations) == circuit.operations
    assert back.parameters == ("a", "b")


def test_names_that_the_language_has_are_replaced() -> None:
    circuit = Circuit(
        3,
        2,
        (Gate("rx", (2,), (parameter("x"),)), Measure(0, 1)),
        (Register("if", 0, 1), Register("no good", 1, 2)),
        (Register("h", 0, 1), Register("h_", 1, 1)),
        ("x",),
    )
    back = read(write3(circuit))
    assert short(back.bind({back.parameters[0]: 0.5})) == ["rx(0.5) 2", "Measure"]
    assert [r.size for r in back.qubit_registers] == [1, 2]


@pytest.mark.parametrize(
    ("operation", "what"),
    [
        (Gate("x", (0, 1, 2, 3), (), (1, 1, 1)), "the gate `x` with 3 controls"),
        (Gate("x", (0,), (), (), 0.5), "the gate `x` to the power 0.5"),
        (If(Condition((0, 1), "==", 1), (), (Reset(0),)), "`else`"),
        (If(Condition((0, 1), "<", 1), (Reset(0),)), "a condition other than"),
        (If(Condition((0,), "==", 1), (Reset(0),)), "a condition other than"),
        (If(Condition((0, 1), "==", 1), (Measure(0, 1), Reset(0))), "the bits of its own `if`"),
        (
            If(Condition((0, 1), "==", 1), (If(Condition((0, 1), "==", 1), ()),)),
            "`if` inside of `if`",
        ),
        (Gate("rx", (0,), (parameter("a"),)), "the parameter 'a'"),
    ],
)
def test_what_openqasm_2_cannot_say_is_named(operation: Operation, what: str) -> None:
    parameters = ("a",) if what.startswith("the parameter") else ()
    with pytest.raises(KetgateError) as caught:
        write2(Circuit(4, 2, (operation,), (), (), parameters))
    assert what in caught.value.message
    assert caught.value.field == "format"


def test_a_condition_in_openqasm_2_stands_before_each_operation() -> None:
    branch = If(Condition((0, 1), "==", 2), (Gate("x", (0,)), Measure(0, 1)))
    text = write2(Circuit(1, 2, (branch,)))
    assert "if(c==2) x q[0];\nif(c==2) measure q[0] -> c[1];" in text


def test_an_angle_that_is_no_number_is_refused() -> None:
    with pytest.raises(KetgateError, match="nan"):
        write3(Circuit(1, 0, (Gate("rx", (0,), (math.nan,)),)))
