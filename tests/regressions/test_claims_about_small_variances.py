"""A false claim about a variance of 1e-4 stood, as what refutes a claim was 1e-6 at least.

A daily variance is about 1e-4, so a bound one percent above a solution at hand went for rounding. What
refutes is now relative to the parts of the objective. A bound that was reported on the way to a proof
that there is no solution was in the answer, too.
"""

import time

import numpy as np
import pytest
from ketgate_server.optimization.base import Outcome, SolveOptions, Status, StopReason, Task
from ketgate_server.optimization.outcome import SolveResult
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.active_set import ActiveSet
from ketgate_server.optimization.portfolio.covariance import Dense
from ketgate_server.optimization.race import Clock, Race
from ketgate_server.optimization.run import Chosen


class Claims(ActiveSet):
    """A solver that says what it is told to, and gives equal weights as its best."""

    def __init__(self, status: Status, bound: float) -> None:
        self._status = status
        self._bound = bound

    def solve(self, problem: object, task: Task) -> Outcome:
        task.offer_bound(self._bound)
        found = (np.array([0.5, 0.5]),) if self._status is Status.OPTIMAL else ()
        return Outcome(self._status, StopReason.COMPLETED, found, bound=self._bound)


def answer(status: Status, bound: float) -> SolveResult:
    problem = m.PortfolioProblem(
        Dense(np.diag([1e-4, 1e-4])), m.MinimumVariance(), m.Constraints.of(2)
    )
    now = time.monotonic()
    race = Race(
        problem,
        [Chosen(Claims(status, bound), {})],
        SolveOptions(),
        Clock(now, now + 30.0, StopReason.TIME_LIMIT),
        seed=1,
        threads=1,
        observed=False,
        release=lambda: None,
    )
    race.run()
    return race.result()


def test_a_bound_one_percent_above_a_solution_is_refuted() -> None:
    result = answer(Status.OPTIMAL, 0.5e-4 * 1.01)
    assert result.objective == pytest.approx(0.5e-4)
    assert result.status is Status.FEASIBLE
    assert result.bound is None
    assert any("refutes" in warning for warning in result.warnings)


def test_a_bound_a_rounding_above_a_solution_is_not() -> None:
    result = answer(Status.OPTIMAL, 0.5e-4 * (1.0 + 1e-12))
    assert result.status is Status.OPTIMAL
    assert result.bound == result.objective


def test_without_a_solution_there_is_nothing_to_bound() -> None:
    result = answer(Status.INFEASIBLE, -1.0)
    assert result.status is Status.INFEASIBLE
    assert result.bound is None
