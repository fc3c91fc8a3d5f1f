"""Work of a job at a provider: chosen, submitted, followed and charged, a turn at a time."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import RunContext
from ketgate_server.jobs.faults import ProviderError
from ketgate_server.quantum.base import CircuitOutcome, ExpectationOutcome
from ketgate_server.quantum.catalogue import Entry
from ketgate_server.quantum.charges import Charge, Charges
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.estimate import expected_fidelity
from ketgate_server.quantum.evidence import Evidence
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.grouped import from_counts, measured
from ketgate_server.quantum.observable import PauliTerm, qubit_wise_groups
from ketgate_server.quantum.providers import durable
from ketgate_server.quantum.providers.errors import CredentialsRefused, Refused
from ketgate_server.quantum.providers.handle import Handle, Stage
from ketgate_server.quantum.routing import Candidate, Step
from ketgate_server.quantum.work import Caller, Money, Work

Outcomes = Sequence[CircuitOutcome] | Sequence[ExpectationOutcome]


@dataclass(frozen=True)
class Done:
    """What came of the work."""

    outcomes: Outcomes
    evidence: Evidence


@dataclass(frozen=True)
class Here:
    """A back end of this server was chosen, after those of steps were passed over."""

    backend: str
    steps: Sequence[Step]


NOT_SETTLED = "the provider told no cost: it is the estimate"


class RemoteWork:
    """What jobs at providers need of the server. charges: None where no account is kept."""

    def __init__(self, gateway: Gateway, charges: Charges | None = None) -> None:
        self._gateway = gateway
        self.charges = charges

    def turn(self, work: Work, context: RunContext) -> Done | Here:
        """The result, when the provider has it. Raises as durable.turn does."""
        if context.handle is not None:
            handle = Handle.unpack(context.handle)
            entry = self._gateway.catalogue.remembered(handle.backend, handle.provider)
            if entry is None:
                raise _gone(handle)
            return self._take(entry, work, _Turn(context, context.handle))
        caller = Caller(tenant=context.tenant, arrival_s=time.monotonic(), patient=True)
        route, found = self._gateway.candidates(work, caller, durable=True)
        for candidate in found:
            if candidate.entry.provider is None:
                return Here(candidate.entry.name, tuple(route.steps))
            turn = _Turn(context, None)
            try:
                return self._take(candidate.entry, work, turn, candidate, tuple(route.steps))
            except KetgateError as error:
                if not work.choice.fail_over or not turn.is_refused(error):
                    raise
                route.passed(candidate.entry.name, error)
        raise route.errors[-1]

    def _take(
        self,
        entry: Entry,
        work: Work,
        turn: _Turn,
        candidate: Candidate | None = None,
        steps: Sequence[Step] = (),
    ) -> Done:
        provider, description = entry.provider, entry.describe()
        assert provider is not None
        groups = qubit_wise_groups(work.observables) if work.observables else []
        circuits = _circuits(work, groups)
        estimate = candidate.estimate if candidate else self._gateway.estimate_there(work, entry)

        def charge(provider_job: str, cost: Money | None, device_s: float | None) -> Charge:
            return Charge(turn.tenant, turn.job_id, description.name, provider_job, cost, device_s)

        def there(handle: Handle) -> None:
            told = charge(handle.job, estimate.cost, estimate.device_s)
            if self.charges is not None and self.charges.submitted(told):
                self._gateway.metrics.submitted(description.name)

        if self.charges is not None:
            turn.keep_account(self.charges, estimate.cost)
        turn.on_there = there
        turn.tell()
        finished = durable.turn(
            provider, durable.Work(description.name, circuits, work.options), turn
        )
        result = finished.result
        cost = estimate.cost
        warnings: list[str] = []
        if result.cost_minor_units is not None:
            asset = cost.asset if cost else description.price.currency if description.price else ""
            cost = Money(asset or "USD", result.cost_minor_units)
        elif cost is not None:
            warnings.append(NOT_SETTLED)
        if self.charges is not None:
            self.charges.done(charge(finished.provider_job, cost, result.device_s))
        self._gateway.metrics.done(description.name, cost)
        evidence = Evidence(
            description,
            work.options,
            steps,
            queued_s=result.queued_s or 0.0,
            running_s=result.device_s or sum(o.running_s for o in result.outcomes),
            compiling_s=sum(o.compiling_s for o in result.outcomes),
            warnings=warnings,
            estimated_fidelity=estimate.expected_fidelity,
            provider_job=finished.provider_job,
            cost=cost,
        )
        for outcome in result.outcomes:
            evidence.warnings += [w for w in outcome.warnings if w not in evidence.warnings]
        compiled = [o.compiled for o in result.outcomes if o.compiled is not None]
        if compiled and description.calibration is not None:
            evidence.compiled_fidelity = expected_fidelity(compiled, description.calibration)
        return Done(_outcomes(work, result.outcomes, groups), evidence)


class _Turn:
    """What durable.turn sees of the job's context; it knows when the work has arrived."""

    def __init__(self, context: RunContext, handle: bytes | None) -> None:
        self._context = context
        self.tenant = context.tenant
        self.job_id = context.job_id
        self.handle = handle
        self.on_there: Callable[[Handle], None] = lambda _: None
        self._charges: Charges | None = None
        self._cost: Money | None = None

    def keep_account(self, charges: Charges, cost: Money | None) -> None:
        """cost: what is reserved before the work is sent."""
        self._charges, self._cost = charges, cost

    def reserve(self) -> None:
        if self._charges is not None:
            self._charges.reserve(self.tenant, self.job_id, self._cost, self._context.limits)

    def release(self) -> None:
        if self._charges is not None:
            self._charges.release(self.tenant, self.job_id)

    @property
    def stopped(self) -> bool:
        return self._context.stopped

    def checkpoint(self, handle: bytes) -> None:
        self._context.checkpoint(handle)
        self.handle = handle
        self.tell()

    def tell(self) -> None:
        handle = None if self.handle is None else Handle.unpack(self.handle)
        if handle is not None and handle.stage is Stage.THERE:
            self.on_there(handle)

    def is_refused(self, error: KetgateError) -> bool:
        """Whether the provider did not take the work, and said so."""
        if isinstance(error, CredentialsRefused | Refused):
            return True
        asked = self.handle is not None and Handle.unpack(self.handle).stage is not Stage.FREE
        return isinstance(error, ProviderError) and not asked


def _circuits(work: Work, groups: Sequence[Sequence[PauliTerm]]) -> list[Circuit]:
    if not work.observables:
        return list(work.bound)
    return [one for circuit in work.bound for one in measured(circuit, groups)]


def _outcomes(
    work: Work, outcomes: Sequence[CircuitOutcome], groups: Sequence[Sequence[PauliTerm]]
) -> Outcomes:
    if not work.observables:
        return outcomes
    size = len(groups)
    return [
        from_counts(outcomes[start : start + size], groups, work.observables)
        for start in range(0, len(outcomes), size)
    ]


def _gone(handle: Handle) -> ProviderError:
    """Tried again: another server may have it configured."""
    return ProviderError(
        Reason.PROVIDER_FAILED,
        f"the provider {handle.provider!r} is not configured here now; its job for "
        f"{handle.backend!r} is {handle.job or handle.tag!r}",
        retry_after_s=30.0,
    )
