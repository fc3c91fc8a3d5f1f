"""Plans on the gateway: for a call and for a job alike."""

from __future__ import annotations

import time
from typing import Any

from google.protobuf.message import Message

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum import convert_backend, convert_result
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.convert import digest
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.work import Caller, Work
from ketgate_server.rpc.call import Call


def run(gateway: Gateway, plan: Plan, caller: Caller, spec: Any, checking_s: float) -> Message:
    """The result message, evidence included. What was found before the time was over, or the caller
    went away, is the answer; without any, KetgateError DEADLINE_EXCEEDED or CANCELLED."""
    try:
        with gateway.open(plan.work, caller) as session:
            runner = Runner(session)
            found = plan.perform(runner)
            session.succeeded()
    except Stopped:
        raise _stopped(caller, plan.work) from None
    session.evidence.warnings += runner.warnings
    written: Any = plan.write(found, runner)
    written.evidence.CopyFrom(
        convert_result.write_evidence(
            session.evidence,
            digest=digest(spec),
            checking_s=checking_s,
            total_s=time.monotonic() - caller.arrival_s,
        )
    )
    out: Message = written
    return out


def estimate(gateway: Gateway, plan: Plan, caller: Caller) -> Message:
    """What it would take; raises as run would."""
    found, _ = gateway.estimate(plan.work, caller)
    written = convert_backend.write_estimate(
        found, [convert_result.write_resources(c, c.label) for c in plan.work.bound]
    )
    limit_s = plan.work.time_limit_s
    once_s = written.run_time.seconds + written.run_time.nanos * 1e-9
    written.run_time.CopyFrom(convert_result.duration(min(limit_s, once_s * plan.repetitions)))
    written.shots *= plan.repetitions
    out: Message = written
    return out


def caller_of(call: Call) -> Caller:
    """The part of a call that a run needs."""
    return Caller(
        tenant=call.identity.tenant,
        arrival_s=call.arrival_s,
        deadline_s=time.monotonic() + call.remaining_s(),
        is_cancelled=lambda: call.cancelled,
        on_cancel=call.on_cancel,
    )


def _stopped(caller: Caller, work: Work) -> KetgateError:
    if caller.is_cancelled():
        return KetgateError(Reason.CANCELLED, "the run was cancelled")
    if caller.arrival_s + work.time_limit_s < caller.deadline_s:
        return KetgateError(
            Reason.DEADLINE_EXCEEDED,
            f"spec.execution.time_limit: {work.time_limit_s:g} s were over before there was "
            "anything to return",
            field="spec.execution.time_limit",
        )
    return KetgateError(
        Reason.DEADLINE_EXCEEDED, "the deadline passed before there was anything to return"
    )
