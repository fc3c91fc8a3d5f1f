"""Frontiers and risk parity."""

import csv
import gzip
import io
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ketgate_server.optimization.base import Status, StopReason
from ketgate_server.optimization.portfolio import estimators, frontier_discrete
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.covariance import Dense
from ketgate_server.optimization.portfolio.discrete import Searched, search

from .conftest import RecordingTask

ROOT = Path(__file__).parents[4]
INSTANCES = ROOT / "tests" / "instances" / "portfolio_frontier"
PRICES = ROOT / "clients" / "python" / "ketgate" / "demo" / "sp500.csv.gz"
BOOK = m.Book(np.full(6, 1 / 6), np.zeros(6), np.zeros(6))
COSTLY = m.Book(np.full(6, 1 / 6), np.full(6, 0.001), np.full(6, 0.001))


def hang_seng(objective: m.Objective) -> m.PortfolioProblem:
    rows = [
        line.split() for line in (INSTANCES / "port1.txt").read_text().splitlines() if line.strip()
    ]
    size = int(rows[0][0])
    moments = np.array([[float(x) for x in row] for row in rows[1 : size + 1]])
    correlation = np.eye(size)
    for i, j, value in rows[size + 1 :]:
        correlation[int(i) - 1, int(j) - 1] = correlation[int(j) - 1, int(i) - 1] = float(value)
    covariance = correlation * np.outer(moments[:, 1], moments[:, 1])
    return m.PortfolioProblem(
        Dense(covariance), objective, m.Constraints.of(size), expected_returns=moments[:, 0].copy()
    )


def test_frontier_of_the_hang_seng_set_is_the_published_one(solve: Any) -> None:
    problem = hang_seng(m.EfficientFrontier(1000))
    frontier = solve(problem).frontier
    published = np.loadtxt(INSTANCES / "portef1_sample.txt")
    order = np.argsort(published[:, 0])
    returns, variances = published[order].T
    inside = (returns >= frontier.expected_returns[0]) & (returns <= frontier.expected_returns[-1])
    assert inside.sum() >= len(returns) - 2  # the ends are rounded to ten decimals
    ours = np.interp(returns[inside], frontier.expected_returns, frontier.volatilities**2)
    assert ours == pytest.approx(variances[inside], rel=2e-5)


def test_real_prices_give_a_frontier_on_which_the_single_solves_lie(solve: Any) -> None:
    if not PRICES.exists():
        pytest.skip("the demo's prices are not in this tree")
    with gzip.open(PRICES, "rt") as lines:
        rows = list(csv.reader(io.StringIO(lines.read())))
    prices = np.array([[float(x) for x in row[1:]] for row in rows[1:]])
    moments = estimators.estimate(prices, estimator=estimators.Estimator.LEDOIT_WOLF)
    size = prices.shape[1]
    problem = m.PortfolioProblem(
        Dense(moments.covariance),
        m.EfficientFrontier(20),
        m.Constraints.of(size, upper=0.3),
        expected_returns=moments.expected_returns,
    )
    frontier = solve(problem).frontier
    for weights in frontier.weights[::6]:
        one = replace(problem, objective=m.TargetReturn(float(moments.expected_returns @ weights)))
        best = one.evaluate(solve(one).solutions[0]).objective
        assert one.evaluate(weights).objective == pytest.approx(best, rel=1e-8)
    ratio = replace(problem, objective=m.MaximumSharpe(0.0))
    best = ratio.evaluate(solve(ratio).solutions[0]).objective
    assert (frontier.expected_returns / frontier.volatilities).max() <= best * (1 + 1e-12)


@pytest.mark.parametrize(
    "limits",
    [
        {},
        {"upper": 0.35},
        {"lower": -0.2, "upper": 0.5},
        {"book": BOOK, "turnover_max": 0.5},
        {"book": BOOK, "turnover_max": 0.5, "lower": 0.05, "upper": 0.4},
    ],
)
def test_corners_and_points_agree_with_the_walk(
    solve: Any, random_problem: Any, limits: dict[str, Any]
) -> None:
    problem = random_problem(m.EfficientFrontier(9), size=6, seed=8, **limits)
    line, walk = solve(problem, "critical-line"), solve(problem, "active-set")
    assert line.status is walk.status is Status.OPTIMAL
    for outcome in (line, walk):
        for weights in outcome.frontier.weights:
            assert problem.evaluate(weights).violation_max <= 1e-9
    assert line.frontier.expected_returns == pytest.approx(walk.frontier.expected_returns, abs=1e-8)
    assert line.frontier.volatilities == pytest.approx(walk.frontier.volatilities, abs=1e-8)
    assert line.frontier.corner_weights is not None
    assert (np.diff(line.frontier.corner_expected_returns) > 0).all()
    steps = np.diff(line.frontier.expected_returns)
    assert steps == pytest.approx(np.full(8, steps[0]), abs=1e-9)
    assert (np.diff(line.frontier.volatilities) > 0).all()


def test_costs_are_walked(solve: Any, random_problem: Any) -> None:
    problem = random_problem(m.EfficientFrontier(5), size=6, seed=8, book=COSTLY)
    outcome = solve(problem)
    assert outcome.status is Status.OPTIMAL
    assert outcome.frontier.corner_weights is None
    assert len(outcome.frontier.weights) == 5


def test_frontier_of_equal_returns_is_one_portfolio(solve: Any, random_problem: Any) -> None:
    problem = replace(
        random_problem(m.EfficientFrontier(5), size=4), expected_returns=np.full(4, 0.1)
    )
    frontier = solve(problem).frontier
    assert len(frontier.weights) == 1
    assert problem.evaluate(frontier.weights[0]).objective == pytest.approx(
        problem.evaluate(
            solve(replace(problem, objective=m.MinimumVariance())).solutions[0]
        ).objective
    )


@pytest.mark.parametrize("factors", [0, 3])
@pytest.mark.parametrize("size", [1, 2, 30])
def test_risk_is_shared_as_budgeted(
    solve: Any, random_problem: Any, size: int, factors: int
) -> None:
    budgets = np.random.default_rng(2).dirichlet(np.ones(size))
    problem = random_problem(m.RiskParity(budgets), size=size, seed=6, factors=factors)
    outcome = solve(problem)
    weights = outcome.solutions[0]
    assert outcome.status is Status.OPTIMAL
    assert problem.figures(weights).risk_shares == pytest.approx(budgets, abs=1e-10)
    assert weights.sum() == pytest.approx(1.0, abs=1e-12)
    assert (weights > 0).all()


def test_uneven_budgets_and_variances(solve: Any) -> None:
    """Twelve orders of magnitude between variances and eight between budgets."""
    budgets = np.array([1e-8, 1e-4, 1.0])
    budgets /= budgets.sum()
    scales = np.array([1e-6, 1.0, 1e6])
    correlation = np.array([[1.0, 0.9, -0.3], [0.9, 1.0, 0.1], [-0.3, 0.1, 1.0]])
    covariance = Dense(correlation * np.outer(scales, scales) ** 0.5)
    problem = m.PortfolioProblem(covariance, m.RiskParity(budgets), m.Constraints.of(3))
    weights = solve(problem).solutions[0]
    assert problem.figures(weights).risk_shares == pytest.approx(budgets, abs=1e-10)


def test_risk_parity_out_of_reach_of_its_budget_is_infeasible(
    solve: Any, random_problem: Any
) -> None:
    problem = random_problem(
        m.RiskParity(np.full(3, 1 / 3)), size=3, budget=m.Interval(2.9, 3.5), upper=1.0
    )
    assert solve(problem).status is Status.INFEASIBLE


def many_points(random_problem: Any) -> m.PortfolioProblem:
    """Each point takes a tree of its own."""
    asked = m.EfficientFrontier(points=6)
    return random_problem(asked, size=40, seed=2, names_max=4, position_min=0.02)  # type: ignore[no-any-return]


def test_a_discrete_frontier_shares_its_work(solve: Any, random_problem: Any) -> None:
    """The first point takes a sixth of the limit, not all of it; each other a share of what is left."""
    problem = many_points(random_problem)
    whole = solve(problem)
    assert whole.status is Status.OPTIMAL
    assert whole.work > 12
    cut = solve(problem, work_limit=12)
    assert cut.status is Status.FEASIBLE
    assert cut.stop_reason is StopReason.WORK_LIMIT
    assert len(cut.frontier.weights) == 6
    assert cut.work <= 12
    returns = cut.frontier.expected_returns
    assert (np.diff(returns) > -1e-9).all()
    assert (cut.frontier.variance_bounds <= cut.frontier.volatilities**2 + 1e-12).all()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """Of the time that a task has left; it moves only when somebody moves it."""
    left = [60.0]
    monkeypatch.setattr(RecordingTask, "remaining_s", property(lambda task: left[0]))
    return left


def test_a_discrete_frontier_shares_its_time(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], solve: Any, random_problem: Any
) -> None:
    """Each point is given an equal part; one that used its up is not the end."""
    shares: list[float] = []

    def searched(*given: Any, time_limit_s: float, **more: Any) -> Searched:
        shares.append(time_limit_s)
        found = search(*given, **more)
        clock[0] -= time_limit_s
        return replace(found, status=Status.FEASIBLE, out_of_time=True)

    monkeypatch.setattr(frontier_discrete, "search", searched)
    cut = solve(many_points(random_problem))
    assert shares == [10.0] * 6
    assert cut.status is Status.FEASIBLE
    assert cut.stop_reason is StopReason.TIME_LIMIT
    assert len(cut.frontier.weights) == 6


def test_what_the_points_leave_goes_to_those_not_proven(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], solve: Any, random_problem: Any
) -> None:
    """One hard point takes more than its share; the others need little, so all is proven in the end."""
    shares: list[float] = []

    def searched(*given: Any, time_limit_s: float, **more: Any) -> Searched:
        shares.append(time_limit_s)
        found = search(*given, **more)
        if len(shares) == 3 or time_limit_s < 10.0:
            clock[0] -= time_limit_s
            return replace(found, status=Status.FEASIBLE, out_of_time=True)
        clock[0] -= 1.0
        return found

    monkeypatch.setattr(frontier_discrete, "search", searched)
    whole = solve(many_points(random_problem))
    assert len(shares) == 7
    assert shares[-1] == clock[0] + 1.0  # all that is left
    assert whole.status is Status.OPTIMAL
    assert whole.stop_reason is StopReason.COMPLETED


def test_portfolios_of_a_cut_frontier_rise_in_return_and_variance(
    solve: Any, random_problem: Any
) -> None:
    """Where nothing is proven a point may be worse than one that returns more: then that serves it."""
    problem = many_points(random_problem)
    for limit in (1, 3, 7, 12, 20):
        cut = solve(problem, work_limit=limit).frontier
        assert (np.diff(cut.expected_returns) >= 0).all()
        assert (np.diff(cut.volatilities) >= 0).all()


def test_a_share_too_small_for_a_first_portfolio_grows(
    monkeypatch: pytest.MonkeyPatch, clock: list[float], solve: Any, random_problem: Any
) -> None:
    """A machine that has no time for us for a moment costs one point its share, not the frontier."""
    shares: list[float] = []

    def searched(*given: Any, time_limit_s: float, **more: Any) -> Searched:
        shares.append(time_limit_s)
        if time_limit_s < 20.0 and len(shares) < 5:
            return Searched(Status.NO_SOLUTION, out_of_time=True)
        return search(*given, **more)

    monkeypatch.setattr(frontier_discrete, "search", searched)
    whole = solve(many_points(random_problem))
    assert shares[:3] == [10.0, 10.0, 20.0]
    assert len(whole.frontier.weights) == 6
