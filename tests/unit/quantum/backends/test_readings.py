"""What is read of a state, and circuits followed branch by branch, against full matrices; the state
itself is evolved by those here, so that no framework is needed."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_server.quantum.backends.branching import shots_by_outcome
from ketgate_server.quantum.backends.estimating import estimate
from ketgate_server.quantum.backends.readings import (
    counts_by_outcome,
    draw,
    expectations,
    marginal,
    misread,
    parities,
    populations,
    turned,
)
from ketgate_server.quantum.backends.steps import Noise
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.circuit import Condition, Gate, If, Measure, Reset
from ketgate_server.quantum.gates import matrix
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.workers.order import OrderTask

from .. import oracle
from ..specimens import circuit, dynamic_circuits, mixing, noise_models, random_circuit
from .conftest import assert_sampled

N = 3
STATE = oracle.state_vector(circuit(N, [*mixing(N), *random_circuit(N, 6, 1)]))
RHO = 0.6 * np.outer(STATE, STATE.conj()) + 0.4 * np.eye(1 << N) / (1 << N)


def evolve(steps, start, density=False):
    """By full matrices."""
    if start is None:
        start = oracle.ground(N) if density else np.eye(1 << N, dtype=complex)[0]
    state = start
    for step in steps:
        if isinstance(step, Noise):
            state = oracle.after(state, step.kraus, step.qubits, N)
            continue
        full = oracle.expanded(matrix(step), step.qubits, N)
        state = full @ state @ full.conj().T if density else full @ state
    return state


@pytest.mark.parametrize("state", [STATE, RHO], ids=["vector", "density"])
@pytest.mark.parametrize("qubits", [[], [1], [2, 0], [0, 2], [1, 2, 0]])
def test_marginals_in_any_order(state, qubits):
    found = marginal(state, qubits)
    expected = np.zeros(1 << len(qubits))
    diagonal = state.diagonal().real if state.ndim == 2 else np.abs(state) ** 2
    for index, p in enumerate(diagonal):
        expected[sum((index >> q & 1) << j for j, q in enumerate(qubits))] += p
    np.testing.assert_allclose(found, expected, atol=1e-14)


def test_states_of_single_precision_are_normalised():
    drifted = (STATE * 1.0003).astype(np.complex64)
    assert populations(drifted).sum() == pytest.approx(1.0, abs=1e-15)
    z = PauliSum((PauliTerm(1.0, 0, 0),))
    assert expectations(drifted, [z])[0] == pytest.approx(1.0, abs=1e-6)


def test_misreading_is_a_confusion_matrix_for_each_bit():
    p = populations(STATE)
    errors = [(0.1, 0.2), (0.0, 0.0), (0.05, 0.4)]
    whole = np.eye(1)
    for up, down in errors:
        whole = np.kron(np.array([[1 - up, down], [up, 1 - down]]), whole)
    np.testing.assert_allclose(misread(p, errors), whole @ p, atol=1e-14)
    np.testing.assert_array_equal(misread(np.ones(1), []), np.ones(1))


terms = st.lists(
    st.builds(
        PauliTerm,
        st.floats(-2, 2),
        st.integers(0, (1 << N) - 1),
        st.integers(0, (1 << N) - 1),
    ),
    max_size=6,
)


@given(terms, st.booleans())
def test_expectations_of_any_sum(strings, density):
    observable = PauliSum.of(strings)
    state = RHO if density else STATE
    expected = oracle.expectation(state, observable)
    assert expectations(state, [observable])[0] == pytest.approx(expected, abs=1e-12)
    # In groups, with errors of readout that are none: another way to the same value.
    errors = [(0.0, 0.0), (0.0, 1e-300), (0.0, 0.0)]
    (value,) = estimate(state, [observable], 0, errors, np.random.default_rng(0)).values
    assert value == pytest.approx(expected, abs=1e-12)


def test_a_turned_state_has_its_terms_on_the_diagonal():
    group = [PauliTerm(1.0, 0b001, 0), PauliTerm(1.0, 0b111, 0b110), PauliTerm(1.0, 0b110, 0b110)]
    for state in (STATE, RHO):
        p = populations(turned(state, group))
        for term, signs in zip(group, parities(np.arange(8), group), strict=True):
            expected = oracle.expectation(state, PauliSum((term,)))
            assert signs @ p == pytest.approx(expected, abs=1e-12)


def test_draws_are_those_of_the_distribution_and_never_impossible():
    p = np.array([0.0, 0.5, 0.0, 0.2, 0.3, 0.0])
    drawn = draw(p, 20_000, np.random.default_rng(1))
    counts = counts_by_outcome(drawn, (0, 1, 2))
    assert_sampled(counts, {1: 0.5, 3: 0.2, 4: 0.3}, 20_000)
    assert len(draw(p, 0, np.random.default_rng(1))) == 0


operations = st.deferred(
    lambda: st.one_of(
        st.builds(
            lambda name, q, a: Gate(name, (q,), (a,)),
            st.sampled_from(["rx", "ry", "p"]),
            st.integers(0, N - 1),
            st.floats(0.2, 2.9),
        ),
        st.sampled_from([(0, 1), (1, 2), (2, 0)]).map(lambda q: Gate("cx", q)),
        st.builds(Measure, st.integers(0, N - 1), st.integers(0, 2)),
        st.builds(Reset, st.integers(0, N - 1)),
        st.builds(
            lambda bits, comparison, value, then, otherwise: If(
                Condition(bits, comparison, value), tuple(then), tuple(otherwise)
            ),
            st.sampled_from([(0,), (1, 2), (2, 0)]),
            st.sampled_from(["==", "!=", "<", ">="]),
            st.integers(0, 3),
            st.lists(operations, max_size=2),
            st.lists(operations, max_size=2),
        ),
    )
)


@given(st.lists(operations, max_size=10), st.booleans())
def test_any_circuit_that_goes_on_after_measurements(program, density):
    case = circuit(N, [*mixing(N), *program, Measure(0, 0)], bits=3)
    noise = noise_models()["everything"] if density else None
    shots, number = 2_000, {q: q for q in range(N)}
    rng = np.random.default_rng(3)
    counts = shots_by_outcome(
        case, noise, shots, rng, lambda s, start: evolve(s, start, density), number, OrderTask()
    )
    expected = oracle.distribution(case, noise)
    assert sum(counts.values()) == shots
    for outcome in counts.keys() | expected.keys():
        p = min(expected.get(outcome, 0.0), 1.0)
        error = max(math.sqrt(shots * p * (1 - p)), 1.0 if p > 1e-9 else 0.0)
        # Many examples, each with many outcomes: 6 standard errors.
        assert abs(counts.get(outcome, 0) - shots * p) <= 6 * error


def test_branches_are_as_few_as_outcomes_and_not_as_shots():
    calls = []

    def counted(steps, start):
        calls.append(len(steps))
        return evolve(steps, start)

    case, number = dynamic_circuits()["teleportation"], {q: q for q in range(N)}
    rng = np.random.default_rng(3)
    shots_by_outcome(case, None, 1_000_000, rng, counted, number, OrderTask())
    assert len(calls) <= 12


def test_branches_hear_that_they_are_to_stop():
    task = OrderTask()

    def stopping(steps, start):
        task.stop()
        return evolve(steps, start)

    number = {q: q for q in range(N)}
    with pytest.raises(Stopped):
        shots_by_outcome(
            dynamic_circuits()["teleportation"],
            None,
            100,
            np.random.default_rng(3),
            stopping,
            number,
            task,
        )
