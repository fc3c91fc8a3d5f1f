"""HiGHS told to stop: it asks between steps of simplex, interior point and branch-and-cut, every few
milliseconds to half a second; not within presolve, nor in its quadratic solver."""

from collections.abc import Callable
from typing import Any


def stop_when(highs: Any, should_stop: Callable[[], bool]) -> None:
    """Let a highspy.Highs end its next run as soon as should_stop says so."""

    def interrupt(event: Any) -> None:
        if should_stop():
            event.interrupt()

    for callback in (highs.cbMipInterrupt, highs.cbSimplexInterrupt, highs.cbIpmInterrupt):
        callback.subscribe(interrupt)
