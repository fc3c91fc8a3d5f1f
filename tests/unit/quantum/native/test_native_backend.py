"""What is the native back end's own; what it shares with all others is held by the shared suite."""

import numpy as np
import pytest
from ketgate_server.quantum.base import Precision, RunOptions, Stopped, Unsuitable
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Measure, Reset
from ketgate_server.quantum.expression import Expression, parameter
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.gates import matrix as gate_matrix
from ketgate_server.quantum.native import compiled, shots
from ketgate_server.quantum.native.backend import NativeBackend
from ketgate_server.quantum.native.compiled import Kept
from ketgate_server.quantum.native.generators import generators
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.workers.order import OrderTask

from .. import oracle
from ..specimens import OBSERVABLES, circuit, dynamic_circuits, ghz, measured, mixing, noise_models

SEED = 3


@pytest.fixture
def backend():
    return NativeBackend()


def options(number=0, **named):
    return RunOptions(shots=number, seed=named.pop("seed", SEED), **named)


def one(backend, case, number=0, **named):
    (outcome,) = backend.run([case], options(number, **named), OrderTask())
    return outcome


@pytest.mark.parametrize("name", [name for name, spec in GATES.items() if spec.num_parameters])
@pytest.mark.parametrize("power", [1.0, 2.0, -1.0, 0.5, -0.3])
def test_generators_are_the_slopes_of_gates(name, power):
    angles = np.array([0.7, -0.4, 1.9, 0.3])[: GATES[name].num_parameters]

    def at(values):
        return gate_matrix(Gate(name, (), tuple(values), power=power))

    step = 1e-6
    for k, generator in enumerate(generators(name, tuple(angles), power)):
        moved = step * np.eye(len(angles))[k]
        slope = (at(angles + moved) - at(angles - moved)) / (2 * step)
        np.testing.assert_allclose(generator @ at(angles), slope, atol=1e-8)


def test_gradients_of_every_gate_with_controls_and_powers(backend):
    """Each gate's angles depend on two parameters; against differences of the oracle."""
    a, b = parameter("a"), parameter("b")
    mixed = Expression("*", (a, Expression("+", (b, 0.3))))
    values = {"a": 0.7, "b": 0.4}
    for name, spec in GATES.items():
        if not spec.num_parameters:
            continue
        for controls, power in (((), 1.0), ((1,), 1.0), ((0,), 0.5), ((1,), -2.0)):
            count = spec.num_qubits + len(controls)
            gate = Gate(name, tuple(range(4))[:count], (a, mixed, b, 0.2)[: spec.num_parameters])
            gate = Gate(gate.name, gate.qubits, gate.parameters, controls, power)
            operations = (*mixing(4), gate, *mixing(4, 5))
            case = Circuit(4, 0, operations, parameters=("a", "b"))
            found = backend.expectations(
                case, OBSERVABLES[:2], options(), OrderTask(), parameters=values, gradients=True
            )
            for k, which in enumerate(("a", "b")):
                ends = []
                for step in (-1e-5, 1e-5):
                    state = oracle.state_vector(case.bind(values | {which: values[which] + step}))
                    ends.append([oracle.expectation(state, o) for o in OBSERVABLES[:2]])
                expected = (np.array(ends[1]) - np.array(ends[0])) / 2e-5
                np.testing.assert_allclose(found.gradients[:, k], expected, atol=1e-8)


def test_the_result_does_not_depend_on_threads(backend):
    case = measured(17, mixing(17))
    found = [one(backend, case, 500, threads=threads, memory=True) for threads in (1, 2)]
    assert found[0].counts == found[1].counts
    np.testing.assert_array_equal(found[0].memory, found[1].memory)


def test_branches_that_start_again_read_the_same_distribution(backend, monkeypatch):
    """With so few states kept that most branches are simulated anew from their history."""
    steps = []
    for k in range(6):
        steps += [Gate("ry", (0,), (0.9 + k,)), Gate("cx", (0, 1)), Measure(0, k)]
        steps += [If(Condition((k,), "==", 1), (Reset(1),), (Gate("h", (1,)),))]
    case = circuit(2, [*steps, Measure(1, 6)])
    expected = oracle.distribution(case)
    kept = one(backend, case, 3000)
    monkeypatch.setattr(shots, "live_states_max", lambda *_: 1)
    again = one(backend, case, 3000)
    assert again.counts == kept.counts
    for outcome, p in expected.items():
        error = max(np.sqrt(3000 * p * (1 - p)), 1.0)
        assert abs(kept.counts.get(outcome, 0) - 3000 * p) < 5 * error
    assert set(kept.counts) <= set(expected)


def test_more_bits_than_a_word_are_counted(backend):
    case = Circuit(2, 100, (Gate("x", (0,)), Measure(0, 99), Measure(1, 3)))
    outcome = one(backend, case, 10, memory=True)
    assert outcome.counts == {1 << 99: 10}
    assert outcome.memory.shape == (10, 100)
    assert one(backend, case).probabilities == {1 << 99: 1.0}


def test_a_qubit_high_among_many_idle_ones(backend):
    case = Circuit(1000, 1, (Gate("h", (999,)), Measure(999, 0)))
    assert one(backend, case).probabilities == pytest.approx({0: 0.5, 1: 0.5})
    z = PauliSum((PauliTerm(2.0, 1 << 999, 0), PauliTerm(1.0, 0, 1 << 500)))
    found = backend.expectations(case, [z], options(), OrderTask())
    np.testing.assert_allclose(found.values, [3.0], atol=1e-12)


def test_observables_of_no_terms_and_of_identities(backend):
    empty, identity = PauliSum(()), PauliSum((PauliTerm(1.5, 0, 0),))
    for number in (0, 100):
        case = circuit(2, ghz(2))
        found = backend.expectations(case, [empty, identity], options(number), OrderTask())
        np.testing.assert_allclose(found.values, [0.0, 1.5], atol=1e-12)
        np.testing.assert_allclose(found.standard_errors, 0.0, atol=1e-12)


def test_gradients_of_shots_and_under_noise_are_refused(backend):
    case = Circuit(1, 0, (Gate("rx", (0,), (parameter("a"),)),), parameters=("a",))
    z = PauliSum((PauliTerm(1.0, 0, 1),))
    with pytest.raises(Unsuitable, match="gradients of shots"):
        backend.expectations(
            case, [z], options(10), OrderTask(), parameters={"a": 1.0}, gradients=True
        )
    noisy = options(noise=noise_models()["depolarizing"])
    with pytest.raises(Unsuitable, match="gradients under noise"):
        backend.expectations(case, [z], noisy, OrderTask(), parameters={"a": 1.0}, gradients=True)


def test_compiled_circuits_are_kept_by_what_they_do(monkeypatch):
    kept = Kept()
    cases = [circuit(1, [Gate("rx", (0,), (float(k),))]) for k in range(9)]
    first = kept.get(cases[0], (0,), Precision.DOUBLE)
    same = circuit(1, [Gate("rx", (0,), (0.0,))])
    assert kept.get(same, (0,), Precision.DOUBLE) is first
    assert kept.get(same, (0,), Precision.SINGLE) is not first
    bytes_of_one = first.memory_bytes
    assert bytes_of_one > 0
    monkeypatch.setattr(compiled, "KEPT_BYTES_MAX", 4 * bytes_of_one)
    for case in cases[1:]:
        kept.get(case, (0,), Precision.DOUBLE)
    assert kept.get(same, (0,), Precision.DOUBLE) is not first


def test_a_stop_ends_a_run(backend):
    task = OrderTask()
    task.stop()
    with pytest.raises(Stopped):
        backend.expectations(circuit(2, ghz(2)), OBSERVABLES[:1], options(), task)
    with pytest.raises(Stopped):
        backend.run([dynamic_circuits()["reset"]], options(10), task)


def test_what_it_needs_grows_with_the_work(backend):
    small, large = (backend.need(measured(n, ghz(n)), options(100)) for n in (10, 20))
    assert large.memory_bytes == 2**20 * 16 > small.memory_bytes
    assert large.run_s > small.run_s
    single = backend.need(measured(20, ghz(20)), options(100, precision=Precision.SINGLE))
    assert 2 * single.memory_bytes == large.memory_bytes
    dynamic = backend.need(dynamic_circuits()["nested"], options(100))
    assert dynamic.memory_bytes > 2**2 * 16


def test_how_many_qubits_fit_follows_the_limit():
    assert NativeBackend(16 << 24).describe().num_qubits == 24
    assert NativeBackend(1 << 60).describe().num_qubits == 40
    many = measured(25, ghz(25))
    with pytest.raises(Unsuitable, match="25 qubits"):
        NativeBackend(16 << 24).check(many, options(1))
    NativeBackend(16 << 24).check(many, options(1, precision=Precision.SINGLE))


def test_errors_of_readout_alone_need_one_pure_state(backend):
    """Twenty qubits: a trajectory a shot would take minutes, and a density matrix terabytes."""
    n, shots_taken = 20, 4000
    case = Circuit(
        n,
        n + 1,
        (
            *(Gate("x", (k,)) for k in range(0, n, 2)),
            *(Measure(k, n - 1 - k) for k in range(n)),
        ),
    )
    noise = NoiseModel({}, {None: (0.03, 0.08), 4: (0.0, 1.0), 5: (0.5, 0.0)})
    how = options(shots_taken, noise=noise, memory=True)
    assert backend.need(case, how).memory_bytes == 16 << n
    outcome = one(backend, case, shots_taken, noise=noise, memory=True)
    assert sum(outcome.counts.values()) == shots_taken
    assert outcome.method == ""
    read = outcome.memory.mean(axis=0)[:n][::-1]  # by qubit
    expected = np.where(np.arange(n) % 2, 0.03, 0.92)
    expected[4], expected[5] = 0.0, 0.5
    np.testing.assert_allclose(read, expected, atol=5 * np.sqrt(0.25 / shots_taken))
    assert not outcome.memory[:, n].any()  # nothing is measured into it
    again = one(backend, case, shots_taken, noise=noise)
    assert again.counts == outcome.counts
    assert again.memory is None


def test_one_shot_tells_no_spread() -> None:
    circuit = Circuit(1, 0, (Gate("h", (0,)),))
    observable = PauliSum((PauliTerm(1.0, 0, 1),))
    constant = PauliSum((PauliTerm(2.0, 0, 0),))
    found = NativeBackend(1 << 30).expectations(
        circuit, [observable, constant], RunOptions(shots=1, seed=1), OrderTask()
    )
    assert found.standard_errors.tolist() == [np.inf, 0.0]
