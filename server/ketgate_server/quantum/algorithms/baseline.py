"""What classical search finds on the same instance, so that no quantum result stands alone."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.type.quadratic import QuadraticFunction

EXHAUSTIVE_MAX = 26
"""Variables up to which every assignment is looked at: about half a second."""
TIME_LIMIT_S = 1.0
SWEEP_WORK = 2_000_000


@dataclass(frozen=True)
class Classical:
    """The best values found classically, in the caller's form."""

    values: NDArray[Any]
    baseline: Baseline


def least(
    function: QuadraticFunction,
    *,
    seed: int,
    remaining_s: float = float("inf"),
    on_stop: Callable[[Callable[[], None]], None] | None = None,
) -> Classical:
    """The least value: proven by looking at every assignment of small ones, by annealing and tabu
    search otherwise."""
    from ketgate_native.monitor import Monitor

    started_s = time.monotonic()
    limit_s = max(0.001, min(TIME_LIMIT_S, 0.5 * remaining_s))
    monitor = Monitor(function.size, time_limit_s=limit_s)
    if on_stop is not None:
        on_stop(monitor.cancel)
    values, method, proven = (
        _enumerated(function, monitor)
        if function.size <= EXHAUSTIVE_MAX
        else _searched(function, monitor, seed)
    )
    objective = function(values)
    elapsed_s = time.monotonic() - started_s
    return Classical(values, Baseline(method, objective, proven, elapsed_s))


def _enumerated(function: QuadraticFunction, monitor: Any) -> tuple[NDArray[Any], str, bool]:
    from ketgate_native.exhaustive import enumerate_binaries

    binary = function.as_binary()
    q = binary.quadratic
    found = enumerate_binaries(
        binary.linear, q.row, q.column, q.value, offset=binary.offset, monitor=monitor
    )
    if not len(found.values):  # stopped before the first
        return function.from_binaries(np.zeros(function.size, np.uint8)), "no search", False
    values = function.from_binaries(found.values[0].astype(np.uint8))
    return values, "exhaustive enumeration", found.completed


def _searched(
    function: QuadraticFunction, monitor: Any, seed: int
) -> tuple[NDArray[Any], str, bool]:
    from ketgate_native.ising import Ising, search
    from ketgate_native.monitor import Stopped

    binary = function.as_binary()
    q = binary.quadratic
    try:
        problem = Ising.from_qubo(
            binary.linear, q.row, q.column, q.value, binary.offset, monitor=monitor
        )
        work = SWEEP_WORK * max(1, function.size // 100)
        found = search(problem, work=work, seed=seed, monitor=monitor)
    except Stopped:
        return function.from_binaries(np.zeros(function.size, np.uint8)), "no search", False
    return function.from_spins(found.spins[0]), "annealing, replica exchange and tabu search", False
