"""What a run sees of its caller."""

import threading
import time

from ketgate_server.quantum.task import DROPPED_MIN, Alarms, RunTask


def test_it_stops_when_the_caller_goes_away():
    gone, callbacks, called = [], [], []
    task = RunTask(float("inf"), lambda: bool(gone), callbacks.append)
    task.on_stop(lambda: called.append(1))
    assert not task.stopped
    assert task.remaining_s() == float("inf")
    gone.append(1)
    callbacks[0]()
    callbacks[0]()
    assert called == [1]
    assert task.stopped
    task.on_stop(lambda: called.append(2))
    assert called == [1, 2]


def test_it_stops_when_its_time_is_over():
    called = threading.Event()
    task = RunTask(time.monotonic() + 0.02)
    task.on_stop(called.set)
    assert called.wait(30.0)
    assert task.stopped
    assert task.remaining_s() <= 0.0


def test_a_task_that_is_over_calls_nobody():
    called = []
    task = RunTask(float("inf"), lambda: False, called.append)
    task.on_stop(lambda: called.append("stop"))
    task.finish()
    called[0]()
    assert called[1:] == []


def test_alarms_ring_in_order_and_dropped_ones_never():
    alarms, rung, over = Alarms(), [], threading.Event()
    now_s = time.monotonic()
    alarms.set(now_s + 0.05, lambda: (rung.append("last"), over.set()))
    dropped = alarms.set(now_s + 0.02, lambda: rung.append("dropped"))
    alarms.set(now_s + 0.01, lambda: rung.append("first"))
    alarms.drop(dropped)
    assert over.wait(30.0)
    assert rung == ["first", "last"]


def test_dropped_alarms_are_cleared_away():
    alarms = Alarms()
    kept = alarms.set(time.monotonic() + 3600.0, lambda: None)
    for _ in range(1000):
        alarms.drop(alarms.set(time.monotonic() + 3600.0, lambda: None))
    assert len(alarms._alarms) <= DROPPED_MIN + 3
    alarms.drop(kept)
    alarms.drop(kept)
