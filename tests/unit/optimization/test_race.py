"""The race itself, with solvers that fail, lie, hang and find one another's solutions."""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import pytest
from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.optimization.base import (
    Conflict,
    Outcome,
    ParameterSpec,
    Problem,
    ProblemKind,
    Proof,
    SolveOptions,
    Status,
    StopReason,
    Task,
)
from ketgate_server.optimization.clock import Clock
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.outcome import SolveResult
from ketgate_server.optimization.race import Race
from ketgate_server.optimization.run import Chosen
from ketgate_server.optimization.scoreboard import Improvement
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse

POLL = threading.Event()  # never set: a kernel that polls
Behaviour = Callable[[Problem, Task], Outcome]


class Scripted:
    """A solver that does as it is told."""

    description = "scripted"
    problems = frozenset({ProblemKind.ISING})
    proofs: frozenset[Proof] = frozenset()
    parameters: Sequence[ParameterSpec] = ()
    part = "native"
    work_unit = "steps"
    deterministic = True
    warm_start = False

    def __init__(self, name: str, behaviour: Behaviour) -> None:
        self.name = name
        self._behaviour = behaviour

    def unsuitable(self, problem: Problem) -> str | None:
        return None

    def memory_bytes(self, problem: Problem) -> int:
        return 0

    def solve(self, problem: Problem, task: Task) -> Outcome:
        return self._behaviour(problem, task)


def problem_of(*linear: float) -> IsingProblem:
    """Minimise linear'x over binaries."""
    empty = np.empty(0, np.int64)
    sparse = Sparse(empty, empty, np.empty(0))
    return IsingProblem(QuadraticFunction(Alphabet.BINARY, np.array(linear), sparse, 0.0))


def finds(*points: Sequence[int], status: Status = Status.FEASIBLE, **more: Any) -> Behaviour:
    def behave(problem: Problem, task: Task) -> Outcome:
        solutions = [np.array(point, dtype=np.uint8) for point in points]
        return Outcome(status, StopReason.COMPLETED, solutions, **more)

    return behave


def waits_for_the_end(problem: Problem, task: Task) -> Outcome:
    monitor = task.open_monitor(problem.size, lambda found: np.frombuffer(found, dtype=np.uint8))
    while not monitor.should_stop:
        POLL.wait(0.002)
    return Outcome(Status.NO_SOLUTION, task.stop_reason)


def fails(problem: Problem, task: Task) -> Outcome:
    raise RuntimeError("secret details")


def race(
    problem: IsingProblem,
    *behaviours: Behaviour,
    limit_s: float = 30.0,
    observed: bool = False,
    released: Callable[[], None] = lambda: None,
    **options: Any,
) -> Race:
    now = time.monotonic()
    chosen = [Chosen(Scripted(f"s{k}", behave), {}) for k, behave in enumerate(behaviours)]
    return Race(
        problem,
        chosen,
        SolveOptions(**options),
        Clock(now, now + limit_s, StopReason.TIME_LIMIT),
        seed=1,
        threads=1,
        observed=observed,
        release=released,
    )


def run(problem: IsingProblem, *behaviours: Behaviour, **options: Any) -> SolveResult:
    running = race(problem, *behaviours, **options)
    running.run()
    return running.result()


@pytest.fixture(autouse=True)
def quiet() -> Iterator[None]:
    logging.getLogger("ketgate.optimization").setLevel(logging.CRITICAL)
    yield
    logging.getLogger("ketgate.optimization").setLevel(logging.NOTSET)


def test_one_that_fails_leaves_the_others_running() -> None:
    result = run(problem_of(-1.0, 2.0), fails, finds([1, 0]))
    assert result.objective == -1.0
    assert [report.failure for report in result.runs] == ["RuntimeError", ""]


def test_when_all_fail_it_is_our_fault() -> None:
    running = race(problem_of(-1.0), fails, fails)
    running.problem.fallback = lambda: None  # type: ignore[method-assign]
    running.run()
    with pytest.raises(KetgateError) as fault:
        running.result()
    assert fault.value.reason is Reason.INTERNAL
    assert "secret" not in fault.value.message


def test_what_a_failed_run_had_offered_still_counts() -> None:
    def offers_then_fails(problem: Problem, task: Task) -> Outcome:
        task.offer(np.array([1, 0], dtype=np.uint8), work=5)
        raise RuntimeError

    result = run(problem_of(-1.0, 2.0), offers_then_fails)
    assert result.objective == -1.0
    assert result.status is Status.FEASIBLE
    assert result.runs[0].work == 5


def test_a_proof_stops_the_others() -> None:
    result = run(problem_of(-1.0), waits_for_the_end, finds([1], status=Status.OPTIMAL, bound=-1.0))
    assert result.status is Status.OPTIMAL
    assert result.stop_reason is StopReason.COMPLETED
    assert result.gap == 0.0


def test_a_solution_and_another_ones_bound_close_the_gap() -> None:
    def bounds(problem: Problem, task: Task) -> Outcome:
        task.offer_bound(-1.0)
        return waits_for_the_end(problem, task)

    result = run(problem_of(-1.0), bounds, finds([1]))
    assert result.status is Status.OPTIMAL
    assert result.stop_reason is StopReason.GAP


def test_the_target_stops_all() -> None:
    result = run(problem_of(-1.0), waits_for_the_end, finds([1]), target_objective=-0.5)
    assert result.stop_reason is StopReason.TARGET


def test_a_monitor_carries_incumbents_out_while_the_kernel_runs() -> None:
    def offers(problem: Problem, task: Task) -> Outcome:
        monitor = task.open_monitor(2, lambda found: np.frombuffer(found, dtype=np.uint8))
        monitor.offer(-1.0, bytes([1, 0]), 3)
        while not monitor.should_stop:
            POLL.wait(0.002)
        return Outcome(Status.NO_SOLUTION, task.stop_reason)

    running = race(problem_of(-1.0, 2.0), offers, observed=True)
    seen = []
    for event in running.events():
        if isinstance(event, Improvement):
            seen.append(event)
            running.cancel()
    assert seen[0].solution.objective == -1.0
    assert seen[0].solution.solver == "s0"
    assert running.result().objective == -1.0
    assert running.result().stop_reason is StopReason.CANCELLED


@pytest.mark.parametrize(
    "lie",
    [
        finds(status=Status.INFEASIBLE, conflict=[Conflict("x", "", "")]),
        finds([0, 1], status=Status.OPTIMAL, bound=1.0),
    ],
)
def test_a_claim_that_a_solution_refutes_is_dropped(lie: Behaviour) -> None:
    result = run(problem_of(-1.0, 1.0), finds([1, 0]), lie, work_limit=1)
    assert result.status is Status.FEASIBLE
    assert result.objective == -1.0
    assert result.bound is None
    assert not result.conflict
    assert "s1 claimed a bound that a solution refutes" in result.warnings


@pytest.mark.parametrize("bad", [[2, 0], [1], [1, 0, 0]])
def test_what_is_no_solution_is_never_returned(bad: list[int]) -> None:
    result = run(problem_of(-1.0, 1.0), finds(bad, [0, 1]))
    assert [s.values.tolist() for s in result.solutions] == [[0, 1]]


def test_equal_solutions_are_merged_and_counted() -> None:
    one = finds([1, 0], [0, 0], occurrences=[3, 1])
    two = finds([1, 0], [1, 1], occurrences=[4, 2])
    result = run(problem_of(-1.0, 0.5), one, two, pool_size=5)
    assert [s.objective for s in result.solutions] == [-1.0, -0.5, 0.0]
    assert [s.occurrences for s in result.solutions] == [7, 2, 1]
    assert result.solutions[0].solver == "s0"


def test_ties_are_ordered_by_bytes_whoever_found_them() -> None:
    a, b = finds([1, 0]), finds([0, 1])
    for order in ((a, b), (b, a)):
        result = run(problem_of(-1.0, -1.0), *order, pool_size=2, work_limit=1)
        assert [s.values.tolist() for s in result.solutions] == [[0, 1], [1, 0]]


def test_one_that_does_not_stop_is_left_behind_with_its_slot() -> None:
    released, may_end = threading.Event(), threading.Event()

    def hangs(problem: Problem, task: Task) -> Outcome:
        task.offer(np.array([1], dtype=np.uint8))
        may_end.wait(20.0)
        return Outcome(Status.NO_SOLUTION, StopReason.COMPLETED)

    running = race(problem_of(-1.0), hangs, limit_s=0.05, released=released.set)
    running.run()
    result = running.result()
    assert result.objective == -1.0
    assert result.stop_reason is StopReason.TIME_LIMIT
    assert result.runs[0].failure == "did not stop in time"
    assert not released.is_set()
    may_end.set()
    assert released.wait(20.0)


def test_a_cancelled_race_returns_what_it_has() -> None:
    running = race(problem_of(-1.0), waits_for_the_end)
    running.cancel()
    running.run()
    result = running.result()
    assert result.stop_reason is StopReason.CANCELLED
    assert result.objective == -1.0  # the answer without search


def test_the_initial_solution_takes_part() -> None:
    initial = np.array([[1, 0]], dtype=np.uint8)
    result = run(problem_of(-1.0, 1.0), finds([0, 0]), initial=initial)
    assert result.solutions[0].solver == "initial"
    assert result.objective == -1.0


def test_solvers_run_at_the_lowest_priority() -> None:
    seen: list[int] = []

    def looks(problem: Problem, task: Task) -> Outcome:
        import os

        seen.append(os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
        return Outcome(Status.NO_SOLUTION, StopReason.COMPLETED)

    run(problem_of(1.0), looks)
    assert seen == [19]


def test_a_proof_whose_solution_falls_through_the_check_proves_nothing() -> None:
    broken = finds([2, 0], status=Status.OPTIMAL, bound=-9.0)
    result = run(problem_of(-1.0, 1.0), broken, finds([0, 0]), work_limit=1)
    assert result.status is Status.FEASIBLE
    assert result.objective == 0.0
    assert result.bound == -9.0


def test_a_reported_bound_that_a_solution_refutes_is_dropped_when_its_solver_fails() -> None:
    def bounds_then_fails(problem: Problem, task: Task) -> Outcome:
        task.offer_bound(5.0)
        raise RuntimeError

    result = run(problem_of(-1.0, 1.0), bounds_then_fails, finds([1, 0]), work_limit=1)
    assert result.status is Status.FEASIBLE
    assert result.bound is None


@pytest.mark.parametrize("at_the_end", [finds(), finds([2, 0]), finds([0, 1])])
def test_what_was_told_on_the_way_is_in_the_answer(at_the_end: Behaviour) -> None:
    def offers(problem: Problem, task: Task) -> Outcome:
        task.offer(np.array([1, 0], dtype=np.uint8))
        return at_the_end(problem, task)

    problem = problem_of(-1.0, 1.0)
    problem.fallback = lambda: None  # type: ignore[method-assign]
    assert run(problem, offers).objective == -1.0


def test_the_answer_without_search_is_told_from_one_that_was_sent() -> None:
    assert run(problem_of(-1.0), finds()).solutions[0].solver == "fallback"


def test_what_a_failing_solver_says_of_the_request_reaches_the_caller() -> None:
    def refuses(problem: Problem, task: Task) -> Outcome:
        raise FieldError("spec.solvers", expected="another", given="this")

    def starves(problem: Problem, task: Task) -> Outcome:
        raise MemoryError

    for behaviours, kind in (
        ((fails, starves, refuses), FieldError),
        ((fails, starves), MemoryError),
    ):
        running = race(problem_of(-1.0), *behaviours)
        running.run()
        with pytest.raises(kind):
            running.result()


def test_the_slot_is_given_back_whatever_breaks(monkeypatch: pytest.MonkeyPatch) -> None:
    def exhausted(thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    released: list[str] = []
    problem = problem_of(-1.0)
    with monkeypatch.context() as patched:
        patched.setattr(threading.Thread, "start", exhausted)
        running = race(problem, finds([1]), released=lambda: released.append("no thread"))
        running.run()
    with pytest.raises(KetgateError):
        running.result()
    with monkeypatch.context() as patched:
        patched.setattr(problem, "evaluate", fails)
        running = race(
            problem,
            finds([1]),
            released=lambda: released.append("initial"),
            initial=np.ones((1, 1)),
        )
        with pytest.raises(TypeError):
            running.run()

    def closes_badly(problem: Problem, task: Task) -> Outcome:
        def decode(found: bytes) -> Any:
            raise MemoryError

        task.open_monitor(1, decode).offer(-1.0, bytes([1]))
        raise RuntimeError

    running = race(problem, closes_badly, released=lambda: released.append("close"))
    running.run()
    running.abandon()
    assert released == ["no thread", "initial", "close"]


def test_the_slot_is_held_until_the_answer_was_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Checking a large pool is heavy work too: it once ran beside the slots."""
    released: list[str] = []
    held_while_checking: list[bool] = []
    problem = problem_of(-1.0, -2.0)
    running = race(
        problem, finds([1, 1], [1, 0]), released=lambda: released.append("x"), pool_size=2
    )
    running.run()
    evaluate = problem.evaluate

    def watched(values: Any) -> Any:
        held_while_checking.append(not released)
        return evaluate(values)

    monkeypatch.setattr(problem, "evaluate", watched)
    running.result()
    assert held_while_checking == [True]  # the first was checked when the run ended
    assert released == ["x"]
    running.result()
    running.abandon()
    assert released == ["x"]


def test_nobody_waits_for_an_abandoned_race() -> None:
    released = threading.Event()
    running = race(problem_of(-1.0), waits_for_the_end, released=released.set)
    running.abandon()
    running.run()
    assert released.wait(20.0)


def test_set_up_lasts_until_a_monitor_is_opened(monkeypatch: pytest.MonkeyPatch) -> None:
    def opens(problem: Problem, task: Task) -> Outcome:
        assert not task.open_setup_monitor().should_stop
        POLL.wait(0.02)
        task.open_monitor(1, lambda found: np.frombuffer(found, dtype=np.uint8))
        POLL.wait(0.02)
        return finds([1])(problem, task)

    times = run(problem_of(-1.0), opens, finds([0])).times
    assert 0.02 <= times.preparing_s <= times.solving_s - 0.02


def test_gains_of_nothing_are_kept_but_not_told() -> None:
    """Incumbents that differ in the last bits once filled a stream; together they may still count."""

    def creeps(problem: Problem, task: Task) -> Outcome:
        for k in range(9):
            point = np.array([1, *(int(k >> bit & 1) for bit in range(4))], dtype=np.uint8)
            task.offer(point)
        return finds()(problem, task)

    step = 4e-10
    running = race(problem_of(-1.0, -step, -2 * step, -4 * step, -8 * step), creeps, observed=True)
    told = [e.solution.objective for e in running.events() if isinstance(e, Improvement)]
    assert told == [-1.0 - k * step for k in (0, 3, 6)]
    assert running.result().objective == -1.0 - 8 * step


def test_signs_of_life_keep_their_distance() -> None:
    def ends_after(seconds: float) -> Behaviour:
        def behave(problem: Problem, task: Task) -> Outcome:
            POLL.wait(seconds)
            return Outcome(Status.NO_SOLUTION, StopReason.COMPLETED)

        return behave

    running = race(problem_of(-1.0), *(ends_after(0.01 * k) for k in range(1, 9)), observed=True)
    events = list(running.events())
    assert len(events) <= 2  # eight runs ended within 0.1 s, and each of them woke the reader


def test_what_waits_for_a_slow_reader_is_bounded_in_bytes() -> None:
    wide = problem_of(*np.zeros(1_000_000))
    assert race(wide, finds()).board.improvements.maxlen == 2


def test_an_infeasible_answer_without_a_conflict_says_so() -> None:
    named = finds(status=Status.INFEASIBLE, conflict=[Conflict("x", "", "")])
    problem = problem_of(-1.0)
    assert not run(problem, named).warnings
    unnamed = run(problem, finds(status=Status.INFEASIBLE))
    assert unnamed.status is Status.INFEASIBLE
    assert any("no constraints are named" in warning for warning in unnamed.warnings)
