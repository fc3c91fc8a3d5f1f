"""What classical search finds on the same instance, so that no quantum result stands alone."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction
from ketgate_server.type.sparse import Sparse

EXHAUSTIVE_MAX = 26
"""Variables up to which every assignment is looked at: about half a second."""
TIME_LIMIT_S = 1.0
COMBINATIONS_MAX = 200_000
"""States of a given number of ones that are all looked at."""
SWAP_STARTS = 10
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


def extremes(function: QuadraticFunction, hamming_weight: int | None) -> tuple[float, float] | None:
    """Least and greatest value, over the states with so many ones where that is given; None beyond
    EXHAUSTIVE_MAX variables, or COMBINATIONS_MAX states."""
    if hamming_weight is not None:
        values = _values_of_weight(function, hamming_weight)
        return None if values is None else (float(values.min()), float(values.max()))
    if function.size > EXHAUSTIVE_MAX:
        return None
    from ketgate_native.monitor import Monitor

    ends = []
    for sign in (1.0, -1.0):
        binary = function.as_binary()
        q = binary.quadratic
        turned = QuadraticFunction(
            binary.alphabet,
            sign * binary.linear,
            Sparse(q.row, q.column, sign * q.value),
            sign * binary.offset,
        )
        values, _, complete = _enumerated(turned, Monitor(function.size, time_limit_s=TIME_LIMIT_S))
        if not complete:
            return None
        ends.append(sign * turned(values))
    return ends[0], ends[1]


def least_of_weight(function: QuadraticFunction, hamming_weight: int, *, seed: int) -> Baseline:
    """The least value with exactly so many ones (spins: -1 counts as one): every state of few, swaps
    from random states otherwise."""
    started_s = time.monotonic()
    values = _values_of_weight(function, hamming_weight)
    if values is not None:
        method, least_value, proven = "enumeration of the states", float(values.min()), True
    else:
        method, proven = "local search by swaps from random states", False
        least_value = _swapped(function, hamming_weight, np.random.default_rng(seed))
    return Baseline(method, least_value, proven, time.monotonic() - started_s)


def _values_of_weight(function: QuadraticFunction, ones: int) -> NDArray[np.float64] | None:
    """Of every state with so many ones; None where they are too many."""
    n = function.size
    if math.comb(n, ones) > COMBINATIONS_MAX:
        return None
    chosen = np.array(list(combinations(range(n), ones)), dtype=np.int64).reshape(-1, ones)
    x = np.zeros((len(chosen), n))
    np.put_along_axis(x, chosen, 1.0, axis=1)
    return _evaluate(function, x)


def _evaluate(function: QuadraticFunction, x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of zeros and ones, where 1 is |1>: spin -1, binary 1."""
    v = 1.0 - 2.0 * x if function.alphabet is Alphabet.SPIN else x
    q = function.quadratic
    return np.asarray(
        function.offset + v @ function.linear + (v[:, q.row] * v[:, q.column]) @ q.value
    )


def _swapped(function: QuadraticFunction, ones: int, rng: np.random.Generator) -> float:
    """Best of SWAP_STARTS descents, each ended where no swap of a one and a zero gains."""
    n = function.size
    best = np.inf
    until_s = time.monotonic() + TIME_LIMIT_S
    for _ in range(SWAP_STARTS):
        x = np.zeros(n)
        x[rng.permutation(n)[:ones]] = 1.0
        value = float(_evaluate(function, x[None])[0])
        while time.monotonic() < until_s:
            full, empty = np.flatnonzero(x == 1.0), np.flatnonzero(x == 0.0)
            pairs = [(i, j) for i in full for j in empty]
            near = np.repeat(x[None], len(pairs), axis=0)
            for k, (i, j) in enumerate(pairs):
                near[k, i], near[k, j] = 0.0, 1.0
            values = _evaluate(function, near)
            k = int(values.argmin())
            if values[k] >= value:
                break
            x, value = near[k], float(values[k])
        best = min(best, value)
    return best
