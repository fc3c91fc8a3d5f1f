"""Every gate written with a device's few: the same matrix, up to a phase."""

import numpy as np
import pytest
from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate, Place
from ketgate_server.quantum.expression import parameter
from ketgate_server.quantum.gates import GATES, Matrix, matrix
from ketgate_server.quantum.providers.braket_gates import NATIVE, check, reduced

FEW = frozenset(["h", "s", "si", "t", "ti", "x", "y", "z", "rx", "ry", "rz", "cnot"])
ANGLES = (0.3, -1.1, 2.2, 0.7)


def applied(gates: list[Gate], num_qubits: int) -> Matrix:
    """The slow, obvious way: each gate as a matrix on all qubits."""
    out = np.eye(1 << num_qubits, dtype=np.complex128)
    for gate in gates:
        full = np.zeros_like(out)
        small = matrix(gate)
        for column in range(1 << num_qubits):
            inside = sum(((column >> q) & 1) << k for k, q in enumerate(gate.qubits))
            rest = column & ~sum(1 << q for q in gate.qubits)
            for row in range(len(small)):
                spread = sum(((row >> k) & 1) << q for k, q in enumerate(gate.qubits))
                full[rest | spread, column] += small[row, inside]
        out = full @ out
    return out


def alike(a: Matrix, b: Matrix) -> bool:
    """Up to a phase."""
    return bool(abs(abs(np.vdot(a, b)) / len(a) - 1.0) < 1e-12)


@pytest.mark.parametrize("name", sorted(GATES))
def test_a_gate_in_the_few_gates_of_a_device(name: str) -> None:
    spec = GATES[name]
    gate = Gate(name, tuple(range(spec.num_qubits))[::-1], ANGLES[: spec.num_parameters])
    parts = list(reduced("d", gate, FEW))
    assert all(NATIVE[part.name].lower() in FEW for part in parts)
    n = max(spec.num_qubits, 1)
    assert alike(applied([gate] if spec.num_qubits else [], n), applied(parts, n))


@pytest.mark.parametrize("name", sorted(NATIVE))
def test_a_gate_of_the_device_is_left_as_it_is_and_means_the_same_there(name: str) -> None:
    gates = pytest.importorskip("braket.circuits.gates", reason="amazon-braket-sdk is missing")
    spec = GATES[name]
    gate = Gate(name, tuple(range(spec.num_qubits)), ANGLES[: spec.num_parameters])
    assert list(reduced("d", gate, frozenset([NATIVE[name].lower()]))) == [gate]
    theirs = getattr(gates, NATIVE[name])(*gate.parameters).to_matrix()
    n = spec.num_qubits  # their first qubit is the most significant bit
    swapped = [int(f"{index:0{n}b}"[::-1], 2) for index in range(1 << n)]
    np.testing.assert_allclose(theirs[np.ix_(swapped, swapped)], matrix(gate), atol=1e-12)


@pytest.mark.parametrize(
    "gate",
    [
        Gate("x", (0, 1, 2), controls=(1, 0)),
        Gate("rz", (2, 0), (0.7,), controls=(0,)),
        Gate("swap", (0, 1), power=0.5),
        Gate("gphase", (1,), (0.4,), controls=(1,)),
    ],
)
def test_controls_and_powers_are_written_out(gate: Gate) -> None:
    parts = list(reduced("d", gate, FEW))
    assert all(NATIVE[part.name].lower() in FEW for part in parts)
    assert alike(applied([gate], 3), applied(parts, 3))


def test_what_cannot_be_written_is_refused_with_its_place() -> None:
    with pytest.raises(Unsuitable, match="cannot do the gate 'cx' at line 3, column 5"):
        list(reduced("d", Gate("swap", (0, 1), place=Place(3, 5)), frozenset(["rz", "ry"])))
    controlled = Gate("x", (0, 1), controls=(1,), place=Place(2, 1))
    with pytest.raises(Unsuitable, match="cannot do the gate 'cx' at line 2, column 1"):
        check("d", Circuit(2, 0, (Gate("h", (0,)), controlled)), FEW - {"cnot"})


def test_an_unbound_circuit_is_checked() -> None:
    turns = [Gate("rzz", (0, 1), (parameter("a"),)), Gate("rz", (0, 1), (parameter("a"),), (0,))]
    check("d", Circuit(2, 0, tuple(turns), parameters=("a",)), FEW)
