"""What every executor does alike, wherever it runs the work."""

import gc
import logging
import os

import numpy as np
import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate.type.v1 import tensor_pb2
from ketgate_server.errors import Reason
from ketgate_server.jobs.base import Fault, Outcome

MIB = 1 << 20


def result_of(ending):
    return pb.JobResult.FromString(ending.result).solve


def test_a_run_is_given_its_spec_and_gives_its_result(bench, sort):
    here = bench("echo")
    ending = here.run({"seed": 5}, tenant="acme")
    assert ending.outcome is Outcome.SUCCEEDED
    result = result_of(ending)
    assert (result.seed, result.solver, result.threads) == (5, "acme", 2)
    assert (result.warnings[0] == str(os.getpid())) == (sort == "thread")


@pytest.mark.parametrize("sort", ["thread", "process"])
def test_workers_are_used_again(open_bench, sort):
    here = open_bench(sort)("echo", slots=3)
    where = {result_of(here.run()).warnings[0] for _ in range(5)}
    assert len(where) == 1


@pytest.mark.parametrize("size", [64 * 1024 - 50, 64 * 1024 + 50, 3 * MIB])
def test_large_arrays_come_through_whole(bench, size):
    here = bench("echo")
    values = np.random.default_rng(size).bytes(size)
    ending = here.run({"initial": tensor_pb2.Tensor(data=values)})
    assert result_of(ending).solutions[0].values.data == values


def test_a_run_told_to_stop_gives_its_best(bench):
    here = bench("until_stopped")
    attempt = here.start({"seed": 9})
    assert here.progress().solver == "waits"
    room = here.executor.room
    attempt.stop()
    ending = here.end()
    assert ending.outcome is Outcome.STOPPED
    assert result_of(ending).seed == 9
    attempt.stop()  # it is over: nothing happens
    assert here.executor.room == room + 1


def test_a_stop_before_it_began_is_heard(bench):
    here = bench("until_stopped")
    here.start({"seed": 9}).stop()
    assert here.end().outcome is Outcome.STOPPED


def test_a_stop_is_of_its_own_attempt_alone(bench):
    here = bench("until_stopped", slots=2)
    first, second = here.start({"seed": 1}), here.start({"seed": 2})
    here.progress(), here.progress()
    second.stop()
    assert result_of(here.end()).seed == 2
    third = here.start({"seed": 3})
    here.progress()
    assert here.ends.empty()
    first.stop(), third.stop()
    assert {result_of(here.end()).seed for _ in range(2)} == {1, 3}


def test_a_run_may_stop_with_nothing(bench):
    here = bench("stopped_with_nothing")
    here.start().stop()
    ending = here.end()
    assert (ending.outcome, ending.result) == (Outcome.STOPPED, None)


def test_what_returns_has_succeeded_although_it_was_told_to_stop(bench):
    here = bench("finishes_anyway")
    attempt = here.start({"seed": 4})
    here.progress()
    attempt.stop()
    ending = here.end()
    assert ending.outcome is Outcome.SUCCEEDED
    assert result_of(ending).seed == 4


def test_a_callers_fault_keeps_its_words(bench):
    ending = bench("callers_fault").run({"seed": 3})
    assert (ending.outcome, ending.fault) == (Outcome.FAILED, Fault.CALLER)
    assert ending.error.reason is Reason.FIELD_INVALID
    assert ending.error.field == "spec.seed"
    assert ending.error.message == "spec.seed: expected something else, given 3; change it"


def test_a_providers_fault_says_when_to_come_back(bench):
    ending = bench("providers_fault").run()
    assert (ending.outcome, ending.fault) == (Outcome.FAILED, Fault.PROVIDER)
    assert ending.error.retry_after_s == 7.5


@pytest.mark.parametrize("run", ["our_fault", "exits"])
def test_of_a_fault_of_ours_the_caller_hears_where_the_log_has_it(bench, run, caplog):
    here = bench(run)
    ending = here.run()
    assert (ending.outcome, ending.fault) == (Outcome.FAILED, Fault.SERVER)
    assert ending.error.reason is Reason.INTERNAL
    assert here.reference in ending.error.message
    assert "secret" not in ending.error.message
    assert here.reference in caplog.text
    assert ("a secret of ours" in caplog.text) == (run == "our_fault")
    assert here.run().outcome is Outcome.FAILED  # the worker goes on


def test_too_little_memory_may_be_enough_another_time(bench):
    ending = bench("out_of_memory").run()
    assert (ending.fault, ending.error.limit) == (Fault.SERVER, "memory")


def test_a_kind_of_another_version_is_tried_again_elsewhere(bench):
    here = bench("echo")
    room = here.executor.room
    here.executor._kinds._kinds.clear()
    ending = here.run()
    assert (ending.outcome, ending.fault) == (Outcome.FAILED, Fault.SERVER)
    assert here.executor.room == room


def test_room_is_there_before_the_end_is_told(bench):
    here = bench("echo", slots=2)
    for _ in range(3):
        here.run()
        assert here.room_at_end.get() == 2


@pytest.mark.parametrize("sort", ["thread", "process"])
def test_no_more_than_there_is_room_for(open_bench, sort):
    here = open_bench(sort)("until_stopped", slots=1)
    here.start()
    with pytest.raises(RuntimeError, match="no room"):
        here.start()


@pytest.mark.parametrize("sort", ["thread", "process"])
def test_closing_stops_what_runs_and_takes_nothing_more(open_bench, sort):
    here = open_bench(sort)("until_stopped", slots=2)
    here.start()
    here.progress()
    here.executor.close()
    assert here.end().outcome in (Outcome.STOPPED, Outcome.LOST)
    assert here.executor.room == 0
    with pytest.raises(RuntimeError, match="closed"):
        here.start()


def test_what_is_logged_at_work_is_logged_here(bench, caplog):
    with caplog.at_level(logging.INFO):
        bench("logs").run({"seed": 6})
    assert ("ketgate.optimization", logging.WARNING, "from the worker, 6") in caplog.record_tuples


def test_nothing_is_kept_of_an_attempt_that_is_over(bench):
    """Neither the spec nor the result, in the server's own memory."""
    here = bench("grow")
    ending = here.run({"work_limit": 5 * MIB, "initial": tensor_pb2.Tensor(data=bytes(MIB))})
    large = {id(ending.result)}
    gc.collect()
    kept = [o for o in gc.get_objects() if type(o) is pb.JobSpec and o.ByteSize() > MIB]
    assert not kept
    assert len(gc.get_referrers(ending.result)) <= 2  # the ending, and this frame
    assert large
