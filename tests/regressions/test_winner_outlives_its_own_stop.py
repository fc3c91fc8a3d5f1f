"""A proven frontier vanished on a busy machine.

A solver that had proven its answer told the race to stop before it handed the answer over. From then on the race
waits 50 ms for its solvers; at the lowest priority the winner itself was sometimes kept waiting for longer, its answer
was given up, and the caller was told NO_SOLUTION for a problem that had been solved. Here the check alone takes
longer than that.
"""

import threading
import time
from typing import Any

import numpy as np
from ketgate_server.optimization.base import (
    Evaluation,
    Outcome,
    Problem,
    SolveOptions,
    Status,
    StopReason,
    Task,
)
from ketgate_server.optimization.clock import OVERSHOOT_S, Clock
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.optimization.race import Race
from ketgate_server.optimization.run import Chosen
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse


class SlowToCheck(IsingProblem):
    fallback: Any = None  # as with a portfolio, not any values will do

    def evaluate(self, values: Any) -> Evaluation:
        threading.Event().wait(3 * OVERSHOOT_S)
        return super().evaluate(values)


class Proves:
    """Stands for the critical line: one answer, at the end, with a frontier."""

    name, work_unit, part = "proves", "steps", "native"

    def solve(self, problem: Problem, task: Task) -> Outcome:
        found = [np.array([0, 0], np.uint8)]
        return Outcome(
            Status.OPTIMAL, StopReason.COMPLETED, found, bound=0.0, frontier="the frontier"
        )


def test_the_answer_of_the_winner_is_not_given_up() -> None:
    empty = np.empty(0, np.int64)
    function = QuadraticFunction(
        Alphabet.BINARY, np.ones(2), Sparse(empty, empty, np.empty(0)), 0.0
    )
    now = time.monotonic()
    clock = Clock(now, now + 30.0, StopReason.TIME_LIMIT)
    chosen: Any = Chosen(Proves(), {})
    race = Race(
        SlowToCheck(function),
        [chosen],
        SolveOptions(),
        clock,
        seed=1,
        threads=1,
        observed=False,
        release=lambda: None,
    )
    race.run()
    result = race.result()
    assert result.status is Status.OPTIMAL
    assert result.frontier == "the frontier"
