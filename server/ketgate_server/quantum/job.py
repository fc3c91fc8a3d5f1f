"""The kinds of jobs "run_circuits" and "estimate_observables": the specs of QuantumService, without a
caller that waits.

What a simulator or emulator runs is run within the attempt. What a QPU runs is submitted under the
job's own tag, and no worker is held while it waits there; such an attempt stays in the server, which
alone has the providers.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import cast

from google.protobuf.message import Message
from ketgate.jobs.v1 import job_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as pb

from ketgate_server.artifacts.convert_tensors import referenced
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import RunContext
from ketgate_server.jobs.faults import Stopped
from ketgate_server.limits import Limit
from ketgate_server.quantum import convert, convert_result, reading
from ketgate_server.quantum.base import BackendKind, CircuitOutcome, ExpectationOutcome
from ketgate_server.quantum.catalogue import Entry
from ketgate_server.quantum.convert_options import read_choice
from ketgate_server.quantum.evidence import Evidence
from ketgate_server.quantum.gateway import MARGIN_S, Gateway
from ketgate_server.quantum.remote import Done, Here, RemoteWork
from ketgate_server.quantum.routing import Step
from ketgate_server.quantum.shared import gateway as gateway_here
from ketgate_server.quantum.work import Caller, Choice, Work

ROLE = "quantum.user"
QPU_ROLE = "quantum.qpu"
THREADS_MAX = 64

RUN = "run_circuits"
ESTIMATE = "estimate_observables"

Spec = pb.RunCircuitsSpec | pb.EstimateObservablesSpec
Read = Callable[..., Work]

OVER_BEFORE = {Reason.CANCELLED, Reason.DEADLINE_EXCEEDED, Reason.SERVER_BUSY}
"""What a run ends with when its job is to end."""


class QuantumKind:
    """Implements jobs.base.JobKind for both."""

    isolated = False
    role = ROLE

    def __init__(
        self,
        name: str,
        gateway: Gateway,
        limits: Mapping[str, Limit],
        remote: RemoteWork | None = None,
    ) -> None:
        """remote: does what QPUs do; None: no provider is configured."""
        self.name = name
        self.entry = f"ketgate_server.quantum.job:{name}"
        self._read: Read = convert.read_run if name == RUN else convert.read_estimation
        self._gateway = gateway
        self._limits = limits
        self._remote = remote

    def check(self, spec: Spec) -> None:
        work = self._read(spec, self._limits, self._gateway.threads)
        self._gateway.estimate(work, Caller(arrival_s=time.monotonic()), durable=True)

    def roles(self, spec: Spec) -> Sequence[str]:
        """What a caller needs beside `role`: QPUs cost money."""
        qpus = (e.describe().kind is BackendKind.QPU for e in self._at_providers(spec))
        return (QPU_ROLE,) if any(qpus) else ()

    def stays(self, spec: Spec) -> bool:
        """Whether it has to run in a thread of the server."""
        return bool(self._at_providers(spec))

    def digest(self, spec: Spec) -> bytes:
        return bytes.fromhex(convert.digest(spec))

    def artifacts(self, spec: Spec) -> Sequence[str]:
        return referenced(spec, "spec")

    def run(self, spec: Spec, context: RunContext) -> Message:
        remote = self._remote if context.handle or self._at_providers(spec) else None
        return run(self._gateway, self._read, spec, context, remote)

    def _at_providers(self, spec: Spec) -> list[Entry]:
        """Back ends at providers that may be used."""
        choice = read_choice(spec.backend, "spec.backend")
        entries = self._gateway.catalogue.entries()
        return [e for e in entries if e.provider is not None and choice.names(e.name)]


def run(
    gateway: Gateway,
    read: Read,
    spec: Spec,
    context: RunContext,
    remote: RemoteWork | None = None,
) -> Message:
    """Raises Stopped; Submitted while a provider has it."""
    started_s = time.monotonic()
    threads_max = max(gateway.threads, min(spec.threads, THREADS_MAX))
    try:
        with reading.by_caller(caller_of(context)):
            work = read(spec, context.limits, threads_max)
    except KetgateError as error:
        raise as_ending(error, context) from None
    if not spec.HasField("seed"):
        # Another attempt, or another turn, is to do the same work.
        work = replace(work, options=replace(work.options, seed=seed_of(context.job_id)))
    checking_s = time.monotonic() - started_s
    done = None if remote is None else remote.turn(work, context)
    if isinstance(done, Here):
        work = replace(work, choice=Choice(done.backend))
    if not isinstance(done, Done):
        steps = () if done is None else done.steps
        done = _here(gateway, work, context, steps)
    outcomes, evidence = done.outcomes, done.evidence
    written = convert_result.write_evidence(
        evidence,
        digest=convert.digest(spec),
        checking_s=checking_s,
        total_s=time.monotonic() - started_s,
    )
    if work.observables:
        expectations = cast(Sequence[ExpectationOutcome], outcomes)
        return pb.EstimateObservablesResult(
            expectations=convert_result.write_expectations(work, expectations), evidence=written
        )
    circuits = cast(Sequence[CircuitOutcome], outcomes)
    return pb.RunCircuitsResult(
        circuits=[
            convert_result.write_circuit_result(index, circuit, outcome, work.options.shots)
            for index, (circuit, outcome) in enumerate(zip(work.bound, circuits, strict=True))
        ],
        evidence=written,
    )


def _here(gateway: Gateway, work: Work, context: RunContext, steps: Sequence[Step]) -> Done:
    """steps: what was passed over before."""
    caller = caller_of(context)
    try:
        if work.observables:
            expectations, evidence = gateway.expectations(work, caller)
            evidence.steps = (*steps, *evidence.steps)
            return Done(expectations, evidence)
        outcomes: list[CircuitOutcome] = []
        for event in gateway.stream(work, caller):
            if isinstance(event, Evidence):
                event.steps = (*steps, *event.steps)
                return Done(outcomes, event)
            outcomes.append(event)
            context.progress(job_pb2.JobProgress(work=len(outcomes)))
        raise AssertionError("a run ends with its evidence")
    except KetgateError as error:
        raise as_ending(error, context) from None


def caller_of(context: RunContext) -> Caller:
    """The part of a job that a run needs."""
    return Caller(
        tenant=context.tenant,
        arrival_s=time.monotonic(),
        deadline_s=time.monotonic() + context.remaining_s(),
        is_cancelled=lambda: context.stopped,
        on_cancel=context.on_stop,
        patient=True,
    )


def as_ending(error: KetgateError, context: RunContext) -> Exception:
    """What an attempt ends with, whose run ended with the error."""
    if error.reason in OVER_BEFORE:
        if context.stopped:
            return Stopped()
        if context.remaining_s() <= 2 * MARGIN_S:
            return Stopped(late=True)
    if error.reason is Reason.DEADLINE_EXCEEDED:
        # Its own time limit: another attempt would take as long.
        return KetgateError(Reason.JOB_EXPIRED, error.message, field=error.field)
    return error


def seed_of(job_id: str) -> int:
    return int.from_bytes(hashlib.sha256(job_id.encode()).digest()[:8], "little") >> 1


def run_circuits(spec: pb.RunCircuitsSpec, context: RunContext) -> Message:
    """In a worker process, which has the back ends of this machine and no provider."""
    return run(gateway_here(context.limits, context.threads), convert.read_run, spec, context)


def estimate_observables(spec: pb.EstimateObservablesSpec, context: RunContext) -> Message:
    """As run_circuits."""
    gateway = gateway_here(context.limits, context.threads)
    return run(gateway, convert.read_estimation, spec, context)
