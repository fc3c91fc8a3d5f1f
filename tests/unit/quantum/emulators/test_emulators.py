"""The published devices, and runs on them."""

import json

import numpy as np
import pytest
from ketgate_server.errors import FieldError
from ketgate_server.quantum.base import BackendKind, NoiseMethod, RunOptions, Unsuitable
from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Reset
from ketgate_server.quantum.emulators import google, ibm
from ketgate_server.quantum.emulators.catalogue import calibrated, emulators
from ketgate_server.quantum.emulators.compile import ROUTED_BASIS
from ketgate_server.quantum.emulators.emulator import Emulator
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.transpile.target import Transpiled
from ketgate_server.quantum.workers.order import OrderTask

from .. import oracle
from ..noise.test_calibration_file import GOOD
from ..specimens import ghz, measured, mixing
from .test_compile import BASES, device, line

SHOTS = 4096
GHZ = measured(5, ghz(5))


def run(backend, circuit=GHZ, shots=SHOTS, **options):
    given = RunOptions(shots, options.pop("seed", 7), **options)
    return backend.run([circuit], given, OrderTask())[0]


def chip(compiler=None, n=6, **errors):
    found = device(n, line(n), BASES["cz"], **errors)
    return Emulator("emulator/test", lambda: found, compiler)


@pytest.fixture(scope="module")
def published():
    found = {one.name: one for one in emulators()}
    if not found:
        pytest.skip("neither qiskit-ibm-runtime nor cirq-google is installed")
    return found


def test_every_published_device_is_whole(published):
    for name, emulator in published.items():
        told = emulator.describe()
        assert told.name == name
        assert told.kind is BackendKind.EMULATOR
        assert told.capabilities.exact
        assert 0 < told.num_qubits < 1000
        assert all(0 <= q < told.num_qubits for pair in told.coupling for q in pair)
        assert emulator.device.entanglers or told.num_qubits == 1
        assert told.version


@pytest.mark.parametrize(
    ("name", "qubits", "least"),
    [
        ("emulator/ibm_torino", 133, 0.85),
        ("emulator/ibm_sherbrooke", 127, 0.85),
        ("emulator/ibm_cairo", 27, 0.8),
        ("emulator/ibm_almaden", 20, 0.7),
        ("emulator/google_rainbow", 23, 0.7),
        ("emulator/google_willow_pink", 105, 0.85),
    ],
)
def test_a_ghz_state_on_a_published_device(published, name, qubits, least):
    if name not in published:
        pytest.skip(f"{name} is not installed")
    emulator = published[name]
    assert emulator.describe().num_qubits == qubits
    found = run(emulator)
    population = (found.counts.get(0, 0) + found.counts.get(31, 0)) / SHOTS
    assert least < population < 0.99
    assert found.method == "density-matrix"
    assert found.compiled.num_qubits == qubits
    names = {one.name for one in found.compiled.walk() if isinstance(one, Gate)}
    assert names <= set(emulator.describe().basis_gates)
    calibration = emulator.describe().calibration
    assert calibration.digest
    assert calibration.time_us > 1_500_000_000_000_000


def test_googles_calibration_is_taken_over():
    if not google.processors():
        pytest.skip("cirq-google is not installed")
    willow = google.read(next(one for one in google.PROCESSORS if one.name == "willow_pink"))
    by_label = {one.label: one for one in willow.calibration.qubits}
    assert by_label["0_6"].t1_us == pytest.approx(71.886629)
    assert by_label["0_6"].p1_given_0 == pytest.approx(0.003791929824561384)
    pulse = next(g for g in willow.calibration.gates if g.gate == "u" and g.qubits == (0,))
    assert pulse.duration_ns == 25.0
    assert all(willow.errors[("cz", pair)] > 0 for pair in willow.coupling)


def test_the_noise_that_is_simulated_is_that_of_the_compiled_circuit():
    emulator = chip()
    circuit = measured(3, [*ghz(3), Gate("ry", (1,), (0.4,))])
    placed = emulator.place(circuit, RunOptions(0, 1), OrderTask())
    active = sorted({q for one in placed.compiled.circuit.walk() for q in _qubits(one)})
    number = {qubit: k for k, qubit in enumerate(active)}
    small = Circuit(
        len(active),
        3,
        tuple(_renumbered(one, number) for one in placed.compiled.circuit.operations),
    )
    noise = NoiseModel(
        {
            (name, tuple(number[q] for q in qubits)): channels
            for (name, qubits), channels in placed.noise.gates.items()
        },
        {number[q]: pair for q, pair in placed.noise.readout.items()},
    )
    expected = oracle.distribution(small, noise)
    found = run(emulator, circuit, 0).probabilities
    for key, p in expected.items():
        assert found.get(key, 0.0) == pytest.approx(p, abs=1e-10)


def _qubits(one):
    return one.qubits if isinstance(one, Gate) else (one.qubit,)


def _renumbered(one, number):
    if isinstance(one, Gate):
        return Gate(one.name, tuple(number[q] for q in one.qubits), one.parameters)
    return Measure(number[one.qubit], one.bit)


def test_what_was_compiled_is_kept():
    emulator = chip()
    options = RunOptions(SHOTS, 1)
    first = emulator.place(GHZ, options, OrderTask())
    again = measured(5, ghz(5))
    assert emulator.place(again, options, OrderTask()) is first
    other = measured(5, [*ghz(5), Gate("cx", (0, 1)), Gate("cx", (0, 1))])
    # The same gates on the same qubits: another circuit with the same noise.
    assert emulator.place(other, options, OrderTask()).noise is first.noise


@pytest.mark.parametrize("method", list(NoiseMethod))
def test_expectations_exact_and_measured_agree(method):
    emulator = chip(readout={0: 0.05, 3: 0.1})
    observables = [
        PauliSum((PauliTerm(1.0, 0, 0b011), PauliTerm(0.5, 0b111, 0))),
        PauliSum((PauliTerm(1.0, 0b010, 0b010),)),
    ]
    circuit = Circuit(3, 0, (*ghz(3), Gate("rx", (1,), (0.9,))))
    exact = emulator.expectations(circuit, observables, RunOptions(0, 1), OrderTask())
    found = emulator.expectations(
        circuit, observables, RunOptions(20_000, 1, noise_method=method), OrderTask()
    )
    # The turns into the measured bases are gates with noise of their own.
    assert np.abs(found.values - exact.values).max() < 0.02 + 5 * found.standard_errors.max()
    assert found.groups == 3
    assert found.compiled is not None


def test_an_observable_on_a_qubit_that_nothing_acts_on():
    observable = PauliSum((PauliTerm(1.0, 0, 0b100),))
    found = chip().expectations(
        Circuit(3, 0, (Gate("x", (0,)),)), [observable], RunOptions(0, 1), OrderTask()
    )
    assert found.values[0] == pytest.approx(1 - 2 * 0.01)


class Routed:
    """A compiler that knows one answer."""

    def __init__(self, circuit):
        self.circuit = circuit
        self.asked = []

    def compile(self, circuits, target, level, seed, task):
        self.asked.append((target.basis_gates, target.coupling, level, seed))

        class Found:
            transpiled = Transpiled(self.circuit, (0, 1, 2), (1, 0, 2), "a compiler")

        return [Found]


def test_what_needs_swaps_goes_to_the_compiler():
    triangle = measured(3, [Gate("cx", (0, 1)), Gate("cx", (1, 2)), Gate("cx", (2, 0))])
    with pytest.raises(Unsuitable, match="a circuit that needs swaps"):
        run(chip(), triangle)
    routed = Circuit(3, 3, (Gate("sx", (0,)), Gate("cz", (0, 1)), Measure(1, 0)))
    compiler = Routed(routed)
    emulator = chip(compiler, 3, errors={(0, 1): 0.1})
    found = run(emulator, triangle, seed=9)
    assert compiler.asked == [(ROUTED_BASIS, ((0, 1), (1, 0), (1, 2), (2, 1)), 1, 9)]
    # What the compiler put on 0 and 1 is moved to the better pair.
    assert {q for one in found.compiled.operations for q in _qubits(one)} == {1, 2}
    placed = emulator.place(triangle, RunOptions(SHOTS, 9), OrderTask())
    first, second, _ = placed.compiled.initial_layout
    assert placed.compiled.final_layout[:2] == (second, first)
    assert Measure(second, 0) in found.compiled.operations


def test_higher_levels_ask_the_compiler_first():
    compiler = Routed(Circuit(3, 5, (Gate("x", (0,)), Measure(0, 0))))
    emulator = chip(compiler)
    run(emulator, optimization_level=1)
    assert not compiler.asked
    run(emulator, optimization_level=3)
    assert len(compiler.asked) == 1


@pytest.mark.parametrize(
    ("circuit", "options", "message"),
    [
        (GHZ, RunOptions(1, 1, noise=NoiseModel()), "cannot do other noise"),
        (GHZ, RunOptions(1, 1, state_vector=True), "cannot do state vectors"),
        (measured(41, ghz(41)), RunOptions(1, 1), "cannot do 41 qubits: it has 40"),
        (measured(35, ghz(35)), RunOptions(1, 1), "35 qubits: it simulates at most 34"),
    ],
)
def test_what_it_cannot_do_is_refused(circuit, options, message):
    with pytest.raises(Unsuitable, match=message):
        chip(n=40).check(circuit, options)


def test_gradients_are_refused():
    with pytest.raises(Unsuitable, match="cannot do gradients"):
        chip().expectations(GHZ, [], RunOptions(0, 1), OrderTask(), parameters={}, gradients=True)


def test_a_calibration_file_is_a_device():
    emulator = calibrated(json.dumps(GOOD).encode(), "noise.calibration")
    found = run(emulator, measured(2, ghz(2)), 0)
    assert found.probabilities[0] == pytest.approx(0.5, abs=0.02)
    with pytest.raises(FieldError, match=r"noise\.calibration: expected"):
        calibrated(b"[]", "noise.calibration")


def lacking(*, without):
    """The chip of three qubits in a calibration file that lacks some figures."""
    gates = [
        {"gate": "sx", "qubits": [q], "error": 0.001, "duration_ns": 30.0} for q in range(3)
    ] + [{"gate": "cz", "qubits": pair, "error": 0.01} for pair in ([0, 1], [1, 2])]
    qubits = [{"qubit": q, "p1_given_0": 0.02, "p0_given_1": 0.02} for q in range(3)]
    given = {
        "format": "ketgate-calibration-1",
        "name": "partly",
        "time": "2026-05-04T10:00:00Z",
        "num_qubits": 3,
        "basis_gates": ["rz", "sx", "cz"],
        "coupling": [[0, 1], [1, 2]],
        "qubits": [q for q in qubits if ("measure", [q["qubit"]]) not in without],
        "gates": [
            gate | ({"error": None} if (gate["gate"], gate["qubits"]) in without else {})
            for gate in gates
        ],
    }
    return calibrated(json.dumps(given).encode(), "noise.calibration")


LINE3 = measured(3, [Gate("h", (0,)), Gate("cx", (0, 1)), Gate("cx", (1, 2))])


def test_what_a_calibration_does_not_tell_is_named_in_a_warning():
    emulator = lacking(without=[("sx", [0]), ("cz", [0, 1]), ("measure", [0])])
    (warning,) = run(emulator, LINE3).warnings
    assert "emulator/partly: the calibration tells no error of " in warning
    for name in ("cz on 0-1", "measure on 0", "sx on 0"):
        assert name in warning
    assert "rz" not in warning  # a change of frame has no error
    observable = PauliSum((PauliTerm(1.0, 0b111, 0),))
    for shots in (0, 100):
        found = emulator.expectations(LINE3, [observable], RunOptions(shots, 1), OrderTask())
        assert len(found.warnings) == 1
        assert "cz on 0-1" in found.warnings[0]


def test_a_calibration_that_tells_all_that_is_used_warns_of_nothing():
    assert not run(lacking(without=[]), LINE3).warnings
    apart = lacking(without=[("sx", [0]), ("cz", [0, 1]), ("measure", [0])])
    assert not run(apart, measured(2, ghz(2))).warnings  # placed on the qubits that it knows


def test_what_published_devices_do_not_tell(published):
    if "emulator/ibm_lima" not in published:
        pytest.skip("qiskit-ibm-runtime is not installed")
    emulator = published["emulator/ibm_lima"]
    assert not run(emulator, measured(3, ghz(3))).warnings
    reset = measured(1, [Gate("x", (0,)), Reset(0), Gate("x", (0,))])
    assert "tells no error of reset on " in run(emulator, reset).warnings[0]


def test_need_grows_with_the_circuit():
    emulator = chip(n=30)
    small = emulator.need(GHZ, RunOptions(100, 1))
    large = emulator.need(measured(20, mixing(20)), RunOptions(100, 1))
    assert 0 < small.memory_bytes < large.memory_bytes
    assert small.run_s < large.run_s


def test_ibms_names_of_gates_are_ours():
    if not ibm.snapshots():
        pytest.skip("qiskit-ibm-runtime is not installed")
    for snapshot in ibm.snapshots():
        assert set(ibm.read(snapshot).basis_gates) <= set(GATES)
