"""Many pieces of work on a few threads, with a stop between them.

The libraries give the GIL up while they compute, so that plain threads keep several cores busy.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable
from typing import TypeVar

from ketgate_server.signing.provider import Stop

T = TypeVar("T")


def each(count: int, work: Callable[[int], T], threads: int, stop: Stop) -> list[T | None]:
    """work(0), work(1), ... in order; None for those that stop() left undone.

    The first exception of work ends the others after the piece they are at, and is raised.
    """
    results: list[T | None] = [None] * count
    turn = itertools.count()
    failures: list[BaseException] = []

    def run() -> None:
        # next() of a count is one step of the interpreter: no two threads get the same piece.
        while not failures and not stop() and (index := next(turn)) < count:
            try:
                results[index] = work(index)
            except BaseException as failure:
                failures.append(failure)

    others = [
        threading.Thread(target=run, name="signing-batch", daemon=True)
        for _ in range(min(threads, count) - 1)
    ]
    for thread in others:
        thread.start()
    run()
    for thread in others:
        thread.join()
    if failures:
        raise failures[0]
    return results
