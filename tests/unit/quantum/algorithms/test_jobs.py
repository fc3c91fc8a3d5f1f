"""Algorithms as jobs: every kind can be entered from another process, and answers as its method."""

import importlib
import math
from typing import Any

import pytest
from ketgate.jobs.v1 import job_pb2
from ketgate.quantum.v1 import algorithm_service_pb2 as pb
from ketgate_server.jobs.faults import Stopped
from ketgate_server.limits import LIMITS
from ketgate_server.quantum import shared
from ketgate_server.quantum.algorithms.job import PlanKind
from ketgate_server.quantum.algorithms.service import ALGORITHMS
from ketgate_server.quantum.learning.service import CLASSIFIER, KERNEL

EVERY = (*ALGORITHMS, KERNEL, CLASSIFIER)


class Context:
    """What a running job sees, without a job."""

    def __init__(self, *, stopped: bool = False, remaining_s: float = math.inf) -> None:
        self.tenant, self.threads, self.limits, self.job_id = "t", 1, LIMITS, "01job"
        self.stopped = stopped
        self._remaining_s = remaining_s

    def on_stop(self, callback: Any) -> None:
        if self.stopped:
            callback()

    def remaining_s(self) -> float:
        return self._remaining_s


def ring(**more: Any) -> pb.QaoaSpec:
    spec = pb.QaoaSpec(layers=1, **more)
    spec.ising.num_spins = 4
    matrix = spec.ising.quadratic
    matrix.row.integers.values.extend([0, 1, 2, 0])
    matrix.column.integers.values.extend([1, 2, 3, 3])
    matrix.value.doubles.values.extend([1.0] * 4)
    return spec


def entry(name: str) -> Any:
    module, _, function = name.partition(":")
    return getattr(importlib.import_module(module), function)


@pytest.mark.parametrize("algorithm", EVERY, ids=lambda one: one.kind)
def test_every_kind_has_an_entry_and_fields_of_a_job(algorithm: Any) -> None:
    kind = PlanKind(algorithm.kind, algorithm.read, shared.gateway(LIMITS, 1), LIMITS)
    assert callable(entry(kind.entry))
    assert algorithm.kind in job_pb2.JobSpec.DESCRIPTOR.fields_by_name
    assert algorithm.kind in job_pb2.JobResult.DESCRIPTOR.fields_by_name


def test_the_entry_runs_and_repeats_itself_without_a_seed() -> None:
    run = entry("ketgate_server.quantum.algorithms.entries:qaoa")
    one, other = run(ring(), Context()), run(ring(), Context())
    assert one.expectation == pytest.approx(-2.0)
    assert one.evidence.backend == "native"
    assert one.evidence.seed == other.evidence.seed
    assert one.samples == other.samples


def test_a_job_that_is_told_to_stop_ends_so() -> None:
    run = entry("ketgate_server.quantum.algorithms.entries:qaoa")
    with pytest.raises(Stopped):
        run(ring(), Context(stopped=True))
    with pytest.raises(Stopped):
        run(ring(), Context(remaining_s=0.0))
