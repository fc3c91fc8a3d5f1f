"""One solver's run within a race: its limits, its monitors, its way to report."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from ketgate_native.monitor import Incumbent, Monitor
from numpy.typing import NDArray

from ketgate_server.optimization.base import SolveOptions, Solver, StopReason
from ketgate_server.optimization.scoreboard import Scoreboard

TAKE_TIMEOUT_S = 0.05
DRAIN_INTERVAL_S = 0.01
"""Incumbents of one run that come faster than this are passed over for the newest."""


class RunTask:
    """Implements base.Task. A kernel runs under one monitor at a time: opening another ends the
    reading of the last."""

    def __init__(
        self,
        board: Scoreboard,
        index: int,
        solver: Solver,
        parameters: Mapping[str, Any],
        options: SolveOptions,
        *,
        seed: int,
        threads: int,
        target: float | None,
        deadline_s: float,
        deadline_reason: StopReason,
        observed: bool,
    ) -> None:
        """deadline_s: time.monotonic() at which to stop. observed: whether somebody waits for
        incumbents meanwhile."""
        self.index = index
        self.solver = solver
        self.parameters = parameters
        self.seed = seed
        self.threads = threads
        self.work_limit = options.work_limit
        self.pool_size = options.pool_size
        self.initial = options.initial
        self.target = target
        self.gap_relative = options.gap_relative
        self.gap_absolute = options.gap_absolute
        self.feasibility_tolerance = options.feasibility_tolerance
        self._board = board
        self._deadline_s = deadline_s
        self._deadline_reason = deadline_reason
        self._observed = observed
        self._changed = threading.Condition()
        self._stopped_for: StopReason | None = None
        self._monitor: Monitor | None = None
        self._decode: Callable[[bytes], NDArray[Any]] | None = None
        self._reader: threading.Thread | None = None
        self._closed = False
        self._on_stop: list[Callable[[], None]] = []
        self._work = 0
        self.prepared_s = -math.inf
        """time.monotonic() at which set-up was over; -inf until the solver says so."""

    def open_monitor(
        self, solution_bytes: int, decode: Callable[[bytes], NDArray[Any]], *, report: bool = True
    ) -> Monitor:
        self.prepared()
        limited = {
            "target": self.target,
            "gap_relative": self.gap_relative,
            "gap_absolute": self.gap_absolute,
        }
        monitor = Monitor(
            solution_bytes,
            time_limit_s=max(0.0, self.remaining_s),
            **(limited if report else {}),  # type: ignore[arg-type]
        )
        self._watch(monitor, decode if report else None)
        return monitor

    def open_setup_monitor(self) -> Monitor:
        monitor = Monitor(1, time_limit_s=max(0.0, self.remaining_s))
        self._watch(monitor, None)
        return monitor

    def on_stop(self, callback: Callable[[], None]) -> None:
        with self._changed:
            if self._stopped_for is None:
                self._on_stop.append(callback)
                return
        callback()

    def prepared(self) -> None:
        if self.prepared_s == -math.inf:
            self.prepared_s = time.monotonic()

    def _watch(self, monitor: Monitor, decode: Callable[[bytes], NDArray[Any]] | None) -> None:
        """Cancel it with the run, and read it in the place of the one before."""
        with self._changed:
            previous, self._monitor = self._monitor, monitor
            previous_decode, self._decode = self._decode, decode
            if self._stopped_for is not None:
                monitor.cancel()
            if self._observed and self._reader is None:
                self._reader = threading.Thread(
                    target=self._read, name=f"reader-{self.solver.name}", daemon=True
                )
                self._reader.start()
            self._changed.notify_all()
        if previous is not None:
            previous.finish()
            if self._observed:
                self._drain(previous, previous_decode)

    def offer(self, values: NDArray[Any], *, work: int = 0) -> None:
        self._work = max(self._work, work)
        self._board.submit(self.index, values, self.solver.name, work)

    def offer_bound(self, bound: float, *, work: int = 0) -> None:
        self._work = max(self._work, work)
        self._board.submit_bound(self.index, bound)

    @property
    def should_stop(self) -> bool:
        return self._stopped_for is not None or self.remaining_s <= 0.0

    @property
    def stop_reason(self) -> StopReason:
        if self._stopped_for is not None:
            return self._stopped_for
        return self._deadline_reason if self.remaining_s <= 0.0 else StopReason.COMPLETED

    @property
    def deadline_reason(self) -> StopReason:
        """TIME_LIMIT or DEADLINE: what a library that watches the clock itself has met."""
        return self._deadline_reason

    @property
    def remaining_s(self) -> float:
        return self._deadline_s - time.monotonic()

    @property
    def work(self) -> int:
        """Work known to be done, in the solver's unit."""
        monitor = self._monitor
        return max(self._work, monitor.work if monitor is not None else 0)

    def stop(self, reason: StopReason) -> None:
        """Ask the run to end; the first reason stands."""
        with self._changed:
            if self._stopped_for is None:
                self._stopped_for = reason
            if self._monitor is not None:
                self._monitor.cancel()
            callbacks, self._on_stop = self._on_stop, []
        for callback in callbacks:
            callback()

    def close(self, *, drain: bool = True) -> None:
        """The run is over, or given up: read what is left (unless nobody needs it) and stop
        reading."""
        with self._changed:
            self._closed = True
            monitor, decode = self._monitor, self._decode
            self._changed.notify_all()
        if monitor is not None:
            monitor.finish()
            if self._reader is not None and self._reader is not threading.current_thread():
                self._reader.join(TAKE_TIMEOUT_S)
            if drain or self._observed:
                self._drain(monitor, decode)

    def _read(self) -> None:
        """Pass incumbents on while the kernel runs."""
        while True:
            with self._changed:
                monitor, decode = self._monitor, self._decode
                if self._closed:
                    return
            assert monitor is not None
            try:
                found = monitor.take(TAKE_TIMEOUT_S)
            except StopIteration:
                with self._changed:
                    if self._monitor is monitor and not self._closed:
                        self._changed.wait(TAKE_TIMEOUT_S)
                continue
            if found is None:
                if decode is not None:  # else it bounds another program
                    self._board.submit_bound(self.index, monitor.bound)
                continue
            self._report(found, decode)
            with self._changed:
                if not self._closed:  # a run that ends does not wait for its reader
                    self._changed.wait(DRAIN_INTERVAL_S)
            self._drain(monitor, decode)

    def _drain(self, monitor: Monitor, decode: Callable[[bytes], NDArray[Any]] | None) -> None:
        """Report the newest unread incumbent; those before it have been overtaken."""
        newest = None
        try:
            while (found := monitor.take()) is not None:
                newest = found
        except StopIteration:
            pass
        if newest is not None:
            self._report(newest, decode)
        if decode is not None:
            self._board.submit_bound(self.index, monitor.bound)

    def _report(self, found: Incumbent, decode: Callable[[bytes], NDArray[Any]] | None) -> None:
        self._work = max(self._work, found.work)
        if decode is None:
            return
        if math.isfinite(found.bound):
            self._board.submit_bound(self.index, found.bound)
        self._board.submit(self.index, decode(found.solution), self.solver.name, found.work)
