"""Building Ising problems: energies, layouts, and what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native.ising import Ising, search
from ketgate_native.monitor import Monitor, Stopped

from .ising_oracle import random_model


@given(
    seed=st.integers(0, 10**6),
    n=st.integers(1, 60),
    density=st.sampled_from([0.03, 0.3, 1.0]),
    kind=st.sampled_from(["int8", "int16", "float32"]),
)
def test_energies_are_those_of_the_formula(seed: int, n: int, density: float, kind: str) -> None:
    model = random_model(seed, n, density, kind)
    spins = np.random.default_rng(seed).choice(np.array([-1, 1], dtype=np.int8), (5, n))
    expected = model.energies(spins)
    assert model.problem.energies(spins) == pytest.approx(expected, rel=1e-12, abs=1e-9)


@pytest.mark.parametrize(
    ("n", "density", "kind", "layout", "lane"),
    [
        (200, 0.03, "int8", "sparse", "int8"),
        (200, 0.03, "int16", "sparse", "int16"),
        (200, 0.03, "float32", "sparse", "float32"),
        (200, 0.5, "int8", "dense", "int8"),
        (200, 0.5, "float32", "dense", "float32"),
        (9, 1.0, "int8", "sparse", "int8"),
    ],
)
def test_the_layout_follows_structure(
    n: int, density: float, kind: str, layout: str, lane: str
) -> None:
    problem = random_model(1, n, density, kind).problem
    assert (problem.layout, problem.lane) == (layout, lane)
    assert problem.is_integer == (kind != "float32")


def test_quarters_are_integers_in_their_own_unit() -> None:
    problem = Ising([0.25, -0.75], [0], [1], [0.5])
    assert problem.is_integer
    assert problem.energies([1, -1])[0] == 0.5


def test_a_pair_given_twice_either_way_is_summed() -> None:
    problem = Ising([0.0, 0.0, 0.0], [0, 1, 2, 1], [1, 0, 1, 2], [1.0, 2.0, 4.0, -4.0])
    assert problem.num_couplings == 1
    assert problem.energies([1, -1, 1])[0] == -3.0


@given(seed=st.integers(0, 10**6), n=st.integers(1, 12))
def test_a_qubo_keeps_its_values(seed: int, n: int) -> None:
    rng = np.random.default_rng(seed)
    m = int(rng.integers(0, 30))
    row, col, weight = rng.integers(0, n, m), rng.integers(0, n, m), rng.normal(size=m)
    linear, x = rng.normal(size=n), rng.integers(0, 2, (6, n))
    expected = 1.5 + x @ linear + (x[:, row] * x[:, col]) @ weight
    problem = Ising.from_qubo(linear, row, col, weight, 1.5)
    assert problem.energies(2 * x - 1) == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (([0.0, np.nan], [0], [1], [1.0]), r"linear\[1\]: expected a finite"),
        (([0.0, 0.0], [0], [1], [np.inf]), r"weight\[0\]: expected a finite"),
        (([0.0, 0.0], [0], [2], [1.0]), r"col\[0\]: expected an index in \[0, 2\)"),
        (([0.0, 0.0], [-1], [1], [1.0]), r"row\[0\]: expected an index"),
        (([0.0, 0.0], [1], [1], [1.0]), r"col\[0\]: expected a spin other than"),
        (
            ([0.0, 0.0], [0, 1], [1], [1.0]),
            "row, col, weight: expected equal lengths, given 2, 1, 1",
        ),
        (([0.0, 0.0], [0.5], [1], [1.0]), "row: expected integers"),
        (([[0.0]], [], [], []), "linear: expected one dimension"),
        (([0.0, 0.0], [0], [1], [1e301]), "weight: expected magnitudes whose sum"),
        (([0.0], [], [], [], np.nan), "offset: expected a finite"),
    ],
)
def test_what_is_no_problem_is_refused(arguments: tuple[object, ...], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Ising(*arguments)


@pytest.mark.parametrize("scale", [1e-300, 1e-30, 1e30, 1e290])
def test_extreme_units_do_not_change_the_answer(scale: float) -> None:
    model = random_model(3, 10, 1.0, "float32")
    row, col = np.nonzero(np.triu(model.coupling))
    problem = Ising(model.linear * scale, row, col, model.coupling[row, col] * scale)
    best = search(problem, work=100_000, seed=1)
    assert model.energies(best.spins)[0] == pytest.approx(model.optimum())


def test_nothing_and_one_spin() -> None:
    nothing = search(Ising([], [], [], [], 2.5), work=10)
    assert nothing.spins.shape == (1, 0)
    assert nothing.energies[0] == 2.5
    assert search(Ising([3.0], [], [], []), work=1000).energies[0] == -3.0
    flat = search(Ising(np.zeros(7), [], [], [], -1.0), work=1000, pool=3)
    assert (flat.energies == -1.0).all()


@given(seed=st.integers(0, 10**6), n=st.sampled_from([3, 40, 2048, 2049, 5000]))
def test_the_order_of_the_entries_does_not_matter(seed: int, n: int) -> None:
    """Sorted input skips the sort; beyond 2,048 spins the sort takes more than one digit."""
    rng = np.random.default_rng(seed)
    pairs = np.unique(np.sort(rng.integers(0, n, (3 * n, 2)), axis=1), axis=0)
    low, high = pairs[pairs[:, 0] < pairs[:, 1]].T
    weight, linear = rng.integers(-9, 10, len(low)) / 4.0, rng.integers(-9, 10, n) / 4.0
    mixed, flip = rng.permutation(len(low)), rng.random(len(low)) < 0.5
    row, col = np.where(flip, high, low)[mixed], np.where(flip, low, high)[mixed]
    ordered, given = Ising(linear, low, high, weight), Ising(linear, row, col, weight[mixed])
    assert given.num_couplings == ordered.num_couplings == np.count_nonzero(weight)
    one = search(ordered, work=40 * n, seed=5)
    other = search(given, work=40 * n, seed=5)
    assert one.spins.tobytes() == other.spins.tobytes()
    assert one.energies[0] == other.energies[0]


@pytest.mark.parametrize("build", [Ising, Ising.from_qubo])
def test_building_ends_where_the_monitor_says_stop(build: type[Ising]) -> None:
    n = 70_000
    row = np.arange(n - 1)
    monitor = Monitor(1)
    monitor.cancel()
    with pytest.raises(Stopped):
        build(np.ones(n), row, row + 1, np.ones(n - 1), monitor=monitor)
    with pytest.raises(Stopped):
        build(np.ones(n), row, row + 1, np.ones(n - 1), monitor=Monitor(1, time_limit_s=0.0))
    built = build(np.ones(n), row, row + 1, np.ones(n - 1), monitor=Monitor(1, time_limit_s=600.0))
    assert built.num_couplings == n - 1


def test_a_qubo_whose_halves_overflow_together_is_refused() -> None:
    with pytest.raises(ValueError, match="weight: expected magnitudes whose sum"):
        Ising.from_qubo([1.7e308, 1.7e308, 1.7e308], [], [], [])
