"""The one door to all back ends: limits, routing, slots, fail-over.

service, job -> Gateway -> base.Backend. Work at a provider is chosen here too, and done by a durable
job.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from ketgate_server.admission import Admission, Slot
from ketgate_server.errors import FieldError, KetgateError, LimitError, Reason
from ketgate_server.limits import Limit
from ketgate_server.quantum.base import (
    Backend,
    CircuitOutcome,
    Description,
    ExpectationOutcome,
    Need,
    Provider,
    Stopped,
)
from ketgate_server.quantum.caps import check_estimate, check_shots
from ketgate_server.quantum.catalogue import Catalogue, Entry
from ketgate_server.quantum.estimate import Estimate, estimate
from ketgate_server.quantum.evidence import Evidence
from ketgate_server.quantum.grouped import measured
from ketgate_server.quantum.memory import Memory, Share
from ketgate_server.quantum.metrics import QuantumMetrics
from ketgate_server.quantum.observable import qubit_wise_groups
from ketgate_server.quantum.routing import (
    STANDS_IN,
    Assess,
    Candidate,
    Route,
    candidates,
    price_unknown,
)
from ketgate_server.quantum.session import LowPriority, Session
from ketgate_server.quantum.settings import QuantumSettings
from ketgate_server.quantum.suitability import check_features
from ketgate_server.quantum.task import RunTask
from ketgate_server.quantum.work import Caller, Work, threads_for

QUICK_S = 0.005
"""Work estimated to take less runs at once, beside what is heavy."""
MARGIN_S = 0.05
"""Kept of a caller's deadline to get the answer back in time."""
THREADS_MAX = 64

Calibrated = Callable[[bytes, str], Backend]
Outcome = TypeVar("Outcome", CircuitOutcome, ExpectationOutcome)


class Gateway:
    """Holds the back ends and the slots; one a server."""

    def __init__(
        self,
        limits: Mapping[str, Limit],
        threads: int,
        backends: Iterable[Backend],
        providers: Iterable[Provider] = (),
        settings: QuantumSettings | None = None,
        clock: Callable[[], float] = time.monotonic,
        calibrated: Calibrated | None = None,
    ) -> None:
        """threads: processors that runs may use. clock: of breakers. calibrated: makes the emulator
        of a calibration file; its second argument is the path of the field."""
        self.limits = limits
        self.threads = min(max(1, threads), THREADS_MAX)
        self.catalogue = Catalogue(backends, providers, settings, clock)
        running_max = limits["quantum.runs_max"].value
        queued_max = limits["quantum.runs_queued_max"].value
        self.admission = Admission(running_max, queued_max, "quantum runs")
        self.used: Callable[[], object] = lambda: None
        """Called when somebody asks for anything; set by who prepares what comes next."""
        self.spent: Callable[[str], Mapping[str, int]] = lambda _: {}
        """What a tenant's runs cost of late; set by who keeps the account."""
        self.metrics = QuantumMetrics(self.catalogue.entries, self._gauges)
        self._calibrated = calibrated
        memory_bytes_max = limits["quantum.runs_memory_bytes_max"].value
        self.memory = Memory(memory_bytes_max)
        self._memory_bytes_max = min(limits["quantum.memory_bytes_max"].value, memory_bytes_max)
        self._pool = LowPriority(running_max)

    def _gauges(self) -> Iterator[tuple[str, str, float]]:
        running, memory = self.admission.running, self.memory.taken
        yield "ketgate_quantum_runs_in_progress", "Runs that have a slot.", running
        yield "ketgate_quantum_memory_bytes", "Memory that runs were estimated to need.", memory

    def start(self) -> None:
        """Begin to ask the providers."""
        self.catalogue.start()

    def warm_up(self) -> None:
        """Load what the first run would wait for."""
        native = self.catalogue.get("native")
        if native is not None:
            native.describe()

    def close(self) -> None:
        self.catalogue.close()
        self._pool.close()

    def estimate(
        self, work: Work, caller: Caller, *, durable: bool = False
    ) -> tuple[Estimate, Sequence[Estimate]]:
        """What the work would take on the back end that would be used, and on the others that
        could. Raises as a run would."""
        _, found = self.candidates(work, caller, durable=durable)
        every = [candidate.estimate for candidate in found]
        return every[0], every[1:]

    def run(self, work: Work, caller: Caller) -> tuple[list[CircuitOutcome], Evidence]:
        """Run the circuits."""
        return _collected(self.stream(work, caller))

    def stream(self, work: Work, caller: Caller) -> Iterator[CircuitOutcome | Evidence]:
        """Run the circuits; the outcome of each in turn, then the evidence."""
        return self._attempt(work, caller, lambda session: session.run_each(work))

    def expectations(self, work: Work, caller: Caller) -> tuple[list[ExpectationOutcome], Evidence]:
        """Estimate all observables on each circuit."""
        return _collected(self._attempt(work, caller, lambda session: session.expect_each(work)))

    def open(self, work: Work, caller: Caller) -> Session:
        """A session for an algorithm, whose circuits come one after the other. work: its largest
        circuit, by which the back end is chosen. Waits for a slot; to be closed. Nothing fails over
        amid an algorithm."""
        route, found = self.candidates(work, caller)
        return self._enter(next(found), route, caller)

    def _attempt(
        self, work: Work, caller: Caller, perform: Callable[[Session], Iterator[Outcome]]
    ) -> Iterator[Outcome | Evidence]:
        """On one back end after the other, until one does it. What was told of stays: then nothing
        fails over any more."""
        route, found = self.candidates(work, caller)
        for candidate in found:
            told = False
            try:
                with self._enter(candidate, route, caller) as session:
                    for outcome in perform(session):
                        told = True
                        yield outcome
                    session.succeeded()
            except Stopped:
                raise _stopped(caller, work) from None
            except KetgateError as error:
                self.metrics.failed(candidate.entry, error)
                if told or not work.choice.fail_over or error.reason not in STANDS_IN:
                    raise
                route.passed(candidate.entry.name, error)
                continue
            yield session.evidence
            return
        raise route.errors[-1]

    def candidates(
        self, work: Work, caller: Caller, *, durable: bool = False
    ) -> tuple[Route, Iterator[Candidate]]:
        """The back ends that can do it, best first. durable: QPUs may be among them. The iterator
        raises when there is none."""
        self.used()
        check_shots(work)
        own = self._own_emulator(work)
        route = Route(self._with_threads(work), durable, own)
        spent = self.spent(caller.tenant)
        return route, candidates(route, self.catalogue, self._assess(spent))

    def _own_emulator(self, work: Work) -> Entry | None:
        """Of the calibration file that the work brings."""
        if not work.calibration:
            return None
        if self._calibrated is None:
            raise FieldError(
                work.calibration_path, expected="no calibration file here", given=work.calibration
            )
        return self.catalogue.visitor(self._calibrated(work.calibration, work.calibration_path))

    def estimate_there(self, work: Work, entry: Entry) -> Estimate:
        """Of work that is at a provider already: no cap is asked any more."""
        return estimate(work, entry.describe(), Need(0, 0.0), is_device=True)

    def _assess(self, spent: Mapping[str, int]) -> Assess:
        def assess(work: Work, entry: Entry, description: Description) -> Estimate:
            check_features(work, description, at_provider=entry.provider is not None)
            need = _need(work, entry, description)
            if need.memory_bytes > self._memory_bytes_max:
                raise LimitError(
                    "quantum.memory_bytes_max",
                    allowed=self._memory_bytes_max,
                    given=need.memory_bytes,
                )
            found = estimate(
                work,
                description,
                need,
                entry.speed.correction,
                is_device=entry.provider is not None,
            )
            unknown = entry.provider is not None and price_unknown(description)
            check_estimate(work.caps, found, self.limits, spent, price_unknown=unknown)
            return found

        return assess

    def _with_threads(self, work: Work) -> Work:
        if work.options.threads:
            return work
        threads = threads_for(work.num_qubits, self.threads)
        return replace(work, options=replace(work.options, threads=threads))

    def _enter(self, candidate: Candidate, route: Route, caller: Caller) -> Session:
        """Wait for a slot. The session gives it back."""
        work = route.work
        entry, found = candidate.entry, candidate.estimate
        quick = found.run_s <= QUICK_S and not entry.is_isolated
        by_deadline_s = caller.deadline_s - MARGIN_S
        by_limit_s = caller.arrival_s + work.time_limit_s
        patience_s = by_deadline_s if caller.patient else min(by_deadline_s, by_limit_s)
        if not entry.breaker.begin():
            raise KetgateError(
                Reason.BACKEND_UNAVAILABLE, f"the back end {entry.name!r} is being tried again"
            )
        share = None
        try:
            # Memory first: who has a slot waits for nothing more.
            share = self.memory.take(
                found.memory_bytes, patience_s, caller.is_cancelled, caller.on_cancel
            )
            if not quick:
                caller.on_cancel(self.admission.wake)
            slot = self.admission.enter(
                patience_s, caller.is_cancelled, quick=quick, patient=caller.patient
            )
        except BaseException:
            if share is not None:
                share.release()
            entry.breaker.abandoned()
            raise
        slot = Slot(_both(slot, share), slot.queued_s + share.queued_s)
        if caller.patient:
            by_limit_s = time.monotonic() + work.time_limit_s
        task = RunTask(min(by_deadline_s, by_limit_s), caller.is_cancelled, caller.on_cancel)
        options = work.options
        if entry.threads_max is not None and options.threads > entry.threads_max:
            options = replace(options, threads=entry.threads_max)
        evidence = Evidence(
            candidate.description,
            options,
            tuple(route.steps),
            queued_s=slot.queued_s,
            estimated_fidelity=found.expected_fidelity,
            uncorrected_s=found.run_s / entry.speed.correction,
            cost=found.cost,
        )
        self.metrics.began(slot.queued_s)
        pool = None if quick or entry.is_isolated else self._pool
        return Session(candidate, evidence, task, slot, pool, self.metrics)


def _need(work: Work, entry: Entry, description: Description) -> Need:
    """Of the whole. Raises Unsuitable."""
    options = work.options
    if entry.backend is None:
        assert entry.provider is not None
        groups = qubit_wise_groups(work.observables)[:1]
        for circuit in work.bound:
            read = measured(circuit, groups)[0] if groups else circuit
            entry.provider.check(description.name, read, options)
        return Need(0, 0.0)
    memory, run_s = 0, 0.0
    for circuit in work.bound:
        entry.backend.check(circuit, options)
        need = entry.backend.need(circuit, options)
        memory = max(memory, need.memory_bytes)
        run_s += need.run_s
    return Need(memory * _states(work), run_s * work.executions / len(work.bound))


def _states(work: Work) -> int:
    """How many states there are at once where a run has one: the adjoint method has three, and
    expectations of shots a copy that is turned into a group's basis."""
    if work.gradients:
        return 3
    return 2 if work.groups and work.options.noise is None else 1


def _both(slot: Slot, share: Share) -> Callable[[], None]:
    def release() -> None:
        slot.release()
        share.release()

    return release


def _stopped(caller: Caller, work: Work) -> KetgateError:
    if caller.is_cancelled():
        return KetgateError(Reason.CANCELLED, "the run was cancelled")
    if time.monotonic() >= caller.deadline_s - 2 * MARGIN_S:
        return KetgateError(Reason.DEADLINE_EXCEEDED, "the deadline passed before the run was over")
    return KetgateError(
        Reason.DEADLINE_EXCEEDED,
        f"spec.time_limit: {work.time_limit_s:g} s were over before the run was",
        field="spec.time_limit",
    )


def _collected(
    events: Iterator[Outcome | Evidence],
) -> tuple[list[Outcome], Evidence]:
    outcomes: list[Outcome] = []
    for event in events:
        if isinstance(event, Evidence):
            return outcomes, event
        outcomes.append(event)
    raise AssertionError("a run ends with its evidence")
