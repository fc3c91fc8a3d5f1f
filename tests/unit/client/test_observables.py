"""Observables in every form that a caller may hold them in."""

import ketgate
import pytest
from ketgate._circuits import Program
from ketgate._observables import read_observable, read_observables
from ketgate.type.v1 import pauli_pb2

NO_PROGRAM = Program("")
Z0Z3 = pauli_pb2.PauliSum(
    terms=[
        pauli_pb2.PauliTerm(coefficient=0.5, paulis="ZZ", qubits=[0, 3]),
        pauli_pb2.PauliTerm(coefficient=2.0),
    ]
)


@pytest.mark.parametrize(
    "given",
    [
        {"Z0 Z3": 0.5, "": 2.0},
        {"Z0*Z3": 0.5, "I": 2},
        [("Z0@Z3", 0.5), ("I1", 2.0)],
        (("Z0 I1 Z3", 0.5 + 0j), ("", 2.0)),
        "0.5*Z0 Z3, 2*I",
        "0.5*Z0*Z3,2*",
        Z0Z3,
    ],
)
def test_texts_mappings_and_pairs_are_one(given: object) -> None:
    assert read_observable(given) == Z0Z3


def test_a_list_holds_several_and_pairs_hold_one() -> None:
    assert len(read_observables(["Z0", {"X0": 1.0}, [("Z0", 1.0), ("X1", 2.0)]], NO_PROGRAM)) == 3
    assert len(read_observables([("Z0", 1.0), ("X1", 2.0)], NO_PROGRAM)) == 1
    assert len(read_observables("Z0", NO_PROGRAM)) == 1


def test_a_text_with_commas_is_a_sum_as_in_the_command() -> None:
    first, second = read_observables(["0.5*Z0, X1", "-1e-1 * Y2"], NO_PROGRAM)
    assert [(t.coefficient, t.paulis, list(t.qubits)) for t in first.terms] == [
        (0.5, "Z", [0]),
        (1.0, "X", [1]),
    ]
    assert [(t.coefficient, t.paulis) for t in second.terms] == [(-0.1, "Y")]


def test_zero_is_an_observable() -> None:
    assert read_observable({}).terms[0].coefficient == 0.0


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("ZZ", "which qubit each letter is on"),
        ("Q0", "given 'Q0'"),
        ("0.5*Z0, ", "with commas between, given ''"),
        ("0,5*Z0", "given '0'"),
        ("0.5.1*Z0", "given '0.5.1\\*Z0'"),
        ("Z0 X0", "each qubit once"),
        ({"Z0": 1j}, "real coefficients"),
        ({"Z0": "a"}, "numbers as coefficients"),
        ({"Z0": float("nan") + 0j}, None),
        (object(), "builtins.object"),
        ({3: 1.0}, "builtins.int"),
        ([], "at least one observable"),
    ],
)
def test_what_is_none_is_refused(given: object, told: str | None) -> None:
    if told is None:  # not finite: the server names the term
        assert read_observables(given, NO_PROGRAM)
        return
    with pytest.raises(ketgate.InvalidArgument, match=told) as refused:
        read_observables(given, NO_PROGRAM)
    assert refused.value.field == "observables"


def test_qiskit_counts_its_letters_from_the_right() -> None:
    info = pytest.importorskip("qiskit.quantum_info")
    made = read_observable(info.SparsePauliOp.from_list([("XIIY", 0.5), ("IIII", 2.0)]))
    first = made.terms[0]
    assert dict(zip(first.qubits, first.paulis, strict=True)) == {0: "Y", 3: "X"}
    assert [term.coefficient for term in made.terms] == [0.5, 2.0]
    assert read_observable(info.Pauli("ZI")).terms[0].qubits == [1]
