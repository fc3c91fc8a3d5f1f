"""Runs through the gateway: seeds, fail-over, breakers, slots, limits of time."""

import threading
import time

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.base import BackendStatus, CircuitOutcome, Stopped, Unsuitable
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.session import mixed
from ketgate_server.quantum.work import Caller, Choice

from .fakes import BELL, CALLER, Clock, FakeBackend, broken, gateway, work

FAIL_OVER = Choice("a", fail_over=True, allowed=("b",))


def seeds(backend):
    return [options.seed for _, options in backend.calls]


def test_outcomes_come_with_their_evidence():
    of = gateway(FakeBackend("a"))
    outcomes, evidence = of.run(work(BELL, BELL), CALLER)
    assert [outcome.counts for outcome in outcomes] == [{0: 9, 3: 1}] * 2
    assert evidence.description.name == "a"
    assert evidence.running_s == 0.5
    assert evidence.warnings == ["warm"]
    assert evidence.steps == ()


def test_each_circuit_has_a_seed_of_its_own_and_the_first_the_request_s():
    backend = FakeBackend("a")
    gateway(backend).run(work(*[BELL] * 100, seed=7), CALLER)
    assert seeds(backend)[0] == 7
    assert len(set(seeds(backend))) == 100
    assert not set(seeds(backend)) & {mixed(8, k) for k in range(100)}


@pytest.mark.parametrize("isolated", [False, True])
def test_a_watched_run_brings_what_an_unwatched_one_does(isolated):
    backend = FakeBackend("a", isolated=isolated)
    of = gateway(backend)
    of.run(work(*[BELL] * 20), CALLER)
    unwatched = list(backend.calls)
    backend.calls.clear()
    events = list(of.stream(work(*[BELL] * 20), CALLER))
    assert backend.calls == unwatched
    assert [isinstance(event, CircuitOutcome) for event in events] == [True] * 20 + [False]


def test_small_circuits_take_one_thread_and_large_ones_what_the_server_has():
    backend = FakeBackend("a")
    of = gateway(backend)
    large = Circuit(18, 2, BELL.operations, bit_registers=BELL.bit_registers)
    of.run(work(), CALLER)
    of.run(work(large), CALLER)
    of.run(work(large, options={}), CALLER)
    assert [options.threads for _, options in backend.calls] == [1, 2, 2]


def test_a_failure_fails_over_and_the_reason_is_told():
    a, b = FakeBackend("a", fails=[broken()]), FakeBackend("b")
    _, evidence = gateway(a, b).run(work(choice=FAIL_OVER), CALLER)
    assert evidence.description.name == "b"
    assert [(step.backend, step.reason) for step in evidence.steps] == [("a", "it broke")]


def test_nothing_fails_over_unless_that_was_asked_for():
    a, b = FakeBackend("a", fails=[broken()]), FakeBackend("b")
    with pytest.raises(KetgateError, match="it broke"):
        gateway(a, b).run(work(choice=Choice("a", allowed=("b",))), CALLER)
    assert not b.calls


def test_nothing_fails_over_after_something_was_told():
    a, b = FakeBackend("a", fails=[None, broken()]), FakeBackend("b")
    events = gateway(a, b).stream(work(BELL, BELL, choice=FAIL_OVER), CALLER)
    assert isinstance(next(events), CircuitOutcome)
    with pytest.raises(KetgateError, match="it broke"):
        next(events)
    assert not b.calls


def test_what_is_the_request_s_fault_does_not_fail_over():
    a = FakeBackend("a", fails=[Unsuitable("a", "this", "no")])
    b = FakeBackend("b")
    with pytest.raises(Unsuitable):
        gateway(a, b).run(work(choice=FAIL_OVER), CALLER)
    assert not b.calls


def test_when_all_fail_the_last_failure_is_told():
    a, b = FakeBackend("a", fails=[broken()]), FakeBackend("b", fails=[broken()])
    with pytest.raises(KetgateError, match="it broke"):
        gateway(a, b).run(work(choice=FAIL_OVER), CALLER)


def test_a_fault_of_an_adapter_is_told_without_its_words(caplog):
    a = FakeBackend("a", fails=[ValueError("a secret")])
    with pytest.raises(KetgateError, match="'a' failed with ValueError") as failed:
        gateway(a).run(work(), CALLER)
    assert failed.value.reason is Reason.INTERNAL
    assert "secret" not in failed.value.message
    assert "a secret" in caplog.text


def test_what_fails_often_rests_and_is_passed_over():
    clock = Clock()
    a = FakeBackend("a", fails=[broken()] * 2)
    of = gateway(a, FakeBackend("b"), clock=clock, failures_max=2, rest_s=60.0)
    for _ in range(2):
        with pytest.raises(KetgateError):
            of.run(work(choice=Choice("a")), CALLER)
    told = of.catalogue.get("a").describe()
    assert told.status is BackendStatus.BROKEN
    assert "it broke" in told.status_message
    with pytest.raises(KetgateError) as refused:
        of.run(work(choice=Choice("a")), CALLER)
    assert refused.value.reason is Reason.BACKEND_UNAVAILABLE
    _, evidence = of.run(work(), CALLER)
    assert evidence.description.name == "b"
    clock.now_s = 60.0
    of.run(work(choice=Choice("a")), CALLER)
    assert of.catalogue.get("a").describe().status is BackendStatus.ONLINE


def test_a_request_that_cannot_be_done_is_no_failure_of_the_back_end():
    a = FakeBackend("a", fails=[Unsuitable("a", "this", "no")] * 9)
    of = gateway(a, failures_max=1)
    for _ in range(3):
        with pytest.raises(Unsuitable):
            of.run(work(choice=Choice("a")), CALLER)
    assert of.catalogue.get("a").describe().status is BackendStatus.ONLINE


def waiting():
    """(hook, entered, let go)"""
    entered, go = threading.Event(), threading.Event()

    def hook(task):
        task.on_stop(go.set)
        entered.set()
        assert go.wait(30.0)
        if task.stopped:
            raise Stopped

    return hook, entered, go


def test_a_caller_who_goes_away_stops_the_run():
    hook, entered, _ = waiting()
    callbacks, gone = [], threading.Event()
    caller = Caller("t", float("inf"), is_cancelled=gone.is_set, on_cancel=callbacks.append)
    of = gateway(FakeBackend("a", run_s=1.0, hook=hook))
    raised = []

    def run():
        try:
            of.run(work(), caller)
        except KetgateError as error:
            raised.append(error.reason)

    thread = threading.Thread(target=run)
    thread.start()
    assert entered.wait(30.0)
    gone.set()
    for callback in callbacks:
        callback()
    thread.join(30.0)
    assert raised == [Reason.CANCELLED]
    assert of.admission.running == 0


def test_the_time_limit_stops_the_run_and_names_itself():
    hook, _, _ = waiting()
    of = gateway(FakeBackend("a", run_s=1.0, hook=hook))
    caller = Caller("t", time.monotonic())
    with pytest.raises(KetgateError, match=r"spec.time_limit: 0.05 s") as late:
        of.run(work(time_limit_s=0.05), caller)
    assert late.value.reason is Reason.DEADLINE_EXCEEDED


def test_the_caller_s_deadline_stops_the_run():
    hook, _, _ = waiting()
    of = gateway(FakeBackend("a", run_s=1.0, hook=hook))
    now_s = time.monotonic()
    with pytest.raises(KetgateError, match="the deadline passed") as late:
        of.run(work(), Caller("t", now_s, now_s + 0.1))
    assert late.value.reason is Reason.DEADLINE_EXCEEDED


def test_heavy_runs_wait_for_a_slot_and_quick_ones_do_not():
    hook, entered, go = waiting()
    heavy, quick = FakeBackend("a", run_s=1.0, hook=hook), FakeBackend("b")
    of = gateway(heavy, quick, limits={"quantum.runs_max": 1, "quantum.runs_queued_max": 1})
    thread = threading.Thread(target=of.run, args=(work(choice=Choice("a")), CALLER))
    thread.start()
    assert entered.wait(30.0)
    of.run(work(choice=Choice("b")), CALLER)
    now_s = time.monotonic()
    with pytest.raises(KetgateError) as busy:
        of.run(work(choice=Choice("a")), Caller("t", now_s, now_s + 0.1))
    assert busy.value.reason is Reason.SERVER_BUSY
    go.set()
    thread.join(30.0)


def test_a_back_end_that_does_not_stop_is_left_behind_and_keeps_its_slot(monkeypatch):
    monkeypatch.setattr("ketgate_server.quantum.session.LATE_S", 0.05)
    deaf, ended = threading.Event(), threading.Event()

    def hook(task):
        deaf.wait(30.0)
        ended.set()

    of = gateway(FakeBackend("a", run_s=1.0, hook=hook))
    now_s = time.monotonic()
    with pytest.raises(KetgateError) as late:
        of.run(work(), Caller("t", now_s, now_s + 0.1))
    assert late.value.reason is Reason.DEADLINE_EXCEEDED
    assert of.admission.running == 1
    deaf.set()
    assert ended.wait(30.0)
    of.close()


def test_a_reader_who_leaves_amid_a_stream_gives_the_slot_back():
    of = gateway(FakeBackend("a", run_s=1.0))
    events = of.stream(work(BELL, BELL), CALLER)
    next(events)
    assert of.admission.running == 1
    events.close()
    assert of.admission.running == 0


def test_an_algorithm_s_session_runs_what_it_is_given_on_one_back_end():
    backend = FakeBackend("a", run_s=1.0)
    of = gateway(backend)
    with of.open(work(), CALLER) as session:
        assert of.admission.running == 1
        assert not session.stopped
        assert session.remaining_s() > 0
        session.run([BELL], session.options)
        session.expectations(BELL, [], session.options, parameters={"t": 1.0}, gradients=True)
        session.succeeded()
    assert of.admission.running == 0
    assert len(backend.calls) == 2


def test_speed_is_learnt_from_what_runs_take():
    def hook(_):
        time.sleep(0.02)  # the fake's work

    of = gateway(FakeBackend("a", run_s=0.002, hook=hook))
    before = of.estimate(work(), CALLER)[0].run_s
    for _ in range(10):
        of.run(work(), CALLER)
    assert of.estimate(work(), CALLER)[0].run_s > 2 * before
