"""The pool of threads that calls run on."""

import logging
import threading
from functools import partial

import pytest
from ketgate_server.rpc.pool import CallPool

TIMEOUT_S = 200.0


@pytest.fixture
def pool():
    pool = CallPool(3, "test")
    yield pool
    pool.shutdown()


def run(pool, function, *arguments):
    """Run a task to its end."""
    done = threading.Event()

    def task(function, arguments):
        try:
            function(*arguments)
        finally:
            done.set()

    pool.submit(partial(task, function, arguments))
    assert done.wait(TIMEOUT_S)


def test_tasks_run_on_threads_of_the_pool(pool):
    seen = []
    run(pool, lambda *arguments: seen.append((threading.current_thread().name, arguments)), 1, 2)
    assert seen == [("test-1", (1, 2))]


def test_no_more_threads_than_allowed_and_nothing_lost(pool):
    names, lock, done = set(), threading.Lock(), threading.Semaphore(0)

    def task():
        with lock:
            names.add(threading.current_thread().name)
        done.release()

    for _ in range(500):
        pool.submit(task)
    for _ in range(500):
        assert done.acquire(timeout=TIMEOUT_S)
    assert names <= {"test-1", "test-2", "test-3"}


def test_as_many_at_once_as_there_are_threads(pool):
    together = threading.Barrier(3, timeout=TIMEOUT_S)
    ended = threading.Semaphore(0)
    for _ in range(3):
        pool.submit(lambda: (together.wait(), ended.release()))
    assert all(ended.acquire(timeout=TIMEOUT_S) for _ in range(3))
    assert not together.broken


def test_what_is_beyond_waits_in_order(pool):
    gate, order, done = threading.Event(), [], threading.Event()
    for _ in range(3):
        pool.submit(gate.wait)
    started = threading.Lock()

    def note(number):
        with started:
            order.append(number)
        if len(order) == 20:
            done.set()

    for number in range(20):
        pool.submit(partial(note, number))
    assert order == []
    gate.set()
    assert done.wait(TIMEOUT_S)
    assert sorted(order) == list(range(20))


def test_an_error_does_not_cost_the_thread(caplog):
    pool = CallPool(1, "one")

    def fail():
        raise ValueError("oops")

    with caplog.at_level(logging.ERROR):
        run(pool, fail)
        seen = []
        run(pool, lambda: seen.append(threading.current_thread().name))
    assert seen == ["one-1"]
    assert "oops" in caplog.text
    pool.shutdown()


def test_threads_end_with_the_pool():
    pool = CallPool(2, "ending")
    gate = threading.Event()
    run(pool, lambda: None)
    pool.submit(gate.wait)
    threads = [thread for thread in threading.enumerate() if thread.name.startswith("ending-")]
    assert threads
    pool.shutdown()
    gate.set()
    for thread in threads:
        thread.join(TIMEOUT_S)
        assert not thread.is_alive()


def test_an_idle_thread_keeps_no_call_alive(pool):
    import weakref

    class Thing:
        pass

    thing = Thing()
    alive = weakref.ref(thing)
    run(pool, id, thing)
    run(pool, id, 0)  # the same thread has gone on
    del thing
    assert alive() is None


def test_a_system_without_threads_to_give(pool, monkeypatch):
    def refuse(_):
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        with pytest.raises(RuntimeError):
            pool.submit(int)
    gate, seen = threading.Event(), threading.Event()
    pool.submit(gate.wait)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        pool.submit(seen.set)  # waits for the one thread there is
    gate.set()
    assert seen.wait(TIMEOUT_S)


def test_idle_threads_end_and_come_back():
    pool = CallPool(2, "idle", idle_limit_s=0.01)
    threads = []
    run(pool, lambda: threads.append(threading.current_thread()))
    threads[0].join(TIMEOUT_S)
    assert not threads[0].is_alive()
    run(pool, lambda: threads.append(threading.current_thread()))
    assert threads[1] is not threads[0]
    pool.shutdown()


def test_small_stacks_are_of_their_own_threads_only():
    before = threading.stack_size()
    pool = CallPool(2, "small", stack_bytes=1 << 20, idle_limit_s=0.01)
    done = []
    for index in range(20):
        run(pool, done.append, index)
    assert done == list(range(20))
    assert threading.stack_size() == before
    pool.shutdown()
