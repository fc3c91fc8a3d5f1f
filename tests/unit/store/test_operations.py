"""Operations, their batches and reads: the same on every database."""

import itertools
import os
import threading
import time
from functools import partial

import pytest
from ketgate_server.errors import KetgateError, NotFound
from ketgate_server.store import writer
from ketgate_server.store.base import StoreUnavailable

from .gates import held_writer, in_threads

INSERT = "INSERT INTO events (revision, tenant, seq, time_us, event) VALUES (?, ?, ?, ?, ?)"


def add_event(tx, tenant="desk"):
    revision = tx.take("revision")
    tx.execute(INSERT, (revision, tenant, 1, tx.now_us, b"\x00\xffevent"))
    return revision


def revisions(store):
    with store.read() as reader:
        return [row[0] for row in reader.rows("SELECT revision FROM events ORDER BY revision")]


def counter(store, name="revision"):
    with store.read() as reader:
        return reader.row("SELECT value FROM counters WHERE name = ?", (name,))[0]


def test_what_an_operation_returned_is_stored(store):
    assert store.run(add_event) == 1
    assert store.run(add_event) == 2
    with store.read() as reader:
        rows = reader.rows("SELECT revision, tenant, event FROM events ORDER BY revision")
    assert rows == [(1, "desk", b"\x00\xffevent"), (2, "desk", b"\x00\xffevent")]
    assert counter(store) == 2


def test_rows_counts_and_literals(store):
    def operation(tx):
        tx.execute_many(INSERT, [(n, "desk", n, 0, bytes([n])) for n in range(1, 6)])
        assert tx.execute("UPDATE events SET seq = seq + ? WHERE revision > ?", (1, 2)) == 3
        assert tx.execute("DELETE FROM events WHERE revision = ?", (99,)) == 0
        assert tx.rows(
            "INSERT INTO counters (name, value) VALUES ('50%?', ?)"
            " ON CONFLICT (name) DO UPDATE SET value = counters.value + 1 RETURNING name, value",
            (7,),
        ) == [("50%?", 7)]
        assert tx.row("SELECT value FROM counters WHERE name LIKE '50%?'") == (7,)
        assert tx.row("SELECT 1 FROM events WHERE revision = ?", (99,)) is None
        total = tx.row("SELECT sum(seq), max(revision), count(*) FROM events")
        assert [(type(value), value) for value in total] == [(int, 18), (int, 5), (int, 5)]
        return tx.rows("SELECT revision FROM events WHERE revision IN (?, ?)", (1, 5))

    assert sorted(store.run(operation)) == [(1,), (5,)]


def test_counters_start_at_one_and_follow_the_transaction(store):
    def operation(tx):
        assert tx.peek("revision") == 0
        assert tx.take("revision") == 1
        assert tx.take("revision", 3) == 2
        assert tx.take("audit") == 1
        return tx.peek("revision"), tx.peek("audit")

    assert store.run(operation) == (4, 1)
    assert (counter(store), counter(store, "audit")) == (4, 1)


def test_a_refusal_leaves_nothing_and_harms_no_other(store):
    def refuse(tx):
        raise NotFound("jobs/1")

    with held_writer(store) as release:
        threads = in_threads(
            [lambda: store.run(add_event), lambda: store.run(refuse), lambda: store.run(add_event)],
            release,
        )
    assert sorted(o for o in threads if isinstance(o, int)) == [1, 2]
    assert [type(o) for o in threads if not isinstance(o, int)] == [NotFound]
    assert revisions(store) == [1, 2]


def write_then_fail(tx):
    add_event(tx, "wrong")
    raise ValueError("after writing")


def take_then_fail(tx):
    tx.take("revision")
    raise KeyError("after taking")


def break_a_constraint(tx):
    tx.execute("INSERT INTO counters (name, value) VALUES ('revision', 0)")


def bad_statement(tx):
    tx.execute("UPDATE nothing_of_this_name SET x = 1")


@pytest.mark.parametrize(
    "failing", [write_then_fail, take_then_fail, break_a_constraint, bad_statement]
)
def test_an_operation_that_fails_after_it_wrote_fails_alone(store, failing):
    work = [lambda: store.run(add_event)] * 5
    work.insert(2, lambda: store.run(failing))
    with held_writer(store) as release:
        outcomes = in_threads(work, release)
    assert sorted(o for o in outcomes if isinstance(o, int)) == [1, 2, 3, 4, 5]
    assert len([o for o in outcomes if isinstance(o, Exception)]) == 1
    assert not isinstance(outcomes[2], StoreUnavailable)
    assert revisions(store) == [1, 2, 3, 4, 5]
    assert counter(store) == 5


def test_an_operation_that_swallows_a_database_error_is_not_believed(store):
    """PostgreSQL ends the transaction there, and SQLite for some errors."""

    def swallow(tx):
        add_event(tx)
        try:
            break_a_constraint(tx)
        except Exception:
            return "fine"

    if store.dialect == "postgresql":
        with pytest.raises(RuntimeError, match="caught an error of the database"):
            store.run(swallow)
        assert revisions(store) == []
    assert store.run(add_event) == counter(store)


def test_counters_have_no_gaps_under_concurrent_failures(store):
    def work(number):
        for turn in range(20):
            try:
                store.run(write_then_fail if (number + turn) % 3 == 0 else add_event)
            except ValueError:
                pass

    outcomes = in_threads([lambda n=n: work(n) for n in range(8)])
    assert outcomes == [None] * 8
    kept = sum((n + turn) % 3 != 0 for n in range(8) for turn in range(20))
    assert revisions(store) == list(range(1, kept + 1))
    assert counter(store) == kept


def test_items_that_wait_are_given_to_a_batch_operation_at_once(store):
    batches = []

    def add(tx, items):
        batches.append(sorted(items))
        first = tx.take("revision", len(items))
        tx.execute_many(INSERT, [(first + i, "desk", n, 0, b"") for i, n in enumerate(items)])
        return [ValueError(n) if n == 3 else n for n in items]

    with held_writer(store) as release:
        outcomes = in_threads([lambda n=n: store.run_batched(add, n) for n in range(6)], release)
    assert batches == [[0, 1, 2, 3, 4, 5]]
    assert [o for o in outcomes if isinstance(o, int)] == [0, 1, 2, 4, 5]
    assert isinstance(outcomes[3], ValueError)
    assert revisions(store) == [1, 2, 3, 4, 5, 6]


def test_a_batch_operation_that_fails_is_taken_apart(store):
    def add(tx, items):
        for number in items:
            tx.execute(INSERT, (tx.take("revision"), "desk", number, 0, b""))
            if number == 3:
                raise ValueError(number)
        return items

    with held_writer(store) as release:
        outcomes = in_threads([lambda n=n: store.run_batched(add, n) for n in range(6)], release)
    assert [o for o in outcomes if isinstance(o, int)] == [0, 1, 2, 4, 5]
    assert isinstance(outcomes[3], ValueError)
    assert revisions(store) == [1, 2, 3, 4, 5]


def test_a_batch_operation_must_answer_each_item(store):
    with pytest.raises(RuntimeError, match="returned 0 results for 1"):
        store.run_batched(lambda tx, items: [], 1)


def test_callbacks_run_once_when_it_is_durable_and_before_the_caller_goes_on(store):
    seen = []

    def callback():
        seen.append(revisions(store))

    def operation(tx):
        tx.on_commit(callback)
        tx.on_commit(callback)
        return add_event(tx)

    def refused(tx):
        tx.on_commit(lambda: seen.append("refused"))
        raise NotFound("jobs/1")

    store.run(operation)
    assert seen == [[1]]
    with pytest.raises(NotFound):
        store.run(refused)
    assert seen == [[1]]


def test_callbacks_of_what_failed_are_forgotten(store):
    seen = []

    def operation(tx):
        tx.on_commit(lambda: seen.append("failed"))
        write_then_fail(tx)

    with pytest.raises(ValueError, match="after writing"):
        store.run(operation)
    store.run(add_event)
    assert seen == []


def test_threads_of_a_lower_priority_hold_up_nobody(store):
    """They are woken by the writer, and wake no one."""
    chained = []

    def work(nice):
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), nice)
        store.run(add_event)
        chained.append((nice, store._writer._own.pending.in_chain))

    own = os.getpriority(os.PRIO_PROCESS, os.getpid())
    in_threads([lambda: work(min(own + 5, 19)), lambda: work(own)])
    assert sorted(chained) == [(own, True), (min(own + 5, 19), False)]


def test_a_callback_that_fails_harms_nobody(store, caplog):
    def operation(tx):
        tx.on_commit(lambda: 1 // 0)
        return add_event(tx)

    assert store.run(operation) == 1
    assert "a callback of a commit failed" in caplog.text


def test_waiting_inside_an_operation_is_refused(store):
    with pytest.raises(RuntimeError, match="must not wait"):
        store.run(lambda tx: store.run(add_event))


def test_submit_does_not_wait_and_logs_what_fails(store, caplog):
    store.submit(add_event)
    store.submit(write_then_fail)
    assert store.run(add_event) == 2
    assert revisions(store) == [1, 2]
    store.close()
    assert "after writing" in caplog.text


def test_a_read_sees_one_state(store):
    store.run(add_event)
    with store.read() as reader:
        assert reader.row("SELECT count(*) FROM events") == (1,)
        store.run(add_event)
        assert reader.row("SELECT count(*) FROM events") == (1,)
        assert len(revisions(store)) == 2
    assert len(revisions(store)) == 2


def test_a_read_cannot_write(store):
    with pytest.raises(Exception, match=r"read-?only"), store.read() as reader:
        reader.rows("DELETE FROM counters")
    assert counter(store) == 0


def test_more_reads_than_connections_wait_for_each_other(store, monkeypatch):
    monkeypatch.setattr("ketgate_server.store.readers.TIMEOUT_S", 0.0)
    monkeypatch.setattr(store._readers, "_connections_max", 2)
    with (
        store.read(),
        store.read(),
        pytest.raises(StoreUnavailable, match="all 2 connections"),
        store.read(),
    ):
        pass
    assert revisions(store) == []


def test_the_queue_is_bounded(store, monkeypatch):
    monkeypatch.setattr(writer, "QUEUE_MAX", 4)
    monkeypatch.setattr(writer, "ROOM_TIMEOUT_S", 0.0)
    with held_writer(store) as release:
        for room in (True, True, False, False):
            assert store.has_room is room
            store.submit(add_event)
        with pytest.raises(StoreUnavailable, match="4 operations wait"):
            store.run(add_event)
        with pytest.raises(StoreUnavailable, match="4 operations wait"):
            store.submit(add_event)
        release(0)
    monkeypatch.setattr(writer, "ROOM_TIMEOUT_S", 30.0)
    assert store.run(add_event) == 5


def test_a_caller_waits_for_room(store, monkeypatch):
    monkeypatch.setattr(writer, "QUEUE_MAX", 4)
    outcomes = in_threads([lambda: [store.run(add_event) for _ in range(5)]] * 12)
    assert sorted(itertools.chain(*outcomes)) == list(range(1, 61))


class WatchedLock:
    """A lock that calls back whenever the thread of this name has let go of it."""

    def __init__(self, lock, thread_name, callback):
        self._lock, self._thread_name, self._callback = lock, thread_name, callback

    def __enter__(self):
        return self._lock.__enter__()

    def __exit__(self, *error):
        self._lock.__exit__(*error)
        if threading.current_thread().name == self._thread_name:
            self._callback()


def test_what_comes_while_the_writer_falls_asleep_wakes_it(store):
    """The writer once ended when an operation came between its decision to sleep and its sleep."""
    writer_ = store._writer
    came = threading.Event()

    def come():
        if not writer_._busy and not came.is_set():
            thread = threading.Thread(target=store.submit, args=(add_event,))
            thread.start()
            thread.join()
            came.set()

    writer_._guard = WatchedLock(writer_._guard, "store-writer", come)
    assert store.run(add_event) == 1
    assert came.wait(30)
    assert in_threads([lambda: store.run(add_event)]) == [3]


def test_a_caller_who_finds_nobody_writing_writes(store):
    def operation(tx):
        return threading.get_ident(), add_event(tx)

    def work():
        return (threading.get_ident(), store.run(operation))

    (caller, (writer_thread, revision)), *_ = in_threads([work])
    assert (caller, revision) == (writer_thread, 1)
    with held_writer(store) as release:
        thread = threading.Thread(target=lambda: results.append(work()))
        results = []
        thread.start()
        while not store._writer._queue:
            threading.Event().wait(0.001)
        release(0)
    thread.join(30)
    [(caller, (writer_thread, revision))] = results
    assert caller != writer_thread
    assert counter(store) == revision


def begun(store, operation, items):
    """What each is told, in the order of items."""
    outcomes, told = [None] * len(items), threading.Semaphore(0)

    def then(place, outcome):
        try:
            outcomes[place] = outcome()
        except Exception as error:
            outcomes[place] = error
        told.release()

    for place, item in enumerate(items):
        store.begin_batched(operation, item, partial(then, place))
    for _ in items:
        assert told.acquire(timeout=30)
    return outcomes


def add_each(tx, items):
    return [add_event(tx) if item is None else item for item in items]


def test_operations_that_nobody_waits_for_tell_of_their_outcome(store):
    refusal = NotFound("jobs/1")
    assert begun(store, add_each, [None, None, refusal, None]) == [1, 2, refusal, 3]
    [[*outcomes]] = in_threads([lambda: begun(store, add_each, [None, refusal, None])])
    assert outcomes == [4, refusal, 5]  # the first of them wrote by itself
    assert isinstance(begun(store, lambda tx, _: [write_then_fail(tx)], [None])[0], ValueError)
    assert revisions(store) == [1, 2, 3, 4, 5]


def test_who_is_told_may_write(store):
    told = threading.Semaphore(0)

    def then(outcome):
        assert outcome() == store.run(add_event) - 1
        told.release()

    def begin():
        store.begin_batched(add_each, None, then)
        assert told.acquire(timeout=30)

    begin()
    in_threads([begin])
    assert revisions(store) == [1, 2, 3, 4]


def test_who_is_told_may_begin_the_next_without_end(store):
    """Each end began the next operation inside the end before, until the stack was full."""
    left, over = [3_000], threading.Event()

    def then(outcome):
        outcome()
        left[0] -= 1
        if left[0]:
            store.begin_batched(add_each, None, then)
        else:
            over.set()

    in_threads([lambda: store.begin_batched(add_each, None, then)])
    assert over.wait(30)
    assert counter(store) == 3_000


def test_what_fails_when_it_is_told_harms_nobody(store, caplog):
    told = threading.Event()
    store.begin_batched(add_each, None, lambda outcome: outcome() // 0)
    store.begin_batched(add_each, None, lambda _: told.set())
    assert told.wait(30)
    assert "was told to failed" in caplog.text


def test_who_waits_to_be_told_is_told_before_the_store_is_closed(store):
    outcomes = []
    store.begin_batched(add_each, None, lambda outcome: outcomes.append(outcome()))
    store.close()
    assert outcomes == [1]
    with pytest.raises(StoreUnavailable, match="closed"):
        store.begin_batched(add_each, None, outcomes.append)


def test_an_observer_that_fails_harms_nobody(store, caplog):
    seen = []
    store.observe(lambda operations, seconds: seen.append(operations) or 1 // 0)
    assert [store.run(add_event) for _ in range(3)] == [1, 2, 3]
    store.close()
    assert seen == [1, 1, 1]
    assert "an observer of the store failed" in caplog.text


def test_closing_does_what_waits_and_refuses_the_rest(store):
    closer = threading.Thread(target=store.close)
    with held_writer(store) as release:

        def close(waiting):
            while len(store._writer._queue) < waiting:
                time.sleep(0)
            closer.start()
            while not store._writer._closed:
                time.sleep(0)
            release(0)

        outcomes = in_threads([lambda: store.run(add_event)] * 3, close)
    closer.join()
    assert sorted(outcomes) == [1, 2, 3]
    for use in (lambda: store.run(add_event), lambda: store.read().__enter__()):
        with pytest.raises(StoreUnavailable, match="closed"):
            use()
    store.close()


def test_an_error_is_the_callers_own(store):
    """The traceback of one use does not pile up on the thread's next."""
    for _ in range(3):
        with pytest.raises(KetgateError) as caught:
            store.run(lambda tx: (_ for _ in ()).throw(NotFound("jobs/1")))
        assert "jobs/1" in str(caught.value)
    assert store.run(add_event) == 1
