"""Conflicts: found, told by their paths, and without a needless member."""

from typing import Any

import numpy as np
import pytest
from ketgate_server.optimization.base import Status
from ketgate_server.optimization.portfolio import mixed
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.conflict import constraints_of

BOOK = m.Book(np.array([1.0, 0.0, 0.0, 0.0, 0.0]), np.zeros(5), np.zeros(5))
ALL = np.arange(5)


def group(name: str, members: list[int], low: float, high: float) -> m.Group:
    return m.Group(name, np.array(members), np.ones(len(members)), m.Interval(low, high))


CASES: dict[str, tuple[m.Objective, dict[str, Any], set[str]]] = {
    "caps below the budget": (m.MinimumVariance(), {"upper": 0.15}, {"budget", "upper"}),
    "groups": (
        m.Utility(1.0),
        {
            "groups": (
                group("a", [0, 1], 0.7, 0.9),
                group("idle", [0], 0.0, 1.0),
                group("b", [2, 3], 0.6, 0.9),
            )
        },
        {"budget", "lower", "groups[0]", "groups[2]"},
    ),
    "target": (
        m.TargetReturn(5.0),
        {},
        {"objective.target_return.minimum_return", "budget", "lower"},
    ),
    "turnover": (
        m.MinimumVariance(),
        {"book": BOOK, "turnover_max": 0.1, "upper": 0.5},
        {"turnover_max", "upper"},
    ),
    "few names, small caps": (
        m.MinimumVariance(),
        {"names_max": 2, "position_min": 0.1, "upper": 0.3},
        {"budget", "upper", "cardinality.names_max"},
    ),
    "many names, large positions": (
        m.MinimumVariance(),
        {"names_min": 4, "position_min": 0.3},
        {"budget", "lower", "cardinality.names_min", "cardinality.position_min"},
    ),
    "lots miss the budget": (
        m.MinimumVariance(),
        {"lot_weights": 0.3},
        {"budget", "round_lots"},
    ),
    "turnover of the Sharpe ratio": (
        m.MaximumSharpe(0.0),
        {"book": BOOK, "turnover_max": 0.1, "upper": 0.5},
        {"turnover_max", "upper"},
    ),
    "frontier": (m.EfficientFrontier(5), {"upper": 0.1}, {"budget", "upper"}),
    "discrete frontier": (
        m.EfficientFrontier(5),
        {"names_max": 2, "upper": 0.3},
        {"budget", "upper", "cardinality.names_max"},
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_conflict_is_found_and_irreducible(solve: Any, random_problem: Any, case: str) -> None:
    objective, limits, expected = CASES[case]
    problem = random_problem(objective, size=5, **limits)
    outcome = solve(problem)
    assert outcome.status is Status.INFEASIBLE
    assert not outcome.solutions
    fields = {conflict.field for conflict in outcome.conflict}
    paths = {
        f"portfolio.{f}" if f.startswith("objective") else f"portfolio.constraints.{f}"
        for f in expected
    }
    assert fields == paths
    assert not mixed.feasible(problem, 10.0, fields)
    for left_out in fields:
        assert mixed.feasible(problem, 10.0, fields - {left_out})


def test_descriptions_say_what_is_demanded(solve: Any, random_problem: Any) -> None:
    problem = random_problem(
        m.MinimumVariance(), size=5, groups=(group("energy", [0, 1], 0.2, 0.3),), upper=0.15
    )
    told = {conflict.field: conflict for conflict in solve(problem).conflict}
    assert (
        told["portfolio.constraints.upper"].description == "upper bounds of the weights, 0.15 each"
    )
    stated = {constraint.field: constraint for constraint in constraints_of(problem)}
    energy = stated["portfolio.constraints.groups[0]"]
    assert energy.name == "energy"
    assert energy.description == "sum of the group at least 0.2 and at most 0.3"


def test_no_time_no_conflict_but_never_a_wrong_one(random_problem: Any, task: Any) -> None:
    from ketgate_server.optimization.portfolio.conflict import find_conflict

    problem = random_problem(m.MinimumVariance(), size=5, upper=0.15)
    assert find_conflict(problem, task(cancelled=True)) == ()
    assert find_conflict(random_problem(m.MinimumVariance(), size=5), task()) == ()


@pytest.mark.parametrize("name", ["clarabel", "highs-qp"])
def test_libraries_prove_it_too(solve: Any, random_problem: Any, name: str) -> None:
    outcome = solve(random_problem(m.MinimumVariance(), size=5, upper=0.15), name)
    assert outcome.status is Status.INFEASIBLE
    assert len(outcome.conflict) == 2
