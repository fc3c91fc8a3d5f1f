"""What the tests of portfolios share: a task that records, random problems, and a plain conic
oracle.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import clarabel
import numpy as np
import pytest
from ketgate_native.monitor import Monitor
from ketgate_server.optimization.base import Outcome, Solver, StopReason
from ketgate_server.optimization.portfolio import model as m
from ketgate_server.optimization.portfolio.covariance import Dense, Factors
from ketgate_server.optimization.portfolio.solvers import SOLVERS, choose
from scipy import sparse


@dataclass
class RecordingTask:
    """Implements base.Task, and keeps what was reported."""

    time_limit_s: float = 60.0
    seed: int = 1
    threads: int = 1
    work_limit: int = 0
    pool_size: int = 1
    parameters: dict[str, Any] = field(default_factory=dict)
    initial: np.ndarray | None = None
    target: float | None = None
    gap_relative: float = 1e-9
    gap_absolute: float = 0.0
    feasibility_tolerance: float = 1e-9
    cancelled: bool = False
    offers: list[np.ndarray] = field(default_factory=list)
    bounds: list[float] = field(default_factory=list)
    start_s: float = field(default_factory=time.monotonic)
    monitors: list[tuple[Monitor, Any]] = field(default_factory=list)

    def open_monitor(self, solution_bytes: int, decode: Any, *, report: bool = True) -> Monitor:
        limits = {"target": self.target, "gap_relative": self.gap_relative} if report else {}
        monitor = Monitor(solution_bytes, time_limit_s=max(0.0, self.remaining_s), **limits)
        if self.cancelled:
            monitor.cancel()
        if report:
            self.monitors.append((monitor, decode))
        return monitor

    def offer(self, values: np.ndarray, *, work: int = 0) -> None:
        self.offers.append(values)

    def offer_bound(self, bound: float, *, work: int = 0) -> None:
        self.bounds.append(bound)

    @property
    def should_stop(self) -> bool:
        return self.cancelled or self.remaining_s <= 0.0

    @property
    def stop_reason(self) -> StopReason:
        if self.cancelled:
            return StopReason.CANCELLED
        return StopReason.TIME_LIMIT if self.remaining_s <= 0.0 else StopReason.COMPLETED

    @property
    def deadline_reason(self) -> StopReason:
        return StopReason.TIME_LIMIT

    @property
    def remaining_s(self) -> float:
        return self.start_s + self.time_limit_s - time.monotonic()


@pytest.fixture
def task() -> type[RecordingTask]:
    return RecordingTask


def solver_named(name: str) -> Solver:
    return next(solver for solver in SOLVERS if solver.name == name)


@pytest.fixture
def solve() -> Callable[..., Outcome]:
    """Solve by the named solver, or the one that would be chosen; every solution is checked."""

    def run(problem: m.PortfolioProblem, solver: str = "", **limits: Any) -> Outcome:
        chosen = solver_named(solver or choose(problem)[0])
        assert chosen.unsuitable(problem) is None
        assert problem.kind in chosen.problems
        given = RecordingTask(**limits)
        outcome = chosen.solve(problem, given)
        for weights in (*outcome.solutions, *given.offers):
            polished = problem.polish(weights)
            assert problem.evaluate(polished).violation_max <= given.feasibility_tolerance
            assert (problem.polish(polished) == polished).all()
        return outcome

    return run


@pytest.fixture
def random_problem() -> Callable[..., m.PortfolioProblem]:
    """A problem of the given objective with correlated names; constraints as keywords of
    Constraints.of.
    """

    def make(
        objective: m.Objective,
        *,
        size: int = 6,
        seed: int = 0,
        factors: int = 0,
        book: m.Book | None = None,
        **limits: Any,
    ) -> m.PortfolioProblem:
        rng = np.random.default_rng(seed)
        loadings = rng.normal(size=(size, factors or 3)) * 0.1
        specific = rng.uniform(0.005, 0.05, size)
        covariance: Dense | Factors
        if factors:
            covariance = Factors(loadings, specific, np.diag(rng.uniform(0.5, 2.0, factors)))
        else:
            covariance = Dense(loadings @ loadings.T + np.diag(specific))
        expected = rng.uniform(0.0, 0.2, size)
        return m.PortfolioProblem(
            covariance,
            objective,
            m.Constraints.of(size, **limits),
            expected_returns=expected,
            book=book,
        )

    return make


@pytest.fixture
def oracle() -> Callable[..., tuple[np.ndarray, float]]:
    """A plain interior-point solution, written for the tests alone: everything dense, trades
    split.
    """

    def minimum(
        problem: m.PortfolioProblem, aversion: float, returns: float
    ) -> tuple[np.ndarray, float]:
        """(weights, objective) of aversion / 2 w'Cw - returns * mu'w + cost over the continuous
        constraints.
        """
        size = problem.size
        limits = problem.constraints
        book = problem.book or m.Book(np.zeros(size), np.zeros(size), np.zeros(size))
        expected = problem.expected_returns
        assert expected is not None
        P = sparse.block_diag(
            (aversion * problem.covariance.dense(), sparse.csc_matrix((2 * size, 2 * size)))
        )
        q = np.concatenate((-returns * expected, book.buy_cost, book.sell_cost))
        eye, none = np.eye(size), np.zeros((size, size))
        equal = [np.hstack((eye, -eye, eye))]
        equal_right = [book.weights]
        below = [np.hstack((none, -eye, none)), np.hstack((none, none, -eye))]
        below_right = [np.zeros(size), np.zeros(size)]

        def add(row: np.ndarray, low: float, high: float) -> None:
            wide = np.concatenate((row, np.zeros(2 * size)))[None, :]
            if np.isfinite(high):
                below.append(wide)
                below_right.append(np.array([high]))
            if np.isfinite(low):
                below.append(-wide)
                below_right.append(np.array([-low]))

        for k in range(size):
            add(eye[k], limits.lower[k], limits.upper[k])
        add(np.ones(size), limits.budget.lower, limits.budget.upper)
        for group in limits.groups:
            row = np.zeros(size)
            row[group.members] = group.coefficients
            add(row, group.interval.lower, group.interval.upper)
        if isinstance(problem.objective, m.TargetReturn):
            add(expected, problem.objective.minimum_return, np.inf)
        if limits.turnover_max is not None:
            below.append(np.concatenate((np.zeros(size), np.ones(2 * size)))[None, :])
            below_right.append(np.array([limits.turnover_max]))
        A = sparse.csc_matrix(np.vstack((*equal, *below)))
        right = np.concatenate((*equal_right, *below_right))
        cones = [clarabel.ZeroConeT(size), clarabel.NonnegativeConeT(len(right) - size)]
        settings = clarabel.DefaultSettings()
        settings.verbose = False
        settings.tol_gap_abs = settings.tol_gap_rel = settings.tol_feas = 1e-11
        found = clarabel.DefaultSolver(
            sparse.triu(P, format="csc"), q, A, right, cones, settings
        ).solve()
        if str(found.status) == "PrimalInfeasible":
            return np.full(size, np.nan), np.inf
        return np.array(found.x)[:size], float(found.obj_val)

    return minimum
