"""Every assignment in Gray code order, against every assignment in any order."""

import itertools

import numpy as np
import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native.exhaustive import VARIABLES_MAX, enumerate_binaries
from ketgate_native.monitor import Monitor

EMPTY = ([], [], [])


def everything(n: int) -> np.ndarray:
    return np.array(list(itertools.product([0, 1], repeat=n)), dtype=np.float64)


@given(seed=st.integers(0, 10**6), n=st.integers(1, 9), rows=st.integers(0, 3))
def test_it_finds_what_brute_force_finds(seed: int, n: int, rows: int) -> None:
    rng = np.random.default_rng(seed)
    m, z = int(rng.integers(0, 15)), int(rng.integers(0, 8)) if rows else 0
    linear, weight = rng.normal(size=n), rng.normal(size=m)
    row, col = rng.integers(0, n, m), rng.integers(0, n, m)
    a_row, a_col = rng.integers(0, max(rows, 1), z), rng.integers(0, n, z)
    a_weight = rng.integers(-2, 3, z).astype(float)
    lower, upper = np.full(rows, -1.0), rng.integers(-1, 3, rows).astype(float)
    found = enumerate_binaries(
        linear, row, col, weight, a_row, a_col, a_weight, lower, upper, 0.5, pool=6
    )
    x = everything(n)
    value = 0.5 + x @ linear + (x[:, row] * x[:, col]) @ weight
    a = np.zeros((rows, n))
    np.add.at(a, (a_row, a_col), a_weight)
    holds = ((x @ a.T >= lower) & (x @ a.T <= upper)).all(axis=1)
    assert found.completed
    assert found.visited == 2**n
    np.testing.assert_allclose(found.objectives, np.sort(value[holds])[:6], rtol=0, atol=1e-12)
    assert len(np.unique(found.values, axis=0)) == len(found.values)


def test_a_row_is_held_to_its_tolerance() -> None:
    row = ([0, 0, 0], [0, 1, 2], [0.1, 0.2, -0.3])
    exact = enumerate_binaries([-1.0, -1.0, -1.0], *EMPTY, *row, [0.0], [0.0])
    loose = enumerate_binaries([-1.0, -1.0, -1.0], *EMPTY, *row, [0.0], [0.0], tolerance=1e-12)
    assert exact.objectives[0] == 0.0  # 0.1 + 0.2 - 0.3 is not zero in binary
    assert loose.objectives[0] == -3.0


def test_nothing_feasible_is_proven() -> None:
    found = enumerate_binaries([1.0, 1.0], *EMPTY, [0, 0], [0, 1], [2.0, 2.0], [1.0], [1.0])
    assert found.completed
    assert found.values.shape == (0, 2)


def test_work_ends_it_and_more_work_is_never_worse() -> None:
    linear = np.random.default_rng(3).normal(size=12)
    best = [enumerate_binaries(linear, *EMPTY, work=w).objectives[0] for w in (1, 5, 100, 4000)]
    assert best == sorted(best, reverse=True)
    assert not enumerate_binaries(linear, *EMPTY, work=4095).completed


def test_a_cancelled_run_returns_what_it_has() -> None:
    monitor = Monitor(30)
    monitor.cancel()
    found = enumerate_binaries(np.ones(30), *EMPTY, monitor=monitor)
    assert not found.completed
    assert found.objectives[0] == 0.0
    assert monitor.stop_reason == "cancelled"


def test_the_target_stops_it_and_incumbents_come_out() -> None:
    monitor = Monitor(20, target=-3.0)
    found = enumerate_binaries(-np.ones(20), *EMPTY, monitor=monitor)
    monitor.finish()
    taken = monitor.take()
    assert taken is not None
    assert monitor.stop_reason == "target"
    assert found.objectives[0] <= -3.0
    assert len(taken.solution) == 20


def test_memory_stays_flat() -> None:
    process = psutil.Process()
    for _ in range(100):
        enumerate_binaries(np.ones(8), *EMPTY, pool=64)
    before = process.memory_info().rss
    for _ in range(1000):
        enumerate_binaries(np.ones(8), *EMPTY, pool=64)
    assert process.memory_info().rss - before < 2 << 20


@pytest.mark.parametrize(
    ("arguments", "name"),
    [
        (([], *EMPTY), "linear"),
        ((np.ones(VARIABLES_MAX + 1), *EMPTY), "linear"),
        (([np.nan], *EMPTY), "linear"),
        (([1.0], [0], [1], [1.0]), "col"),
        (([1.0], [-1], [0], [1.0]), "row"),
        (([1.0], [0.5], [0], [1.0]), "row"),
        (([1.0], [0], [0], [np.inf]), "weight"),
        (([1.0], *EMPTY, [0], [0], [1.0], [0.0], []), "row_upper"),
        (([1.0], *EMPTY, [1], [0], [1.0], [0.0], [0.0]), "constraint_row"),
        (([1.0], *EMPTY, [], [], [], [np.nan], [0.0]), "row_lower"),
    ],
)
def test_bad_arguments_are_named(arguments: tuple[object, ...], name: str) -> None:
    with pytest.raises(ValueError, match=f"^{name}: "):
        enumerate_binaries(*arguments)  # type: ignore[arg-type]


def test_a_stop_is_noticed_soon_however_many_rows_there_are() -> None:
    """It was looked for once in 1,024 assignments, each of which changes every row."""
    rows, size = 20_000, 24
    monitor = Monitor(size)
    monitor.cancel()
    found = enumerate_binaries(
        np.ones(size),
        [],
        [],
        [],
        np.repeat(np.arange(rows), size),
        np.tile(np.arange(size), rows),
        np.ones(rows * size),
        np.zeros(rows),
        np.full(rows, float(size)),
        monitor=monitor,
    )
    assert not found.completed
    assert found.visited < 100
