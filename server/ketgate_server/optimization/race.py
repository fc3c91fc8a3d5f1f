"""Several solvers on one problem within one limit.

Each solver runs in a thread of its own at the lowest priority (threads are not reused; those that a
kernel starts inherit it). One that fails leaves the others running; one that does not stop in time
is left behind, and keeps its slot until it ends. The slot is held until the answer was checked too.
"""

import math
import threading
import time
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.optimization.base import (
    Outcome,
    Problem,
    SolveOptions,
    Status,
    StopReason,
    sense_sign,
)
from ketgate_server.optimization.clock import OVERSHOOT_S, Clock
from ketgate_server.optimization.outcome import SolveResult, TimeSplit, conclude
from ketgate_server.optimization.run import Chosen, Run
from ketgate_server.optimization.scoreboard import Goal, Improvement, Scoreboard
from ketgate_server.optimization.task import RunTask

PROGRESS_INTERVAL_S = 0.2
CHECK_S_PER_TERM = 3e-8
"""About what evaluating a solution costs for each variable and coefficient."""
INITIAL = "initial"
"""Stands in the place of a solver's name for a solution that came with the request."""
FALLBACK = "fallback"
"""And for one that took no search, where nothing else was found."""


@dataclass(frozen=True)
class Progress:
    """A sign of life."""

    elapsed_s: float
    bound: float
    objective: float | None
    """In the caller's sense."""
    work: int


class Race:
    """Runs once: run(), run_here() or events() to its end, and then result(); or abandon()."""

    def __init__(
        self,
        problem: Problem,
        chosen: Sequence[Chosen],
        options: SolveOptions,
        clock: Clock,
        *,
        seed: int,
        threads: int,
        observed: bool,
        release: Callable[[], None],
    ) -> None:
        """threads: for each solver. observed: events() will be read. release: gives the slot back,
        when all ended and the answer was checked."""
        self.problem = problem
        self.options = options
        self.clock = clock
        self.seed = seed
        self.threads = threads
        self._observed = observed
        self._release = release
        self._fixed_work = options.work_limit > 0
        """Then no run cuts another short: who ends first is not fixed by the seed."""
        target = options.target_objective
        score = None if target is None else sense_sign(problem.sense) * target
        self._goal = Goal(
            score, options.gap_relative, options.gap_absolute, single=not problem.wants_frontier
        )
        self.board = Scoreboard(
            problem,
            self._goal,
            arrival_s=clock.arrival_s,
            tolerance=options.feasibility_tolerance,
            on_goal=_weakly(self._goal_reached),
        )
        self._stopped_for: StopReason | None = None
        self._stopped_s = math.inf
        self._running = len(chosen)
        self._answered = False
        self._solve_started_s = time.monotonic()
        self._runs = [self._prepare(index, choice, score) for index, choice in enumerate(chosen)]

    def _prepare(self, index: int, choice: Chosen, target: float | None) -> Run:
        task = RunTask(
            self.board,
            index,
            choice.solver,
            choice.parameters,
            self.options,
            seed=self.seed,
            threads=self.threads,
            target=target,
            deadline_s=self.clock.deadline_s - self._reserve_s(),
            deadline_reason=self.clock.deadline_reason,
            observed=self._observed or self._running > 1,
        )
        return Run(choice, self.problem, task, self.board)

    def _reserve_s(self) -> float:
        """Time kept back to check what was found; measured, where it matters."""
        terms = self.problem.size + self.problem.terms
        seconds = terms * CHECK_S_PER_TERM * (1 + self.options.pool_size)
        return min(seconds, 0.2 * max(0.0, self.clock.remaining_s))

    def run(self) -> None:
        """Solve, and return when it is over."""
        self._start()
        with self.board.changed:
            while not self._over():
                self.board.changed.wait(max(0.001, self._patience_s()))

    def run_here(self) -> None:
        """Solve in the calling thread, at its priority: for what takes a few milliseconds."""
        self._check_initial()
        for run in self._runs:
            self._perform(run, lower=False)

    def events(self) -> Iterator[Improvement | Progress]:
        """Improvements as they are found, and a sign of life where there are none. Ends when the
        race is over."""
        self._start()
        told_s = time.monotonic()
        while True:
            with self.board.changed:
                silent_s = told_s + PROGRESS_INTERVAL_S - time.monotonic()
                if not self.board.improvements and not self._over() and silent_s > 0.0:
                    self.board.changed.wait(max(0.001, min(silent_s, self._patience_s())))
                found = list(self.board.improvements)
                self.board.improvements.clear()
                over = self._over()
            yield from found
            if over and not found:
                return
            silent_s = told_s + PROGRESS_INTERVAL_S - time.monotonic()
            if not found and silent_s <= 0.0:  # a run that ended wakes us too
                yield self._progress()
            if found or silent_s <= 0.0:
                told_s = time.monotonic()

    def cancel(self) -> None:
        """The caller wants what there is, or the server is stopping."""
        self._stop(StopReason.CANCELLED)

    def abandon(self) -> None:
        """The caller went away: nobody will ask for the result. Harmless after it."""
        self.cancel()
        self._answer_is_done()

    def result(self) -> SolveResult:
        """What was found; raises when every solver failed and nothing was: what one of them says
        of the request, MemoryError, or INTERNAL."""
        solving_s = time.monotonic() - self._solve_started_s
        try:
            self._give_up_late_runs()
            if all(run.failure for run in self._runs) and self.board.best is None:
                raise self._fault()
            result = self._conclude()
            if result.status is Status.NO_SOLUTION and self._offer_fallback():
                result = self._conclude()
        finally:
            self._answer_is_done()
        times = TimeSplit(
            preparing_s=max((run.preparing_s for run in self._runs), default=0.0),
            solving_s=solving_s,
            verifying_s=self.board.verifying_s,
        )
        return result.with_run(seed=self.seed, threads=self.threads, times=times)

    def _fault(self) -> Exception:
        errors = [run.error for run in self._runs if run.error is not None]
        for kind in (KetgateError, MemoryError):
            for error in errors:
                if isinstance(error, kind):
                    return error
        return KetgateError(Reason.INTERNAL, "every solver failed")

    def _conclude(self) -> SolveResult:
        outcomes = [run.outcome for run in self._runs]  # once: a late run may still set its own
        return conclude(
            self.board,
            self._goal,
            [run.report(outcome) for run, outcome in zip(self._runs, outcomes, strict=True)],
            outcomes,
            pool_size=self.options.pool_size,
            stopped_for=self._stopped_for,
            time_is_up=lambda: self.clock.remaining_s < -0.5 * self.clock.overshoot_s,
            sense=self.problem.sense,
        )

    def _start(self) -> None:
        self._check_initial()
        for run in self._runs:
            thread = threading.Thread(
                target=self._perform,
                args=(run,),
                kwargs={"lower": True},
                name=f"solver-{run.chosen.solver.name}",
                daemon=True,
            )
            try:
                thread.start()
            except RuntimeError as error:  # the system has no more threads
                run.fail(error)
                self._ended(run)

    def _check_initial(self) -> None:
        try:
            for values in () if self.options.initial is None else self.options.initial:
                self.board.submit(-1, values, INITIAL)
        except BaseException:
            self._release()  # nobody else will: no run has begun
            raise

    def _offer_fallback(self) -> bool:
        """Where any values will do, a limit too short for any search still gets an answer."""
        fallback = self.problem.fallback()
        if fallback is None:
            return False
        self.board.submit(-1, fallback, FALLBACK)
        return True

    def _perform(self, run: Run, *, lower: bool) -> None:
        try:
            run.perform(lower=lower, on_proof=self._proven)
        finally:
            self._ended(run)

    def _proven(self, outcome: Outcome) -> None:
        at_goal = outcome.stop_reason in (StopReason.GAP, StopReason.TARGET)
        self._goal_reached(outcome.stop_reason if at_goal else StopReason.COMPLETED)

    def _ended(self, run: Run) -> None:
        with self.board.changed:
            run.ended = True
            self._running -= 1
            last = self._running == 0 and self._answered
            self.board.changed.notify_all()
        if last:
            self._release()

    def _answer_is_done(self) -> None:
        with self.board.changed:
            last = self._running == 0 and not self._answered
            self._answered = True
        if last:
            self._release()

    def _stop(self, reason: StopReason) -> None:
        with self.board.changed:
            if self._stopped_for is None:
                self._stopped_for = reason
                self._stopped_s = time.monotonic()
            self.board.changed.notify_all()
        for run in self._runs:
            run.task.stop(reason)

    def _goal_reached(self, reason: StopReason) -> None:
        if not self._fixed_work:
            self._stop(reason)

    def _over(self) -> bool:
        """Whether to wait no longer; the board's lock is held."""
        return self._running == 0 or self._patience_s() <= 0.0

    def _patience_s(self) -> float:
        """How long to wait for solvers yet: at the limit, half of the allowed overshoot is theirs to
        come to an end; told to stop, they have 50 ms."""
        by_limit_s = self.clock.deadline_s + 0.5 * self.clock.overshoot_s
        return min(by_limit_s, self._stopped_s + OVERSHOOT_S) - time.monotonic()

    def _give_up_late_runs(self) -> None:
        late = [run for run in self._runs if not run.ended]
        if late and self._stopped_for is None:
            self._stopped_for = self.clock.deadline_reason
        for run in late:
            run.give_up(self.clock.deadline_reason, late=self.clock.remaining_s <= 0.0)

    def _progress(self) -> Progress:
        best = self.board.best
        return Progress(
            time.monotonic() - self.clock.arrival_s,
            self.board.bound,
            None if best is None else best.objective,
            sum(run.task.work for run in self._runs),
        )


def _weakly(method: Callable[[StopReason], None]) -> Callable[[StopReason], None]:
    """The method, without keeping its object: race and board would hold each other, and with them
    the problem, until the collector of cycles comes by; that may be hundreds of solves later."""
    reference = weakref.WeakMethod(method)

    def call(reason: StopReason) -> None:
        found = reference()
        if found is not None:
            found(reason)

    return call
