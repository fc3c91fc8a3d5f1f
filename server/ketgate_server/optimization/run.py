"""One solver's place in a race: it runs in a thread of its own, may fail, and may be late."""

import logging
import math
import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from ketgate_server.errors import KetgateError
from ketgate_server.optimization.base import Outcome, Problem, Solver, Status, StopReason
from ketgate_server.optimization.outcome import RunReport
from ketgate_server.optimization.scoreboard import Scoreboard
from ketgate_server.optimization.task import RunTask

NICE_LOWEST = 19
PROVEN = frozenset({Status.OPTIMAL, Status.INFEASIBLE, Status.UNBOUNDED})

log = logging.getLogger("ketgate.optimization")


@dataclass(frozen=True)
class Chosen:
    """A solver that is to run, with every parameter filled in."""

    solver: Solver
    parameters: Mapping[str, Any]
    version: str = ""


class Run:
    """Runs once: perform(), in whichever thread."""

    def __init__(self, chosen: Chosen, problem: Problem, task: RunTask, board: Scoreboard) -> None:
        self.chosen = chosen
        self.task = task
        self.outcome: Outcome | None = None
        self.failure = ""
        self.error: Exception | None = None
        self.ended = False
        """Set by the race, under the board's lock."""
        self._problem = problem
        self._board = board
        self._seconds = 0.0
        self._late = False
        self._started_s = time.monotonic()

    def perform(self, *, lower: bool, on_proof: Callable[[Outcome], None]) -> None:
        """Solve, and tell the board. lower: at the lowest priority, for the rest of this thread's
        life (nice cannot be raised again)."""
        self._started_s = time.monotonic()
        try:
            if lower:
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE_LOWEST)
            outcome = self.chosen.solver.solve(self._problem, self.task)
            # First of all: once told to stop, the race waits 50 ms at most, and at the lowest
            # priority this thread may be kept waiting for longer than that.
            self.outcome = outcome
            if outcome.status in PROVEN:
                on_proof(outcome)
            if outcome.solutions:
                self._board.submit(
                    self.task.index, outcome.solutions[0], self.chosen.solver.name, outcome.work
                )
            if outcome.bound is not None:
                self._board.submit_bound(self.task.index, outcome.bound)
        except Exception as error:
            self.fail(error)
        finally:
            self._seconds = time.monotonic() - self._started_s
            try:
                self.task.close(drain=self.outcome is None)
            except Exception as error:  # reading what is left needs memory too
                self.fail(error)

    def fail(self, error: Exception) -> None:
        self.error = error
        match error:
            case KetgateError():
                self.failure = error.message
            case MemoryError():
                self.failure = "out of memory"
            case _:
                self.failure = type(error).__name__
        log.error("%s failed", self.chosen.solver.name, exc_info=error)

    def give_up(self, reason: StopReason, *, late: bool) -> None:
        """Wait for it no longer. late: it went on beyond the time limit."""
        self._late = late
        self.task.stop(reason)
        self.task.close()
        self._seconds = time.monotonic() - self._started_s
        log.warning("%s did not stop in time", self.chosen.solver.name)

    @property
    def preparing_s(self) -> float:
        """How long it took until its search began; 0.0 where it did not say."""
        return max(0.0, self.task.prepared_s - self._started_s)

    def report(self, outcome: Outcome | None) -> RunReport:
        """outcome: as read by the race, once; a late run may still set its own."""
        best = self._board.best_by_run.get(self.task.index)
        if outcome is not None:
            status, reason = outcome.status, outcome.stop_reason
            work, bound = outcome.work, outcome.bound
        else:
            status = Status.NO_SOLUTION if best is None else Status.FEASIBLE
            reason, work = self.task.stop_reason, self.task.work
            bound = self._board.bounds_by_run.get(self.task.index)
        failure = self.failure
        if not failure and outcome is None and self._late:
            failure = "did not stop in time"
        known = bound is not None and math.isfinite(bound)
        return RunReport(
            solver=self.chosen.solver.name,
            version=self.chosen.version,
            status=status,
            stop_reason=reason,
            objective=None if best is None else best.objective,
            bound=self._board.to_caller(bound) if known and bound is not None else None,
            work=work,
            work_unit=self.chosen.solver.work_unit,
            seconds=self._seconds,
            failure=failure,
            quantum=None if outcome is None else outcome.quantum,
        )
