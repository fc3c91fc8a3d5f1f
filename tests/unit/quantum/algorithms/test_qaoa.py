"""QAOA whole: on circuits, with every mixer, beside brute force."""

import numpy as np
import pytest
from ketgate_server.quantum.algorithms import baseline, qaoa
from ketgate_server.quantum.algorithms.answer import Convergence
from ketgate_server.quantum.algorithms.optimizer import OptimizerOptions
from ketgate_server.quantum.algorithms.qaoa import CircuitEvaluator, Instance
from ketgate_server.quantum.algorithms.qaoa_fast import evaluator_of, first_angles
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.qaoa.problem import Mixer
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse


def draw(n: int, seed: int, alphabet: Alphabet = Alphabet.SPIN) -> QuadraticFunction:
    rng = np.random.default_rng(seed)
    row, column = np.triu_indices(n, 1)
    weights = rng.normal(size=len(row))
    return QuadraticFunction(alphabet, rng.normal(size=n), Sparse(row, column, weights), 0.5)


def every(function: QuadraticFunction, ones: int | None = None) -> list[float]:
    return [
        function(qaoa.to_values(function, state))
        for state in range(1 << function.size)
        if ones is None or state.bit_count() == ones
    ]


@pytest.mark.parametrize("alphabet", list(Alphabet))
@pytest.mark.parametrize("ones", [None, 2])
def test_extremes_and_least_are_those_of_all_states(alphabet: Alphabet, ones: int | None) -> None:
    function = draw(5, 3, alphabet)
    values = every(function, ones)
    assert baseline.extremes(function, ones) == pytest.approx((min(values), max(values)))
    if ones is None:
        classical = baseline.least(function, seed=0)
        assert classical.baseline.value == pytest.approx(min(values))
        assert function(classical.values) == pytest.approx(min(values))
    else:
        classical = baseline.least_of_weight(function, ones, seed=0)
        assert classical.value == pytest.approx(min(values))
        assert classical.proven


def test_many_states_of_one_weight_are_searched_by_swaps(monkeypatch) -> None:
    monkeypatch.setattr(baseline, "COMBINATIONS_MAX", 1)
    function = draw(8, 1)
    found = baseline.least_of_weight(function, 3, seed=0)
    assert not found.proven
    assert found.value == pytest.approx(min(every(function, 3)))


def test_larger_problems_are_searched_and_nothing_is_claimed() -> None:
    found = baseline.least(draw(40, 2), seed=1)
    assert not found.baseline.proven
    assert found.baseline.value < 0


@pytest.mark.parametrize(
    ("mixer", "ones"), [(Mixer.X, 0), (Mixer.XY_RING, 2), (Mixer.XY_COMPLETE, 2)]
)
def test_the_best_sample_is_close_to_the_best_there_is(executor, mixer: Mixer, ones: int) -> None:
    instance = Instance(draw(4, 5), layers=2, mixer=mixer, hamming_weight=ones)
    runner = Runner(executor())
    found = qaoa.run(
        instance,
        CircuitEvaluator(instance, runner),
        runner,
        OptimizerOptions(evaluations_max=200),
        first_angles(instance),
        5,
    )
    values = every(instance.function, ones or None)
    assert found.baseline.value == pytest.approx(min(values))
    assert found.samples[0].objective == pytest.approx(min(values))
    assert [one.objective for one in found.samples] == sorted(
        one.objective for one in found.samples
    )
    assert min(values) <= found.minimum.value <= max(values)
    wanted = (max(values) - found.minimum.value) / (max(values) - min(values))
    assert found.approximation_ratio == pytest.approx(wanted)
    if ones:
        assert all((one.values == -1).sum() == ones for one in found.samples)
    assert runner.used.shots == qaoa.SHOTS_DEFAULT
    assert runner.used.largest.measures_at_end


def test_shots_take_spsa_and_tell_an_error(executor) -> None:
    instance = Instance(draw(3, 5), layers=1)
    runner = Runner(executor(shots=2000))
    found = qaoa.run(
        instance,
        CircuitEvaluator(instance, runner),
        runner,
        OptimizerOptions(evaluations_max=60),
        first_angles(instance),
        3,
    )
    assert found.standard_error > 0
    assert found.samples[0].objective == pytest.approx(min(every(instance.function)))
    assert sum(one.count for one in found.samples) <= 2000


@pytest.mark.parametrize("layers", [1, 2])
@pytest.mark.parametrize("alphabet", list(Alphabet))
@pytest.mark.parametrize("case", ["plain", "no fields", "warm", "xy-ring", "xy-complete"])
def test_kernels_say_what_circuits_say(
    executor, layers: int, alphabet: Alphabet, case: str
) -> None:
    function = draw(5, 7, alphabet)
    if case == "no fields" and alphabet is Alphabet.SPIN:
        function = QuadraticFunction(alphabet, np.zeros(5), function.quadratic, function.offset)
    warm = np.array([0.3, 0.9, 0.5, 0.0, 0.6]) if case == "warm" else None
    mixer = Mixer(case) if case.startswith("xy") else Mixer.X
    ones = 2 if mixer is not Mixer.X else 0
    instance = Instance(function, layers, mixer, ones, warm)
    runner = Runner(executor())
    fast, slow = evaluator_of(instance, runner), CircuitEvaluator(instance, runner)
    angles = np.random.default_rng(layers).uniform(-1, 1, 2 * layers)
    assert fast.value(angles) == pytest.approx(slow.value(angles), abs=1e-9)
    value, slopes = fast.gradient(angles)
    assert value == pytest.approx(slow.value(angles), abs=1e-9)
    np.testing.assert_allclose(slopes, slow.gradient(angles)[1], atol=1e-5)
    shots = 20_000
    counts = fast.sample(angles, shots)
    assert sum(counts.values()) == shots
    drawn = sum(function(qaoa.to_values(function, s)) * c for s, c in counts.items()) / shots
    spread = np.ptp(every(function))
    assert abs(drawn - value) < 5 * spread / np.sqrt(shots)
    assert fast.extremes() == pytest.approx(slow.extremes())


@pytest.mark.parametrize("layers", [1, 3])
@pytest.mark.parametrize("size", [1.0, 0.01])
def test_a_walk_with_shots_does_not_leave_a_good_start(executor, layers: int, size: float) -> None:
    """At transferred angles slopes are small; a gain that was made for them once led far away."""
    row, column = np.arange(6), (np.arange(6) + 1) % 6
    ring = QuadraticFunction(Alphabet.SPIN, np.zeros(6), Sparse(row, column, np.full(6, size)), 0.0)
    instance = Instance(ring, layers=layers)
    exact = CircuitEvaluator(instance, Runner(executor()))
    start = first_angles(instance)
    for seed in range(3):
        runner = Runner(executor(shots=400, seed=seed, noise=size))
        found = CircuitEvaluator(instance, runner).minimize(
            start, OptimizerOptions(evaluations_max=60), Convergence(), seed
        )
        assert exact.value(found.angles) <= exact.value(start) + 0.15 * size
