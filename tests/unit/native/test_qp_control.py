"""What holds around a solve: stops, leaks, threads, refusals, input that breaks weaker solvers."""

import math
import resource
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native import qp
from ketgate_native.monitor import Monitor

from .qp_oracle import Array


def covariance(n: int, seed: int = 0) -> Array:
    returns = np.random.default_rng(seed).normal(size=(2 * n, n))
    return np.asarray(np.cov(returns.T))


def test_a_cancelled_monitor_stops_the_solve() -> None:
    monitor = Monitor(8 * 50)
    monitor.cancel()
    result = qp.solve(
        covariance(50), np.ones(50), np.ones((1, 50)), [1.0], [1.0], 0.0, 1.0, monitor=monitor
    )
    assert result.status == "stopped"
    assert np.all((result.x >= 0) & (result.x <= 1))


def test_a_deadline_in_the_past_stops_a_large_factorisation() -> None:
    n = 600
    monitor = Monitor(8 * n, time_limit_s=0.0)
    result = qp.solve(covariance(n), np.ones(n), np.ones((1, n)), [1.0], [1.0], monitor=monitor)
    assert result.status == "stopped"
    assert monitor.stop_reason == "time"


def test_the_fixed_work_limit_stops_it() -> None:
    Q, c = covariance(40), np.random.default_rng(1).normal(size=40)
    whole = qp.solve(Q, c, np.ones((1, 40)), [1.0], [1.0], 0.0, 0.1)
    assert whole.iterations > 2
    assert (
        qp.solve(Q, c, np.ones((1, 40)), [1.0], [1.0], 0.0, 0.1, iterations_max=2).status
        == "stopped"
    )
    enough = qp.solve(
        Q, c, np.ones((1, 40)), [1.0], [1.0], 0.0, 0.1, iterations_max=whole.iterations + 1
    )
    assert enough.x.tobytes() == whole.x.tobytes()


def test_the_optimum_reaches_the_monitor() -> None:
    monitor = Monitor(16)
    result = qp.solve(np.eye(2), [0.0, 0.0], [[1.0, 1.0]], [1.0], [1.0], monitor=monitor)
    incumbent = monitor.take()
    assert incumbent is not None
    assert np.frombuffer(incumbent.solution).tolist() == result.x.tolist()
    assert incumbent.objective == incumbent.bound == result.objective


def test_memory_stays_flat() -> None:
    dense, mu = covariance(200), np.linspace(0, 1, 200)
    factor = qp.Factor(np.ones((200, 2)), np.ones(200))
    budget = (np.ones((1, 200)), [1.0], [1.0])

    def work(times: int) -> None:
        for _ in range(times):
            qp.solve(dense, -mu, *budget, 0.0, 0.05)
            qp.solve(factor, -mu, *budget, 0.0, 0.001)  # infeasible
            qp.frontier(factor, mu, *budget, 0.0, 0.5, corners_max=3)
            with pytest.raises(ValueError, match="lower"):
                qp.solve(dense, -mu, lower=1.0, upper=0.0)

    work(50)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    work(1000)
    grown_kib = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    assert grown_kib < 1024  # one lost array of 200 numbers a call would be 1.5 MiB


def test_threads_do_not_disturb_one_another() -> None:
    Q, c = covariance(80), np.random.default_rng(2).normal(size=80)
    alone = qp.solve(Q, c, np.ones((1, 80)), [1.0], [1.0], 0.0, 0.1).x.tobytes()
    found: list[bytes] = []

    def solve() -> None:
        for _ in range(20):
            found.append(qp.solve(Q, c, np.ones((1, 80)), [1.0], [1.0], 0.0, 0.1).x.tobytes())

    threads = [threading.Thread(target=solve) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [alone] * 80


REFUSED: list[tuple[str, dict[str, Any]]] = [
    ("c: expected numbers, given NaN", {"c": [0.0, math.nan]}),
    ("c: expected finite numbers", {"c": [0.0, math.inf]}),
    ("c: expected numbers, given str", {"c": "ab"}),
    ("c: expected shape", {"c": [[0.0]]}),
    ("Q: expected shape \\(2, 2\\), given \\(3, 3\\)", {"Q": np.eye(3)}),
    ("Q: expected numbers", {"Q": np.eye(2) * 1j}),
    ("Q.F: expected shape", {"Q": qp.Factor(np.ones((3, 1)), np.ones(2))}),
    (
        "Q.D: expected variances >= 0, given -1.0 at 1",
        {"Q": qp.Factor(np.ones((2, 1)), [1.0, -1.0])},
    ),
    ("Q.G: expected positive", {"Q": qp.Factor(np.ones((2, 1)), np.ones(2), [[-1.0]])}),
    ("A: expected shape", {"A": [[1.0, 1.0, 1.0]]}),
    ("row_lower, row_upper: ", {"A": [[1.0, 1.0]], "row_lower": [1.0], "row_upper": [0.0]}),
    (
        "lower, upper: expected lower <= upper, given 1.0 and 0.0 at 1",
        {"lower": [0, 1], "upper": [1, 0]},
    ),
    ("lower, upper: ", {"lower": math.inf}),
    ("upper: expected numbers, given NaN", {"upper": math.nan}),
    ("cost: expected \\(x0, buy, sell\\)", {"cost": 3}),
    ("cost: expected buy", {"cost": ([0, 0], [-1, 0], [0, 0])}),
    ("initial: expected shape", {"initial": [1.0]}),
    ("tolerance: ", {"tolerance": 0.0}),
    ("iterations_max: ", {"iterations_max": -1}),
    ("isa: ", {"isa": "mmx"}),
    ("monitor: ", {"monitor": Monitor(3)}),
]


@pytest.mark.parametrize(("message", "arguments"), REFUSED)
def test_bad_arguments_are_named(message: str, arguments: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"^{message}"):
        qp.solve(**{"Q": np.eye(2), "c": [0.0, 0.0], **arguments})


@given(st.integers(0, 2**32 - 1))
def test_no_numbers_crash_or_hang_it(seed: int) -> None:
    """Magnitudes from 1e-300 to 1e300, indefinite matrices, empty rows: some status, and x within its bounds."""
    random = np.random.default_rng(seed)
    n, m = int(random.integers(1, 8)), int(random.integers(0, 4))

    def wild(*shape: int) -> Array:
        exponents = random.choice([0.0, 0.0, 0.0, 12.0, -12.0, 150.0, -150.0, 300.0, -300.0], shape)
        return np.asarray(random.integers(-2, 3, shape) * 10.0**exponents)

    B = wild(n, n)
    lower, width = wild(n), np.abs(wild(n))
    row_lower = wild(m)
    result = qp.solve(
        np.tril(B) + np.tril(B, -1).T,
        wild(n),
        wild(m, n),
        row_lower,
        row_lower + np.abs(wild(m)),
        np.where(random.random(n) < 0.3, -np.inf, lower),
        np.where(random.random(n) < 0.3, np.inf, lower + width),
        cost=(wild(n), np.abs(wild(n)), np.abs(wild(n))) if random.random() < 0.5 else None,
    )
    assert result.status in ("optimal", "infeasible", "unbounded", "stopped", "numerical")
    assert result.iterations < 1_000_000


def test_an_indefinite_matrix_is_not_called_optimal() -> None:
    assert qp.solve([[-1.0]], [0.0], lower=-1, upper=1).status == "numerical"
