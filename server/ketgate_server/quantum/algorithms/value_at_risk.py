"""Value at risk by amplitude estimation: bisection over the losses, each step a probability.

Woerner, Egger, npj Quantum Information 5 (2019) 15. The distribution is loaded exactly; a comparator
flips the objective where the loss's number is at most the one asked for.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.amplitude_estimation import (
    Interval,
    estimate,
)
from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.algorithms.state_preparation import prepare
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.circuit import Gate, Operation


@dataclass
class ValueAtRisk:
    value: float
    interval: Interval
    """Of P(loss <= value)."""
    oracle_calls: int
    baseline: Baseline
    undecided: bool
    """Some interval held the confidence level itself: the neighbouring loss may be the one."""


def at_most(index: int, qubits: Sequence[int], target: int) -> list[Operation]:
    """Flip target where the number in qubits (qubits[0] its lowest bit) is at most index: one
    multi-controlled X for each prefix."""
    bound = index + 1  # number < bound
    if bound >= 1 << len(qubits):
        return [Gate("x", (target,))]
    out: list[Operation] = []
    for k in reversed(range(len(qubits))):
        if not (bound >> k) & 1:
            continue
        # Bits above k as in bound, bit k is 0 instead of 1, the lower ones are free.
        controls = tuple(qubits[j] for j in range(k, len(qubits)))
        values = (0, *((bound >> j) & 1 for j in range(k + 1, len(qubits))))
        out.append(Gate("x", (*controls, target), controls=values))
    return out


def value_at_risk(
    losses: NDArray[np.float64],
    probabilities: NDArray[np.float64],
    confidence: float,
    runner: Runner,
    *,
    epsilon: float,
    alpha: float,
) -> ValueAtRisk:
    """The least loss with P(loss <= it) >= confidence. losses: rising, (m,)."""
    started_s = time.monotonic()
    exact = int(np.searchsorted(np.cumsum(probabilities), confidence * (1.0 - 1e-12)))
    exact = min(exact, len(losses) - 1)
    baseline = Baseline(
        "value at risk by summation", float(losses[exact]), True, time.monotonic() - started_s
    )
    n = max(1, (len(losses) - 1).bit_length())
    amplitudes = np.zeros(1 << n, dtype=np.complex128)
    amplitudes[: len(losses)] = np.sqrt(probabilities / probabilities.sum())
    loading = prepare(amplitudes, range(n))
    found: dict[int, Interval] = {}
    steps = max(1, n)

    def at(index: int) -> Interval:
        if index not in found:
            operations = [*loading, *at_most(index, range(n), n)]
            # Every step may fail with its share of alpha.
            found[index] = estimate(
                operations, n + 1, n, runner, epsilon=epsilon, alpha=alpha / steps
            )
        return found[index]

    low, high = 0, len(losses) - 1
    undecided = False
    while low < high:
        middle = (low + high) // 2
        try:
            interval = at(middle)
        except Stopped:
            if not found:
                raise
            undecided = True
            break
        undecided |= interval.lower < confidence <= interval.upper
        if interval.estimate >= confidence:
            high = middle
        else:
            low = middle + 1
    if high not in found:
        try:
            at(high)
        except Stopped:
            undecided = True
    interval = found.get(high) or next(iter(found.values()))
    calls = sum(one.oracle_calls for one in found.values())
    return ValueAtRisk(float(losses[high]), interval, calls, baseline, undecided)
