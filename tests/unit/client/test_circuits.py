"""Circuits, and where and how they run, as a caller may write them."""

from datetime import UTC, datetime
from pathlib import Path

import ketgate
import numpy as np
import pytest
from ketgate import _quantum_requests as requests
from ketgate._circuits import read_circuits
from ketgate._quantum_result import CircuitResult, RunResult
from ketgate._tensor import to_tensor
from ketgate.quantum.v1 import circuit_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as pb

TEXT = "OPENQASM 3.0; input float a; qubit q; U(a, 0, 0) q;"


class TestPrograms:
    def test_texts_and_paths(self, tmp_path: Path) -> None:
        path = tmp_path / "turn.qasm"
        path.write_text(TEXT)
        for given in (path, str(path)):
            made = ketgate.Program.of(given)
            assert (made.openqasm, made.label) == (TEXT, "turn")
        assert ketgate.Program.of(TEXT, {"a": np.float64(0.5)}, label="x").message() == (
            circuit_pb2.Circuit(openqasm=TEXT, parameters={"a": 0.5}, label="x")
        )

    def test_parameters_for_all_for_each_and_in_a_sweep(self) -> None:
        for circuits, parameters, expected in (
            ([TEXT, TEXT], {"a": 1.0}, [1.0, 1.0]),
            ([TEXT, TEXT], [{"a": 1.0}, {"a": 2.0}], [1.0, 2.0]),
            (TEXT, [{"a": 1.0}, {"a": 2.0}, {"a": 3.0}], [1.0, 2.0, 3.0]),
        ):
            made = read_circuits(circuits, parameters)
            assert [program.parameters["a"] for program in made] == expected
        with pytest.raises(ketgate.InvalidArgument, match="each of 2 circuits, given 3"):
            read_circuits([TEXT, TEXT], [{}, {}, {}])

    def test_arrays_of_values_are_a_run_for_each(self) -> None:
        for values in (np.array([1.0, 2.0]), [1, 2], (np.float64(1.0), 2.0)):
            made = read_circuits(TEXT, {"a": values})
            assert [program.parameters["a"] for program in made] == [1.0, 2.0]
        both = read_circuits(TEXT, {"a": np.arange(3.0), "b": 0.5})
        assert [dict(program.parameters) for program in both] == [
            {"a": k, "b": 0.5} for k in (0.0, 1.0, 2.0)
        ]
        for given, told in (
            ({"a": [1.0, 2.0], "b": [1.0]}, "arrays of one length, .* given 2 of a, 1 of b"),
            ({"a": []}, "given 0 of a"),
            ({"a": np.zeros((2, 2))}, r"parameters\['a'\]: expected a number"),
        ):
            with pytest.raises(ketgate.InvalidArgument, match=told):
                read_circuits(TEXT, given)
        with pytest.raises(ketgate.InvalidArgument, match="expected one value, given 2"):
            read_circuits([TEXT, TEXT], {"a": [1.0, 2.0]})

    def test_a_vector_of_qiskit_takes_all_its_values(self) -> None:
        circuit_of_qiskit = pytest.importorskip("qiskit.circuit")
        vector = circuit_of_qiskit.ParameterVector("t", 2)
        circuit = circuit_of_qiskit.QuantumCircuit(2)
        circuit.ry(vector[0], 0)
        circuit.ry(vector[1], 1)
        for key in (vector, "t"):
            (made,) = read_circuits(circuit, {key: np.array([0.1, 0.2])})
            assert made.parameters == {made.names["t[0]"]: 0.1, made.names["t[1]"]: 0.2}
        assert len(read_circuits(circuit, [{"t": [0.1, 0.2]}] * 3)) == 3
        with pytest.raises(ketgate.InvalidArgument, match="expected 2 values, given 3"):
            read_circuits(circuit, {"t": [0.1, 0.2, 0.3]})

    def test_gradients_have_the_circuit_s_own_names(self) -> None:
        circuit_of_qiskit = pytest.importorskip("qiskit.circuit")
        theta = circuit_of_qiskit.Parameter("θ")
        circuit = circuit_of_qiskit.QuantumCircuit(1)
        circuit.ry(theta, 0)
        work = requests.estimate(circuit, "Z0", gradients=True, parameters={theta: 0.3})
        (name,) = work.spec.circuits[0].parameters
        assert name == "theta"
        answer = pb.EstimateObservablesResult()
        answer.expectations.add(value=0.9).gradient[name] = -0.3
        assert work.result(answer, work.spec).gradient == {"θ": -0.3}

    @pytest.mark.parametrize(
        ("given", "told"),
        [
            ("nowhere.qasm", "no OpenQASM .*cannot be read: No such file"),
            (object(), "builtins.object"),
            ([], "at least one circuit"),
            (" ", "expected a program, given no text"),
        ],
    )
    def test_what_is_no_circuit_is_refused(self, given: object, told: str) -> None:
        with pytest.raises(ketgate.InvalidArgument, match=told):
            read_circuits(given)
        with pytest.raises(ketgate.InvalidArgument, match=r"parameters\['a'\]"):
            ketgate.Program.of(TEXT, {"a": "half"})  # type: ignore[dict-item]
        for strange in ([0.1, 0.2], np.array([[0.1], [0.2]])):
            with pytest.raises(ketgate.InvalidArgument, match=r'by name, {"theta": 0.3}'):
                read_circuits(TEXT, strange)  # type: ignore[arg-type]

    def test_names_are_told_from_lists_of_them(self) -> None:
        with pytest.raises(ketgate.InvalidArgument, match=r"backend: expected the name .*given 3"):
            requests.run(TEXT, 100, backend=3)  # type: ignore[arg-type]
        with pytest.raises(ketgate.InvalidArgument, match=r"basis_gates: expected a list .*'cx'"):
            requests.transpile(TEXT, {"basis_gates": "cx"})


class TestOptions:
    def test_every_option_reaches_the_spec(self) -> None:
        spec = requests.run(
            TEXT, 100, memory=True, parameters={"a": 1.0}, backend="native", policy="price",
            allowed=["ibm/*"], regions=["eu"], fail_over=True, seed=2**64 - 1, precision="single",
            caps={"cost": "12.34 USD", "shots": 5_000_000_000, "device_seconds": 1.5}, threads=2,
            time_limit=0.5, optimization_level=3,
            mitigation={"readout": True, "noise_factors": [1, 3], "extrapolation": "linear"},
        ).spec  # fmt: skip
        assert spec.backend == circuit_pb2.BackendChoice(
            backend="native",
            policy=circuit_pb2.ROUTING_POLICY_PRICE,
            allowed=["ibm/*"],
            regions=["eu"],
            fail_over=True,
        )
        assert (spec.seed, spec.precision) == (2**64 - 1, circuit_pb2.PRECISION_SINGLE)
        assert (spec.caps.cost_max.asset, spec.caps.cost_max.minor_units) == ("USD", 1234)
        assert spec.caps.shots_max == 5_000_000_000
        assert spec.time_limit.ToMilliseconds() == 500
        assert list(spec.mitigation.noise_factors) == [1, 3]
        assert spec.optimization_level == 3

    @pytest.mark.parametrize(
        ("options", "told"),
        [
            ({"policy": "cheap"}, "latency, fidelity, queue, price"),
            ({"caps": {"cost": "12.345 USD"}}, "no finer than the currency"),
            ({"caps": {"cost": 12}}, "12.34 USD"),
            ({"caps": {"dollars": 12}}, "cost, shots and device_seconds"),
            ({"allowed": "native"}, "a list of texts"),
            ({"noise": 3}, "ketgate.Noise"),
            ({"mitigation": "magic"}, "readout"),
            ({"noise": ketgate.Noise()}, "given 0 of them"),
            ({"noise": ketgate.Noise(channels={"x": {"fog": 1}})}, "depolarizing, bit_flip"),
        ],
    )
    def test_wrong_ones_are_refused_by_name(self, options: dict[str, object], told: str) -> None:
        with pytest.raises(ketgate.InvalidArgument, match=told):
            requests.run(TEXT, **options)  # type: ignore[arg-type]
        with pytest.raises(TypeError, match="did you mean 'backend'"):
            requests.run(TEXT, bakend="native")  # type: ignore[call-arg]

    def test_yen_have_no_cents(self) -> None:
        money = requests.run(TEXT, caps={"cost": "1200 JPY"}).spec.caps.cost_max
        assert money.minor_units == 1200
        assert str(ketgate.Money("JPY", 1200)) == "1200 JPY"
        assert str(ketgate.Money("USD", 1234)) == "12.34 USD"

    def test_noise_in_its_three_forms(self, tmp_path: Path) -> None:
        assert requests.run(TEXT, noise="emulator/x").spec.noise.device == "emulator/x"
        path = tmp_path / "chip.json"
        path.write_text("{}")
        for given in (path, str(path), ketgate.Noise(calibration={})):
            assert requests.run(TEXT, noise=given).spec.noise.calibration == b"{}"
        damping = [np.diag([1, np.sqrt(0.5)]), np.array([[0, np.sqrt(0.5)], [0, 0]])]
        made = ketgate.Noise(
            channels=[
                {"gate": "x", "qubits": [1], "kraus": damping},
                {"gate": "*2", "pauli": {"XX": 0.1, "ZI": 0.2}},
                {"gate": "h", "thermal": {"t1_us": 50, "t2_us": 30.0, "duration_ns": 10.0}},
            ],
            readout={3: 0.1, 4: (0.1, 0.2)},
            method="trajectories",
        ).message()
        kraus, pauli, thermal = made.channels.gates
        assert list(kraus.kraus.shape) == [2, 2, 2]
        assert (list(pauli.pauli.paulis), list(pauli.pauli.probabilities)) == (
            ["XX", "ZI"],
            [0.1, 0.2],
        )
        assert thermal.thermal.t1_us == 50.0
        assert [(r.qubit, r.p1_given_0, r.p0_given_1) for r in made.channels.readout] == [
            (3, 0.1, 0.1),
            (4, 0.1, 0.2),
        ]


class TestResults:
    def circuit(self) -> pb.CircuitResult:
        """Two registers, of two bits and one."""
        return pb.CircuitResult(
            label="ghz",
            counts={"01 1": 3, "10 0": 5},
            registers=[pb.BitRegister(name="m_a", size=2), pb.BitRegister(name="b", size=1)],
            standard_error_max=0.1,
        )

    def test_a_text_tells_the_essentials(self) -> None:
        result = RunResult(pb.RunCircuitsResult(circuits=[self.circuit()]), pb.RunCircuitsSpec())
        result.message.evidence.calibration_time.FromDatetime(datetime(2026, 1, 1, tzinfo=UTC))
        assert "ghz: 10 0: 5, 01 1: 3" in repr(result)
        many = pb.RunCircuitsResult(circuits=[self.circuit()] * 99)
        assert "and 91 more circuits" in repr(RunResult(many, pb.RunCircuitsSpec()))

    def test_big_endian_amplitudes(self) -> None:
        message = pb.CircuitResult(state_vector=to_tensor(np.arange(8) + 0j))
        assert CircuitResult(message).state_vector_big_endian.tolist() == [0, 4, 2, 6, 1, 5, 3, 7]

    def test_a_histogram_is_drawn(self, tmp_path: Path) -> None:
        pytest.importorskip("matplotlib")
        figure = CircuitResult(self.circuit()).plot(tmp_path / "histogram.svg")
        assert (tmp_path / "histogram.svg").read_text().startswith("<?xml")
        (axes,) = figure.axes
        assert [label.get_text() for label in axes.get_xticklabels()] == ["01 1", "10 0"]
        assert [bar.get_height() for bar in axes.patches] == [3 / 8, 5 / 8]
        with pytest.raises(ketgate.InvalidArgument, match=r"ends in .*\.png.*, given 'p\.xyz'"):
            CircuitResult(self.circuit()).plot("p.xyz")
        with pytest.raises(ketgate.NoSolution, match="measured nothing"):
            CircuitResult(pb.CircuitResult()).plot()

    def test_cirq_gets_its_keys_and_columns(self) -> None:
        pytest.importorskip("cirq")
        made = CircuitResult(self.circuit()).to_cirq()
        assert made.measurements["a"].tolist() == [[1, 0]] * 3 + [[0, 1]] * 5
        assert made.measurements["b"].tolist() == [[1]] * 3 + [[0]] * 5


def test_a_long_line_is_shown_around_its_place() -> None:
    error = ketgate.ProgramInvalid("no")
    error.line, error.column, error.source = 7, 500, "a" * 499 + "!" + "b" * 500
    shown, caret = str(error).splitlines()[-2:]
    assert len(shown) < 120
    assert shown[caret.index("^")] == "!"


def test_greek_parameters_of_qiskit_keep_names_that_differ() -> None:
    """Two Greek letters were both called `parameter`, and a circuit with both was refused."""
    from ketgate._circuit_exports import _safe

    given = ["β[0]", "γ[0]", "θ", "φ", "λ", "Δ", "π", "t"]
    made = ["beta_0", "gamma_0", "theta", "phi", "lambda", "Delta", "p_pi", "p_t"]
    assert [_safe(name) for name in given] == made
