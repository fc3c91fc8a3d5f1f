"""From a checked problem to its result: choose the solvers, wait for a slot, race."""

import os
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from ketgate_server.admission import Admission
from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.limits import Limit
from ketgate_server.optimization import registry
from ketgate_server.optimization.base import (
    Problem,
    SolveOptions,
    StopReason,
    is_estimating,
    is_threaded,
    value_bytes,
)
from ketgate_server.optimization.clock import Clock
from ketgate_server.optimization.outcome import SolveResult
from ketgate_server.optimization.race import Race
from ketgate_server.optimization.run import Chosen

MARGIN_S = 0.06
MARGIN_SHARE = 0.06
"""What is kept of a call's deadline to get the answer back in time: the greater of the two, which is
more than solvers may overshoot their limit by, and no more than half of what is left."""
THREADS_MAX = 64
"""The most that a kernel takes."""
FAR_S = 1e8
"""A deadline beyond this is none."""
QUICK_S = 0.005
"""Work known to take less than this runs at once, at normal priority."""


@dataclass(frozen=True)
class Estimate:
    """What a solve would take."""

    solvers: Sequence[str]
    memory_bytes: int
    time_max_s: float
    num_variables: int
    num_constraints: int
    warnings: Sequence[str]


@dataclass(frozen=True)
class Caller:
    """The part of a call that a solve needs."""

    arrival_s: float
    remaining_s: float
    """Until the caller's deadline; infinite without one."""
    is_cancelled: Callable[[], bool]
    on_cancel: Callable[[Callable[[], None]], None]
    patient: bool = False
    """Whether nobody waits at the other end: it is not refused when many do, and the time until its
    slot comes free does not count against its limit."""

    def after(self, waited_s: float) -> "Caller":
        """As if it had come so much later."""
        return replace(
            self, arrival_s=self.arrival_s + waited_s, remaining_s=self.remaining_s - waited_s
        )


class Engine:
    """Holds the slots; one a server."""

    def __init__(self, limits: Mapping[str, Limit], threads: int) -> None:
        """threads: processors that solves may use."""
        self.threads = min(max(1, threads or os.cpu_count() or 1), THREADS_MAX)
        self._memory_bytes_max = limits["optimization.memory_bytes_max"].value
        self.admission = Admission(
            limits["optimization.solves_max"].value, limits["optimization.solves_queued_max"].value
        )

    def estimate(self, problem: Problem, options: SolveOptions) -> Estimate:
        """What a solve would take; raises as solve would."""
        chosen, _, memory = self._choose(problem, options)
        known = work_seconds(problem, options, chosen)
        limit = options.time_limit_s
        return Estimate(
            solvers=[choice.solver.name for choice in chosen],
            memory_bytes=memory,
            time_max_s=limit if known is None else min(limit, known),
            num_variables=problem.size,
            num_constraints=problem.num_constraints,
            warnings=list(problem.warnings),
        )

    def solve(self, problem: Problem, options: SolveOptions, caller: Caller) -> SolveResult:
        race, quick, queued_s = self._enter(problem, options, caller, observed=False)
        try:
            if quick:
                race.run_here()
            else:
                race.run()
        except BaseException:
            race.abandon()
            raise
        return self.finish(race, problem, queued_s)

    def race(self, problem: Problem, options: SolveOptions, caller: Caller) -> tuple[Race, float]:
        """A race to be watched by events(), with the seconds it waited for its slot. It keeps the
        slot until finish(), or its abandon()."""
        race, _, queued_s = self._enter(problem, options, caller, observed=True)
        return race, queued_s

    def finish(self, race: Race, problem: Problem, queued_s: float) -> SolveResult:
        """The result of a race that is over."""
        result = race.result()
        times = replace(result.times, queued_s=queued_s)
        warnings = list(dict.fromkeys([*problem.warnings, *result.warnings]))
        return replace(result, warnings=warnings, times=times)

    def _enter(
        self, problem: Problem, options: SolveOptions, caller: Caller, *, observed: bool
    ) -> tuple[Race, bool, float]:
        clock = make_clock(options, caller)
        choice, quick = None, False
        if not registry.choice_takes_work(problem, options):
            choice = self._choose(problem, options)
            known = work_seconds(problem, options, choice[0])
            quick = known is not None and known <= QUICK_S
        caller.on_cancel(self.admission.wake)
        patience_s = time.monotonic() + caller.remaining_s if caller.patient else clock.deadline_s
        slot = self.admission.enter(
            patience_s, caller.is_cancelled, quick=quick, patient=caller.patient
        )
        try:
            if caller.patient:
                clock = make_clock(options, caller.after(slot.queued_s))
            chosen, threads, _ = choice or self._choose(problem, options)
            race = Race(
                problem,
                chosen,
                options,
                clock,
                seed=secrets.randbits(63) if options.seed is None else options.seed,
                threads=threads,
                observed=observed,
                release=slot.release,
            )
        except BaseException:
            slot.release()
            raise
        caller.on_cancel(race.cancel)
        return race, quick, slot.queued_s

    def _choose(self, problem: Problem, options: SolveOptions) -> tuple[list[Chosen], int, int]:
        """(solvers, threads for each, memory about needed in bytes); LIMIT_EXCEEDED beyond the
        server's limit of memory. Threads that nobody asked for are as many as fit."""
        chosen = registry.choose(problem, options)
        threads = self._threads(options, len(chosen))
        pool = options.pool_size * problem.size * POOL_BYTES_PER_VALUE * (1 + len(chosen))
        unread = len(chosen) * UNREAD_MAX * problem.size * value_bytes(problem)
        memory = pool + unread + sum(choice.solver.memory_bytes(problem) for choice in chosen)
        solvers = (choice.solver for choice in chosen)
        each = sum(s.thread_bytes(problem) for s in solvers if is_threaded(s))
        if each and not options.threads:
            threads = min(threads, max(1, (self._memory_bytes_max - memory) // each))
        memory += threads * each
        if memory > self._memory_bytes_max:
            raise LimitError(
                "optimization.memory_bytes_max", allowed=self._memory_bytes_max, given=memory
            )
        return chosen, threads, memory

    def _threads(self, options: SolveOptions, solvers: int) -> int:
        if options.work_limit and options.target_objective is not None:
            return 1  # which of several threads reaches a target first is not fixed by the seed
        return options.threads or max(1, self.threads // solvers)


POOL_BYTES_PER_VALUE = 16
"""A solution in a solver, in the pool and in the answer."""
UNREAD_MAX = 64
"""Incumbents that a kernel keeps for its reader, of one solution each."""


def make_clock(options: SolveOptions, caller: Caller) -> Clock:
    """The earlier of the time limit, from arrival, and the deadline less a margin."""
    now = time.monotonic()
    remaining_s = caller.remaining_s
    margin = 0.0
    if remaining_s < FAR_S:
        share_s = 0.0 if caller.patient else MARGIN_SHARE * remaining_s  # no answer is on its way
        margin = min(max(MARGIN_S, share_s), 0.5 * remaining_s)
    by_limit = caller.arrival_s + options.time_limit_s
    by_deadline = now + remaining_s - margin
    if caller.remaining_s <= 0.0:
        raise KetgateError(Reason.DEADLINE_EXCEEDED, "the deadline passed before solving began")
    if caller.is_cancelled():
        raise KetgateError(Reason.CANCELLED, "the call was cancelled before solving began")
    if by_deadline < by_limit:
        return Clock(caller.arrival_s, max(now, by_deadline), StopReason.DEADLINE)
    return Clock(caller.arrival_s, by_limit, StopReason.TIME_LIMIT)


def work_seconds(problem: Problem, options: SolveOptions, chosen: Sequence[Chosen]) -> float | None:
    """Seconds of work at most, where it is known to be small; None where the limits decide."""
    total = 0.0
    for choice in chosen:
        seconds = None
        if is_estimating(choice.solver):
            seconds = choice.solver.work_seconds(problem, options)
        if seconds is None:
            return None
        total += seconds
    return total
