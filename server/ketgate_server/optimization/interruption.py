"""HiGHS told to stop: it asks between steps of simplex, interior point and branch-and-cut, mostly
every few milliseconds. Not within presolve, in the first relaxation of branch-and-cut, nor in its
quadratic solver: there it goes on for up to seconds, and the race leaves it behind after 50 ms. These
three callbacks are the only ones that can end a run; those that log were tried and change nothing."""

from collections.abc import Callable
from typing import Any


def stop_when(highs: Any, should_stop: Callable[[], bool]) -> None:
    """Let a highspy.Highs end its next run as soon as should_stop says so."""

    def interrupt(event: Any) -> None:
        if should_stop():
            event.interrupt()

    for callback in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
        callback.subscribe(interrupt)
