"""A solver may search another program on its way: of a frontier each point, or the greatest return.

The bound of such a search was taken for the problem's own where the solve was watched, and a frontier
that took longer than a look at it lost its proof.
"""

import threading
import time
from typing import Any

import numpy as np
from ketgate_server.optimization.base import Outcome, Problem, Status, StopReason, Task
from ketgate_server.optimization.task import TAKE_TIMEOUT_S

from tests.unit.optimization.test_race import problem_of, race


def test_the_bound_of_a_search_that_is_not_reported_is_not_told() -> None:
    looked = threading.Event()

    def searches_another(problem: Problem, task: Task) -> Outcome:
        def decode(found: bytes) -> Any:
            raise AssertionError("nothing of it is to be read")

        monitor = task.open_monitor(1, decode, report=False)
        monitor.offer_bound(100.0)
        end_s = time.monotonic() + 5 * TAKE_TIMEOUT_S  # the reader looks at it meanwhile
        while time.monotonic() < end_s:
            looked.wait(TAKE_TIMEOUT_S)
        own = np.array([1], dtype=np.uint8)
        return Outcome(Status.OPTIMAL, StopReason.COMPLETED, [own], bound=-1.0)

    running = race(problem_of(-1.0), searches_another, observed=True)
    list(running.events())
    result = running.result()
    assert result.status is Status.OPTIMAL
    assert (result.bound, list(result.warnings)) == (-1.0, [])
