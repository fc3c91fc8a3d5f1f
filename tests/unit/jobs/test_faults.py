"""Whose fault it is: the table of reasons, and what a caller hears."""

import pickle

import pytest
from ketgate_server.errors import (
    CATALOGUE,
    FieldError,
    KetgateError,
    LimitError,
    PartMissing,
    Reason,
)
from ketgate_server.jobs.base import Ending, Fault, Outcome
from ketgate_server.jobs.executors.channel import pack, unpack
from ketgate_server.jobs.faults import ProviderError, classify, failed, internal

PASSING = {
    Reason.SERVER_BUSY,
    Reason.DEADLINE_EXCEEDED,
    Reason.DRAINING,
    Reason.WATCH_TOO_SLOW,
    Reason.STORE_UNAVAILABLE,
    Reason.INTERNAL,
    Reason.BACKEND_UNAVAILABLE,
    Reason.PROVIDER_FAILED,
    Reason.RATE_EXCEEDED,
}


@pytest.mark.parametrize("reason", CATALOGUE)
def test_what_passes_by_itself_is_not_the_callers_fault(reason):
    fault, told = classify(KetgateError(reason, "so it is"), "jobs/a/attempts/1")
    assert fault is (Fault.SERVER if reason in PASSING else Fault.CALLER)
    assert told.message == "so it is"


def test_a_providers_error_is_the_providers_whatever_its_reason():
    assert classify(ProviderError(Reason.FIELD_INVALID, "no"), "")[0] is Fault.PROVIDER


def test_a_callers_fault_is_not_logged_and_ours_is(caplog):
    failed(FieldError("spec", expected="a", given="b"), "jobs/a/attempts/1")
    assert not caplog.records
    failed(ValueError("inner workings"), "jobs/a/attempts/2")
    assert "inner workings" in caplog.text
    assert "jobs/a/attempts/2" in caplog.text


ERRORS = [
    None,
    FieldError("spec.seed", expected="a number", given="x" * 300, hint="try another"),
    LimitError("optimization.spins_max", allowed=3, given=4, field="spec.ising"),
    PartMissing("highs", "pip install highspy"),
    ProviderError(Reason.SERVER_BUSY, "busy", retry_after_s=2.5),
    internal("jobs/a/attempts/1"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_an_ending_survives_the_way_to_another_process(error):
    ending = Ending(Outcome.FAILED, fault=Fault.CALLER, error=error, artifacts=["ab" * 32])
    there = unpack(pickle.loads(pickle.dumps(pack(ending))), b"result")
    assert (there.outcome, there.fault, there.result) == (Outcome.FAILED, Fault.CALLER, b"result")
    assert list(there.artifacts) == ["ab" * 32]
    if error is None:
        assert there.error is None
        return
    kept = ("reason", "message", "field", "limit", "retry_after_s", "metadata")
    assert [getattr(there.error, k) for k in kept] == [getattr(error, k) for k in kept]
