"""Holding the writer until operations of several threads wait for it, so that they make one batch."""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any


@contextmanager
def held_writer(store: Any) -> Iterator[Callable[[int], None]]:
    """The writer is busy until the function that this gives is called with a number, and as many
    operations wait."""
    entered, go = threading.Event(), threading.Event()

    def hold(tx: Any) -> None:
        entered.set()
        go.wait(30)

    def release(waiting: int) -> None:
        end_s = time.monotonic() + 30
        while len(store._writer._queue) < waiting and time.monotonic() < end_s:
            time.sleep(0)  # lets the others run
        go.set()

    store.submit(hold)
    assert entered.wait(30)
    try:
        yield release
    finally:
        go.set()


def in_threads(
    functions: Sequence[Callable[[], Any]], queued: Callable[[int], None] | None = None
) -> list[Any]:
    """What each returned or raised, each on a thread of its own, in order. queued: called
    with their number when all have started."""
    outcomes: list[Any] = [None] * len(functions)

    def call(number: int) -> None:
        try:
            outcomes[number] = functions[number]()
        except BaseException as error:
            outcomes[number] = error

    threads = [threading.Thread(target=call, args=(n,)) for n in range(len(functions))]
    for thread in threads:
        thread.start()
    if queued is not None:
        queued(len(functions))
    for thread in threads:
        thread.join(60)
    assert not any(thread.is_alive() for thread in threads)
    return outcomes
