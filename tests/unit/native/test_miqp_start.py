"""The first points of a search: before any bound, whatever the constraints; and what of them is told."""

from typing import Any

import numpy as np
import pytest
from ketgate_native import miqp
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

N = 300
ONES = np.ones((1, N))
RETURNS = np.linspace(-0.1, 0.1, N)
SECTOR = np.vstack([ONES, np.arange(N)[None, :] % 3 == 0])
BUDGET = ([1.0], [1.0])


def spread_out() -> NDArray[np.float64]:
    """A covariance without factors: most names are free in the relaxation, which makes it slow."""
    g = np.random.default_rng(3)
    x = g.normal(size=(N, 2 * N)) * 0.05
    return x @ x.T


SHAPES: dict[str, dict[str, Any]] = {
    "few": {"cardinality_max": 10, "position_min": 0.01},
    "exactly": {"cardinality_max": 10, "cardinality_min": 10, "position_min": 0.01},
    "small bounds": {"cardinality_max": 60, "upper": 0.02},
    "a return": {
        "rows": np.vstack([ONES, RETURNS]), "row_lower": [1, 0.09], "row_upper": [1, np.inf],
        "cardinality_max": 10,
    },
    "a group": {"rows": SECTOR, "row_lower": [1, 0.6], "row_upper": [1, 0.6], "cardinality_max": 6},
    "long and short": {
        "rows": np.vstack([ONES, RETURNS]), "row_lower": [0, 0.1], "row_upper": [0, np.inf],
        "lower": -1.0, "cardinality_max": 8, "position_min": 0.05,
    },
    "lots": {"cardinality_max": 10, "lot": 0.05, "position_min": 0.1},
    "always held": {"lower": np.where(np.arange(N) < 3, 0.05, 0.0), "cardinality_max": 10},
}  # fmt: skip


def solve(shape: dict[str, Any], **options: Any) -> miqp.MIQPResult:
    given = {
        "rows": ONES,
        "row_lower": BUDGET[0],
        "row_upper": BUDGET[1],
        "lower": 0.0,
        "upper": 1.0,
    }
    given |= shape
    rows = [given.pop(k) for k in ("rows", "row_lower", "row_upper", "lower", "upper")]
    return miqp.solve(spread_out(), np.zeros(N), *rows, **given, **options)


@pytest.mark.parametrize("shape", SHAPES)
def test_a_first_point_comes_before_the_relaxation(shape: str) -> None:
    """The target stops the run at the first point; the relaxation alone takes a pivot for each free name, and more."""
    monitor = Monitor(8 * N, target=1e9)
    result = solve(SHAPES[shape], monitor=monitor)
    assert monitor.stop_reason == "target"
    assert result.x is not None
    assert result.iterations < 0.6 * N
    assert result.bound <= result.objective


def test_the_first_points_are_good() -> None:
    """Joined one by one and exchanged, they are near what the whole search knows."""
    monitor = Monitor(8 * N)
    best = solve(SHAPES["few"], nodes_max=0, monitor=monitor).objective
    first = monitor.take()
    assert first is not None
    assert first.objective < 1.2 * best


def test_a_start_of_the_callers_is_kept() -> None:
    """Then no other is looked for: the run that its first point stops has done nothing else."""
    initial = np.zeros(N)
    initial[:10] = 0.1
    monitor = Monitor(8 * N, target=1e9)
    result = solve(SHAPES["few"], initial=initial, monitor=monitor)
    assert result.x is not None
    assert result.x.tolist() == initial.tolist()
    assert result.iterations == 0


def test_stopped_in_the_setup_the_bound_still_holds() -> None:
    """What was not set up is not looked at: with a floor under c'x the bound at x = 0 is still a bound."""
    monitor = Monitor(8 * N)
    monitor.cancel()
    c = np.linspace(-1.0, 1.0, N)
    stopped = miqp.solve(
        miqp.Factor(np.zeros((N, 1)), np.ones(N)), c, None, None, None, 0.0, 1.0,
        cardinality_max=10, monitor=monitor,
    )  # fmt: skip
    assert stopped.status == "stopped"
    assert stopped.x is None
    assert stopped.bound <= -0.5 * np.square(c[:10]).sum()


def test_a_relaxation_with_many_free_names_is_exact() -> None:
    """Names enter it many at a time; without anything discrete it is the whole problem."""
    result = miqp.solve(
        spread_out(), np.zeros(N), ONES, *BUDGET, 0.0, 1.0, initial=np.full(N, 1 / N)
    )  # fmt: skip
    assert result.status == "optimal"
    assert result.x is not None
    gradient = spread_out() @ result.x
    held = result.x > 0
    assert held.sum() > N / 2
    assert np.ptp(gradient[held]) < 1e-9
    assert gradient[~held].min(initial=np.inf) >= gradient[held].max() - 1e-9
    assert result.iterations < N / 2  # where they enter one at a time there is a pivot for each


def test_a_hair_better_is_kept_and_not_told() -> None:
    """Two names that are alike but for a rounding: the second point is the answer, and no news."""
    q = np.diag([1.0, 1.0 - 1e-12, 5.0])
    told = Monitor(8 * 3)
    result = miqp.solve(
        q, np.zeros(3), np.ones((1, 3)), [1.0], [1.0], 0.0, 1.0, cardinality_max=1,
        initial=[1.0, 0.0, 0.0], gap_relative=0.0, monitor=told,
    )  # fmt: skip
    assert result.x is not None
    assert result.x == pytest.approx([0.0, 1.0, 0.0])
    assert told.best == 0.5
    assert result.objective < 0.5


def test_a_hair_better_that_reaches_the_target_is_told() -> None:
    """It is what the caller waits for."""
    q = np.diag([1.0, 1.0 - 1e-12, 5.0])
    target = Monitor(8 * 3, target=0.5 * (1.0 - 1e-12))
    miqp.solve(
        q, np.zeros(3), np.ones((1, 3)), [1.0], [1.0], 0.0, 1.0, cardinality_max=1,
        initial=[1.0, 0.0, 0.0], gap_relative=0.0, monitor=target,
    )  # fmt: skip
    assert target.stop_reason == "target"
    assert target.best < 0.5
