"""Binary quadratic programs with linear rows, against every point."""

import gc
import itertools
from dataclasses import dataclass

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native.binary import BinaryProgram, search_binary
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

Array = NDArray[np.float64]
NONE: list[int] = []


@dataclass(frozen=True)
class Model:
    linear: Array
    quadratic: Array  # upper triangle, diagonal included
    rows: Array
    lower: Array
    upper: Array

    @property
    def problem(self) -> BinaryProgram:
        i, j = np.nonzero(self.quadratic)
        a, b = np.nonzero(self.rows)
        return BinaryProgram(
            self.linear,
            i,
            j,
            self.quadratic[i, j],
            a,
            b,
            self.rows[a, b],
            self.lower,
            self.upper,
            2.0,
        )

    def every_point(self) -> NDArray[np.int8]:
        return np.array(list(itertools.product((0, 1), repeat=len(self.linear))), dtype=np.int8)

    def objectives(self, x: NDArray[np.int8]) -> Array:
        return 2.0 + x @ self.linear + np.einsum("ki,ij,kj->k", x, self.quadratic, x)

    def feasible(self, x: NDArray[np.int8]) -> NDArray[np.bool_]:
        activity = x @ self.rows.T
        return ((activity >= self.lower) & (activity <= self.upper)).all(axis=1)


def random_program(seed: int, n: int, rows: int) -> Model:
    """Integer rows: equalities that hold somewhere, inequalities that may hold nowhere."""
    rng = np.random.default_rng(seed)
    quadratic = np.triu(rng.integers(-10, 11, (n, n)) * (rng.random((n, n)) < 0.5)).astype(float)
    a = (rng.integers(-4, 5, (rows, n)) * (rng.random((rows, n)) < 0.6)).astype(float)
    somewhere = a @ rng.integers(0, 2, n)
    kind, shift = rng.integers(0, 3, rows), rng.integers(-2, 3, rows)
    lower = np.where(kind == 0, somewhere, np.where(kind == 1, -np.inf, somewhere + shift))
    upper = np.where(kind == 0, somewhere, np.where(kind == 1, somewhere + shift, np.inf))
    return Model(rng.integers(-10, 11, n).astype(float), quadratic, a, lower, upper)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 9), rows=st.integers(0, 4))
def test_small_programs_are_solved_or_shown_what_comes_nearest(
    seed: int, n: int, rows: int
) -> None:
    model = random_program(seed, n, rows)
    points, problem = model.every_point(), model.problem
    feasible, objectives = model.feasible(points), model.objectives(points)
    assert problem.objectives(points) == pytest.approx(objectives)
    assert ((problem.violations(points) == 0.0) == feasible).all()
    found = search_binary(problem, work=3000, seed=seed)
    if feasible.any():
        assert found.objectives[0] == objectives[feasible].min()
        assert model.feasible(found.values).all()
    else:
        assert found.values.shape == (0, n)
        assert found.stats["least_violation"] > 0.0
        assert problem.violations(found.stats["least_violated"])[0] > 0.0


def cardinality(n: int, ones: int, seed: int = 1) -> Model:
    rng = np.random.default_rng(seed)
    quadratic = np.triu(rng.normal(size=(n, n)), 1)
    limit = np.array([float(ones)])
    return Model(rng.normal(size=n), quadratic, np.ones((1, n)), limit, limit)


def test_the_seed_decides_and_threads_do_not() -> None:
    problem = cardinality(80, 12).problem
    runs = [search_binary(problem, work=6000, seed=4, pool=5, threads=t) for t in (1, 2, 3)]
    for other in runs[1:]:
        assert other.values.tobytes() == runs[0].values.tobytes()
        assert other.objectives.tobytes() == runs[0].objectives.tobytes()
        assert other.occurrences.tobytes() == runs[0].occurrences.tobytes()


def test_the_pool_is_feasible_distinct_sorted_and_true() -> None:
    model = cardinality(60, 10)
    found = search_binary(model.problem, work=8000, seed=2, pool=7)
    assert len(found.values) == 7
    assert model.feasible(found.values).all()
    assert len({row.tobytes() for row in found.values}) == 7
    assert (np.diff(found.objectives) >= 0).all()
    assert found.objectives.tobytes() == model.problem.objectives(found.values).tobytes()


def test_more_work_is_never_worse() -> None:
    problem = cardinality(60, 10).problem
    best = [search_binary(problem, work=w, seed=3).objectives for w in (0, 200, 700, 2000, 9000)]
    values = [found[0] if len(found) else np.inf for found in best]
    assert values == sorted(values, reverse=True)


def test_an_assignment_is_solved_through_its_one_hot_rows() -> None:
    """Quadratic assignment of 5 to 5 places, against all 120 permutations."""
    rng = np.random.default_rng(5)
    k = 5
    flow, distance = rng.integers(0, 9, (k, k)), rng.integers(0, 9, (k, k))
    quadratic = np.triu(np.kron(flow + flow.T, distance), 1) + np.triu(
        np.kron(flow + flow.T, distance).T, 1
    )
    rows = np.zeros((2 * k, k * k))
    for a in range(k):
        rows[a, a * k : (a + 1) * k] = 1
        rows[k + a, a::k] = 1
    model = Model(np.zeros(k * k), quadratic.astype(float), rows, np.ones(2 * k), np.ones(2 * k))
    every = np.array(
        [np.eye(k, dtype=np.int8)[list(p)].ravel() for p in itertools.permutations(range(k))]
    )
    assert model.feasible(every).all()
    assert (
        search_binary(model.problem, work=20_000, seed=1).objectives[0]
        == model.objectives(every).min()
    )


def test_a_feasible_start_is_never_lost() -> None:
    problem = cardinality(40, 6).problem
    good = search_binary(problem, work=5000, seed=1)
    again = search_binary(problem, work=0, seed=2, initial=good.values)
    assert again.objectives[0] == good.objectives[0]


def test_cancelled_before_the_start_it_still_answers() -> None:
    monitor = Monitor(40)
    monitor.cancel()
    found = search_binary(cardinality(40, 6).problem, monitor=monitor)
    assert found.values.shape == (0, 40)
    assert found.stats["least_violation"] == 6.0
    assert found.stats["completed"] is False


def test_a_time_limit_ends_it_and_incumbents_are_feasible() -> None:
    model = cardinality(100, 9)
    monitor = Monitor(100, time_limit_s=0.05)
    found = search_binary(model.problem, monitor=monitor)
    monitor.finish()
    seen = []
    with pytest.raises(StopIteration):  # noqa: PT012  finished: everything was read
        while (incumbent := monitor.take()) is not None:
            point = np.frombuffer(incumbent.solution, dtype=np.int8)[None, :]
            assert model.feasible(point).all()
            assert model.problem.objectives(point)[0] == incumbent.objective
            seen.append(incumbent.objective)
    assert seen == sorted(seen, reverse=True)
    assert seen[-1] == found.objectives[0]
    assert monitor.stop_reason == "time"


def test_real_coefficients_are_held_to_the_tolerance() -> None:
    """0.1 + 0.2 is not 0.3 in binary, but is within 1e-9 of it."""
    rows = ([0, 0, 0], [0, 1, 2], [0.1, 0.2, 0.4], [0.3], [0.3])
    loose = BinaryProgram([-1.0, -1.0, -9.0], NONE, NONE, [], *rows)
    exact = BinaryProgram([-1.0, -1.0, -9.0], NONE, NONE, [], *rows, feasibility_tolerance=0.0)
    assert search_binary(loose, work=500).values.tolist() == [[1, 1, 0]]
    assert search_binary(exact, work=500).values.shape == (0, 3)


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_extreme_weights_do_no_harm(scale: float) -> None:
    model = random_program(7, 7, 2)
    big = Model(model.linear * scale, model.quadratic * scale, model.rows, model.lower, model.upper)
    points = model.every_point()[model.feasible(model.every_point())]
    best = search_binary(big.problem, work=3000, seed=1)
    assert best.objectives[0] == pytest.approx(big.objectives(points).min())


def test_nothing_to_decide() -> None:
    empty = BinaryProgram([], NONE, NONE, [], NONE, NONE, [], [], [], 4.0)
    assert search_binary(empty, work=10).objectives.tolist() == [4.0]
    hopeless = BinaryProgram([], NONE, NONE, [], NONE, NONE, [], [1.0], [2.0])
    assert search_binary(hopeless, work=10).stats["least_violation"] == 1.0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"linear": [np.nan, 0.0]}, r"linear\[0\]: expected a finite"),
        ({"row": [2]}, r"row\[0\]: expected an index in \[0, 2\)"),
        ({"constraint_col": [5]}, r"constraint_col\[0\]: expected an index in \[0, 2\)"),
        ({"constraint_row": [1]}, r"constraint_row\[0\]: expected an index in \[0, 1\)"),
        (
            {"row_lower": [3.0]},
            r"row_lower\[0\]: expected at most row_upper\[0\], given 3.0 and 1.0",
        ),
        ({"row_upper": [np.nan]}, r"row_upper\[0\]: expected a finite"),
        ({"row_upper": [1.0, 2.0]}, "row_lower, row_upper: expected equal lengths"),
        ({"feasibility_tolerance": -1.0}, "feasibility_tolerance: expected zero or more"),
    ],
)
def test_what_is_no_program_is_refused(changes: dict[str, object], message: str) -> None:
    good: dict[str, object] = {
        "linear": [1.0, 2.0],
        "row": [0],
        "col": [1],
        "weight": [1.0],
        "constraint_row": [0],
        "constraint_col": [1],
        "constraint_weight": [1.0],
        "row_lower": [0.0],
        "row_upper": [1.0],
    }
    with pytest.raises(ValueError, match=message):
        BinaryProgram(**{**good, **changes})  # type: ignore[arg-type]


def test_without_a_limit_it_does_not_begin() -> None:
    with pytest.raises(ValueError, match="work: expected a number of moves"):
        search_binary(cardinality(5, 2).problem)


def test_a_thousand_runs_leave_memory_as_it_was() -> None:
    model = random_program(3, 30, 3)

    def once(seed: int) -> None:
        search_binary(
            model.problem, work=300, seed=seed, pool=3, monitor=Monitor(30), initial=np.ones(30)
        )

    for seed in range(100):
        once(seed)
    gc.collect()
    before = psutil.Process().memory_info().rss
    for seed in range(1000):
        once(seed)
    gc.collect()
    assert psutil.Process().memory_info().rss - before < 4 * 2**20
