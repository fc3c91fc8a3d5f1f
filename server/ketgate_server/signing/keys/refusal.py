"""Refusals of what is not there, and of what is not for the caller, at the same moment.

The answer waits for the next multiple of REFUSAL_S since the question, so that what was read meanwhile, or how
long a policy is, cannot be told from the time it took.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from ketgate_server.errors import NotFound

REFUSAL_S = 0.005
"""Longer than what differs between such refusals, and too short to matter to an honest caller."""


@contextmanager
def even(
    now_s: Callable[[], float] = time.monotonic, sleep: Callable[[float], object] = time.sleep
) -> Iterator[None]:
    """A NotFound leaves at a multiple of REFUSAL_S since this began; all else at once."""
    started_s = now_s()
    try:
        yield
    except NotFound:
        spent_s = now_s() - started_s
        sleep((math.floor(spent_s / REFUSAL_S) + 1) * REFUSAL_S - spent_s)
        raise
