"""The QAOA state vector against plain NumPy, on every instruction set, folded and not, in both precisions."""

import ast
import doctest
import threading
from pathlib import Path
from typing import Any

import ketgate_native.qaoa
import ketgate_native.qaoa_p1
import ketgate_native.qaoa_xy
import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native.monitor import Monitor, Stopped
from ketgate_native.qaoa import QUBITS_MAX, Gradient, Qaoa, state_bytes

from .qaoa_oracle import Floats, diagonal, evolve, expectation, random_model

TOLERANCE = {False: 1e-12, True: 3e-5}


def supported(isa: str) -> bool:
    try:
        Qaoa([0.0], [], [], [], isa=isa)
    except ValueError:
        return False
    return True


ISAS = [isa for isa in ("base", "avx2", "avx512") if supported(isa)]
isas = pytest.mark.parametrize("isa", ISAS)
precisions = pytest.mark.parametrize("single", [False, True], ids=["double", "single"])


def angles(seed: int, layers: int, size: float = 1.0) -> tuple[Floats, Floats]:
    rng = np.random.default_rng(seed)
    return size * rng.normal(size=layers), size * rng.normal(size=layers)


def numeric(value: Any, at: Floats, step: float = 1e-5) -> Floats:
    """Central differences of value by every entry of at."""
    out = np.empty(at.shape)
    for k in np.ndindex(*at.shape):
        kept = at[k]
        at[k] = kept + step
        ahead = value()
        at[k] = kept - step
        out[k] = (ahead - value()) / (2 * step)
        at[k] = kept
    return out


@isas
@precisions
@pytest.mark.parametrize("n", [1, 2, 5, 8, 9, 10, 13, 14, 15])
@pytest.mark.parametrize("fields", [False, True])
def test_states_and_expectations(isa: str, single: bool, n: int, fields: bool) -> None:
    """Sizes on both sides of padding, of one tile and of odd cuts; an even and an odd number of layers."""
    model = random_model(n, n, fields=fields)
    cost = diagonal(model)
    for layers in (1, 2, 3):
        gammas, betas = angles(n, layers)
        found = Qaoa(*model.arguments, single=single, isa=isa)
        assert found.folded == (not fields and n > 1)
        value = found.expectation(gammas, betas, keep=True)
        state = evolve(cost - model.offset, gammas, betas)
        scale = np.abs(cost).max()
        assert value == pytest.approx(expectation(cost, state), abs=TOLERANCE[single] * scale)
        np.testing.assert_allclose(found.state_vector(), state, atol=TOLERANCE[single], rtol=0)


@isas
@precisions
@pytest.mark.parametrize(("n", "layers"), [(3, 2), (9, 3), (10, 2), (14, 2), (15, 3)])
@pytest.mark.parametrize("fields", [False, True])
def test_gradients(isa: str, single: bool, n: int, layers: int, fields: bool) -> None:
    model = random_model(n, n, fields=fields)
    found = Qaoa(*model.arguments, single=single, isa=isa)
    exact = Qaoa(*model.arguments, isa=isa)
    gammas, betas = angles(n, layers)
    value, by_gamma, by_beta, _ = found.gradient(gammas, betas)
    scale = np.abs(diagonal(model)).max() * n
    tolerance = scale * (1e-4 if single else 1e-8)
    assert value == pytest.approx(exact.expectation(gammas, betas), abs=tolerance)
    for slopes, at in ((by_gamma, gammas), (by_beta, betas)):
        expected = numeric(lambda: exact.expectation(gammas, betas), at)
        np.testing.assert_allclose(slopes, expected, atol=tolerance, rtol=0)


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 10),
    layers=st.integers(1, 4),
    fields=st.booleans(),
    size=st.sampled_from([1e-6, 1.0, 50.0]),
)
def test_any_model_and_angles(seed: int, n: int, layers: int, fields: bool, size: float) -> None:
    model = random_model(seed, n, fields=fields)
    cost = diagonal(model)
    gammas, betas = angles(seed, layers, size)
    found = Qaoa(*model.arguments)
    state = evolve(cost - model.offset, gammas, betas)
    assert found.expectation(gammas, betas, keep=True) == pytest.approx(
        expectation(cost, state), abs=1e-10
    )
    np.testing.assert_allclose(found.state_vector(), state, atol=1e-11, rtol=0)


@precisions
@pytest.mark.parametrize("fields", [False, True])
@pytest.mark.parametrize("beta", [np.pi / 2, -np.pi / 2, 1.55, np.pi, 3 * np.pi / 2, -7.0])
@pytest.mark.parametrize("n", [9, 15])
def test_mixers_that_turn_all_the_way(single: bool, fields: bool, beta: float, n: int) -> None:
    """A tangent without end: pi/2 flips every qubit."""
    model = random_model(n, n, fields=fields)
    gammas, betas = np.array([0.3, 0.7]), np.array([0.4, beta])
    found = Qaoa(*model.arguments, single=single)
    found.expectation(gammas, betas, keep=True)
    state = evolve(diagonal(model) - model.offset, gammas, betas)
    np.testing.assert_allclose(found.state_vector(), state, atol=TOLERANCE[single], rtol=0)
    slopes = found.gradient(gammas, betas).betas
    exact = Qaoa(*model.arguments)
    expected = numeric(lambda: exact.expectation(gammas, betas), betas)
    np.testing.assert_allclose(slopes, expected, atol=1e-2 if single else 1e-6, rtol=0)


@isas
@pytest.mark.parametrize("n", [4, 10, 15])
def test_turns_starts_and_mixers_by_qubit(isa: str, n: int) -> None:
    model = random_model(n, n, fields=True)
    cost, rng, layers = diagonal(model), np.random.default_rng(n), 3
    gammas, betas, turns = (
        rng.normal(size=layers),
        rng.normal(size=(layers, n)),
        rng.normal(size=(layers, n)),
    )
    tilt = rng.uniform(0, 3, n)
    start = np.stack([np.cos(tilt), np.sin(tilt)], axis=1)
    found = Qaoa(*model.arguments, isa=isa)

    def value() -> float:
        return found.expectation(gammas, betas, turns=turns, start=start)

    state = evolve(cost, gammas, betas, turns, start)
    assert value() == pytest.approx(expectation(cost, state), abs=1e-11)
    slopes: Gradient = found.gradient(gammas, betas, turns=turns, start=start)
    assert slopes.turns is not None
    for told, at in ((slopes.gammas, gammas), (slopes.betas, betas), (slopes.turns, turns)):
        np.testing.assert_allclose(told, numeric(value, at), atol=1e-6, rtol=0)


def test_mixers_by_qubit_on_half_a_state() -> None:
    model = random_model(3, 9, fields=False)
    rng = np.random.default_rng(3)
    gammas, betas = rng.normal(size=2), rng.normal(size=(2, 9))
    found = Qaoa(*model.arguments)
    assert found.folded
    state = evolve(diagonal(model), gammas, betas)
    assert found.expectation(gammas, betas) == pytest.approx(
        expectation(diagonal(model), state), abs=1e-12
    )
    expected = numeric(lambda: found.expectation(gammas, betas), betas)
    np.testing.assert_allclose(found.gradient(gammas, betas).betas, expected, atol=1e-8)


@isas
@precisions
@pytest.mark.parametrize("n", [4, 9, 15])
def test_a_table_of_costs(isa: str, single: bool, n: int) -> None:
    model = random_model(n, n, fields=True)
    table = np.random.default_rng(n).normal(size=1 << n)
    cost = diagonal(model) + table
    gammas, betas = angles(n, 2)
    found = Qaoa(*model.arguments, table=table, single=single, isa=isa)
    state = evolve(cost, gammas, betas)
    tolerance = TOLERANCE[single] * np.abs(cost).max()
    assert found.expectation(gammas, betas, keep=True) == pytest.approx(
        expectation(cost, state), abs=tolerance
    )
    ends = found.extremes()
    assert (ends.least, ends.least_at) == (pytest.approx(cost.min()), int(cost.argmin()))
    weights = np.abs(state) ** 2
    median = float(np.median(cost))
    assert found.probability_at_most(median) == pytest.approx(
        weights[cost <= median].sum(), abs=1e-4 if single else 1e-12
    )
    exact = Qaoa(*model.arguments, table=table)
    expected = numeric(lambda: exact.expectation(gammas, betas), gammas)
    np.testing.assert_allclose(
        found.gradient(gammas, betas).gammas, expected, atol=1e3 * tolerance + 1e-6
    )


def test_an_observable_of_its_own() -> None:
    model, other = random_model(1, 9, fields=False), random_model(2, 9, fields=True)
    gammas, betas = angles(1, 2)
    found = Qaoa(*model.arguments, observable=other.arguments)
    assert not found.folded  # what is expected is not even
    state = evolve(diagonal(model), gammas, betas)
    assert found.expectation(gammas, betas) == pytest.approx(expectation(diagonal(other), state))
    expected = numeric(lambda: found.expectation(gammas, betas), gammas)
    np.testing.assert_allclose(found.gradient(gammas, betas).gammas, expected, atol=1e-7)


@isas
@precisions
def test_threads_change_nothing(isa: str, single: bool) -> None:
    for fields in (False, True):
        model = random_model(7, 17, fields=fields)
        found = Qaoa(*model.arguments, single=single, isa=isa)
        gammas, betas = angles(7, 3)
        one = found.gradient(gammas, betas, threads=1)
        for threads in (2, 3, 64):
            again = found.gradient(gammas, betas, threads=threads)
            assert again.expectation == one.expectation
            assert again.gammas.tobytes() == one.gammas.tobytes()
            assert again.betas.tobytes() == one.betas.tobytes()


@given(seed=st.integers(0, 2**64 - 1))
def test_samples_follow_the_seed_and_the_state(seed: int) -> None:
    model = random_model(5, 5, fields=False)
    found = Qaoa(*model.arguments)
    found.expectation([0.4], [-0.3], keep=True)
    one, two = found.sample(2000, seed), found.sample(2000, seed)
    assert one.outcomes.tobytes() == two.outcomes.tobytes()
    assert one.counts.tobytes() == two.counts.tobytes()
    assert one.counts.sum() == 2000
    assert (np.diff(one.outcomes.astype(np.int64)) > 0).all()


def test_samples_are_drawn_from_the_state() -> None:
    """Chi-squared below its mean by 6 deviations; over chunks and both halves of a folded state."""
    for n, fields in ((12, False), (12, True), (6, True)):
        model = random_model(n, n, fields=fields)
        found = Qaoa(*model.arguments)
        found.expectation([0.2, 0.3], [-0.5, -0.3], keep=True)
        weights = np.abs(found.state_vector()) ** 2
        shots = 200_000
        drawn = found.sample(shots, 1)
        counts = np.zeros(1 << n)
        counts[drawn.outcomes.astype(int)] = drawn.counts
        chi = ((counts - shots * weights) ** 2 / (shots * weights)).sum()
        assert abs(chi - 2**n) < 6 * np.sqrt(2 * 2**n)


def test_norm_stays_one_over_many_layers() -> None:
    model = random_model(2, 14, fields=True)
    found = Qaoa(*model.arguments)
    gammas, betas = angles(2, 300)
    found.expectation(gammas, betas, keep=True)
    assert (np.abs(found.state_vector()) ** 2).sum() == pytest.approx(1.0, abs=1e-11)


def test_memory_is_what_it_says() -> None:
    assert state_bytes(24) == 16 << 24
    assert state_bytes(24, folded=True) == 8 << 24
    assert state_bytes(24, single=True) == 8 << 24
    found = Qaoa(np.zeros(21), [0], [1], [1.0])
    before = psutil.Process().memory_info().rss
    found.expectation([0.1, 0.2], [0.3, 0.4], threads=2)
    assert psutil.Process().memory_info().rss - before < 1.25 * found.bytes
    assert found.bytes == 16 << 20


def test_memory_stays_flat() -> None:
    model = random_model(3, 10, fields=True)
    process = psutil.Process()

    def once() -> None:
        found = Qaoa(*model.arguments)
        found.gradient([0.1, 0.2], [0.3, 0.4])
        found.expectation([0.1], [0.2], keep=True)
        found.sample(100, 1)

    for _ in range(100):
        once()
    before = process.memory_info().rss
    for _ in range(1000):
        once()
    assert process.memory_info().rss - before < 2 << 20


@pytest.mark.parametrize("threads", [1, 2])
def test_a_cancelled_run_raises_and_the_next_one_is_right(threads: int) -> None:
    model = random_model(4, 16, fields=True)
    found = Qaoa(*model.arguments)
    gammas, betas = angles(4, 3)
    expected = found.gradient(gammas, betas, threads=threads)
    monitor = Monitor(0)
    monitor.cancel()
    for run in (found.expectation, found.gradient):
        with pytest.raises(Stopped):
            run(gammas, betas, threads=threads, monitor=monitor)
    assert (
        found.gradient(gammas, betas, threads=threads).gammas.tobytes() == expected.gammas.tobytes()
    )
    with pytest.raises(Stopped):
        found.extremes(monitor=monitor)


@pytest.mark.parametrize("threads", [1, 2])
def test_a_time_limit_ends_it(threads: int) -> None:
    model = random_model(4, 18, fields=True)
    found = Qaoa(*model.arguments)
    monitor = Monitor(0, time_limit_s=0.02)
    with pytest.raises(Stopped):
        found.expectation(np.zeros(10_000), np.zeros(10_000), threads=threads, monitor=monitor)
    assert monitor.stop_reason == "time"


def test_calls_from_many_threads_wait_for_each_other() -> None:
    model = random_model(6, 12, fields=True)
    found = Qaoa(*model.arguments)
    every = [angles(k, 2) for k in range(8)]
    expected = [found.expectation(*one) for one in every]
    values: dict[int, float] = {}
    workers = [
        threading.Thread(target=lambda k=k: values.update({k: found.expectation(*every[k])}))
        for k in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(30.0)
    assert [values[k] for k in range(8)] == expected


EVEN = ([0.0, 0.0], [0], [1], [1.0])


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], [], [], []), {}, "linear: "),
        (([0.0] * (QUBITS_MAX + 1), [], [], []), {}, "linear: "),
        (([np.nan], [], [], []), {}, r"linear\[0\]: "),
        (([0.0], [0], [1], [1.0]), {}, r"col\[0\]: "),
        (([0.0, 0.0], [0], [0], [1.0]), {}, r"col\[0\]: "),
        (([0.0, 0.0], [0], [1], [np.inf]), {}, r"weight\[0\]: "),
        (([0.0, 0.0], [0], [1], []), {}, "row, col, weight: "),
        ((*EVEN, np.nan), {}, "offset: "),
        (EVEN, {"table": [1.0]}, "table: "),
        (EVEN, {"table": [1.0, 2.0, np.nan, 0.0]}, "table: "),
        (EVEN, {"isa": "sse9"}, "isa: "),
        (EVEN, {"observable": ([0.0], [], [], [], 0.0)}, "observable_linear: "),
        (([1.0, 0.0], [0], [1], [1.0]), {"fold": True}, "fold: "),
    ],
)
def test_bad_problems_are_named(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Qaoa(*arguments, **options)


@pytest.mark.parametrize(
    ("arguments", "options", "message"),
    [
        (([], []), {}, "gammas: "),
        (([0.1], [0.1, 0.2]), {}, "betas: "),
        (([0.1], [[0.1, 0.2, 0.3]]), {}, "betas: "),
        (([np.inf], [0.1]), {}, r"gammas\[0\]: "),
        (([0.1], [np.nan]), {}, "betas: "),
        (([0.1], [0.1]), {"threads": 0}, "threads: "),
        (([0.1], [0.1]), {"turns": [[0.1, 0.1]]}, "fold: "),
        (([0.1], [0.1]), {"start": [[1.0, 0.0]] * 2}, "fold: "),
    ],
)
def test_bad_angles_are_named(arguments: Any, options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        Qaoa(*EVEN).expectation(*arguments, **options)


def test_bad_starts_shots_and_states_are_named() -> None:
    found = Qaoa(*EVEN, fold=False)
    with pytest.raises(ValueError, match=r"^start: expected amplitudes of norm 1"):
        found.expectation([0.1], [0.1], start=[[1.0, 1.0], [1.0, 0.0]])
    with pytest.raises(ValueError, match=r"^state: "):
        found.sample(1, 1)
    found.expectation([0.1], [0.1], keep=True)
    found.gradient([0.1], [0.1])
    with pytest.raises(ValueError, match=r"^state: "):  # a gradient uses the state up
        found.state_vector()
    found.expectation([0.1], [0.1], keep=True)
    with pytest.raises(ValueError, match=r"^shots: "):
        found.sample(0, 1)


def test_the_examples_in_the_stubs() -> None:
    for module in (ketgate_native.qaoa, ketgate_native.qaoa_p1, ketgate_native.qaoa_xy):
        stub = Path(str(module.__file__)).with_name(module.__name__.split(".")[-1] + ".pyi")
        nodes = [n for n in ast.walk(ast.parse(stub.read_text())) if isinstance(n, ast.ClassDef)]
        texts = [text for node in nodes if (text := ast.get_docstring(node)) and ">>>" in text]
        assert texts
        for text in texts:
            test = doctest.DocTestParser().get_doctest(text, dict(vars(module)), stub.name, None, 0)
            assert doctest.DocTestRunner().run(test).failed == 0
