"""Work on one back end: with a slot, a task and a seed of its own for each run.

Implements what algorithms run their circuits on: options, is_native, stopped, remaining_s, run and
expectations.
"""

from __future__ import annotations

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import replace
from typing import TypeVar

from ketgate_server.admission import Slot
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.base import (
    Backend,
    CircuitOutcome,
    ExpectationOutcome,
    RunOptions,
    Stopped,
)
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.estimate import expected_fidelity
from ketgate_server.quantum.evidence import Evidence
from ketgate_server.quantum.metrics import QuantumMetrics
from ketgate_server.quantum.observable import PauliSum
from ketgate_server.quantum.routing import Candidate
from ketgate_server.quantum.task import RunTask
from ketgate_server.quantum.work import Mitigation, Work

NICE_LOWEST = 19
LATE_S = 2.0
"""A back end that has not stopped so long after its deadline is waited for no longer; its slot is
given back when it does stop."""
CHUNK = 16
"""Circuits that a worker process is given at once."""
FAULTS = frozenset(
    {
        Reason.INTERNAL,
        Reason.WORKER_LOST,
        Reason.BACKEND_UNAVAILABLE,
        Reason.PROVIDER_FAILED,
        Reason.PROVIDER_CREDENTIALS,
    }
)
"""What counts against a back end."""

R = TypeVar("R", CircuitOutcome, ExpectationOutcome)
T = TypeVar("T")

log = logging.getLogger("ketgate.quantum")


class LowPriority:
    """Threads for long work, at the lowest priority: the server goes on answering beside them."""

    def __init__(self, threads_max: int) -> None:
        self._pool = ThreadPoolExecutor(threads_max, "quantum", initializer=_lower)

    def submit(self, work: Callable[[], T]) -> Future[T]:
        return self._pool.submit(work)

    def close(self) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)


def _lower() -> None:
    os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), NICE_LOWEST)


class Session:
    """From its slot to close(). Used by one thread at a time."""

    def __init__(
        self,
        candidate: Candidate,
        evidence: Evidence,
        task: RunTask,
        slot: Slot,
        pool: LowPriority | None,
        metrics: QuantumMetrics,
    ) -> None:
        """pool: where runs take place; None: in the calling thread."""
        assert candidate.entry.backend is not None
        self.options = evidence.options
        self.evidence = evidence
        self._entry = candidate.entry
        self._backend: Backend = candidate.entry.backend
        self._task = task
        self._slot = slot
        self._pool = pool
        self._metrics = metrics
        self._slot_kept = False
        self._ran_s = 0.0

    @property
    def is_native(self) -> bool:
        """Ideal, on the native simulator: kernels for special circuits may stand in for it."""
        return self._backend.name == "native" and self.options.noise is None

    @property
    def stopped(self) -> bool:
        return self._task.stopped

    def remaining_s(self) -> float:
        return self._task.remaining_s()

    def on_stop(self, callback: Callable[[], None]) -> None:
        """As base.Task.on_stop."""
        self._task.on_stop(callback)

    def run(self, circuits: Sequence[Circuit], options: RunOptions) -> Sequence[CircuitOutcome]:
        """Run bound circuits. Raises base.Stopped, and KetgateError."""
        outcomes = self._call(lambda: self._backend.run(circuits, options, self._task))
        for outcome in outcomes:
            self._note(outcome)
        return outcomes

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        options: RunOptions,
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome:
        """As base.Backend.expectations."""
        outcome = self._call(
            lambda: self._backend.expectations(
                circuit,
                observables,
                options,
                self._task,
                parameters=parameters,
                gradients=gradients,
            )
        )
        self._note(outcome)
        return outcome

    def run_each(self, work: Work) -> Iterator[CircuitOutcome]:
        """Each as soon as it is there. What comes of a circuit depends on its place, and not on
        whether anybody watches."""
        size = CHUNK if self._backend.isolated else 1
        for start in range(0, len(work.bound), size):
            some = work.bound[start : start + size]
            for circuit, outcome in zip(some, self.run(some, self._options(start)), strict=True):
                if work.mitigation is not None:
                    self.evidence.mitigate_counts(circuit, outcome)
                yield outcome

    def expect_each(self, work: Work) -> Iterator[ExpectationOutcome]:
        for index, bound in enumerate(work.bound):
            options = self._options(index)
            if work.mitigation is not None:
                yield self._mitigated(work, work.mitigation, bound, options)
            elif work.gradients:
                yield self.expectations(
                    work.circuits[index],
                    work.observables,
                    options,
                    parameters=work.parameters[index],
                    gradients=True,
                )
            else:
                yield self.expectations(bound, work.observables, options)

    def _mitigated(
        self, work: Work, mitigation: Mitigation, bound: Circuit, options: RunOptions
    ) -> ExpectationOutcome:
        # Its mathematics is loaded when it is first asked for.
        from ketgate_server.quantum.mitigation import apply

        readout = apply.readout_of(options, self.evidence.description.calibration)
        done = apply.expectations(mitigation, self, bound, work.observables, options, readout)
        self.evidence.mitigated_by(done.words)
        return replace(done.outcome, raw_values=done.raw_values)

    def close(self) -> None:
        """Give the slot back, and tell what is known of the back end now."""
        self._task.finish()
        if not self._slot_kept:
            self._slot.release()
        self._entry.breaker.abandoned()

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def succeeded(self) -> None:
        """The work is done: its back end is well, and as fast as it was."""
        self._entry.breaker.succeeded()
        self._entry.speed.note(self.evidence.uncorrected_s, self._ran_s)
        self._metrics.succeeded(self._entry, self._ran_s)

    def _options(self, index: int) -> RunOptions:
        return (
            self.options
            if not index
            else replace(self.options, seed=mixed(self.options.seed, index))
        )

    def _call(self, work: Callable[[], T]) -> T:
        if self._task.stopped:
            raise Stopped
        started_s = time.monotonic()
        try:
            return work() if self._pool is None else self._wait(self._pool.submit(work))
        except Stopped:
            raise
        except KetgateError as error:
            if error.reason in FAULTS:
                self._entry.breaker.failed(error.message)
            raise
        except MemoryError:
            raise KetgateError(
                Reason.LIMIT_EXCEEDED,
                "the server has not enough memory for this run now",
                limit="memory",
            ) from None
        except Exception as error:
            log.error("the back end %s failed", self._backend.name, exc_info=error)
            why = f"the back end {self._backend.name!r} failed with {type(error).__name__}"
            self._entry.breaker.failed(why)
            raise KetgateError(Reason.INTERNAL, f"{why}; the server's log has the cause") from error
        finally:
            self._ran_s += time.monotonic() - started_s

    def _wait(self, future: Future[T]) -> T:
        try:
            return future.result(min(self._task.remaining_s() + LATE_S, threading.TIMEOUT_MAX))
        except FutureTimeout:
            if future.done():
                raise
            self._slot_kept = True
            future.add_done_callback(lambda _: self._slot.release())
            log.warning("the back end %s did not stop in time", self._backend.name)
            raise Stopped from None

    def _note(self, outcome: CircuitOutcome | ExpectationOutcome) -> None:
        evidence = self.evidence
        evidence.compiling_s += outcome.compiling_s
        evidence.running_s += outcome.running_s
        evidence.method = evidence.method or outcome.method
        for warning in outcome.warnings:
            if warning not in evidence.warnings:
                evidence.warnings.append(warning)
        calibration = evidence.description.calibration
        if calibration is not None and outcome.compiled is not None:
            known = (
                evidence.compiled_fidelity,
                expected_fidelity((outcome.compiled,), calibration),
            )
            evidence.compiled_fidelity = min((f for f in known if f is not None), default=None)


def mixed(seed: int, index: int) -> int:
    """The seed of the circuit at an index: the request's own for the first, and for the others one
    that no neighbouring request has (the finalizer of SplitMix64)."""
    if not index:
        return seed
    z = (seed + index * 0x9E3779B97F4A7C15) & MASK
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


MASK = (1 << 64) - 1
