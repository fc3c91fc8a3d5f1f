"""Grover's search: a known number of solutions, or an unknown one by random growing iterations.

Boyer, Brassard, Hoyer, Tapp, Fortschritte der Physik 46 (1998) 493: iterations drawn below a bound
that grows by 6/5 find one of M among N with about 9/4 sqrt(N/M) oracle calls.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.answer import Baseline, Convergence
from ketgate_server.quantum.algorithms.builder import Builder
from ketgate_server.quantum.algorithms.oracles import diffusion
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.circuit import Circuit, Operation

GROWTH = 6.0 / 5.0
EXACT_RUN_SHOTS = 1
"""Shots of one run of a search of unknown count: each is one measurement of a fresh state."""
COUNTED_SHOTS = 1024
"""Shots of the one circuit where the count is known and the caller asked for exact states."""


class Oracle(Protocol):
    num_bits: int
    ancillas: int

    def holds(self, state: int) -> bool: ...
    def solutions(self) -> NDArray[np.int64] | None: ...
    def operations(self) -> list[Operation]: ...


@dataclass
class Search:
    """What came of a search."""

    found: bool
    state: int
    oracle_calls: int
    iterations: int
    success_probability: float | None
    solutions: int | None
    baseline: Baseline
    objective: float | None = None
    convergence: Convergence = field(default_factory=Convergence)


def best_iterations(states: int, solutions: int) -> int:
    """Iterations after which the probability of a solution is greatest, at least 0."""
    if not solutions:
        return 0
    angle = math.asin(math.sqrt(solutions / states))
    return max(0, round(math.pi / (4.0 * angle) - 0.5))


def success_probability(states: int, solutions: int, iterations: int) -> float:
    """Exactly: sin^2((2k + 1) asin sqrt(M/N))."""
    return math.sin((2 * iterations + 1) * math.asin(math.sqrt(solutions / states))) ** 2


def circuit(oracle: Oracle, iterations: int) -> Circuit:
    """Superposition, iterations of oracle and diffusion, measurement of the variables."""
    search = list(range(oracle.num_bits))
    built = Builder(oracle.num_bits + oracle.ancillas, oracle.num_bits).each("h", search)
    step = [*oracle.operations(), *diffusion(search)]
    for _ in range(iterations):
        built.add(step)
    return built.measure(search).circuit("grover")


def search(
    oracle: Oracle, runner: Runner, *, iterations: int, count_known: bool, oracle_calls_max: int
) -> Search:
    """iterations: 0: the best where the count is known, else by the growing schedule."""
    states = 1 << oracle.num_bits
    started_s = time.monotonic()
    solutions = oracle.solutions()
    count = None if solutions is None else len(solutions)
    baseline = Baseline(
        "random search without repetition: expected evaluations",
        # Where there is nothing to find, the last one is looked at, too, and no more.
        (states + 1) / (count + 1) if count else float(states),
        count is not None,
        time.monotonic() - started_s,
    )
    if iterations or (count_known and count):
        k = iterations or best_iterations(states, count or 0)
        return _counted(oracle, runner, k, states, count, baseline, oracle_calls_max)
    return _growing(oracle, runner, states, count, baseline, oracle_calls_max)


def _counted(
    oracle: Oracle,
    runner: Runner,
    iterations: int,
    states: int,
    count: int | None,
    baseline: Baseline,
    oracle_calls_max: int,
) -> Search:
    iterations = min(iterations, oracle_calls_max)
    # Every shot is a run of its own, and calls the oracle in each of its iterations.
    shots = runner.options.shots or COUNTED_SHOTS
    shots = min(shots, oracle_calls_max // max(1, iterations))
    outcome = runner.run([circuit(oracle, iterations)], shots=shots)[0]
    state = most_frequent(outcome.counts, oracle)
    probability = success_probability(states, count, iterations) if count is not None else None
    return Search(
        oracle.holds(state), state, iterations * shots, iterations, probability, count, baseline
    )


def most_frequent(counts: Mapping[int, int], oracle: Oracle) -> int:
    """The most frequent outcome that is a solution; without any, the most frequent."""
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    for state, _ in ordered:
        if oracle.holds(state):
            return state
    return ordered[0][0]


def _growing(
    oracle: Oracle,
    runner: Runner,
    states: int,
    count: int | None,
    baseline: Baseline,
    oracle_calls_max: int,
) -> Search:
    rng = np.random.default_rng(runner.options.seed)
    bound, calls = 1.0, 0
    state, k = 0, 0
    while calls < oracle_calls_max:
        k = min(int(rng.integers(0, math.ceil(bound))), oracle_calls_max - calls - 1)
        try:
            outcome = runner.run([circuit(oracle, k)], shots=EXACT_RUN_SHOTS)[0]
        except Stopped:
            if not calls:
                raise
            break
        calls += k + 1  # the last call is the classical check of what was read
        state = next(iter(outcome.counts))
        if oracle.holds(state):
            break
        bound = min(GROWTH * bound, math.sqrt(states))
    found = oracle.holds(state)
    probability = success_probability(states, count, k) if count is not None else None
    return Search(found, state, calls, k, probability, count, baseline)


def bits(state: int, count: int) -> NDArray[np.uint8]:
    return np.array([(state >> q) & 1 for q in range(count)], dtype=np.uint8)


def number(values: Sequence[int] | NDArray[np.uint8]) -> int:
    return sum(int(value) << q for q, value in enumerate(values))
