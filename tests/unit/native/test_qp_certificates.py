"""Infeasible and unbounded problems come with a proof that can be checked by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from ketgate_native import qp
from scipy.optimize import linprog

from .qp_oracle import Array, Problem


def assert_infeasible(problem: Problem, result: qp.QPResult) -> None:
    """A'y + z = 0, while y'Ax + z'x could never be 0 within the intervals."""
    assert result.status == "infeasible"
    assert result.certificate is not None
    y, z = result.certificate
    scale = max(np.abs(y).max(), np.abs(z).max(initial=0))
    assert scale > 0
    np.testing.assert_allclose(problem.A.T @ y + z, 0, atol=1e-8 * scale)
    supremum = 0.0
    for weight, low, high in (
        *zip(y, problem.row_lower, problem.row_upper, strict=True),
        *zip(z, problem.lower, problem.upper, strict=True),
    ):
        if weight:
            supremum += weight * (high if weight > 0 else low)
    assert supremum < 0


def assert_unbounded(problem: Problem, result: qp.QPResult) -> None:
    assert result.status == "unbounded"
    assert result.certificate is not None
    _, ray = result.certificate
    assert np.abs(ray).max() == pytest.approx(1.0)
    assert problem.c @ ray < 0
    np.testing.assert_allclose(problem.Q @ ray, 0, atol=1e-7 * np.abs(problem.Q).max())
    rows = problem.A @ ray
    scale = max(1.0, np.abs(problem.A).max(initial=0))
    assert np.all(rows[np.isfinite(problem.row_upper)] <= 1e-7 * scale)
    assert np.all(rows[np.isfinite(problem.row_lower)] >= -1e-7 * scale)
    assert np.all(ray[np.isfinite(problem.upper)] <= 0)
    assert np.all(ray[np.isfinite(problem.lower)] >= 0)


def is_feasible(problem: Problem) -> bool:
    matrix = np.vstack((problem.A, -problem.A))
    right = np.concatenate((problem.row_upper, -problem.row_lower))
    kept = np.isfinite(right)
    bounds = np.column_stack((problem.lower, problem.upper))
    found = linprog(
        np.zeros(len(problem.c)), matrix[kept], right[kept], bounds=bounds, method="highs"
    )
    return bool(found.status == 0)


@given(st.integers(0, 2**32 - 1))
def test_any_status_is_proven(seed: int) -> None:
    random = np.random.default_rng(seed)
    n, m = int(random.integers(1, 9)), int(random.integers(1, 4))

    def whole(shape: tuple[int, ...], size: int) -> Array:
        return random.integers(-size, size + 1, shape).astype(np.float64)

    B = whole((n, int(random.integers(0, n))), 2)
    A, x = whole((m, n), 1), whole((n,), 2)
    lower = np.where(random.random(n) < 0.5, x - np.abs(whole((n,), 2)), -np.inf)
    upper = np.where(random.random(n) < 0.5, x + np.abs(whole((n,), 2)), np.inf)
    middle, width = A @ x + whole((m,), 3), np.abs(whole((m,), 1))
    problem = Problem(B @ B.T, whole((n,), 2), A, middle - width, middle + width, lower, upper)
    result = qp.solve(*problem.arguments)
    assert result.status in ("optimal", "infeasible", "unbounded")
    assert is_feasible(problem) == (result.status != "infeasible")
    if result.status == "infeasible":
        assert_infeasible(problem, result)
    if result.status == "unbounded":
        assert_unbounded(problem, result)


@pytest.mark.parametrize("n", [1, 20, 400])
def test_a_budget_above_the_caps_is_infeasible(n: int) -> None:
    problem = Problem(
        np.eye(n),
        np.zeros(n),
        np.ones((1, n)),
        np.ones(1),
        np.ones(1),
        np.zeros(n),
        np.full(n, 0.5 / n),
    )
    assert_infeasible(problem, qp.solve(*problem.arguments))


@pytest.mark.parametrize("excess", [1e-6, 1e-3])
def test_a_near_miss_is_still_infeasible(excess: float) -> None:
    n = 10
    problem = Problem(
        np.eye(n),
        np.zeros(n),
        np.ones((1, n)),
        np.ones(1),
        np.ones(1),
        np.zeros(n),
        np.full(n, (1 - excess) / n),
    )
    assert_infeasible(problem, qp.solve(*problem.arguments))


def test_a_budget_that_the_caps_just_reach_is_feasible() -> None:
    n = 10
    result = qp.solve(np.eye(n), np.zeros(n), np.ones((1, n)), [1.0], [1.0], 0.0, 0.1)
    assert result.status == "optimal"
    assert result.x.tolist() == pytest.approx([0.1] * n, abs=1e-12)


def test_rows_in_conflict() -> None:
    A = np.array([[1.0, 1.0, 0.0], [1.0, 1.0, 0.0]])
    free = np.full(3, np.inf)
    problem = Problem(
        np.zeros((3, 3)),
        np.ones(3),
        A,
        np.array([1.0, -np.inf]),
        np.array([np.inf, 0.5]),
        -free,
        free,
    )
    assert_infeasible(problem, qp.solve(*problem.arguments))


@pytest.mark.parametrize("n", [2, 300])
def test_returns_without_risk_or_caps_are_unbounded(n: int) -> None:
    """Long the best name, short the worst, on borrowed money: the budget holds and the return has no end."""
    free = np.full(n, np.inf)
    problem = Problem(
        np.zeros((n, n)),
        -np.linspace(0, 1, n),
        np.ones((1, n)),
        np.ones(1),
        np.ones(1),
        -free,
        free,
    )
    assert_unbounded(problem, qp.solve(*problem.arguments))


def test_costs_can_bound_what_returns_do_not() -> None:
    cost = (np.zeros(2), np.array([2.0, 0.0]), np.array([0.0, 0.5]))
    flat = np.zeros((2, 2))
    assert qp.solve(flat, [-1.0, 0.0], cost=cost).status == "optimal"
    assert qp.solve(flat, [-3.0, 0.0], cost=cost).status == "unbounded"
