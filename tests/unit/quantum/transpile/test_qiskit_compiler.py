"""Compiled circuits do what they did, in the gates and between the pairs that were asked for."""

import pickle

import numpy as np
import pytest

pytest.importorskip("qiskit", reason="qiskit is not installed")

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Measure, Reset
from ketgate_server.quantum.openqasm.read import read
from ketgate_server.quantum.openqasm.recognition import unitary
from ketgate_server.quantum.transpile.qiskit_compiler import transpile
from ketgate_server.quantum.transpile.target import Target

IBM = ("rz", "sx", "x", "cz")
LINE = tuple(pair for k in range(4) for pair in ((k, k + 1), (k + 1, k)))


def _random(num_qubits: int, count: int, seed: int) -> Circuit:
    rng = np.random.default_rng(seed)
    gates = []
    for _ in range(count):
        a, b, c = (int(q) for q in rng.permutation(num_qubits)[:3])
        angle = float(rng.uniform(-3, 3))
        gates += [
            Gate("u", (a,), (angle, 0.3, -1.1)),
            Gate("cx", (a, b)),
            Gate("ccx", (c, a, b)),
            Gate("rzz", (b, c), (angle,)),
            Gate("y", (c, a), (), (0,), 0.5),
        ]
    return Circuit(num_qubits, 0, tuple(gates))


def _permuted(circuit: Circuit, first: tuple[int, ...], last: tuple[int, ...]) -> np.ndarray:
    """The unitary of a compiled circuit as one of the program's qubits; others start in |0>."""
    n = circuit.num_qubits
    whole = unitary(list(circuit.operations), n)
    size = 1 << len(first)
    out = np.empty((size, size), dtype=complex)
    for column in range(size):
        start = sum((column >> k & 1) << q for k, q in enumerate(first))
        state = whole[:, start]
        for row in range(size):
            out[row, column] = state[sum((row >> k & 1) << q for k, q in enumerate(last))]
    return out


@pytest.mark.parametrize("level", [0, 1, 2, 3])
def test_the_unitary_is_kept_with_its_phase(level: int) -> None:
    circuit = _random(4, 3, level)
    made = transpile(circuit, Target(IBM, LINE, 5), level, 7)
    assert made.circuit.num_qubits == 5
    assert {op.name for op in made.circuit.operations if isinstance(op, Gate)} <= {*IBM, "gphase"}
    for operation in made.circuit.operations:
        assert len(operation.qubits) < 2 or operation.qubits in LINE  # type: ignore[union-attr]
    np.testing.assert_allclose(
        _permuted(made.circuit, made.initial_layout, made.final_layout),
        unitary(list(circuit.operations), 4),
        atol=1e-9,
    )
    assert made.compiler.startswith("qiskit ")


def test_the_same_seed_gives_the_same_circuit_and_it_can_be_pickled() -> None:
    circuit = _random(5, 2, 1)
    target = Target(IBM, LINE, 5)
    first = transpile(circuit, target, 2, 2**63 + 11)
    again = transpile(circuit, target, 2, 2**63 + 11)
    assert pickle.loads(pickle.dumps(first)) == again


@pytest.mark.parametrize("basis", [("u", "cx"), ("rz", "ry", "rx", "rxx"), ("h", "s", "t", "cx")])
def test_other_bases(basis: tuple[str, ...]) -> None:
    circuit = Circuit(2, 0, (Gate("h", (0,)), Gate("cx", (0, 1)), Gate("t", (1,))))
    made = transpile(circuit, Target(basis), 1, 0)
    np.testing.assert_allclose(
        unitary(list(made.circuit.operations), 2),
        unitary(list(circuit.operations), 2),
        atol=1e-9,
    )


def test_what_depends_on_measurements_is_kept() -> None:
    circuit = Circuit(
        2,
        2,
        (
            Gate("h", (0,)),
            Measure(0, 0),
            If(Condition((0,), "==", 1), (Gate("y", (1,)), Reset(0)), (Gate("h", (1,)),)),
            Measure(1, 1),
        ),
    )
    made = transpile(circuit, Target(IBM, ((0, 1), (1, 0)), 2), 1, 0)
    (branch,) = (op for op in made.circuit.operations if isinstance(op, If))
    assert branch.condition == Condition((0,), "==", 1)
    assert branch.otherwise
    assert {op.name for op in made.circuit.walk() if isinstance(op, Gate)} <= {*IBM, "gphase"}


def test_registers_of_bits_keep_their_names() -> None:
    circuit = read(
        'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] first; bit second;'
        " h q[0]; cx q[0], q[1]; first = measure q; second = measure q[0];"
    )
    made = transpile(circuit, Target(IBM, LINE, 5), 1, 0)
    assert made.circuit.bit_registers == circuit.bit_registers


@pytest.mark.parametrize(
    ("target", "problem"),
    [
        (Target(("rz", "nonsense")), "nonsense"),
        (Target(("rz", "cx"), ((0, 1),), 2), "3 qubits do not fit onto 2"),
        (Target(("x", "y")), "no way to write"),
        (Target(("rz", "sx", "cz"), ((0, 1), (1, 0)), 3), "cannot be compiled"),
    ],
)
def test_what_cannot_be_compiled_is_refused(target: Target, problem: str) -> None:
    with pytest.raises(KetgateError, match=problem) as caught:
        transpile(_random(3, 1, 0), target, 1, 0)
    assert caught.value.reason is Reason.BACKEND_UNSUITABLE


def test_plugins_of_other_packages_are_left_alone_and_found_again() -> None:
    from ketgate_server.quantum.transpile.plugins import own_plugins_only
    from stevedore.extension import ExtensionManager

    cache = ExtensionManager.ENTRY_POINT_CACHE
    before = dict(cache)
    with own_plugins_only():
        stage = cache["qiskit.transpiler.scheduling"]
        assert stage
        assert all(entry.value.startswith("qiskit.") for entry in stage)
    assert cache == before
