"""Worker processes: what crosses over, how calls end, and who is started, kept and ended."""

import logging
import os
import signal
import subprocess
import sys
import sysconfig
import textwrap
import threading
import time

import numpy as np
import psutil
import pytest
from ketgate_server.errors import KetgateError, LimitError, Reason
from ketgate_server.quantum.base import Stopped, Unsuitable
from ketgate_server.quantum.workers import process
from ketgate_server.quantum.workers.isolated import Remote
from ketgate_server.quantum.workers.order import TASK, OrderTask

TIMEOUT_S = 200.0
MIB = 1 << 20


def in_thread(function, *arguments, **named):
    """The outcome of a call that goes on, as a function that waits for it."""
    outcome = []

    def run():
        try:
            outcome.append((function(*arguments, **named), None))
        except BaseException as error:
            outcome.append((None, error))

    thread = threading.Thread(target=run)
    thread.start()

    def wait():
        thread.join(TIMEOUT_S)
        assert outcome, "the call does not end"
        result, error = outcome[0]
        if error is not None:
            raise error
        return result

    return wait


def written(path):
    """The number in a file, as soon as it is there."""
    end_s = time.monotonic() + TIMEOUT_S
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < end_s
        time.sleep(0.01)  # another process's file: there is nothing to wait on
    return int(path.read_text())


def begun(pool, *pids):
    """Wait until the server has heard that the calls of these processes began: a file of theirs may be
    there sooner, and who stops a call before leaves it to itself."""
    end_s = time.monotonic() + TIMEOUT_S
    while {worker.pid for worker in pool._all if worker._call and worker._call.begun} < {*pids}:
        assert time.monotonic() < end_s
        time.sleep(0.01)  # what was heard is told to nobody


def gone(pid):
    """Wait for a process to be."""
    try:
        process = psutil.Process(pid)
    except psutil.NoSuchProcess:
        return
    psutil.wait_procs([process], timeout=TIMEOUT_S)
    assert not process.is_running()


def test_a_worker_is_another_process_of_low_priority_and_is_used_again(pool):
    facts = pool.call("worker_calls:facts")
    assert facts["pid"] != os.getpid()
    assert facts["nice"] == 19
    assert pool.call("worker_calls:pid") == facts["pid"]
    assert not {"grpc", "qiskit", "google.protobuf", "scipy"} & facts["modules"]


@pytest.mark.parametrize("size", [0, 3, 100_000, 3_000_000])
def test_arrays_of_any_size_come_back(pool, size):
    array = np.arange(size, dtype=np.float64)
    doubled = pool.call("worker_calls:twice", (array,))
    np.testing.assert_array_equal(doubled, 2 * np.arange(size))
    np.testing.assert_array_equal(array, np.arange(size))
    doubled[:] = 0  # and belong to who called


def test_a_long_pickle_without_arrays_comes_back(pool):
    text = ["a long text" + str(i) for i in range(50_000)]
    assert pool.call("copy:copy", (text,)) == text


def test_errors_keep_their_class_and_all_they_say(pool):
    with pytest.raises(Unsuitable, match=r"'fake' cannot do reset at line 3, column 7") as caught:
        pool.call("worker_calls:refuse")
    assert caught.value.metadata == {
        "backend": "fake",
        "what": "reset",
        "line": "3",
        "column": "7",
    }
    with pytest.raises(LimitError) as caught:
        pool.call("worker_calls:exceed")
    assert (caught.value.limit, caught.value.field) == ("quantum.shots_max", "spec.shots")
    with pytest.raises(KetgateError) as caught:
        pool.call("worker_calls:busy")
    assert (caught.value.reason, caught.value.retry_after_s) == (Reason.SERVER_BUSY, 2.5)


def test_an_error_of_a_framework_is_ours_and_its_words_stay_in_the_log(pool, caplog):
    with pytest.raises(KetgateError, match="ZeroDivisionError") as caught:
        pool.call("worker_calls:fail")
    assert caught.value.reason is Reason.INTERNAL
    assert "hunter2" not in str(caught.value)
    assert "hunter2" in caplog.text
    assert pool.call("worker_calls:pid")


def test_what_cannot_be_pickled_harms_nobody(pool, caplog):
    with pytest.raises(KetgateError) as caught:
        pool.call("worker_calls:answer_what_cannot_be_pickled")
    assert caught.value.reason is Reason.INTERNAL
    with pytest.raises(TypeError):
        pool.call("worker_calls:twice", (threading.Lock(),))
    assert pool.call("worker_calls:pid") in pool.pids()


def test_a_missing_library_is_named(pool):
    with pytest.raises(KetgateError, match="cannot import no_such_module") as caught:
        pool.call("worker_calls:import_what_is_missing")
    assert caught.value.reason is Reason.BACKEND_UNAVAILABLE


@pytest.mark.parametrize(
    ("function", "how"), [("crash", "signal 11"), ("leave", "exited with status 3")]
)
def test_a_crash_is_told_and_the_next_call_has_a_new_worker(pool, function, how, caplog):
    before = pool.call("worker_calls:pid")
    with pytest.raises(KetgateError, match=how) as caught:
        pool.call(f"worker_calls:{function}")
    assert caught.value.reason is Reason.INTERNAL
    assert how in caplog.text
    assert pool.call("worker_calls:pid") != before


def test_a_worker_that_died_between_two_calls_harms_none(pool):
    pid = pool.call("worker_calls:pid")
    os.kill(pid, signal.SIGKILL)
    gone(pid)
    assert pool.call("worker_calls:pid") != pid


def test_a_worker_that_dies_before_the_call_begins_is_tried_once_more(pool, caplog):
    import worker_calls

    remote = Remote(worker_calls.Unloadable(), pool, "fake")
    with pytest.raises(KetgateError, match="exited with status 5") as caught:
        remote.call("anything")
    assert caught.value.reason is Reason.INTERNAL


def test_a_call_that_hears_is_stopped_and_its_worker_stays(pool, patient, tmp_path):
    patient()
    task = OrderTask()
    wait = in_thread(pool.call, "worker_calls:touch_and_wait", (str(tmp_path / "on"), TASK), task)
    pid = written(tmp_path / "on")
    begun(pool, pid)
    task.stop()
    with pytest.raises(Stopped):
        wait()
    assert pool.call("worker_calls:pid") == pid


def test_a_call_that_does_not_hear_is_killed_and_another_goes_on(pool, patient, tmp_path):
    task, other = OrderTask(), OrderTask()
    deaf = in_thread(pool.call, "worker_calls:touch_and_ignore", (str(tmp_path / "deaf"),), task)
    heard = in_thread(
        pool.call, "worker_calls:touch_and_wait", (str(tmp_path / "other"), TASK), other
    )
    victim, survivor = written(tmp_path / "deaf"), written(tmp_path / "other")
    begun(pool, victim, survivor)
    task.stop()
    with pytest.raises(Stopped):
        deaf()
    gone(victim)
    patient()
    other.stop()
    with pytest.raises(Stopped):
        heard()
    assert pool.call("worker_calls:pid") == survivor


def test_a_call_that_was_stopped_as_it_began_is_killed_too(pool, monkeypatch, tmp_path):
    """Stopped between its beginning and the server's hearing of it, it was left to itself for two
    minutes, as one that still imports is."""
    heard, begin = threading.Event(), process._Call.begin

    def late(call):
        assert heard.wait(TIMEOUT_S)
        return begin(call)

    monkeypatch.setattr(process._Call, "begin", late)
    monkeypatch.setattr(process, "PREPARE_TIMEOUT_S", 10 * TIMEOUT_S)
    task = OrderTask()
    deaf = in_thread(pool.call, "worker_calls:touch_and_ignore", (str(tmp_path / "deaf"),), task)
    victim = written(tmp_path / "deaf")
    task.stop()
    with pytest.raises(Stopped):
        deaf()
    heard.set()
    gone(victim)


def test_a_deadline_stops_without_anybody_telling(pool, tmp_path):
    assert 0 < pool.call("worker_calls:remaining", (TASK,), OrderTask(30.0)) <= 30.0
    task = OrderTask(0.5)
    with pytest.raises(Stopped):
        pool.call("worker_calls:touch_and_ignore", (str(tmp_path / "on"),), task)
    with pytest.raises(Stopped):
        pool.call("worker_calls:pid", (), OrderTask(0.0))


def test_who_has_stopped_already_starts_nothing(pool):
    task = OrderTask()
    task.stop()
    for over in (task, OrderTask(0.0)):
        with pytest.raises(Stopped):
            pool.call("worker_calls:pid", (), over)
    assert pool.pids() == []


def test_who_is_in_a_hurry_leaves_a_warm_worker_behind(open_pool):
    pool = open_pool(workers_max=1)
    with pytest.raises(Stopped):  # long before a process can have started
        pool.call("worker_calls:pid", (), OrderTask(0.01))
    (pid,) = _pids(pool)
    assert pool.call("worker_calls:pid") == pid


def _pids(pool):
    end_s = time.monotonic() + TIMEOUT_S
    while not pool.pids():
        assert time.monotonic() < end_s
        time.sleep(0.01)  # the process is being started
    return pool.pids()


def test_a_subject_is_made_once_and_hosted(pool):
    import worker_calls

    remote = Remote(worker_calls.Counter("hunter2"), pool, "counter")
    count, prepared, pid = remote.call("add", (2,), named={"times": 3})
    assert (count, prepared) == (6, 1)
    assert remote.call("add", (1,)) == (7, 1, pid)
    assert "hunter2" not in repr(vars(remote))
    other = Remote(worker_calls.Counter("changed"), pool, "counter")
    assert other.call("add", (1,)) == (1, 1, pid)


def test_groups_have_workers_of_their_own_and_idle_ones_make_room(pool):
    first = pool.call("worker_calls:pid", group="a")
    second = pool.call("worker_calls:pid", group="b")
    assert first != second
    third = pool.call("worker_calls:pid", group="c")
    gone(first)
    assert third not in (first, second)
    assert pool.call("worker_calls:pid", group="b") == second
    assert pool.idle("a") == 0


def test_calls_wait_while_all_are_busy_and_stop_waiting_when_told(open_pool, patient, tmp_path):
    patient()
    pool = open_pool(workers_max=1)
    task = OrderTask()
    first = in_thread(pool.call, "worker_calls:touch_and_wait", (str(tmp_path / "on"), TASK), task)
    pid = written(tmp_path / "on")
    begun(pool, pid)
    with pytest.raises(Stopped):
        pool.call("worker_calls:pid", (), OrderTask(0.05))
    second = in_thread(pool.call, "worker_calls:pid")
    task.stop()
    with pytest.raises(Stopped):
        first()
    assert second() == pid


def test_idle_workers_end_the_spare_ones_soon(open_pool, patient, tmp_path):
    patient()
    pool = open_pool(workers_max=2, spare_idle_s=0.0, idle_s=600.0)
    tasks, waits = [OrderTask(), OrderTask()], []
    for i, task in enumerate(tasks):
        arguments = (str(tmp_path / str(i)), TASK)
        waits.append(in_thread(pool.call, "worker_calls:touch_and_wait", arguments, task))
    pids = [written(tmp_path / "0"), written(tmp_path / "1")]
    begun(pool, *pids)
    for task, wait in zip(tasks, waits, strict=True):
        task.stop()
        with pytest.raises(Stopped):
            wait()
    gone(pids[0])  # it was idle first
    assert pool.call("worker_calls:pid") == pids[1]


def test_idle_workers_end_at_last(open_pool):
    pool = open_pool(idle_s=0.0)
    gone(pool.call("worker_calls:pid"))


def test_memory_is_bounded_and_the_worker_lives_on(open_pool):
    pool = open_pool(memory_bytes_max=1 << 30)
    pid = pool.call("worker_calls:pid")
    with pytest.raises(KetgateError) as caught:
        pool.call("worker_calls:allocate", (2 << 30,))
    assert caught.value.reason is Reason.LIMIT_EXCEEDED
    assert caught.value.limit == "quantum.memory_bytes_max"
    assert pool.call("worker_calls:pid") == pid
    assert pool.call("worker_calls:allocate", (64 * MIB,)) == 1


def test_a_worker_that_keeps_memory_is_replaced(open_pool):
    pool = open_pool(retained_bytes_max=256 * MIB)
    pid = pool.call("worker_calls:keep", (1 * MIB,))
    assert pool.call("worker_calls:keep", (300 * MIB,)) == pid
    gone(pid)
    assert pool.call("worker_calls:pid") != pid


def test_results_do_not_pile_up_in_the_server(pool):
    def once():
        pool.call("worker_calls:twice", (np.ones(4 * MIB, dtype=np.uint8),))

    for _ in range(5):
        once()
    process = psutil.Process()
    before, descriptors = process.memory_info().rss, process.num_fds()
    for _ in range(40):
        once()
    assert process.memory_info().rss - before < 40 * MIB
    assert process.num_fds() == descriptors


def test_logs_and_warnings_come_to_the_server(pool, caplog):
    with caplog.at_level(logging.WARNING):
        pool.call("worker_calls:tell")
    assert ("told", logging.WARNING, "of something") in caplog.record_tuples
    assert "of a framework" in caplog.text


def test_another_python_needs_only_this_source(open_pool, tmp_path):
    other = tmp_path / "other"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(other)], check=True, timeout=TIMEOUT_S
    )
    # NumPy from here; this package, installed editable, is not found through a nested .pth.
    site = next(other.glob("lib/python*/site-packages"))
    (site / "numpy.pth").write_text(sysconfig.get_path("purelib"))
    pool = open_pool(pythons={"far": str(other / "bin" / "python")})
    assert pool.call("sysconfig:get_path", ("data",), group="far") == str(other)
    assert pool.call("sysconfig:get_path", ("data",), group="near") == sys.prefix
    name = "ketgate_server.quantum.circuit:Place"
    assert pool.call(name, (3, 4), group="far").column == 4


def test_a_python_that_is_not_there_is_named(open_pool, tmp_path):
    pool = open_pool(pythons={"far": str(tmp_path / "none")})
    with pytest.raises(KetgateError, match=r"none: No such file") as caught:
        pool.call("worker_calls:pid", group="far")
    assert caught.value.reason is Reason.BACKEND_UNAVAILABLE


def test_a_python_without_numpy_is_told(open_pool, tmp_path, capfd):
    other = tmp_path / "other"
    subprocess.run(
        [sys.executable, "-m", "venv", "--without-pip", str(other)], check=True, timeout=TIMEOUT_S
    )
    pool = open_pool(pythons={"far": str(other / "bin" / "python")})
    with pytest.raises(KetgateError, match="exited with status 1"):
        pool.call("sysconfig:get_path", ("data",), group="far")
    assert "numpy" in capfd.readouterr().err


def test_a_closed_pool_ends_its_processes_and_refuses(open_pool, tmp_path):
    pool = open_pool()
    wait = in_thread(pool.call, "worker_calls:touch_and_ignore", (str(tmp_path / "on"),))
    pid = written(tmp_path / "on")
    begun(pool, pid)
    pool.close()
    gone(pid)
    with pytest.raises(KetgateError) as caught:
        wait()
    assert caught.value.reason in (Reason.INTERNAL, Reason.DRAINING)
    with pytest.raises(KetgateError) as caught:
        pool.call("worker_calls:pid")
    assert caught.value.reason is Reason.DRAINING


def test_workers_die_with_a_server_that_is_killed(tmp_path):
    program = textwrap.dedent(
        """
        import sys
        from ketgate_server.quantum.workers.pool import Workers
        Workers().call("worker_calls:touch_and_ignore", (sys.argv[1],))
        """
    )
    path = tmp_path / "on"
    server = subprocess.Popen([sys.executable, "-c", program, str(path)], env=dict(os.environ))
    pid = written(path)
    server.kill()
    server.wait(TIMEOUT_S)
    gone(pid)
