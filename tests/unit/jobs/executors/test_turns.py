"""Turns of an attempt whose work is at a provider, in every executor."""

import pytest
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate.type.v1 import tensor_pb2
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Fault, Outcome
from ketgate_server.jobs.faults import HANDLE_BYTES_MAX, Stopped


def result_of(ending):
    return pb.JobResult.FromString(ending.result).solve


def test_a_turn_ends_with_a_handle_and_the_next_is_given_it(bench):
    here = bench("at_provider")
    ending = here.run({"seed": HANDLE_BYTES_MAX})
    assert here.kept == [b"intent", b"known"]
    assert (ending.outcome, ending.poll_after_s) == (Outcome.SUBMITTED, 7.5)
    assert ending.handle == b"h" * HANDLE_BYTES_MAX
    assert ending.progress.work == 3
    large = tensor_pb2.Tensor(data=bytes(30 << 10))  # beside the handle, in one packet
    again = here.run({"seed": 1, "initial": large}, handle=ending.handle)
    told = result_of(again).warnings
    assert told == [here.reference.split("/")[1], "1", ending.handle.decode()]


def test_a_turn_that_is_to_stop_knows_it_from_the_beginning(bench):
    here = bench("at_provider")
    ending = here.run({"seed": 1}, handle=b"h", stopped=True)
    assert (ending.outcome, result_of(ending).solver) == (Outcome.STOPPED, "cancelled")


@pytest.mark.parametrize(
    ("refusal", "outcome", "reason"),
    [
        (Stopped(), Outcome.STOPPED, None),
        (KetgateError(Reason.STORE_UNAVAILABLE, "no room"), Outcome.FAILED, "STORE_UNAVAILABLE"),
        (KeyError("a secret"), Outcome.FAILED, "INTERNAL"),
    ],
)
def test_without_its_handle_kept_it_asks_nothing_of_the_provider(bench, refusal, outcome, reason):
    here = bench("at_provider")
    here.refusal = refusal
    ending = here.run({"seed": 1})
    assert here.kept == [b"intent"]
    assert ending.outcome is outcome
    assert (ending.error and ending.error.reason) == reason
    assert ending.fault is (Fault.SERVER if reason else None)
    assert "secret" not in str(ending.error)


def test_a_handle_that_is_too_large_is_not_kept(bench):
    here = bench("submits_too_much")
    assert here.run().fault is Fault.SERVER
    assert not here.kept


def test_who_was_told_to_stop_before_its_first_handle_does_not_begin(bench):
    here = bench("checkpoint_after_stop")
    attempt = here.start()
    here.progress()
    attempt.stop()
    assert here.end().outcome is Outcome.STOPPED
    assert not here.kept


@pytest.mark.parametrize("sort", ["thread", "process"])
def test_an_executor_that_closes_does_not_cancel_at_the_provider(open_bench, sort, monkeypatch):
    monkeypatch.setattr("ketgate_server.jobs.executors.slots.CLOSE_TIMEOUT_S", 0.1)
    here = open_bench(sort)("waits_with_a_handle")
    attempt = here.start()
    here.progress()
    here.executor.close()
    if sort == "thread":
        assert not attempt.stopped
        attempt.stop()
        assert here.end().outcome is Outcome.STOPPED
    else:
        assert here.end().outcome is Outcome.LOST
