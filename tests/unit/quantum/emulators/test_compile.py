"""Circuits in a device's gates: the same unitary, only what the device has, on its best qubits."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.quantum import gates
from ketgate_server.quantum.base import Calibration, GateCalibration, QubitCalibration, Unsuitable
from ketgate_server.quantum.circuit import Barrier, Circuit, Condition, Gate, If, Measure, Reset
from ketgate_server.quantum.emulators.compile import compile_directly
from ketgate_server.quantum.emulators.decompose import Local, euler, local_gates, pieces
from ketgate_server.quantum.emulators.device import Device
from ketgate_server.quantum.emulators.layout import Demand, place

from .. import oracle
from ..specimens import ghz, random_circuit

BASES = {
    "cz": ("rz", "sx", "x", "cz"),
    "ecr": ("rz", "sx", "x", "ecr"),
    "cx": ("u", "p", "cx"),
    "xx_plus_yy": ("rz", "u", "xx_plus_yy"),
}


def device(num_qubits, pairs, basis, errors=None, readout=None):
    """pairs: directed."""
    errors, readout = errors or {}, readout or {}
    name = basis[-1]
    calibration = Calibration(
        0,
        tuple(
            QubitCalibration(q, p1_given_0=readout.get(q, 0.01), p0_given_1=readout.get(q, 0.01))
            for q in range(num_qubits)
        ),
        tuple(GateCalibration(name, pair, errors.get(pair, 0.01), 100.0) for pair in pairs),
    )
    return Device("emulator/test", "", num_qubits, tuple(pairs), basis, calibration)


def unitary(circuit):
    n = circuit.num_qubits
    out = np.eye(2**n, dtype=complex)
    for one in circuit.operations:
        if isinstance(one, Gate):
            out = oracle.expanded(gates.matrix(one), one.qubits, n) @ out
    return out


def overlap(a, b):
    """1 where they are the same but for a global phase."""
    return abs(np.trace(a.conj().T @ b)) / len(a)


@pytest.mark.parametrize("entangler", BASES)
@pytest.mark.parametrize("pair", [(0, 1), (1, 0)])
def test_every_gate_of_two_keeps_its_meaning(entangler, pair):
    rng = np.random.default_rng(1)
    chip = device(2, [pair], BASES[entangler])
    for spec in gates.GATES.values():
        for power, controls in ((1.0, ()), (-1.0, ()), (1.0, (0,)), (0.3, (1,))):
            count = spec.num_qubits + len(controls)
            if count != 2 or (spec.num_qubits == 2 and power == 0.3):
                continue
            angles = tuple(rng.uniform(-3, 3, spec.num_parameters))
            gate = Gate(spec.name, (1, 0), angles, controls, power)
            circuit = Circuit(2, 0, (gate,))
            compiled = compile_directly(circuit, chip)
            assert compiled is not None
            assert {one.name for one in compiled.circuit.walk()} <= set(BASES[entangler])
            wide = [one for one in compiled.circuit.walk() if len(one.qubits) == 2]
            assert all(one.qubits == pair for one in wide)
            layout = compiled.initial_layout
            moved = Circuit(
                2, 0, (Gate(spec.name, (layout[1], layout[0]), angles, controls, power),)
            )
            assert overlap(unitary(compiled.circuit), unitary(moved)) == pytest.approx(1, abs=1e-10)


@pytest.mark.parametrize("basis", [("rz", "sx", "x"), ("rz", "sx"), ("u", "p"), ("u",)])
@given(theta=st.floats(-7, 7), phi=st.floats(-7, 7), lam=st.floats(-7, 7))
def test_any_gate_on_one_qubit(basis, theta, phi, lam):
    matrix = gates.GATES["u"].matrix(theta, phi, lam)
    found = local_gates(matrix, 0, basis)
    assert {gate.name for gate in found} <= set(basis)
    assert overlap(unitary(Circuit(1, 0, tuple(found))), matrix) == pytest.approx(1, abs=1e-9)
    again = euler(matrix)
    rebuilt = np.exp(1j * again[3]) * gates.GATES["u"].matrix(*again[:3])
    np.testing.assert_allclose(rebuilt, matrix, atol=1e-9)


def test_as_few_pulses_as_it_takes():
    basis = ("rz", "sx", "x")

    def pulses(name, *angles):
        found = local_gates(gates.GATES[name].matrix(*angles), 0, basis)
        return [gate.name for gate in found if gate.name != "rz"]

    assert pulses("rz", 0.3) == pulses("id") == []
    assert pulses("h") == pulses("sx") == ["sx"]
    assert pulses("x") == pulses("y") == ["x"]
    assert pulses("rx", 0.4) == ["sx", "sx"]


@settings(max_examples=25, deadline=None)
@given(seed=st.integers(0, 10**6), entangler=st.sampled_from(sorted(BASES)))
def test_random_circuits_keep_their_distribution(seed, entangler):
    operations = [gate for gate in random_circuit(3, 10, seed) if len(gate.qubits) < 3]
    operations += [Measure(q, q) for q in range(3)]
    pairs = [(0, 1), (1, 2), (2, 0), (3, 2)]
    compiled = compile_directly(
        Circuit(3, 3, tuple(operations)), device(4, pairs, BASES[entangler])
    )
    assert compiled is not None
    expected = oracle.distribution(Circuit(3, 3, tuple(operations)))
    found = oracle.distribution(compiled.circuit)
    for key, p in expected.items():
        assert found.get(key, 0) == pytest.approx(p, abs=1e-9)


def test_measurement_reset_and_branches_are_kept():
    inner = If(Condition((0,), "==", 1), (Gate("h", (1,)),), (Gate("cx", (0, 1)),))
    operations = (Gate("h", (0,)), Measure(0, 0), inner, Reset(0), Barrier((0, 1)), Measure(1, 1))
    circuit = Circuit(2, 2, operations)
    compiled = compile_directly(circuit, device(5, [(3, 4)], BASES["cz"]))
    assert compiled is not None
    assert set(compiled.initial_layout) == {3, 4}
    expected = oracle.distribution(circuit)
    found = oracle.distribution(compiled.circuit)
    assert found == pytest.approx(expected)


def test_gates_are_not_fused_across_a_barrier():
    circuit = Circuit(1, 0, (Gate("x", (0,)), Barrier((0,)), Gate("x", (0,))))
    chip = device(1, [], BASES["cz"])
    compiled = compile_directly(circuit, chip)
    assert compiled is not None
    assert [type(one).__name__ for one in compiled.circuit.operations] == [
        "Gate",
        "Barrier",
        "Gate",
    ]
    without = compile_directly(Circuit(1, 0, (Gate("x", (0,)), Gate("x", (0,)))), chip)
    assert without is not None
    assert without.circuit.operations == ()


def line(n):
    return [(q, q + 1) for q in range(n - 1)]


def test_the_best_line_is_taken():
    errors = {(3, 4): 0.2, (0, 1): 0.001, (1, 2): 0.001}
    readout = {0: 0.001, 1: 0.001, 2: 0.001}
    chip = device(8, line(8), BASES["cz"], errors, readout)
    compiled = compile_directly(Circuit(3, 3, (*ghz(3), *(Measure(q, q) for q in range(3)))), chip)
    assert compiled is not None
    assert compiled.initial_layout in ((0, 1, 2), (2, 1, 0))


def test_what_is_out_of_order_is_avoided():
    chip = device(6, line(6), BASES["cz"], {(q, q + 1): 1.0 for q in (0, 1, 3)})
    compiled = compile_directly(Circuit(2, 0, (Gate("cz", (0, 1)),)), chip)
    assert compiled is not None
    assert sorted(compiled.initial_layout) in ([2, 3], [4, 5])
    assert compile_directly(Circuit(3, 0, tuple(ghz(3))), chip) is None


def test_what_needs_swaps_is_not_done_here():
    triangle = Circuit(3, 0, (Gate("cx", (0, 1)), Gate("cx", (1, 2)), Gate("cx", (2, 0))))
    assert compile_directly(triangle, device(9, line(9), BASES["cz"])) is None
    assert pieces(Gate("ccx", (0, 1, 2))) is None
    with pytest.raises(Unsuitable, match="the device has 2"):
        compile_directly(Circuit(3, 0, tuple(ghz(3))), device(2, line(2), BASES["cz"]))


@given(seed=st.integers(0, 10**6))
@settings(max_examples=20, deadline=None)
def test_the_layout_is_the_best_there_is_on_a_small_device(seed):
    rng = np.random.default_rng(seed)
    pairs = [*line(6), (0, 5)]
    errors = {pair: float(rng.uniform(0.001, 0.2)) for pair in pairs}
    readout = {q: float(rng.uniform(0.001, 0.2)) for q in range(6)}
    chip = device(6, pairs, BASES["cz"], errors, readout)
    demand = Demand({(0, 1): 2, (1, 2): 1}, {0: 1, 1: 1, 2: 0})

    def cost(layout):
        total = 0.0
        for (a, b), count in demand.pairs.items():
            total -= count * math.log(1 - chip.edge_error(layout[a], layout[b]) + 1e-300)
        return total - sum(m * math.log(1 - readout[layout[q]]) for q, m in demand.measured.items())

    found = place(demand, chip)
    assert found is not None
    every = [
        {0: a, 1: b, 2: c}
        for a in range(6)
        for b in range(6)
        for c in range(6)
        if len({a, b, c}) == 3
    ]
    assert cost(found) == pytest.approx(min(map(cost, every)))


def test_locals_are_on_their_qubit():
    (piece,) = pieces(Gate("h", (4,))) or []
    assert isinstance(piece, Local)
    assert piece.qubit == 4
