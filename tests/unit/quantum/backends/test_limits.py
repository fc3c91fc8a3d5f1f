"""What every back end refuses, and where; how runs end; what it tells of itself."""

import subprocess
import sys

import pytest
from ketgate_server.errors import Reason
from ketgate_server.parts import part_version
from ketgate_server.quantum.base import BackendKind, Precision, RunOptions, Stopped, Unsuitable
from ketgate_server.quantum.circuit import Condition, Gate, If, Measure, Reset
from ketgate_server.quantum.workers.order import OrderTask

from ..specimens import OBSERVABLES, circuit, ghz, measured, noise_models, placed

AMID = {
    "reset": placed(Reset(0), 7, 3),
    "mid_circuit_measurement": placed(Gate("h", (0,)), 7, 3),
    "classical_control": placed(If(Condition((0,), "==", 1), (Gate("x", (1,)),)), 7, 3),
}


def amid(feature):
    return circuit(2, [*ghz(2), Measure(0, 0), AMID[feature], Measure(1, 1)])


def test_it_tells_of_itself_without_its_framework(bench):
    described = bench.backend.describe()
    assert described.name == bench.name
    assert described.kind in (BackendKind.SIMULATOR, BackendKind.EMULATOR)
    assert described.version
    assert described.num_qubits >= 10
    assert described.description.endswith(".")


@pytest.mark.parametrize("feature", AMID)
def test_what_it_cannot_do_amid_a_circuit_is_named_with_its_place(bench, feature):
    if getattr(bench.can, feature):
        pytest.skip(f"{bench.name} can")
    for attempt in (
        lambda: bench.backend.check(amid(feature), bench.options(10)),
        lambda: bench.one(amid(feature), 10),
    ):
        with pytest.raises(Unsuitable, match="line 7, column 3") as caught:
            attempt()
        assert caught.value.reason is Reason.BACKEND_UNSUITABLE
        assert caught.value.metadata["backend"] == bench.name
        assert (caught.value.metadata["line"], caught.value.metadata["column"]) == ("7", "3")


@pytest.mark.parametrize("feature", AMID)
def test_exact_results_need_measurements_at_the_end(bench, feature):
    if not getattr(bench.can, feature):
        pytest.skip(f"{bench.name} cannot do that at all")
    for options in (bench.options(0), bench.options(10, state_vector=True)):
        with pytest.raises(Unsuitable, match="line 7, column 3"):
            bench.backend.check(amid(feature), options)
    with pytest.raises(Unsuitable, match="line 7, column 3"):
        bench.one(amid(feature))
    with pytest.raises(Unsuitable, match="line 7, column 3"):
        bench.estimate(amid(feature), OBSERVABLES[:1])


def test_options_that_it_does_not_have_are_refused(bench):
    case = measured(2, ghz(2))
    if not bench.can.single_precision:
        with pytest.raises(Unsuitable, match="single precision"):
            bench.backend.check(case, bench.options(1, precision=Precision.SINGLE))
    noise = noise_models()["depolarizing"]
    if not bench.can.noise:
        with pytest.raises(Unsuitable, match="noise"):
            bench.backend.check(case, bench.options(1, noise=noise))
    with pytest.raises(Unsuitable, match="state vector"):
        bench.backend.check(case, bench.options(1, noise=noise, state_vector=True))


def test_more_qubits_than_fit_are_refused(bench):
    many = bench.backend.describe().num_qubits + 1
    with pytest.raises(Unsuitable, match=f"{many} qubits"):
        bench.backend.check(measured(many, ghz(many)), bench.options(1))


def test_noise_takes_more_than_none(bench):
    case = measured(6, ghz(6))
    ideal = bench.backend.need(case, bench.options(1))
    assert ideal.memory_bytes > 0
    assert ideal.run_s > 0
    assert bench.backend.need(measured(12, ghz(12)), bench.options(1)).run_s > ideal.run_s
    if bench.can.noise:
        noisy = bench.backend.need(case, bench.options(1, noise=noise_models()["depolarizing"]))
        assert noisy.memory_bytes > ideal.memory_bytes


def test_a_stopped_run_has_no_result(bench):
    task = OrderTask()
    task.stop()
    with pytest.raises(Stopped):
        bench.run([measured(2, ghz(2))] * 3, 10, task)
    with pytest.raises(Stopped):
        bench.run([measured(2, ghz(2))], 10, OrderTask(0.0))


def test_adapters_are_imported_without_their_frameworks():
    program = (
        "import sys\n"
        "from ketgate_server.quantum.backends import aer, braket, cirq, pennylane, qutip\n"
        "for module in (aer, braket, cirq, pennylane, qutip): pass\n"
        "heavy = {'qiskit', 'qiskit_aer', 'braket.devices', 'pennylane', 'qutip', 'sympy', 'scipy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=200)


def test_braket_names_noise_on_three_qubits_with_its_place():
    from ketgate_server.quantum.backends.braket import BraketBackend
    from ketgate_server.quantum.noise import NoiseModel

    from ..specimens import depolarizing

    noise = NoiseModel({("ccx", None): (depolarizing(0.1, 3),)})
    case = circuit(3, [*ghz(3), placed(Gate("ccx", (0, 1, 2)), 9, 5)])
    with pytest.raises(Unsuitable, match="noise on 3 qubits at once at line 9, column 5"):
        BraketBackend().check(case, RunOptions(shots=1, seed=1, noise=noise))


def test_pennylane_names_the_gate_that_has_no_gradient_with_its_place(workers):
    if part_version("pennylane") is None:
        pytest.skip("pennylane is not installed")
    from ketgate_server.quantum.backends.pennylane import PennylaneBackend
    from ketgate_server.quantum.circuit import Circuit
    from ketgate_server.quantum.expression import parameter
    from ketgate_server.quantum.workers.isolated import Isolated

    gate = placed(Gate("rx", (0, 1), (parameter("a"),), controls=(0,), power=0.5), 4, 2)
    case = Circuit(2, 0, (Gate("h", (0,)), gate), parameters=("a",))
    backend = Isolated(PennylaneBackend(), workers)
    with pytest.raises(Unsuitable, match=r"a controlled rx raised to 0.5 at line 4, column 2"):
        backend.expectations(
            case,
            OBSERVABLES[:1],
            RunOptions(shots=0, seed=1),
            OrderTask(),
            parameters={"a": 0.3},
            gradients=True,
        )
