"""Random programs mean what Qiskit's readers say they mean, global phase included."""

import math
import random

import numpy as np
import pytest

pytest.importorskip("qiskit_qasm3_import", reason="qiskit or its importer is not installed")
from ketgate_server.quantum.circuit import Circuit, Gate
from ketgate_server.quantum.openqasm.library import QELIB1_FIRST, QELIB1_LATER, STDGATES
from ketgate_server.quantum.openqasm.read import read
from ketgate_server.quantum.openqasm.recognition import unitary
from ketgate_server.quantum.openqasm.write import write2, write3
from qiskit import QuantumCircuit, qasm2, qasm3
from qiskit.quantum_info import Operator

from .programs import HEAD, HEAD_2, PROGRAMS

QUBITS = 5


def _ours(circuit: Circuit) -> np.ndarray:
    gates = [op for op in circuit.operations if isinstance(op, Gate)]
    return unitary(gates, circuit.num_qubits)


def _angle(rng: random.Random) -> str:
    return rng.choice(["pi", "-pi/2", "3*pi/4", "0.25", "1.5e-1", "-(0.3+0.4)*2", "pi/3-0.1"])


def _call(rng: random.Random, name: str, num_parameters: int, num_qubits: int, extra: int) -> str:
    angles = f"({', '.join(_angle(rng) for _ in range(num_parameters))})" if num_parameters else ""
    qubits = rng.sample(range(QUBITS), num_qubits + extra)
    return f"{name}{angles} {', '.join(f'q[{k}]' for k in qubits)};"


@pytest.mark.parametrize("seed", range(6))
def test_openqasm_3(seed: int) -> None:
    rng = random.Random(seed)
    lines = [f"qubit[{QUBITS}] q;", "gate own(a, b) x1, y1 { rx(a / 2) x1; cx x1, y1; p(b) y1; }"]
    gates = [(g.name, g.num_parameters, g.num_qubits) for g in STDGATES.values()]
    gates += [("U", 3, 1), ("own", 2, 2)]
    for _ in range(40):
        name, parameters, qubits = rng.choice(gates)
        modifiers, extra = "", 0
        if name not in ("u1", "u2", "u3") and rng.random() < 0.5:
            known = ["inv @ ", "ctrl @ ", "negctrl @ ", "pow(2) @ ", "inv @ ctrl @ "]
            # Qiskit 2.6 inverts a controlled cu to something else.
            modifier = rng.choice(known[: 4 if name == "cu" else 5])
            modifiers, extra = modifier, modifier.count("ctrl")
        lines.append(modifiers + _call(rng, name, parameters, qubits, extra))
    text = HEAD + "\n".join(lines)
    np.testing.assert_allclose(_ours(read(text)), Operator(qasm3.loads(text)).data, atol=1e-9)


@pytest.mark.parametrize("seed", range(6))
def test_openqasm_2(seed: int) -> None:
    rng = random.Random(seed)
    later = QELIB1_LATER | QELIB1_FIRST
    names = [
        i.name for i in qasm2.LEGACY_CUSTOM_INSTRUCTIONS if i.name in later and i.name != "u0"
    ] + ["u3", "cu3", "cu1", "ccx", "ch", "U", "CX"]
    shapes = {g.name: (g.num_parameters, g.num_qubits) for g in later.values()}
    shapes |= {"U": (3, 1), "CX": (0, 2)}
    lines = [f"qreg q[{QUBITS}];", "gate own(a) x1, y1 { u2(a/2, -a) x1; cx x1, y1; u1(a^2) y1; }"]
    shapes["own"] = (1, 2)
    for name in [*names, "own", *rng.choices(names, k=20)]:
        lines.append(_call(rng, name, *shapes[name], 0))
    text = HEAD_2 + "\n".join(lines)
    theirs = qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS)
    np.testing.assert_allclose(_ours(read(text)), Operator(theirs).data, atol=1e-9)


def _random_circuit(seed: int) -> QuantumCircuit:
    rng = np.random.default_rng(seed)
    circuit = QuantumCircuit(4, global_phase=0.0)
    for name, parameters, qubits in (
        ("rzz", 1, 2), ("ryy", 1, 2), ("rxx", 1, 2), ("rzx", 1, 2), ("ecr", 0, 2), ("iswap", 0, 2),
        ("sxdg", 0, 1), ("csx", 0, 2), ("u", 3, 1), ("cu", 4, 2), ("ccz", 0, 3), ("dcx", 0, 2),
        ("r", 2, 1), ("rccx", 0, 3), ("cswap", 0, 3), ("p", 1, 1), ("cp", 1, 2),
    ):  # fmt: skip
        angles = [float(a) for a in rng.uniform(-math.pi, math.pi, parameters)]
        on = [int(q) for q in rng.permutation(4)[:qubits]]
        getattr(circuit, name)(*angles, *on)
    return circuit


@pytest.mark.parametrize("seed", range(3))
def test_what_qiskit_writes_is_read(seed: int) -> None:
    circuit = _random_circuit(seed)
    text = qasm3.dumps(circuit)
    np.testing.assert_allclose(_ours(read(text)), Operator(qasm3.loads(text)).data, atol=1e-9)
    # Its definitions of gates leave phases out.
    expected = Operator(circuit).data
    without_phase = _ours(read(qasm2.dumps(circuit)))
    overlap = abs(np.trace(without_phase.conj().T @ expected)) / len(expected)
    assert overlap == pytest.approx(1.0, abs=1e-9)


@pytest.mark.parametrize("name", ["modifiers", "qft", "aliases"])
def test_what_is_written_is_read_by_qiskit(name: str) -> None:
    circuit = read(HEAD + PROGRAMS[name])
    unitary_part = Circuit(
        circuit.num_qubits, 0, tuple(op for op in circuit.operations if isinstance(op, Gate))
    )
    if name == "modifiers":  # its importer knows no power that is not a whole number
        kept = tuple(
            op
            for op in unitary_part.operations
            if isinstance(op, Gate) and op.power == int(op.power)
        )
        unitary_part = Circuit(circuit.num_qubits, 0, kept)
    theirs = qasm3.loads(write3(unitary_part))
    np.testing.assert_allclose(_ours(unitary_part), Operator(theirs).data, atol=1e-9)


def test_openqasm_2_that_is_written_is_read_by_qiskit_as_it_comes() -> None:
    from ketgate_server.quantum.gates import GATES

    gates = tuple(
        Gate(name, (2, 0, 1)[: spec.num_qubits], (0.3, -1.2, 2.5, 0.7)[: spec.num_parameters])
        for name, spec in GATES.items()
        if name != "gphase"
    )
    circuit = Circuit(3, 0, gates)
    theirs = qasm2.loads(write2(circuit))  # without any custom instruction: the published file
    np.testing.assert_allclose(_ours(circuit), Operator(theirs).data, atol=1e-9)
