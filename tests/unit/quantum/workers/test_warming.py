"""Workers that are started before anybody needs them, and never at anybody's cost."""

import threading
import time

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum import warming
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.compiler import GROUP, Compiler
from ketgate_server.quantum.warming import Start, Warming
from ketgate_server.quantum.workers.isolated import Isolated
from ketgate_server.quantum.workers.order import TASK, OrderTask


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch):
    monkeypatch.setattr(warming, "GRACE_S", 0.0)


def start(pool, group, called):
    def call(task):
        called.append(group)
        pool.call("worker_calls:pid", (), task, group=group)

    return Start(group, call)


def warm(pool, *starts):
    of = Warming(pool, starts)
    of.begin()
    of.begin()  # it begins once
    assert of.join(60.0)
    return of


def test_each_group_gets_one_worker(open_pool):
    pool, called = open_pool(workers_max=3), []
    warm(pool, start(pool, "a", called), start(pool, "b", called))
    assert called == ["a", "b"]
    assert (pool.idle("a"), pool.idle("b")) == (1, 1)


def test_a_group_that_has_one_is_left_alone(open_pool):
    pool, called = open_pool(workers_max=3), []
    pool.call("worker_calls:pid", group="a")
    warm(pool, start(pool, "a", called), start(pool, "b", called))
    assert called == ["b"]


def test_no_worker_ends_for_it(open_pool):
    pool, called = open_pool(workers_max=1), []
    mine = pool.call("worker_calls:pid", group="a")
    warm(pool, start(pool, "b", called))
    assert called == []
    assert pool.pids() == [mine]


def test_it_waits_for_the_calls_under_way(open_pool, tmp_path):
    pool, called, ended = open_pool(workers_max=3), [], []
    task, begun = OrderTask(), tmp_path / "begun"

    def run():
        try:
            pool.call("worker_calls:touch_and_wait", (str(begun), TASK), task, group="a")
        except BaseException as error:
            ended.append(type(error))

    thread = threading.Thread(target=run)
    thread.start()
    while not begun.exists():
        time.sleep(0.01)  # another process: there is nothing to wait on
    of = Warming(pool, [start(pool, "b", called)])
    of.begin()
    assert not of.join(0.2)
    assert called == []
    task.stop()
    thread.join()
    assert ended == [Stopped]
    assert of.join(60.0)
    assert called == ["b"]


def test_what_is_missing_or_broken_keeps_no_other(open_pool):
    pool, called = open_pool(workers_max=3), []

    def broken(_):
        raise KetgateError(Reason.BACKEND_UNAVAILABLE, "no such Python")

    missing = Start("missing", broken, lambda: False)
    warm(pool, missing, Start("broken", broken), start(pool, "b", called))
    assert called == ["b"]


def test_a_closed_one_starts_nothing(open_pool):
    pool, called = open_pool(), []
    of = Warming(pool, [start(pool, "a", called)])
    of.close()
    of.begin()
    assert not of.join(1.0)
    assert called == []


def test_back_ends_and_the_compiler_can_be_started(open_pool):
    import worker_calls

    pool = open_pool(workers_max=3)
    isolated = Isolated(worker_calls.FakeBackend(), pool)
    compiler = Compiler(pool)
    pytest.importorskip("qiskit", reason="qiskit is not installed")
    warm(pool, Start(isolated.group, isolated.warm), Start(GROUP, compiler.warm))
    assert isolated.is_warm
    assert pool.idle(GROUP) == 1
