"""The critical line against single solves: at its corners, between them, beyond them, and where it is degenerate."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native import qp
from ketgate_native.monitor import Monitor

from .qp_oracle import Array

Rows = tuple[Array, Array, Array]


def budget(n: int) -> Rows:
    return np.ones((1, n)), np.ones(1), np.ones(1)


def assert_is_the_frontier(
    line: qp.Frontier,
    Q: Array,
    mu: Array,
    rows: Rows,
    lower: float,
    upper: float,
    *,
    every: int = 1,
) -> None:
    assert line.status == "optimal"
    assert line.t[0] == 0
    assert np.all(np.diff(line.t) > 0)
    assert np.all(np.diff(line.mean) >= -1e-12)
    np.testing.assert_allclose(line.mean, line.x @ mu, atol=1e-12)
    np.testing.assert_allclose(
        line.variance, np.einsum("pi,ij,pj->p", line.x, Q, line.x), rtol=1e-10, atol=1e-14
    )
    for at in range(0, len(line.t), every):
        last = at + 1 == len(line.t)
        t = 2 * line.t[at] + 1 if last else (line.t[at] + line.t[at + 1]) / 2
        x = line.x[at] if last else (line.x[at] + line.x[at + 1]) / 2
        single = qp.solve(Q, -t * mu, *rows, lower, upper)
        value = 0.5 * x @ Q @ x - t * mu @ x
        size = max(abs(single.objective), float(np.abs(Q).max()) * 1e-3)
        assert abs(value - single.objective) <= 1e-9 * size
        assert np.all(x >= lower)
        assert np.all(x <= upper)
        np.testing.assert_allclose(rows[0] @ x, np.clip(rows[0] @ x, rows[1], rows[2]), atol=1e-10)


@given(st.integers(0, 2**32 - 1))
def test_random_frontiers_agree_with_single_solves(seed: int) -> None:
    random = np.random.default_rng(seed)
    n = int(random.integers(1, 20))
    F = random.normal(size=(n, int(random.integers(1, n + 1))))
    Q = F @ F.T + (0.1 if random.random() < 0.5 else 0.0) * np.eye(n)
    mu = random.normal(size=n)
    if random.random() < 0.3:
        mu = mu.round()  # ties
    A = np.vstack((np.ones(n), random.random((int(random.integers(0, 3)), n))))
    row_lower, row_upper = np.full(len(A), -np.inf), np.full(len(A), 0.8)
    row_lower[0] = row_upper[0] = 1.0
    row_upper[1:] = np.maximum(A[1:].mean(axis=1), 0.8)  # the equal weights are always allowed
    lower = 0.0 if random.random() < 0.7 else -0.5
    line = qp.frontier(Q, mu, A, row_lower, row_upper, lower, 1.0)
    assert_is_the_frontier(line, Q, mu, (A, row_lower, row_upper), lower, 1.0)


@pytest.mark.parametrize("cap", [0.05, 1.0])
def test_a_frontier_of_many_names(cap: float) -> None:
    random = np.random.default_rng(3)
    n = 120
    F, D = random.normal(0, 0.1, (n, 5)), random.uniform(0.01, 0.1, n)
    Q, mu = F @ F.T + np.diag(D), random.uniform(0, 0.2, n)
    dense = qp.frontier(Q, mu, *budget(n), 0.0, cap)
    assert_is_the_frontier(dense, Q, mu, budget(n), 0.0, cap, every=7)
    factor = qp.frontier(qp.Factor(F, D), mu, *budget(n), 0.0, cap)
    np.testing.assert_allclose(factor.t, dense.t, rtol=1e-7)
    np.testing.assert_allclose(factor.x, dense.x, atol=1e-8)
    np.testing.assert_allclose(factor.variance, dense.variance, rtol=1e-9)


def test_two_names_by_hand() -> None:
    """x = (1/2 + t/2, 1/2 - t/2) until the second name is sold out at t = 1."""
    line = qp.frontier(np.eye(2), [1.0, 0.0], *budget(2), 0.0, 1.0)
    np.testing.assert_allclose(line.t, [0.0, 1.0])
    np.testing.assert_allclose(line.x, [[0.5, 0.5], [1.0, 0.0]])


def test_among_equal_variances_it_starts_at_the_best_mean() -> None:
    line = qp.frontier(np.zeros((3, 3)), [1.0, 3.0, 2.0], *budget(3), 0.0, 1.0)
    assert line.t.tolist() == [0.0]
    np.testing.assert_allclose(line.x, [[0, 1, 0]], atol=1e-12)


def test_infeasible_and_unbounded_say_so() -> None:
    assert qp.frontier(np.eye(2), [1.0, 2.0], *budget(2), 0.0, 0.4).status == "infeasible"
    endless = qp.frontier(np.eye(2), [1.0, 2.0], *budget(2))
    assert endless.status == "unbounded"
    np.testing.assert_allclose(endless.x[0], [0.5, 0.5])


def test_it_stops_when_asked_and_keeps_the_corners_so_far() -> None:
    random = np.random.default_rng(0)
    n = 60
    B = random.normal(size=(n, n))
    arguments = (B @ B.T / n, random.normal(size=n), *budget(n), 0.0, 0.2)
    whole = qp.frontier(*arguments)
    short = qp.frontier(*arguments, corners_max=4)
    assert short.status == "stopped"
    np.testing.assert_array_equal(short.x, whole.x[: len(short.x)])
    monitor = Monitor(8 * n)
    monitor.cancel()
    assert qp.frontier(*arguments, monitor=monitor).status == "stopped"


def test_bad_arguments_are_named() -> None:
    with pytest.raises(ValueError, match=r"^mu: "):
        qp.frontier(np.eye(2), [[1.0]])
    with pytest.raises(ValueError, match=r"^corners_max: "):
        qp.frontier(np.eye(2), [1.0, 2.0], corners_max=0)
