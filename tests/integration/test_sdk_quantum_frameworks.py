"""Circuits of Qiskit, Cirq, PennyLane and Braket, run by a real server as their own simulators run
them: the same amplitudes in the stated order of qubits, the same readings in the stated bits.
"""

import importlib
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import ketgate
import numpy as np
import pytest

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")

EXACT = {"shots": 0, "backend": "native"}


def framework(name: str) -> ModuleType:
    """A framework, imported where its own warnings are not this test's; skips where it is not
    installed.
    """
    pytest.importorskip(name.partition(".")[0], exc_type=ImportError)
    return importlib.import_module(name)


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[ketgate.Client]:
    with ketgate.connect(ready_file=server.ready_file) as connected:
        yield connected


def same_state(ours: Any, theirs: Any) -> None:
    """Equal but for the phase of the whole."""
    overlap = np.vdot(theirs, ours)
    assert abs(overlap) == pytest.approx(1.0, abs=1e-12)
    np.testing.assert_allclose(ours, theirs * overlap / abs(overlap), atol=1e-12)


class TestQiskit:
    @pytest.fixture
    def circuit(self) -> Any:
        """Two registers, a loose qubit before them, and gates outside the standard library."""
        q = framework("qiskit")
        from qiskit.circuit import Parameter, ParameterVector, Qubit

        made = q.QuantumCircuit([Qubit()], q.QuantumRegister(2, "a"), q.QuantumRegister(1, "b"))
        angles = ParameterVector("θ", 2)
        made.h(0)
        made.rx(angles[0], 1)
        made.rzz(2 * angles[1] + 0.1, 1, 3)
        made.iswap(0, 2)
        made.ry(Parameter("t"), 3)
        made.t(3)
        made.cu(0.1, 0.2, 0.3, 0.4, 3, 1)
        made.global_phase = 0.25
        return made

    VALUES = {"θ[0]": 0.123456789012345, "θ[1]": -1.7, "t": 0.61}  # noqa: RUF012

    def test_amplitudes_are_those_of_its_statevector(self, client: Any, circuit: Any) -> None:
        from qiskit.quantum_info import Statevector

        values = {p: self.VALUES[p.name] for p in circuit.parameters}
        theirs = Statevector(circuit.assign_parameters(values)).data
        for given in (values, self.VALUES):
            ours = client.quantum.run(circuit, parameters=given, state_vector=True, **EXACT)
            np.testing.assert_allclose(ours.state_vector, theirs, atol=1e-12)  # its phase as well

    def test_parameters_stay_so_that_gradients_can_be_had(self, client: Any, circuit: Any) -> None:
        from qiskit.quantum_info import SparsePauliOp, Statevector

        operator = SparsePauliOp.from_list([("XIZY", 0.7), ("IIZI", -1.3), ("IIII", 0.2)])
        values = {p: self.VALUES[p.name] for p in circuit.parameters}

        def expected(at: Any) -> float:
            return float(
                Statevector(circuit.assign_parameters(at)).expectation_value(operator).real
            )

        told = client.quantum.estimate(circuit, operator, parameters=values, gradients=True)
        assert told.value == pytest.approx(expected(values), abs=1e-12)
        for parameter in circuit.parameters:
            step = 1e-5
            up, down = ({**values, parameter: values[parameter] + s} for s in (step, -step))
            slope = (expected(up) - expected(down)) / (2 * step)
            assert told.gradient[parameter.name] == pytest.approx(slope, abs=1e-8)

    def test_readings_have_its_keys(self, client: Any) -> None:
        q = framework("qiskit")
        made = q.QuantumCircuit(
            q.QuantumRegister(3, "q"), q.ClassicalRegister(2, "c"), q.ClassicalRegister(1, "d")
        )
        made.x(0)
        made.measure(0, 0)
        made.x(2)
        with made.if_test((made.cregs[0], 1)):
            made.h(1)
        made.measure(2, 2)
        told = client.quantum.run(made, 50, memory=True, seed=1)
        assert told.counts == {"01 1": 50}
        assert told.to_qiskit().get_counts() == {"1 01": 50}
        assert told.to_qiskit().get_memory() == ["1 01"] * 50
        assert told[0].to_qiskit() == {"1 01": 50}
        exact = client.quantum.run(self.final(made), **EXACT)
        assert exact[0].to_qiskit() == {5: 1.0}

    @staticmethod
    def final(circuit: Any) -> Any:
        made = circuit.copy_empty_like()
        made.global_phase = 0.5
        made.x([0, 2])
        made.measure(0, 0)
        made.measure(2, 2)
        return made

    def test_values_that_are_missing_are_named(self, client: Any, circuit: Any) -> None:
        with pytest.raises(ketgate.InvalidArgument, match="p_t"):
            client.quantum.run(circuit, 10, parameters={"θ[0]": 1.0, "θ[1]": 1.0})


class TestCirq:
    @pytest.fixture
    def circuit(self) -> Any:
        cirq = framework("cirq")
        import sympy

        a, b, c = cirq.GridQubit(1, 0), cirq.GridQubit(0, 3), cirq.GridQubit(0, 0)
        return cirq.Circuit(
            cirq.H(a),
            cirq.rx(sympy.Symbol("u")).on(b),
            (cirq.CNOT**0.3).on(a, c),
            cirq.ISWAP(b, c),
            cirq.PhasedXZGate(x_exponent=0.12345678901234, z_exponent=0.3, axis_phase_exponent=0.7)(
                a
            ),
            cirq.FSimGate(0.4, 0.9).on(a, b),
        )

    def test_amplitudes_are_those_of_its_simulator(self, client: Any, circuit: Any) -> None:
        cirq = framework("cirq")
        values = {"u": 0.987654321}
        told = client.quantum.run(circuit, parameters=values, state_vector=True, **EXACT)
        theirs = cirq.Simulator(dtype=np.complex128).simulate(circuit, values).final_state_vector
        same_state(told[0].state_vector_big_endian, theirs)

    def test_observables_name_its_qubits(self, client: Any, circuit: Any) -> None:
        cirq = framework("cirq")
        a, b = cirq.GridQubit(1, 0), cirq.GridQubit(0, 3)
        operator = 0.5 * cirq.Z(a) * cirq.X(b) - 1.5 * cirq.Y(b) + 0.25
        told = client.quantum.estimate(circuit, [operator, cirq.Z(a)], parameters={"u": 0.3})
        simulator = cirq.Simulator(dtype=np.complex128)
        theirs = simulator.simulate_expectation_values(
            circuit, [operator, cirq.PauliString(cirq.Z(a))], {"u": 0.3}
        )
        np.testing.assert_allclose(told.values[0], np.real(theirs), atol=1e-12)

    def test_readings_become_its_measurements(self, client: Any) -> None:
        cirq = framework("cirq")
        q = cirq.LineQubit.range(3)
        made = cirq.Circuit(
            cirq.X(q[2]),
            cirq.measure(q[2], q[0], key="first", invert_mask=(False, True)),
            cirq.X(q[1]).with_classical_controls("first"),
            cirq.measure(q[1], key="second"),
        )
        theirs = cirq.Simulator().run(made, repetitions=20)
        for memory in (False, True):
            ours = client.quantum.run(made, 20, memory=memory).to_cirq()
            assert ours.measurements.keys() == theirs.measurements.keys()
            for key, rows in theirs.measurements.items():
                np.testing.assert_array_equal(ours.measurements[key], rows)

    def test_a_symbol_without_a_value_is_named(self, client: Any, circuit: Any) -> None:
        with pytest.raises(ketgate.InvalidArgument, match=r"parameters: .* given none for u$"):
            client.quantum.run(circuit, 10)


class TestPennyLane:
    def test_amplitudes_are_those_of_its_device(self, client: Any) -> None:
        qml = framework("pennylane")
        device = qml.device("default.qubit", wires=["b", 7, "a"])

        @qml.qnode(device)
        def circuit(angle: float) -> Any:
            qml.Hadamard("a")
            qml.RX(angle, 7)
            qml.IsingXX(0.3, ["a", "b"])
            qml.ctrl(qml.Rot, control="b")(0.1, 0.2, 0.3, wires=7)
            qml.ISWAP([7, "a"])
            return qml.state()

        tape = qml.workflow.construct_tape(circuit)(0.1234567890123456)
        with pytest.raises(ketgate.InvalidArgument, match="QNode without arguments"):
            client.quantum.run(circuit, state_vector=True, **EXACT)
        told = client.quantum.run(tape, state_vector=True, **EXACT)
        order = [list(tape.wires).index(wire) for wire in ("b", 7, "a")]
        theirs = np.asarray(circuit(0.1234567890123456)).reshape(2, 2, 2)
        ours = told[0].state_vector_big_endian.reshape(2, 2, 2).transpose(order)
        same_state(ours.reshape(-1), theirs.reshape(-1))

    def test_counts_and_observables_follow_its_wires(self, client: Any) -> None:
        qml = framework("pennylane")
        device = qml.device("default.qubit", wires=["x", "y"])

        @qml.qnode(device)
        def counted() -> Any:
            qml.PauliX("y")
            return qml.counts(wires=["y", "x"])

        told = client.quantum.run(counted, 30)
        # The first wire that was asked for is bit 0, and so the last character.
        assert told.counts == {"01": 30}

        operator = 0.5 * qml.Z("y") @ qml.Z("x") + 2.0 * qml.Z("y") - qml.X("x")

        @qml.qnode(device)
        def expected() -> Any:
            qml.RY(0.4, "y")
            qml.CNOT(["y", "x"])
            return qml.expval(operator)

        value = client.quantum.estimate(expected, operator).value
        assert value == pytest.approx(float(expected()), abs=1e-12)

    def test_what_needs_other_gates_is_refused(self, client: Any) -> None:
        qml = framework("pennylane")

        @qml.qnode(qml.device("default.qubit", wires=1))
        def sampled() -> Any:
            return qml.sample(qml.X(0))

        with pytest.raises(ketgate.InvalidArgument, match="estimate an observable"):
            client.quantum.run(sampled, 10)


BRAKET_GATES: list[tuple[str, int, tuple[float, ...]]] = [
    *((name, 1, ()) for name in "i x y z h s si t ti v vi".split()),  # noqa: SIM905
    *((name, 1, (0.7,)) for name in "phaseshift rx ry rz gpi gpi2".split()),  # noqa: SIM905
    ("prx", 1, (0.7, 0.2)),
    ("u", 1, (0.7, 0.2, 1.1)),
    *((name, 2, ()) for name in "cnot cv cy cz ecr swap iswap".split()),  # noqa: SIM905
    *(
        (name, 2, (0.7,))
        for name in (
            "cphaseshift cphaseshift00 cphaseshift01 cphaseshift10 pswap xx yy zz xy".split()  # noqa: SIM905
        )
    ),
    ("ms", 2, (0.7, 0.2, 1.1)),
    ("ccnot", 3, ()),
    ("cswap", 3, ()),
]


class TestBraket:
    def test_every_gate_has_the_matrix_of_its_own(self, client: Any) -> None:
        """All gates in one circuit after gates that leave no symmetry, in both orders of qubits."""
        circuits, local = framework("braket.circuits"), framework("braket.devices")
        made = circuits.Circuit()
        for turn in range(2):
            for place, (name, size, angles) in enumerate(BRAKET_GATES):
                for qubit in range(3):
                    made.u(qubit, 0.3 + qubit, 0.2 * place, 0.5 + turn)
                qubits = [0, 2, 1][:size] if turn else [1, 0, 2][:size]
                getattr(made, name)(*qubits, *angles)
                made.cnot(0, 1).cnot(1, 2)
        told = client.quantum.run(made, state_vector=True, **EXACT)
        made.state_vector()
        theirs = local.LocalSimulator().run(made, shots=0).result().values[0]
        same_state(told[0].state_vector_big_endian, theirs)

    def test_the_phase_of_each_gate_is_its_own(self, client: Any) -> None:
        """A control makes a gate's own phase one that can be seen."""
        circuits, local = framework("braket.circuits"), framework("braket.devices")
        made = circuits.Circuit()
        for qubit in range(4):
            made.u(qubit, 0.3 + qubit, 0.2, 0.5)
        for name, size, angles in BRAKET_GATES:
            qubits = [1, 3, 2][:size]
            (plain,) = getattr(circuits.Circuit(), name)(*qubits, *angles).instructions
            made.add_instruction(circuits.Instruction(plain.operator, qubits, control=[0]))
            made.h(0)
        told = client.quantum.run(made, state_vector=True, **EXACT)
        made.state_vector()
        theirs = local.LocalSimulator().run(made, shots=0).result().values[0]
        same_state(told[0].state_vector_big_endian, theirs)

    def test_free_parameters_stay_and_measurements_are_kept(self, client: Any) -> None:
        circuits = framework("braket.circuits")
        made = circuits.Circuit().h(0).t(0).rx(2, 2 * circuits.FreeParameter("t")).measure([2, 0])
        told = client.quantum.run(made, shots=0, parameters={"t": 0.3})
        bits = {"0": 0.5 * np.cos(0.3) ** 2, "1": 0.5 * np.sin(0.3) ** 2}
        for key, probability in told.probabilities.items():
            assert probability == pytest.approx(bits[key[1]], abs=1e-12)  # bit 0 is qubit 2
        gradient = client.quantum.estimate(
            circuits.Circuit().rx(0, circuits.FreeParameter("t")), "Z0",
            parameters={"t": 0.3}, gradients=True,
        ).gradient  # fmt: skip
        assert gradient == {"t": pytest.approx(-np.sin(0.3), abs=1e-12)}

    def test_pragmas_are_refused(self, client: Any) -> None:
        circuits = framework("braket.circuits")
        for made in (
            circuits.Circuit().h(0).expectation(circuits.Observable.Z(), 0),
            circuits.Circuit().h(0).depolarizing(0, 0.1),
            circuits.Circuit().add_verbatim_box(circuits.Circuit().h(0)),
        ):
            with pytest.raises(ketgate.InvalidArgument, match="leave it out"):
                client.quantum.run(made, 10)
