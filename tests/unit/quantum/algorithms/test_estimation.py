"""Phases, amplitudes, values at risk and factors: against what is known."""

import math

import numpy as np
import pytest
from ketgate_server.quantum.algorithms import factoring, modular, phase_estimation
from ketgate_server.quantum.algorithms.amplitude_estimation import (
    estimate,
    iterate,
    monte_carlo_samples,
)
from ketgate_server.quantum.algorithms.matrices import apply, dense
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.algorithms.value_at_risk import at_most, value_at_risk
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.circuit import Gate


def test_a_phase_of_few_bits_is_exact(executor) -> None:
    unitary = [Gate("p", (0,), (2 * math.pi * 5 / 16,))]
    found = phase_estimation.estimate(unitary, [Gate("x", (0,))], 1, 4, Runner(executor()))
    assert found.phase == 5 / 16
    assert found.distribution[0][1] == pytest.approx(1.0, abs=1e-9)
    assert found.baseline.value == pytest.approx(5 / 16)


def test_a_phase_between_two_numbers_is_read_near_it(executor) -> None:
    phase = 0.3217
    unitary = [Gate("rz", (0,), (4 * math.pi * phase,)), Gate("cx", (0, 1)), Gate("cx", (0, 1))]
    found = phase_estimation.estimate(unitary, [Gate("x", (0,))], 2, 6, Runner(executor(shots=200)))
    assert abs(found.phase - phase) <= 1 / 64
    assert found.baseline.value == pytest.approx(phase)
    assert sum(weight for _, weight in found.distribution) == pytest.approx(1.0)


def test_the_exact_phase_is_that_of_the_state() -> None:
    unitary = [Gate("rzz", (0, 1), (0.8,))]
    both = phase_estimation.exact_phase(unitary, [Gate("h", (0,)), Gate("cx", (0, 1))], 2)
    assert both.value == pytest.approx(1 - 0.4 / (2 * math.pi))
    odd = phase_estimation.exact_phase(unitary, [Gate("x", (0,))], 2)
    assert odd.value == pytest.approx(0.4 / (2 * math.pi))


def test_amplitude_estimation_covers_the_truth_as_often_as_it_says() -> None:
    rng = np.random.default_rng(1)
    missed, calls = 0, 0
    for _ in range(300):
        truth = float(rng.uniform())
        angle = math.asin(math.sqrt(truth))

        def ones(power: int, shots: int, angle: float = angle) -> int:
            return int(rng.binomial(shots, math.sin((2 * power + 1) * angle) ** 2))

        found = iterate(ones, 100, epsilon=0.005, alpha=0.05)
        assert found.upper - found.lower <= 0.01 + 1e-12
        missed += not found.lower <= truth <= found.upper
        calls += found.oracle_calls
    assert missed / 300 <= 0.05
    # Against 38,000 samples of Monte Carlo at worst.
    assert calls / 300 < 0.2 * monte_carlo_samples(0.5, 0.005, 0.05)


@pytest.mark.parametrize("truth", [0.0, 1.0])
def test_certain_outcomes(truth: float) -> None:
    found = iterate(lambda _, shots: int(truth) * shots, 100, epsilon=0.01, alpha=0.05)
    assert found.lower <= truth <= found.upper


def test_an_amplitude_of_a_circuit(executor) -> None:
    prepare = [Gate("ry", (0,), (0.9,)), Gate("cx", (0, 1)), Gate("ry", (1,), (0.4,))]
    state = apply(prepare, np.array([1, 0, 0, 0], dtype=complex))
    truth = float(np.abs(state[2]) ** 2 + np.abs(state[3]) ** 2)
    found = estimate(prepare, 2, 1, Runner(executor(seed=3)), epsilon=0.01, alpha=0.01)
    assert found.lower <= truth <= found.upper
    assert found.complete
    assert found.oracle_calls > 0


def test_a_stop_amid_the_rounds_leaves_the_interval_so_far() -> None:
    rounds = []

    def ones(power: int, shots: int) -> int:
        rounds.append(power)
        if len(rounds) == 3:
            raise Stopped
        return int(shots * math.sin((2 * power + 1) * 0.6) ** 2)

    found = iterate(ones, 100, epsilon=1e-4, alpha=0.05)
    assert not found.complete
    assert found.lower <= math.sin(0.6) ** 2 <= found.upper


def test_comparators_flip_where_the_number_is_at_most() -> None:
    for index in range(8):
        made = dense(at_most(index, range(3), 3), 4)
        assert [int(abs(made[s + 8, s]) > 0.5) for s in range(8)] == [
            int(s <= index) for s in range(8)
        ]


@pytest.mark.parametrize(("confidence", "count"), [(0.95, 16), (0.6, 11), (0.99, 8)])
def test_value_at_risk_is_that_of_the_sum(executor, confidence: float, count: int) -> None:
    losses = np.linspace(-2.0, 6.0, count)
    probabilities = np.exp(-0.5 * losses**2)
    probabilities /= probabilities.sum()
    found = value_at_risk(
        losses, probabilities, confidence, Runner(executor(seed=1)), epsilon=0.004, alpha=0.02
    )
    assert found.value == found.baseline.value or found.undecided
    at = int(np.flatnonzero(losses == found.value)[0])
    truth = float(np.cumsum(probabilities)[at])
    assert found.interval.lower - 1e-12 <= truth <= found.interval.upper + 1e-12
    assert abs(at - int(np.flatnonzero(losses == found.baseline.value)[0])) <= 1


@pytest.mark.parametrize(("factor", "modulus"), [(7, 15), (2, 5), (3, 7)])
def test_modular_multiplication(factor: int, modulus: int) -> None:
    n = modulus.bit_length()
    x, register, ancilla = list(range(1, n + 1)), list(range(n + 1, 2 * n + 2)), 2 * n + 2
    gates = modular.multiply(factor, modulus, x, register, ancilla, 0)
    for control in (0, 1):
        for value in range(modulus):
            start = np.zeros(1 << (2 * n + 3), dtype=complex)
            start[control | value << 1] = 1.0
            end = apply(gates, start)
            wanted = factor * value % modulus if control else value
            assert abs(end[control | wanted << 1]) == pytest.approx(1.0, abs=1e-9)


def test_an_order_is_found_by_the_circuit(executor) -> None:
    assert factoring.find_order(2, 3, Runner(executor(shots=6, seed=2))) == 2
    circuit = modular.order_finding(2, 3)
    assert circuit.num_qubits == 7
    assert not circuit.measures_at_end


@pytest.mark.parametrize(
    ("number", "factors", "said"),
    [(6, [2, 3], "even"), (9, [3, 3], "power of 3"), (49, [7, 7], "power of 7")],
)
def test_shortcuts_are_named(executor, number: int, factors: list[int], said: str) -> None:
    found = factoring.factor(number, 0, 5, Runner(executor()))
    assert found.factors == factors
    assert found.found
    assert said in found.shortcuts[0]
    assert not found.orders


def test_a_prime_has_no_factors(executor) -> None:
    found = factoring.factor(13, 0, 5, Runner(executor()))
    assert not found.found


def test_a_base_that_shares_a_factor_is_said_to(executor) -> None:
    found = factoring.factor(15, 5, 1, Runner(executor()))
    assert found.factors == [3, 5]
    assert "shares the factor 5" in found.shortcuts[0]


def test_orders_are_read_from_fractions(executor) -> None:
    """Fifteen, by what a perfect machine would read: phases s/4 of the order of 7."""
    from ketgate_server.quantum.base import CircuitOutcome

    class Reads(executor):
        def run(self, circuits, options):
            return [CircuitOutcome(counts={64: 1, 192: 1, 0: 2})]

    found = factoring.factor(15, 7, 1, Runner(Reads()))
    assert found.orders == {7: 4}
    assert found.factors == [3, 5]


def test_a_base_that_gives_no_factor_is_told(executor):
    """15 is not factored by the base 14, whose order is 2 and 14 = -1: others were tried silently."""
    found = factoring.factor(15, 14, 5, Runner(executor()))
    assert found.factors == [3, 5]
    assert found.warnings == [
        "the base 14 has the order 2, whose half gives -1 and so no factor: others were drawn"
    ]
    assert not factoring.factor(15, 7, 5, Runner(executor())).warnings
    alone = factoring.factor(15, 14, 1, Runner(executor()))
    assert not alone.found
    assert alone.warnings[0].endswith("no other was tried")
