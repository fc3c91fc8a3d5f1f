"""Infeasible, ugly and refused requests; stops, deadlines, memory."""

import gc
import threading
import time

import numpy as np
import psutil
import pytest
from ketgate_native import miqp
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

ONE = [1.0]


def hard(n: int = 150, seed: int = 0) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Minimum variance over a strongly correlated market: far from proven in a second."""
    g = np.random.default_rng(seed)
    loadings = g.normal(size=(n, 40)) * 0.3
    loadings[:, 0] = g.uniform(0.5, 1.5, n)
    return loadings @ loadings.T + np.diag(g.uniform(0.01, 0.05, n)), np.zeros(n)


def solve_hard(monitor: Monitor | None, **options: object) -> miqp.MIQPResult:
    q, c = hard()
    return miqp.solve(
        q, c, np.ones((1, len(c))), ONE, ONE, 0.0, 1.0, cardinality_max=12, position_min=0.01,
        monitor=monitor, **options,  # type: ignore[arg-type]
    )  # fmt: skip


INFEASIBLE = {
    "names too small for the budget": {"upper": 0.1, "cardinality_max": 5},
    "minimum positions too large": {
        "cardinality_min": 6,
        "cardinality_max": 8,
        "position_min": 0.2,
    },
    "lots that cannot sum": {"lot": 0.3},
    "no name fits": {"upper": 0.05, "position_min": 0.1},
    "turnover too small": {"turnover": 0.5},
    "no names at all": {"cardinality_max": 0},
}


@pytest.mark.parametrize("options", INFEASIBLE.values(), ids=INFEASIBLE.keys())
def test_infeasible_is_proven(options: dict[str, object]) -> None:
    n = 10
    given = {"upper": 1.0, **options}
    upper = given.pop("upper")
    result = miqp.solve(np.eye(n), np.zeros(n), np.ones((1, n)), ONE, ONE, 0.0, upper, **given)  # type: ignore[arg-type]
    assert result.status == "infeasible"
    assert result.x is None
    assert result.objective == np.inf
    assert result.bound == np.inf
    assert result.pool == []


def test_rows_in_conflict_are_infeasible() -> None:
    rows = np.array([[1.0, 1, 0], [0, 1, 1], [1, 0, -1]])
    result = miqp.solve(np.eye(3), np.zeros(3), rows, [1, 1, 0.5], [1, 1, 0.5], -5.0, 5.0)
    assert result.status == "infeasible"


def test_no_names_and_one_name() -> None:
    none = miqp.solve(np.zeros((0, 0)), [], None, None, None, 0.0, 1.0)
    assert none.status == "optimal"
    assert none.objective == 0
    assert none.x is not None
    assert none.x.shape == (0,)
    empty = miqp.solve(np.zeros((0, 0)), [], np.zeros((1, 0)), ONE, ONE, 0.0, 1.0)
    assert empty.status == "infeasible"
    one = miqp.solve([[2.0]], [-1.0], None, None, None, 0.0, 1.0, position_min=0.6)
    assert one.status == "optimal"
    assert one.x is not None
    assert one.x.tolist() == [0.6]


def test_a_zero_row_and_a_zero_quadratic() -> None:
    n = 6
    rows = np.vstack([np.ones(n), np.zeros(n)])
    c = -np.arange(n, dtype=float)
    result = miqp.solve(
        np.zeros((n, n)), c, rows, [1, -1], [1, 1], 0.0, 0.5, cardinality_max=2, position_min=0.1
    )
    assert result.status == "optimal"
    assert result.objective == pytest.approx(-4.5)
    impossible = miqp.solve(np.zeros((n, n)), c, rows, [1, 1], [1, 2], 0.0, 0.5)
    assert impossible.status == "infeasible"


def test_identical_names_do_not_explode() -> None:
    n = 40
    result = miqp.solve(
        np.ones((n, n)), np.zeros(n), np.ones((1, n)), ONE, ONE, 0.0, 1.0,
        cardinality_max=5, cardinality_min=5, position_min=0.1, nodes_max=2000,
    )  # fmt: skip
    assert result.status == "optimal"
    assert result.objective == pytest.approx(0.5)


@pytest.mark.parametrize("weight", [1e-30, 1e30])
def test_huge_and_tiny_weights(weight: float) -> None:
    q, c = np.diag([1.0, 2.0, 3.0]) * weight, np.zeros(3)
    result = miqp.solve(q, c, np.ones((1, 3)), ONE, ONE, 0.0, 1.0, cardinality_max=2)
    assert result.status == "optimal"
    assert result.objective == pytest.approx(weight / 3, rel=1e-9)


def test_the_deadline_is_kept_and_the_bound_holds() -> None:
    monitor = Monitor(8 * 150, time_limit_s=0.2)
    start = time.perf_counter()
    result = solve_hard(monitor)
    elapsed = time.perf_counter() - start
    assert result.status == "stopped"
    assert monitor.stop_reason == "time"
    assert elapsed < 2.0  # a hang, not a timing: the overshoot itself is a benchmark's business
    assert result.x is not None
    assert result.bound <= result.objective
    assert result.bound >= 0  # of a positive semidefinite form


def test_a_cancel_returns_the_best_so_far() -> None:
    monitor = Monitor(8 * 150)
    results: list[miqp.MIQPResult] = []
    thread = threading.Thread(target=lambda: results.append(solve_hard(monitor)))
    thread.start()
    incumbent = monitor.take(60.0)
    monitor.cancel()
    thread.join(60.0)
    assert not thread.is_alive()
    assert incumbent is not None
    assert results[0].status == "stopped"
    assert results[0].objective <= incumbent.objective


def test_cancelled_before_the_start() -> None:
    monitor = Monitor(8 * 150)
    monitor.cancel()
    result = solve_hard(monitor)
    assert result.status == "stopped"
    assert result.bound <= result.objective


def test_a_target_and_a_gap_stop_the_run() -> None:
    target = Monitor(8 * 150, target=1e9)
    assert solve_hard(target).x is not None
    assert target.stop_reason == "target"
    wide = solve_hard(None, gap_relative=0.9)
    assert wide.status == "optimal"
    assert wide.objective - wide.bound <= 0.9 * wide.objective * 2


def test_memory_stays_flat() -> None:
    q, c = hard(30, 1)
    process = psutil.Process()

    def batch() -> int:
        for _ in range(150):
            miqp.solve(
                q, c, np.ones((1, 30)), ONE, ONE, 0.0, 1.0, cardinality_max=4, position_min=0.01,
                nodes_max=20,
            )  # fmt: skip
        gc.collect()
        return int(process.memory_info().rss)

    batch()
    before = batch()
    assert batch() - before < 4e6


GOOD = {"quadratic": np.eye(2), "linear": [0.0, 0.0], "rows": [[1.0, 1.0]], "row_lower": ONE, "row_upper": ONE,
            "lower": 0.0, "upper": 1.0}  # fmt: skip
BAD = [
    ({"quadratic": np.ones((2, 3))}, "quadratic: expected a square"),
    ({"quadratic": [[1.0, 2.0], [0.0, 1.0]]}, "symmetric"),
    ({"quadratic": [[np.nan, 0], [0, 1]]}, r"quadratic\[0,0\]: expected a finite"),
    ({"quadratic": -np.eye(2)}, "positive semidefinite"),
    ({"quadratic": np.eye(2) * 1e200}, "sizes up to"),
    ({"linear": [0.0]}, r"linear: expected shape \(2,\)"),
    ({"linear": [0.0, np.inf]}, r"linear\[1\]"),
    ({"linear": "up"}, "linear: expected numbers"),
    ({"rows": [[1.0]]}, "rows: expected shape"),
    ({"row_lower": [2.0]}, r"row_lower\[0\]: expected at most"),
    ({"lower": 2.0}, r"lower\[0\]: expected at most"),
    ({"rows": None, "row_lower": None, "row_upper": None, "upper": np.inf}, "finite bound"),
    ({"position_min": -1.0}, r"position_min\[0\]: expected at least 0"),
    ({"cardinality_min": 3}, "cardinality_min"),
    ({"cardinality_min": 1}, r"position_min\[0\]: expected more than 0"),
    ({"cardinality_max": -1}, "cardinality_min"),
    ({"lot": [-1.0, 0.0]}, r"lot\[0\]"),
    ({"turnover": -0.1}, "turnover"),
    ({"turnover": np.nan}, "turnover"),
    ({"nodes_max": -1}, "nodes_max"),
    ({"gap_relative": np.nan}, "gap_relative"),
    ({"pool_max": 0}, "pool_max"),
    ({"isa": "neon"}, "isa"),
    ({"initial": [0.5]}, "initial"),
]  # fmt: skip


@pytest.mark.parametrize(("change", "message"), BAD)
def test_refusals_name_the_argument(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        miqp.solve(**{**GOOD, **change})  # type: ignore[arg-type]


def test_a_monitor_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="monitor"):
        miqp.solve(**GOOD, monitor=Monitor(8))  # type: ignore[arg-type]
