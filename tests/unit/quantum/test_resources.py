"""Depth and counts of small circuits, and agreement with Qiskit on random ones."""

import random

import pytest
from ketgate_server.quantum.circuit import Barrier, Circuit, Condition, Gate, If, Measure, Reset
from ketgate_server.quantum.resources import resources


def _depth(*operations: object, qubits: int = 3, bits: int = 2) -> int:
    return resources(Circuit(qubits, bits, operations)).depth  # type: ignore[arg-type]


def test_counts() -> None:
    found = resources(
        Circuit(
            6,
            2,
            (
                Gate("h", (0,)),
                Gate("cx", (0, 1)),
                Gate("x", (0, 1, 2, 4), (), (1, 1, 0)),
                Gate("gphase", (), (0.3,)),
                Barrier((0, 1, 5)),
                Measure(0, 1),
                If(Condition((1,), "==", 1), (Gate("x", (1,)), Gate("cz", (1, 2))), (Reset(1),)),
            ),
        )
    )
    assert found.num_qubits == 4  # 3 is idle, and a barrier does nothing to 5
    assert found.num_bits == 2
    assert found.num_multi_qubit_gates == 3
    assert dict(found.operations) == {
        "h": 1, "cx": 1, "cccx": 1, "gphase": 1, "barrier": 1, "measure": 1, "if": 1, "x": 1,
        "cz": 1, "reset": 1,
    }  # fmt: skip
    assert found.depth == 6


def test_depth_is_the_longest_chain() -> None:
    x, y = Gate("x", (0,)), Gate("x", (1,))
    assert _depth() == 0
    assert _depth(x, y) == 1
    assert _depth(x, Gate("cx", (0, 1)), y) == 3
    assert _depth(x, x, Barrier((0, 1)), y) == 3
    assert _depth(x, x, y) == 2


def test_a_measured_bit_makes_what_reads_it_wait() -> None:
    wait = If(Condition((0,), "==", 1), (Gate("x", (2,)),))
    assert _depth(Gate("x", (0,)), Measure(0, 0), wait) == 3
    assert _depth(Measure(0, 0), Measure(1, 0)) == 2


def test_of_two_branches_the_longer_counts() -> None:
    x = Gate("x", (1,))
    assert _depth(If(Condition((0,), "==", 1), (x,), (x, x, x)), x) == 4


@pytest.mark.parametrize("seed", range(5))
def test_agreement_with_qiskit(seed: int) -> None:
    pytest.importorskip("qiskit", reason="qiskit is not installed")
    from ketgate_server.quantum.transpile.qiskit_circuit import to_qiskit

    rng = random.Random(seed)
    operations: list[object] = []
    for _ in range(40):
        a, b = rng.sample(range(5), 2)
        operations.append(
            rng.choice(
                [Gate("h", (a,)), Gate("cx", (a, b)), Barrier((a, b)), Measure(a, b), Reset(a)]
            )
        )
    circuit = Circuit(5, 5, tuple(operations))  # type: ignore[arg-type]
    theirs = to_qiskit(circuit)
    found = resources(circuit)
    assert found.depth == theirs.depth()
    assert dict(found.operations) == dict(theirs.count_ops())
