"""The writer between two operations: what comes just as it stops to write is not left behind.

Once it looked whether it was closed after it had said that nobody writes: an operation that came in
between stayed in the queue for ever, and one whose caller wrote itself found its transaction closed.
"""

import threading

import pytest
from ketgate_server.store.writer import Writer

TIMEOUT_S = 60.0


class Transaction:
    """One in which nothing can fail."""

    intact, writes = True, 0

    def __init__(self):
        self.callbacks = {}
        self.closed = False
        self.on_close = lambda: None

    def begin(self):
        assert not self.closed

    def commit(self):
        assert not self.closed

    def rollback(self):
        """Nothing to undo."""

    def close(self):
        self.closed = True
        self.on_close()


class Guard:
    """A lock that calls a function whenever it was released."""

    def __init__(self, lock, released):
        self._lock, self._released = lock, released

    def __enter__(self):
        return self._lock.acquire()

    def __exit__(self, *_):
        self._lock.release()
        self._released()


def close_when_idle(meanwhile):
    """A writer that is closed at the moment in which its thread has found nothing more to do, after
    meanwhile has run; its transaction."""
    transaction = Transaction()
    writer = Writer(transaction, "tested")
    idle, over = threading.Event(), threading.Event()
    closing = threading.Thread(target=writer.close)

    def released():
        if threading.current_thread().name != "tested" or writer._busy or idle.is_set():
            return
        idle.set()
        meanwhile(writer)
        closing.start()
        while not writer._closed:  # close() cannot end before this thread goes on
            pass
        over.set()

    writer._guard = Guard(writer._guard, released)
    writer.submit(lambda _: None)
    assert over.wait(TIMEOUT_S)
    closing.join(TIMEOUT_S)
    assert not closing.is_alive()
    return transaction


def test_what_waits_while_it_is_closed_is_done():
    done = threading.Event()
    close_when_idle(lambda writer: writer.submit(lambda _: done.set()))
    assert done.is_set()


class Bell:
    """A lock that tells when somebody waits for it."""

    def __init__(self, lock, waited_for):
        self._lock, self._waited_for = lock, waited_for

    def acquire(self):
        self._waited_for()
        self._lock.acquire()

    def release(self):
        self._lock.release()


def test_who_writes_while_it_is_closed_is_waited_for():
    entered, go = threading.Event(), threading.Event()

    def operation(tx):
        entered.set()
        assert go.wait(TIMEOUT_S)  # until the writer's thread waits, or has closed the transaction
        return tx.closed

    found, callers = [], []

    def meanwhile(writer):
        writer._bell = Bell(writer._bell, go.set)
        writer._transaction.on_close = go.set
        caller = threading.Thread(
            target=lambda: found.append(writer.run(operation, None, batched=False))
        )
        caller.start()
        callers.append(caller)
        assert entered.wait(TIMEOUT_S)

    transaction = close_when_idle(meanwhile)
    callers[0].join(TIMEOUT_S)
    assert found == [False]
    assert transaction.closed


def test_a_thread_that_ends_while_it_writes_leaves_the_writing_to_others():
    """Nobody wrote any more after it."""
    transaction = Transaction()
    writer = Writer(transaction, "tested")
    outcomes = []

    def leave():
        raise SystemExit

    def work():
        transaction.callbacks = {leave: None}
        with pytest.raises(SystemExit):
            writer.run(lambda _: None, None, batched=False)
        transaction.callbacks = {}
        outcomes.append(writer.run(lambda _: "done", None, batched=False))

    thread = threading.Thread(target=work, daemon=True)
    thread.start()
    thread.join(TIMEOUT_S)
    assert outcomes == ["done"]
    writer.close()
