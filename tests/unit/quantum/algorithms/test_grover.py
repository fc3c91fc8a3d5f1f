"""Searches: oracles flip exactly the solutions, probabilities follow theory, unknown counts are
found, adaptive search finds the least value."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_server.quantum.algorithms import adaptive_search, grover
from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.quantum.algorithms.matrices import apply, dense
from ketgate_server.quantum.algorithms.oracles import FormulaOracle, MarkedOracle, diffusion
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse

NOTHING = Baseline("none", 0.0, False, 0.0)


def flipped(oracle: MarkedOracle | FormulaOracle) -> list[int]:
    """States whose sign the oracle flips; it must leave everything else as it is."""
    n = oracle.num_bits + oracle.ancillas
    out = dense(oracle.operations(), n)[:, : 1 << oracle.num_bits]
    signs = np.diagonal(out[: 1 << oracle.num_bits])
    np.testing.assert_allclose(np.abs(signs), 1.0, atol=1e-12)
    np.testing.assert_allclose(signs.imag, 0.0, atol=1e-12)
    return np.flatnonzero(signs.real < 0).tolist()


@given(n=st.integers(1, 5), picks=st.sets(st.integers(0, 31), max_size=6))
def test_marked_states_are_flipped_and_no_others(n: int, picks: set[int]) -> None:
    states = {p % (1 << n) for p in picks}
    assert flipped(MarkedOracle(n, sorted(states))) == sorted(states)


@settings(max_examples=40)
@given(
    st.lists(
        st.lists(st.integers(-4, 4).filter(bool), min_size=0, max_size=4), min_size=0, max_size=5
    )
)
def test_formulas_are_flipped_where_they_hold(clauses: list[list[int]]) -> None:
    oracle = FormulaOracle(4, clauses)
    wanted = [
        s
        for s in range(16)
        if all(any((s >> (abs(x) - 1) & 1) == (x > 0) for x in c) for c in clauses)
    ]
    assert oracle.solutions().tolist() == wanted
    assert [s for s in range(16) if oracle.holds(s)] == wanted
    assert flipped(oracle) == wanted


def test_diffusion_reflects_about_the_uniform_state() -> None:
    uniform = np.full(8, 8**-0.5)
    np.testing.assert_allclose(
        dense(diffusion(range(3)), 3), 2 * np.outer(uniform, uniform) - np.eye(8), atol=1e-12
    )


@pytest.mark.parametrize(
    ("n", "states", "iterations"), [(5, [3], 2), (6, [1, 9, 40], 3), (4, [2], 0)]
)
def test_the_probability_of_a_solution_is_what_theory_says(n, states, iterations) -> None:
    oracle = MarkedOracle(n, states)
    circuit = grover.circuit(oracle, iterations)
    start = np.zeros(1 << n, dtype=complex)
    start[0] = 1.0
    state = apply([op for op in circuit.operations if op.__class__.__name__ == "Gate"], start)
    probability = float((np.abs(state[states]) ** 2).sum())
    assert probability == pytest.approx(
        grover.success_probability(1 << n, len(states), iterations), abs=1e-12
    )


def test_the_best_number_of_iterations_is_the_best() -> None:
    for n in (4, 7, 10):
        for count in (1, 3, 1 << (n - 1)):
            best = grover.best_iterations(1 << n, count)
            reached = grover.success_probability(1 << n, count, best)
            first = math.ceil(math.pi / 4 * math.sqrt((1 << n) / count)) + 1
            assert (
                reached
                >= max(grover.success_probability(1 << n, count, k) for k in range(first)) - 1e-12
            )


def test_a_known_count_is_found_at_once(executor) -> None:
    runner = Runner(executor())
    found = grover.search(
        MarkedOracle(7, [77]), runner, iterations=0, count_known=True, oracle_calls_max=10_000
    )
    assert found.found
    assert found.state == 77
    assert found.iterations == grover.best_iterations(128, 1)
    assert found.success_probability > 0.99
    assert found.solutions == 1
    assert found.baseline.value == pytest.approx(129 / 2)


@pytest.mark.parametrize("seed", range(5))
def test_an_unknown_count_is_found_with_about_sqrt_calls(executor, seed: int) -> None:
    oracle = FormulaOracle(6, [[1], [-2], [3], [4], [-5, 6], [5, 6]])
    found = grover.search(
        oracle, Runner(executor(seed=seed)), iterations=0, count_known=False, oracle_calls_max=500
    )
    assert found.found
    assert oracle.holds(found.state)
    assert found.oracle_calls < 100


def test_what_cannot_be_satisfied_is_not_found(executor) -> None:
    oracle = FormulaOracle(3, [[1], [-1]])
    found = grover.search(
        oracle, Runner(executor()), iterations=0, count_known=False, oracle_calls_max=40
    )
    assert not found.found
    assert found.solutions == 0
    assert found.baseline.value == 1 << 3, "nothing is looked at twice"
    assert found.oracle_calls == 40


@pytest.mark.parametrize("calls_max", [1, 2, 3, 7, 100])
@pytest.mark.parametrize("shots", [0, 50])
@pytest.mark.parametrize("iterations", [0, 2])
def test_no_more_oracle_calls_than_allowed(executor, calls_max, shots, iterations) -> None:
    for known in (True, False):
        found = grover.search(
            MarkedOracle(6, [5]),
            Runner(executor(shots=shots)),
            iterations=iterations,
            count_known=known,
            oracle_calls_max=calls_max,
        )
        assert 0 < found.oracle_calls <= calls_max


def test_an_adaptive_search_makes_no_more_oracle_calls_than_allowed(executor) -> None:
    function = quadratic(4, 0, whole=True)
    for calls_max in range(1, 12):
        found = adaptive_search.minimize(
            function, Runner(executor()), baseline=NOTHING, oracle_calls_max=calls_max
        )
        assert found.oracle_calls <= calls_max


def test_a_stop_before_anything_is_told(executor) -> None:
    class Gone(executor):
        def run(self, circuits, options):
            raise Stopped

    with pytest.raises(Stopped):
        grover.search(
            FormulaOracle(3, [[1, 2]]),
            Runner(Gone()),
            iterations=0,
            count_known=False,
            oracle_calls_max=40,
        )


def quadratic(n: int, seed: int, *, whole: bool) -> QuadraticFunction:
    rng = np.random.default_rng(seed)
    row, column = np.triu_indices(n, 1)
    value = rng.integers(-3, 4, len(row)).astype(float)
    linear = rng.integers(-3, 4, n).astype(float)
    if not whole:
        value += rng.normal(size=len(row))
    return QuadraticFunction(Alphabet.BINARY, linear, Sparse(row, column, value), 1.5)


@pytest.mark.parametrize("seed", range(4))
def test_the_value_register_holds_the_difference(seed: int) -> None:
    function = quadratic(3, seed, whole=True)
    encoding = adaptive_search.encode(function)
    assert encoding.exact
    n, m = 3, encoding.value_qubits
    start = np.zeros(1 << (n + m), dtype=complex)
    start[0] = 1.0
    state = apply(adaptive_search.load(encoding, -1, n), start).reshape(1 << m, 1 << n)
    for x in range(1 << n):
        at = int(np.argmax(np.abs(state[:, x])))
        assert abs(state[at, x]) ** 2 == pytest.approx(1 / (1 << n), abs=1e-12)
        held = at - (1 << m) if at >> (m - 1) else at
        bits = grover.bits(x, n)
        rise = function(bits) - function(grover.bits(0, n))
        assert (held - 1) / encoding.scale == pytest.approx(rise)


@pytest.mark.parametrize(("seed", "whole"), [(0, True), (1, True), (2, False)])
def test_adaptive_search_finds_the_least_value(
    executor, monkeypatch, seed: int, whole: bool
) -> None:
    monkeypatch.setattr(adaptive_search, "VALUE_QUBITS_MAX", 7)
    function = quadratic(4, seed, whole=whole)
    found = adaptive_search.minimize(
        function, Runner(executor(seed=seed)), baseline=NOTHING, oracle_calls_max=300
    )
    least = min(function(grover.bits(x, 4)) for x in range(16))
    assert found.objective == pytest.approx(least)
    assert function(grover.bits(found.state, 4)) == found.objective
    values = [point.value for point in found.convergence.points]
    assert values == sorted(values, reverse=True)


def test_fractions_are_made_whole_and_others_rounded() -> None:
    half = QuadraticFunction(
        Alphabet.BINARY,
        np.array([0.5, -1.5]),
        Sparse(np.array([0]), np.array([1]), np.array([2.0])),
        0.0,
    )
    assert adaptive_search.encode(half).scale == 2.0
    assert adaptive_search.encode(half).exact
    rough = adaptive_search.encode(quadratic(4, 2, whole=False))
    assert not rough.exact
    assert rough.value_qubits <= adaptive_search.VALUE_QUBITS_MAX
