"""Discrete portfolios against enumeration of the names held, or of the lots."""

import itertools
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from ketgate_server.optimization.base import Status, StopReason
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.branch_and_bound import POOL_WARNING

from .conftest import solver_named

SIZE = 5
BOOK = m.Book(np.full(SIZE, 1 / SIZE), np.full(SIZE, 0.002), np.full(SIZE, 0.003))
FEW: dict[str, dict[str, Any]] = {
    "few": {"names_max": 2, "position_min": 0.1},
    "exactly three": {"names_max": 3, "names_min": 3, "position_min": 0.15},
    "costs": {"names_max": 3, "position_min": 0.1, "book": BOOK},
    "turnover": {"names_max": 4, "position_min": 0.1, "book": BOOK, "turnover_max": 0.7},
    "group": {
        "names_max": 2,
        "position_min": 0.1,
        "groups": (m.Group("g", np.array([0, 1]), np.ones(2), m.Interval(0.0, 0.3)),),
    },
}
OBJECTIVES = {
    "variance": (m.MinimumVariance(), 2.0, 0.0),
    "utility": (m.Utility(4.0), 4.0, 1.0),
    "straight utility": (m.Utility(0.0), 0.0, 1.0),
    "target": (m.TargetReturn(0.08), 2.0, 0.0),
}


def supports(problem: m.PortfolioProblem) -> Any:
    """The continuous problems, one for each set of names that may be held."""
    limits = problem.constraints
    for chosen in itertools.product([0, 1], repeat=problem.size):
        held = np.array(chosen, dtype=bool)
        if (limits.names_max and held.sum() > limits.names_max) or held.sum() < limits.names_min:
            continue
        inner = replace(
            limits,
            names_max=0,
            names_min=0,
            position_min=0.0,
            lower=np.where(held, limits.position_min, 0.0),
            upper=np.where(held, limits.upper, 0.0),
        )
        yield replace(problem, constraints=inner)


@pytest.mark.parametrize("shape", FEW)
@pytest.mark.parametrize("name", OBJECTIVES)
@pytest.mark.parametrize("seed", [1, 2])
def test_proven_best_of_all_supports(
    solve: Any, random_problem: Any, oracle: Any, shape: str, name: str, seed: int
) -> None:
    objective, aversion, returns = OBJECTIVES[name]
    problem = random_problem(objective, size=SIZE, seed=seed, **FEW[shape])
    best = min(oracle(inner, aversion, returns)[1] for inner in supports(problem))
    outcome = solve(problem)
    if np.isinf(best):
        assert outcome.status is Status.INFEASIBLE
        return
    sign = -1.0 if isinstance(objective, m.Utility) else 1.0
    found = sign * problem.evaluate(outcome.solutions[0]).objective
    assert outcome.status is Status.OPTIMAL
    assert found == pytest.approx(best, abs=1e-8)
    assert outcome.bound <= found + 1e-12
    assert outcome.bound == pytest.approx(found, abs=1e-8)


@pytest.mark.parametrize("shape", FEW)
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_sharpe_ratio_is_the_best_of_all_supports(
    solve: Any, random_problem: Any, shape: str, seed: int
) -> None:
    problem = random_problem(m.MaximumSharpe(0.01), size=SIZE, seed=seed, **FEW[shape])
    ratios = []
    for inner in supports(problem):
        outcome = solve(inner)
        ratios += [inner.evaluate(w).objective for w in outcome.solutions]
    outcome = solve(problem)
    best = problem.evaluate(outcome.solutions[0]).objective
    assert best == pytest.approx(max(ratios), rel=1e-8)
    assert -outcome.bound >= best * (1.0 - 1e-9)
    assert outcome.status is Status.OPTIMAL


def test_round_lots_are_the_best_of_the_grid(solve: Any, random_problem: Any) -> None:
    lots = np.array([0.07, 0.11, 0.13])
    problem = random_problem(
        m.MinimumVariance(), size=3, seed=4, lot_weights=lots, budget=m.Interval(0.9, 1.0)
    )
    grid = [lots * count for count in itertools.product(range(15), repeat=3)]
    allowed = [problem.evaluate(w) for w in grid]
    best = min(found.objective for found in allowed if found.violation_max <= 1e-9)
    outcome = solve(problem)
    assert outcome.status is Status.OPTIMAL
    assert problem.evaluate(outcome.solutions[0]).objective == pytest.approx(best, abs=1e-12)
    figures = problem.figures(outcome.solutions[0])
    assert figures.lots is not None
    assert (figures.lots * lots == outcome.solutions[0]).all()


def test_shorts_count_as_names_and_keep_the_least_position(solve: Any, random_problem: Any) -> None:
    problem = random_problem(
        m.Utility(2.0), size=6, seed=3, lower=-0.3, upper=0.6, names_max=3, position_min=0.05
    )
    weights = solve(problem).solutions[0]
    held = weights[weights != 0.0]
    assert 1 <= len(held) <= 3
    assert (np.abs(held) >= 0.05).all()


def test_discrete_frontier_is_the_target_return_problems(solve: Any, random_problem: Any) -> None:
    limits = {"names_max": 3, "position_min": 0.1}
    problem = random_problem(m.EfficientFrontier(5), size=6, seed=2, **limits)
    outcome = solve(problem)
    frontier = outcome.frontier
    assert outcome.status is Status.OPTIMAL
    assert frontier.corner_weights is None
    assert (np.diff(frontier.expected_returns) > -1e-9).all()
    assert (np.diff(frontier.volatilities) > -1e-9).all()
    for weights, bound in zip(frontier.weights, frontier.variance_bounds, strict=True):
        target = float(problem.expected_returns @ weights)
        one = replace(problem, objective=m.TargetReturn(target - 1e-9))
        best = one.evaluate(solve(one).solutions[0]).objective
        assert one.evaluate(weights).objective == pytest.approx(best, abs=1e-8)
        assert bound <= best + 1e-8


def test_more_nodes_are_never_worse(solve: Any, random_problem: Any) -> None:
    problem = random_problem(
        m.Utility(3.0), size=25, seed=9, lot_weights=0.03, budget=m.Interval(0.95, 1.0)
    )
    last, bound = -np.inf, np.inf
    for work_limit in (1, 10, 100, 1000):
        outcome = solve(problem, work_limit=work_limit)
        if outcome.solutions:
            objective = problem.evaluate(outcome.solutions[0]).objective
            assert objective >= last - 1e-15
            last = objective
        assert -outcome.bound <= bound + 1e-12
        bound = -outcome.bound
        assert last <= bound + 1e-12
        if outcome.status is not Status.OPTIMAL:
            assert outcome.stop_reason is StopReason.WORK_LIMIT


def test_same_seed_same_bytes(solve: Any, random_problem: Any) -> None:
    problem = random_problem(m.MaximumSharpe(0.0), size=20, seed=7, names_max=4, position_min=0.05)
    first, second = solve(problem, seed=3, work_limit=200), solve(problem, seed=3, work_limit=200)
    assert first.solutions[0].tobytes() == second.solutions[0].tobytes()
    assert first.bound == second.bound


def test_evaluation_is_exact_about_names_positions_and_lots(random_problem: Any) -> None:
    problem = random_problem(m.MinimumVariance(), size=3, names_max=2, position_min=0.25)
    good = np.array([0.25, 0.75, 0.0])
    assert problem.evaluate(good).violation_max == 0.0
    assert np.isinf(problem.evaluate(np.array([np.nextafter(0.25, 0), 0.75, 0.0])).violation_max)
    assert np.isinf(problem.evaluate(np.array([0.25, 0.375, 0.375])).violation_max)
    lots = random_problem(m.MinimumVariance(), size=2, lot_weights=np.array([0.1, 0.0]))
    assert lots.evaluate(np.array([3 * 0.1, 0.7])).violation_max == pytest.approx(0.0, abs=1e-15)
    assert np.isinf(
        lots.evaluate(np.array([0.3, 0.7])).violation_max
    )  # 0.3 is not 3 * 0.1 in floats
    assert lots.polish(np.array([0.3, 0.7]))[0] == 3 * 0.1
    assert np.isinf(lots.evaluate(np.array([np.nan, 1.0])).violation_max)


def test_why_a_search_ended_is_told(random_problem: Any, solve: Any) -> None:
    """The kernel's own end at a target or a gap was once told as COMPLETED."""
    problem = random_problem(m.MinimumVariance(), size=40, seed=1, names_max=4, position_min=0.05)
    proven = solve(problem)
    assert (proven.status, proven.stop_reason) == (Status.OPTIMAL, StopReason.COMPLETED)
    best = problem.evaluate(proven.solutions[0]).objective
    reached = solve(problem, target=best * 1.5)
    assert reached.stop_reason is StopReason.TARGET
    near = solve(problem, gap_relative=0.9)
    assert (near.status, near.stop_reason) == (Status.OPTIMAL, StopReason.GAP)


def test_a_pool_says_that_only_its_first_is_proven(solve: Any, random_problem: Any) -> None:
    problem = random_problem(m.MinimumVariance(), size=12, seed=1, names_max=3, position_min=0.1)
    assert solve(problem).warnings == ()
    several = solve(problem, pool_size=5)
    assert len(several.solutions) > 1
    assert several.warnings == (POOL_WARNING,)


def test_no_return_at_all_is_no_ratio(solve: Any, random_problem: Any) -> None:
    """As without discrete constraints: what a library's tolerance hides is no excess return."""
    problem = random_problem(m.MaximumSharpe(0.0), seed=1, names_max=3)
    outcome = solve(replace(problem, expected_returns=np.zeros(problem.size)))
    assert outcome.status is Status.INFEASIBLE
    assert outcome.bound is None


def test_memory_and_checks_grow_with_the_matrix(random_problem: Any) -> None:
    """Five times the names, 25 times the matrix: of the kernel, and of each solution that is checked."""
    small, large = (
        random_problem(m.MinimumVariance(), size=size, names_max=3) for size in (200, 1000)
    )
    solver = solver_named("branch-and-bound")
    grown = solver.memory_bytes(large) - solver.memory_bytes(small)
    assert grown >= 5 * 8 * (1000**2 - 200**2)
    assert 20 < large.terms / small.terms < 30
