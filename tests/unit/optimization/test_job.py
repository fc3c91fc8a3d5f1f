"""The kind of job "solve": what it refuses, how it waits, what it tells."""

import threading
from dataclasses import replace

import numpy as np
import pytest
from ketgate.jobs.v1 import job_pb2
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2
from ketgate_server.errors import FieldError, KetgateError, LimitError
from ketgate_server.jobs.executors.attempt import Attempt, Surroundings, Work
from ketgate_server.jobs.faults import Stopped
from ketgate_server.jobs.kinds import Kinds
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.job import SolveKind
from ketgate_server.optimization.service import OptimizationServicer

from ...specs import LocalCall, ising, linear, qubo, random_couplings

TIMEOUT_S = 200.0


def limits_with(**values):
    changed = {name.replace("__", "."): value for name, value in values.items()}
    return {
        name: replace(limit, value=changed.get(name, limit.value)) for name, limit in LIMITS.items()
    }


def make_attempt(progress=lambda told: None, remaining_s=float("inf")):
    work = Work("jobs/a/attempts/1", "solve", SolveKind.entry, "t", b"", remaining_s)
    return Attempt(work, Surroundings(threads=2), progress, print)


def glass(size=2_000, seconds=600):
    spec = ising(random_couplings(size, min(1.0, 20 / size), seed=size))
    spec.time_limit.seconds = seconds
    return spec


@pytest.fixture
def kind():
    return SolveKind(Engine(LIMITS, 2), LIMITS)


REFUSED = [
    pb.SolveSpec(),
    pb.SolveSpec(work_limit=-1, qubo={"num_variables": 1}),
    pb.SolveSpec(qubo={"num_variables": 2}, threads=3),
    pb.SolveSpec(qubo={"num_variables": 2}, solvers=[{"name": "nobody"}]),
    pb.SolveSpec(qubo={"num_variables": 2}, solvers=[{"name": "clarabel"}]),
    pb.SolveSpec(qubo={"num_variables": LIMITS["optimization.spins_max"].value + 1}),
]


@pytest.mark.parametrize("spec", REFUSED, ids=range(len(REFUSED)))
def test_a_job_is_refused_as_the_call_is(kind, spec):
    with pytest.raises(KetgateError) as of_call:
        OptimizationServicer(LIMITS, Engine(LIMITS, 2)).solve(
            LocalCall(), pb.SolveRequest(spec=spec)
        )
    with pytest.raises(KetgateError) as of_job:
        kind.check(spec)
    assert of_job.value.reason is of_call.value.reason
    assert of_job.value.message == of_call.value.message
    assert of_job.value.field == of_call.value.field


def test_what_needs_too_much_memory_is_refused_before_it_waits():
    limits = limits_with(optimization__memory_bytes_max=1)
    with pytest.raises(LimitError, match="memory_bytes_max"):
        SolveKind(Engine(limits, 2), limits).check(glass(500))


def test_the_digest_is_that_of_the_result(kind):
    spec = qubo(np.diag([-1.0, 1.0]))
    kind.check(spec)
    assert kind.run(spec, make_attempt()).spec_digest == kind.digest(spec).hex()


def test_lists_where_the_request_asks_for_lists(kind):
    spec = qubo(np.diag([-1.0, 1.0]))
    spec.list_arrays = True
    values = kind.run(spec, make_attempt()).solutions[0].values
    assert not values.data
    assert list(values.integers.values or values.doubles.values) == [1, 0]


def test_infeasible_is_a_result(kind):
    spec = linear([1.0], rows=[[1.0]], lower=[2.0], upper=[3.0], x_lower=[0.0], x_upper=[1.0])
    result = kind.run(spec, make_attempt())
    assert result.status == result_pb2.SOLVE_STATUS_INFEASIBLE


def test_progress_only_gets_better_and_ends_at_the_result(kind):
    told = []
    spec = glass(500)
    spec.seed, spec.work_limit = 3, 3_000
    result = kind.run(spec, make_attempt(told.append))
    objectives = [report.objective for report in told if report.HasField("objective")]
    assert objectives == sorted(objectives, reverse=True)
    assert objectives[-1] >= result.objective
    assert {report.solver for report in told} <= {run.solver for run in result.runs} | {""}


def test_threads_that_were_accepted_are_had_where_there_are_fewer_processors():
    spec = qubo(np.diag([-1.0, 1.0]))
    spec.threads = 2
    assert SolveKind(Engine(LIMITS, 1), LIMITS).run(spec, make_attempt()).threads == 2


class Solving:
    """A solve in a thread of its own, under way."""

    def __init__(self, kind, spec, **options):
        self.began = threading.Event()
        self.attempt = make_attempt(lambda told: self.began.set(), **options)
        self.result = self.error = None
        self._thread = threading.Thread(target=self._run, args=(kind, spec), daemon=True)
        self._thread.start()

    def _run(self, kind, spec):
        try:
            self.result = kind.run(spec, self.attempt)
        except Exception as error:
            self.error = error

    def join(self):
        self._thread.join(TIMEOUT_S)
        assert not self._thread.is_alive()


def waits_in_line(engine, number):
    """Return when so many wait for a slot; nobody is told of an arrival."""
    admission = engine.admission
    with admission._changed:
        while len(admission._line) < number:
            admission._changed.wait(0.01)


def all_slots_come_free(engine):
    """Return when they have: a solver holds its slot until it has heard of its stop."""
    admission = engine.admission
    with admission._changed:
        while admission.running:
            admission._changed.wait(0.01)


def test_a_job_waits_for_a_slot_without_using_its_limit():
    limits = limits_with(optimization__solves_max=1, optimization__solves_queued_max=0)
    engine = Engine(limits, 2)
    kind = SolveKind(engine, limits)
    first = Solving(kind, glass())
    assert first.began.wait(TIMEOUT_S)
    second = Solving(kind, glass(seconds=1))
    waits_in_line(engine, 1)
    servicer = OptimizationServicer(limits, engine)
    with pytest.raises(KetgateError, match="0 are waiting"):  # jobs do not fill the callers' line
        servicer.solve(LocalCall(), pb.SolveRequest(spec=glass()))
    first.attempt.stop()
    first.join()
    assert isinstance(first.error, Stopped)
    second.join()
    assert second.error is None
    assert second.result.stop_reason == result_pb2.STOP_REASON_TIME_LIMIT
    assert second.result.time.solving.ToMilliseconds() > 500
    all_slots_come_free(engine)


def test_a_job_that_waits_hears_that_it_is_to_stop():
    limits = limits_with(optimization__solves_max=1)
    engine = Engine(limits, 2)
    kind = SolveKind(engine, limits)
    first = Solving(kind, glass())
    assert first.began.wait(TIMEOUT_S)
    second, third = Solving(kind, glass()), Solving(kind, glass(), remaining_s=0.3)
    second.attempt.stop()
    second.join()
    assert isinstance(second.error, Stopped)
    assert second.error.best is None
    third.join()  # its deadline passed in the line
    assert isinstance(third.error, Stopped)
    first.attempt.stop()
    first.join()
    all_slots_come_free(engine)


def test_the_registry_knows_the_fields_of_the_contract(kind):
    kinds = Kinds([kind])
    spec = job_pb2.JobSpec(solve={"seed": 3})
    assert kinds.of(spec) == (kind, spec.solve)
    with pytest.raises(FieldError, match=r"^job.spec: expected what to do: solve, given nothing"):
        kinds.of(job_pb2.JobSpec(), "job.spec")
    with pytest.raises(FieldError, match=r"^spec.solve: "):
        Kinds().of(spec)
    with pytest.raises(ValueError, match="twice"):
        kinds.add(kind)
