"""The jobs that callers create: what of their results is known beforehand."""

import random

from ketgate.jobs.v1 import job_service_pb2 as jobs
from ketgate.optimization.v1 import optimization_service_pb2, result_pb2

from tests.specs import ising, random_couplings

SHORT = {f"short-{seed}": seed for seed in (1, 2, 3, 4)}
"""Seeded and limited by work: the same bytes wherever and how often they run."""

LONG, DELAYED, DUE = "long", "delayed", "due"


def short_spec(seed: int) -> optimization_service_pb2.SolveSpec:
    spec = ising(random_couplings(24, 0.4, seed))
    spec.seed, spec.work_limit, spec.threads = seed, 200, 1
    return spec


def fill(request: jobs.CreateJobRequest, generator: random.Random) -> str:
    """Write some work into a request, and return which."""
    kind = generator.choices([*SHORT, LONG, DELAYED, DUE], [15, 15, 15, 15, 15, 15, 10])[0]
    if kind in (LONG, DUE):
        spec = ising(random_couplings(120, 0.3, 1))
        spec.seed = 1
        spec.time_limit.FromMilliseconds(generator.randrange(50, 400))
        if kind == DUE:  # before it has done anything, or amid it
            timeout_ms = generator.randrange(50, 1500)
            request.timeout.FromMilliseconds(timeout_ms)
            request.delay.FromMilliseconds(timeout_ms - 1)
            spec.time_limit.FromSeconds(60)
        request.spec.solve.CopyFrom(spec)
        return kind
    request.spec.solve.CopyFrom(short_spec(SHORT.get(kind, 1)))
    request.priority = generator.randrange(-2, 3)
    if kind == DELAYED:
        request.delay.FromMilliseconds(generator.randrange(100, 3000))
    return kind


def lasting(result: result_pb2.SolveResult) -> bytes:
    """The bytes of a result, without the times that its search took."""
    copy = result_pb2.SolveResult()
    copy.CopyFrom(result)
    copy.ClearField("time")
    for run in copy.runs:
        run.ClearField("time")
    return bytes(copy.SerializeToString(deterministic=True))
