"""The kind "solve" in every executor: same bytes, same stop, same lines."""

import os
import signal

import pytest
from ketgate.jobs.v1 import job_pb2
from ketgate.optimization.v1 import optimization_service_pb2 as pb
from ketgate.optimization.v1 import result_pb2
from ketgate_server.jobs.base import Outcome
from ketgate_server.limits import LIMITS
from ketgate_server.optimization.engine import Engine
from ketgate_server.optimization.job import SolveKind
from ketgate_server.optimization.service import OptimizationServicer

from ....specs import LocalCall, ising, random_couplings

ENGINE = Engine(LIMITS, 2)


def glass(size, **options):
    """Spins that no solver settles soon."""
    spec = ising(random_couplings(size, min(1.0, 20 / size), seed=size))
    spec.MergeFrom(pb.SolveSpec(**options))
    return spec


def result_of(ending):
    return job_pb2.JobResult.FromString(ending.result).solve


def without_times(result):
    result.ClearField("time")
    for run in result.runs:
        run.ClearField("time")
    return result.SerializeToString(deterministic=True)


@pytest.fixture
def solves(bench):
    return bench(SolveKind(ENGINE, LIMITS))


@pytest.mark.parametrize("solvers", [["tabu"], ["tabu", "parallel-tempering"]], ids=["one", "race"])
def test_a_job_answers_as_solve_does_to_the_byte(solves, solvers):
    spec = glass(40, seed=11, work_limit=2_000, solvers=[{"name": name} for name in solvers])
    call = OptimizationServicer(LIMITS, ENGINE).solve(LocalCall(), pb.SolveRequest(spec=spec))
    assert without_times(result_of(solves.run(spec))) == without_times(call.result)


def test_a_job_tells_of_what_it_finds_and_keeps_the_best_when_stopped(solves):
    attempt = solves.start(glass(3_000, time_limit={"seconds": 600}))
    told = solves.progress()
    assert told.HasField("objective")
    assert told.solver
    attempt.stop()
    ending = solves.end()
    assert ending.outcome is Outcome.STOPPED
    result = result_of(ending)
    assert result.stop_reason == result_pb2.STOP_REASON_CANCELLED
    assert result.objective <= told.objective
    assert len(result.solutions[0].values.data) > 0


def test_a_deadline_caps_the_time_limit(solves):
    ending = solves.run(glass(3_000, time_limit={"seconds": 600}), remaining_s=2.0)
    assert ending.outcome is Outcome.LATE  # not a success: what the caller asked for is not done
    assert result_of(ending).stop_reason == result_pb2.STOP_REASON_DEADLINE


def test_a_deadline_that_passed_before_it_began_stops_with_nothing(solves):
    ending = solves.run(glass(10), remaining_s=-1.0)
    assert (ending.outcome, ending.result) == (Outcome.LATE, None)


def test_a_solve_whose_worker_is_killed_is_lost_alone(open_bench):
    here = open_bench("process")(SolveKind(ENGINE, LIMITS))
    here.start(glass(3_000, time_limit={"seconds": 600}))
    here.progress()
    os.kill(here.executor._made[0]._worker._process.pid, signal.SIGKILL)
    assert here.end().outcome is Outcome.LOST
    assert here.run(glass(10, work_limit=100)).outcome is Outcome.SUCCEEDED
