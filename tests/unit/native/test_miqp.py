"""Few names, minimum positions, lots: against brute force, and what every answer must keep."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from ketgate_native import miqp
from ketgate_native.monitor import Incumbent, Monitor

from .miqp_oracle import Problem, assert_feasible, brute_force, random_problem, solve

AGREE = 2e-7  # what the oracle's interior point is good for


def long_only(n: int, names: int, seed: int = 0, **changes: object) -> Problem:
    """A problem of the usual kind, with a factor covariance."""
    g = np.random.default_rng(seed)
    loadings = g.normal(size=(n, 3))
    zero = np.zeros(n)
    p = Problem(
        loadings @ loadings.T + np.diag(g.uniform(0.5, 1.5, n)), -g.uniform(0, 1, n),
        np.ones((1, n)), np.ones(1), np.ones(1), zero, np.ones(n), names, 0,
        np.full(n, 0.05), zero, zero, zero, zero, np.inf,
    )  # fmt: skip
    return dataclasses.replace(p, **changes)  # type: ignore[arg-type]


@settings(max_examples=60)
@given(seed=st.integers(0, 10**6))
def test_it_proves_what_brute_force_finds(seed: int) -> None:
    p = random_problem(seed)
    expected = brute_force(p)
    result = solve(p)
    if expected == np.inf:
        assert result.status == "infeasible"
        assert result.x is None
        assert result.bound == np.inf
        return
    assert result.status == "optimal"
    assert result.x is not None
    assert abs(result.objective - expected) <= AGREE * (1 + abs(expected))
    assert result.bound <= result.objective
    assert result.objective == pytest.approx(p.value(result.x), rel=1e-12, abs=1e-13)
    for point in result.pool:
        assert_feasible(p, point.x)


def test_every_small_problem_is_settled_quickly() -> None:
    """Singular forms, dependent rows, degenerate ties: relaxations that cycle show as pivots, weak leaves as a status
    without proof."""
    for seed in range(1500):
        result = solve(random_problem(seed), nodes_max=2000)
        assert result.status != "stopped", seed
        assert result.iterations < 2000, seed


@settings(max_examples=30)
@given(seed=st.integers(0, 10**6))
def test_without_avx2_it_proves_the_same(seed: int) -> None:
    p = random_problem(seed)
    best, base = solve(p), solve(p, isa="base")
    assert best.status == base.status
    if best.x is not None:
        assert base.objective == pytest.approx(best.objective, rel=1e-7, abs=1e-10)


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_more_nodes_are_never_worse(seed: int) -> None:
    p = long_only(24, 4, seed)
    best, bound = np.inf, -np.inf
    for nodes in (0, 1, 2, 5, 10, 20, 50, 1000):
        result = solve(p, nodes_max=nodes)
        assert result.nodes <= nodes
        assert result.objective <= best
        assert result.bound >= bound
        assert result.bound <= result.objective
        best, bound = result.objective, result.bound
    assert result.status == "optimal"


@settings(max_examples=20)
@given(seed=st.integers(0, 10**6))
def test_the_order_of_names_does_not_matter(seed: int) -> None:
    p = random_problem(seed)
    order = np.random.default_rng(seed).permutation(len(p.linear))
    swapped = dataclasses.replace(
        p, quadratic=p.quadratic[np.ix_(order, order)], rows=p.rows[:, order],
        **{f: getattr(p, f)[order] for f in
           ("linear", "lower", "upper", "position_min", "lot", "book", "buy", "sell")},
    )  # fmt: skip
    assert solve(swapped).status == solve(p).status
    assert solve(swapped).objective == pytest.approx(solve(p).objective, rel=1e-7, abs=1e-9)


def drained(monitor: Monitor) -> list[Incumbent]:
    """Everything offered to a finished monitor."""
    found = []
    try:
        while incumbent := monitor.take():
            found.append(incumbent)
    except StopIteration:
        return found
    raise AssertionError("the monitor is not finished")


def test_incumbents_stream_with_bounds_below_the_optimum() -> None:
    p = long_only(60, 5, 3)
    monitor = Monitor(8 * 60)
    result = solve(p, monitor)
    monitor.finish()
    seen = drained(monitor)
    assert result.x is not None
    assert seen[-1].objective == result.objective
    assert np.array_equal(np.frombuffer(seen[-1].solution), result.x)
    for incumbent in seen:
        x = np.frombuffer(incumbent.solution)
        assert_feasible(p, x)
        assert incumbent.bound <= result.objective <= incumbent.objective
        assert incumbent.objective == pytest.approx(p.value(x), rel=1e-12)
    assert [s.objective for s in seen] == sorted((s.objective for s in seen), reverse=True)
    assert monitor.bound <= result.objective


def test_the_pool_is_distinct_and_sorted() -> None:
    p = long_only(40, 4, 5)
    result = solve(p, pool_max=8)
    objectives = [s.objective for s in result.pool]
    assert objectives == sorted(objectives)
    assert len(result.pool) <= 8
    assert len({s.x.tobytes() for s in result.pool}) == len(result.pool)
    assert result.pool[0].objective == result.objective


def test_the_same_request_visits_the_same_nodes() -> None:
    p = long_only(60, 6, 11)
    first, second = solve(p), solve(p)
    assert (first.nodes, first.iterations) == (second.nodes, second.iterations)
    assert first.x is not None
    assert second.x is not None
    assert first.x.tobytes() == second.x.tobytes()
    assert first.bound == second.bound


def test_a_start_is_used() -> None:
    p = long_only(30, 4, 7)
    best = solve(p)
    again = solve(p, nodes_max=0, initial=best.x)
    assert again.objective <= best.objective


def test_a_start_that_is_not_feasible_names_the_names() -> None:
    p = long_only(30, 4, 7)
    best = solve(p)
    assert best.x is not None
    hint = np.where(best.x != 0, 1.0, 0.0)
    monitor = Monitor(8 * 30)
    again = solve(p, monitor, nodes_max=0, initial=hint)
    assert again.objective == pytest.approx(best.objective, rel=1e-9)
    first = monitor.take()
    assert first is not None
    assert first.objective == pytest.approx(best.objective, rel=1e-9)


def test_factor_form_is_the_dense_form() -> None:
    p = long_only(20, 4, 2)
    g = np.random.default_rng(1)
    loadings, diagonal = g.normal(size=(20, 3)), g.uniform(0.1, 1, 20)
    arguments = (p.linear, p.rows, p.row_lower, p.row_upper, 0.0, 1.0)
    factor = miqp.solve(miqp.Factor(loadings, diagonal), *arguments, cardinality_max=3)
    dense = miqp.solve(loadings @ loadings.T + np.diag(diagonal), *arguments, cardinality_max=3)
    assert factor.objective == pytest.approx(dense.objective, rel=1e-9)


@pytest.mark.parametrize("size", [1e-12, 1e-4, 1.0, 1e6, 1e12])
def test_the_scale_of_the_objective_does_not_matter(size: float) -> None:
    p = long_only(20, 3, 4)
    small = dataclasses.replace(p, quadratic=p.quadratic * size, linear=p.linear * size)
    assert solve(small).objective == pytest.approx(solve(p).objective * size, rel=1e-8)
    assert solve(small).status == "optimal"


def test_shares_in_thousands_are_like_weights() -> None:
    p = long_only(12, 3, 4)
    size = 1e5
    shares = dataclasses.replace(
        p, quadratic=p.quadratic / size**2, linear=p.linear / size, row_lower=p.row_lower * size,
        row_upper=p.row_upper * size, upper=p.upper * size, position_min=p.position_min * size,
        lot=np.full(12, 100.0),
    )  # fmt: skip
    result = solve(shares)
    assert result.status == "optimal"
    assert result.x is not None
    assert_feasible(shares, result.x, 1e-9 * size)
    assert result.objective == pytest.approx(solve(p).objective, rel=1e-4)
