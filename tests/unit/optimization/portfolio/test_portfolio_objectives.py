"""Continuous objectives against a plain interior-point oracle, and against one another."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from ketgate_server.optimization.base import Status
from ketgate_server.optimization.portfolio import continuous, sharpe
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.covariance import Dense, Factors
from ketgate_server.optimization.portfolio.program import program_of

SIZE = 8
BOOK = m.Book(np.full(SIZE, 1 / SIZE), np.full(SIZE, 0.002), np.full(SIZE, 0.003))
GROUPS = (
    m.Group("first", np.arange(3), np.ones(3), m.Interval(0.1, 0.2)),
    m.Group("mixed", np.array([2, 5, 7]), np.array([1.0, -2.0, 0.5]), m.Interval(-0.3, 0.1)),
)
SHAPES: dict[str, dict[str, Any]] = {
    "plain": {},
    "capped": {"upper": 0.3},
    "short": {"lower": -0.2, "upper": 0.4},
    "groups": {"groups": GROUPS},
    "costs": {"book": BOOK},
    "turnover": {"book": BOOK, "turnover_max": 0.4},
    "tight turnover": {"book": BOOK, "turnover_max": 0.01},
    "budget range": {"budget": m.Interval(0.5, 0.9), "upper": 0.4},
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factors", [0, 2])
@pytest.mark.parametrize(
    ("objective", "aversion", "returns"),
    [
        (m.MinimumVariance(), 2.0, 0.0),
        (m.Utility(4.0), 4.0, 1.0),
        (m.Utility(0.0), 0.0, 1.0),
        (m.TargetReturn(0.06), 2.0, 0.0),
    ],
)
def test_active_set_finds_what_an_interior_point_finds(
    solve: Any,
    random_problem: Any,
    oracle: Any,
    shape: str,
    factors: int,
    objective: m.Objective,
    aversion: float,
    returns: float,
) -> None:
    problem = random_problem(objective, size=SIZE, seed=5, factors=factors, **SHAPES[shape])
    outcome = solve(problem)
    _, best = oracle(problem, aversion, returns)
    sign = -1.0 if isinstance(objective, m.Utility) else 1.0
    found = sign * problem.evaluate(outcome.solutions[0]).objective
    assert outcome.status is Status.OPTIMAL
    assert found == pytest.approx(best, abs=3e-9)
    assert outcome.bound <= found
    assert found - outcome.bound <= 1e-9


@pytest.mark.parametrize("name", ["clarabel", "highs-qp"])
@pytest.mark.parametrize("shape", SHAPES)
def test_libraries_agree_with_the_kernel(
    solve: Any, random_problem: Any, name: str, shape: str
) -> None:
    problem = random_problem(m.Utility(4.0), size=SIZE, seed=5, **SHAPES[shape])
    ours, theirs = solve(problem), solve(problem, name)
    assert theirs.status in (Status.OPTIMAL, Status.FEASIBLE)
    expected = problem.evaluate(ours.solutions[0]).objective
    assert problem.evaluate(theirs.solutions[0]).objective == pytest.approx(expected, abs=1e-7)
    assert -theirs.bound >= expected - 1e-9  # an upper bound of what is best


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("factors", [0, 2])
def test_sharpe_ratio_is_that_of_the_homogenised_program(
    solve: Any, random_problem: Any, shape: str, factors: int
) -> None:
    problem = random_problem(
        m.MaximumSharpe(0.01), size=SIZE, seed=5, factors=factors, **SHAPES[shape]
    )
    ours, theirs = solve(problem), solve(problem, "clarabel")
    best = problem.evaluate(ours.solutions[0]).objective
    assert ours.status is Status.OPTIMAL
    assert best == pytest.approx(problem.evaluate(theirs.solutions[0]).objective, rel=1e-7)
    assert 0.0 <= -ours.bound - best <= 1e-9 * best


def test_sharpe_ratio_without_an_excess_return_is_infeasible(
    solve: Any, random_problem: Any
) -> None:
    outcome = solve(random_problem(m.MaximumSharpe(5.0), size=SIZE))
    assert outcome.status is Status.INFEASIBLE
    fields = [conflict.field for conflict in outcome.conflict]
    assert "portfolio.objective.maximum_sharpe.risk_free_rate" in fields


def test_sharpe_ratio_with_a_riskless_gain_is_unbounded(solve: Any) -> None:
    covariance = Dense(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    problem = m.PortfolioProblem(
        covariance, m.MaximumSharpe(0.0), m.Constraints.of(2), expected_returns=np.array([0.1, 0.2])
    )
    assert solve(problem).status is Status.UNBOUNDED


@given(st.integers(0, 10_000), st.sampled_from([0, 1, 3]), st.floats(0.0, 1.2))
@hypothesis_settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_turnover_limit_is_exact(
    task: Callable[..., Any], seed: int, factors: int, turnover_max: float
) -> None:
    """The limit is kept, used in full where it binds, and the multipliers prove the optimum."""
    rng = np.random.default_rng(seed)
    size = 6
    held = rng.dirichlet(np.ones(size))
    loadings = rng.normal(size=(size, max(factors, 1)))
    specific = rng.uniform(0.0, 0.2, size)
    covariance = (
        Factors(loadings, specific) if factors else Dense(loadings @ loadings.T + np.diag(specific))
    )
    problem = m.PortfolioProblem(
        covariance,
        m.Utility(1.0),
        m.Constraints.of(size, turnover_max=turnover_max),
        expected_returns=rng.normal(size=size),
        book=m.Book(held, np.zeros(size), np.zeros(size)),
    )
    found = continuous.solve(program_of(problem), task())
    assert found.status is Status.OPTIMAL
    assert found.weights is not None
    assert problem.evaluate(problem.polish(found.weights)).violation_max <= 1e-9
    assert found.objective - found.bound <= 1e-9 * (1.0 + abs(found.objective))


def test_bound_holds_for_any_multipliers(random_problem: Any) -> None:
    """The Lagrangian bound is below every feasible objective, however bad the point it is taken
    at.
    """
    rng = np.random.default_rng(3)
    problem = random_problem(m.Utility(3.0), size=SIZE, book=BOOK, turnover_max=0.5, groups=())
    program = program_of(problem)
    for _ in range(200):
        bound = program.lagrangian_bound(
            rng.normal(size=SIZE),
            rng.normal(size=len(program.rows.lower)),
            float(rng.uniform(0.0, 1.0)),
        )
        toward = rng.dirichlet(np.ones(SIZE))
        step = toward - BOOK.weights
        weights = BOOK.weights + step * min(1.0, 0.5 / np.abs(step).sum())
        assert bound <= program.objective(weights) + 1e-12


def test_sharpe_bound_is_above_every_ratio(random_problem: Any, task: Callable[..., Any]) -> None:
    problem = random_problem(m.MaximumSharpe(0.0), size=SIZE)
    bound = sharpe.maximise(problem, task()).bound
    rng = np.random.default_rng(4)
    ratios = [problem.objective_of(rng.dirichlet(np.ones(SIZE))) for _ in range(500)]
    assert max(ratios) <= bound


def test_cancelled_call_ends_at_once(solve: Any, random_problem: Any) -> None:
    outcome = solve(random_problem(m.MaximumSharpe(0.0), size=60), cancelled=True)
    assert outcome.status is Status.NO_SOLUTION


@pytest.mark.parametrize("size", [1, 2])
@pytest.mark.parametrize(
    "objective", [m.MinimumVariance(), m.Utility(1.0), m.TargetReturn(0.0), m.MaximumSharpe(0.0)]
)
def test_smallest_problems(
    solve: Any, random_problem: Any, size: int, objective: m.Objective
) -> None:
    outcome = solve(random_problem(objective, size=size))
    assert outcome.status is Status.OPTIMAL
    assert outcome.solutions[0].sum() == pytest.approx(1.0, abs=1e-12)


def test_zero_covariance(solve: Any) -> None:
    problem = m.PortfolioProblem(Dense(np.zeros((3, 3))), m.MinimumVariance(), m.Constraints.of(3))
    outcome = solve(problem)
    assert outcome.status is Status.OPTIMAL
    assert problem.evaluate(outcome.solutions[0]).objective == 0.0
