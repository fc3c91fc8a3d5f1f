"""The kinds of jobs of algorithms: the specs of their services, without a caller that waits."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from google.protobuf.message import Message

from ketgate_server.artifacts.convert_tensors import referenced
from ketgate_server.errors import KetgateError
from ketgate_server.jobs.base import RunContext
from ketgate_server.jobs.faults import Stopped
from ketgate_server.limits import Limit
from ketgate_server.quantum import reading
from ketgate_server.quantum.algorithms.plan import Plan
from ketgate_server.quantum.algorithms.running import estimate, run
from ketgate_server.quantum.convert import digest
from ketgate_server.quantum.gateway import Gateway
from ketgate_server.quantum.job import ROLE, as_ending, caller_of, seed_of
from ketgate_server.quantum.work import Caller

THREADS_MAX = 64

Reader = Callable[[Any, Mapping[str, Limit], int], Plan]


class PlanKind:
    """Implements jobs.base.JobKind for one algorithm."""

    isolated = False
    role = ROLE

    def __init__(
        self, name: str, read: Reader, gateway: Gateway, limits: Mapping[str, Limit]
    ) -> None:
        self.name = name
        self.entry = f"ketgate_server.quantum.algorithms.entries:{name}"
        self._read = read
        self._gateway = gateway
        self._limits = limits

    def check(self, spec: Any) -> None:
        plan = self._read(spec, self._limits, self._gateway.threads)
        estimate(self._gateway, plan, Caller(arrival_s=time.monotonic()))

    def digest(self, spec: Any) -> bytes:
        return bytes.fromhex(digest(spec))

    def artifacts(self, spec: Any) -> Sequence[str]:
        return referenced(spec, "spec")

    def run(self, spec: Any, context: RunContext) -> Message:
        return perform(self._gateway, self._read, spec, context)


def perform(gateway: Gateway, read: Reader, spec: Any, context: RunContext) -> Message:
    """Raises Stopped with the best so far."""
    started_s = time.monotonic()
    if not spec.execution.HasField("seed"):
        # Another attempt is to do the same work; the caller's own spec stays as it is.
        seeded = type(spec)()
        seeded.CopyFrom(spec)
        seeded.execution.seed = seed_of(context.job_id)
    else:
        seeded = spec
    threads_max = max(gateway.threads, min(spec.execution.threads, THREADS_MAX))
    caller = caller_of(context)
    try:
        with reading.by_caller(caller):
            plan = read(seeded, context.limits, threads_max)
        checking_s = time.monotonic() - started_s
        written: Any = run(gateway, plan, caller, spec, checking_s)
    except KetgateError as error:
        raise as_ending(error, context) from None
    if context.stopped:
        raise Stopped(written)
    if context.remaining_s() <= 0.0:
        raise Stopped(written, late=True)
    out: Message = written
    return out
