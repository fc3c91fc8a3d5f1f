"""Iterative amplitude estimation: a probability, with a confidence interval, without phase
estimation.

Grinko, Gacon, Zoufal, Woerner, npj Quantum Information 7 (2021) 52, with Clopper-Pearson intervals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from ketgate_server.quantum.algorithms.builder import Builder, inverse
from ketgate_server.quantum.algorithms.oracles import phase_flip
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.circuit import Circuit, Gate, Operation

SHOTS_DEFAULT = 100
RATIO_MIN = 2.0
"""The power grows at least so much from round to round."""
EPSILON_MIN, EPSILON_MAX = 1e-6, 0.5


@dataclass
class Interval:
    estimate: float
    lower: float
    upper: float
    oracle_calls: int
    """Applications of the Grover operator, over all shots."""
    complete: bool
    """False: stopped before the interval was as narrow as asked."""


def circuit(prepare: Sequence[Operation], num_qubits: int, objective: int, power: int) -> Circuit:
    """power applications of the Grover operator after the preparation; measures the objective."""
    everything = list(range(num_qubits))
    grover: list[Operation] = [
        Gate("z", (objective,)),
        *inverse(prepare),
        *phase_flip(everything, (0,) * num_qubits),
        *prepare,
        Gate("gphase", (), (math.pi,)),
    ]
    built = Builder(num_qubits, 1).add(prepare)
    for _ in range(power):
        built.add(grover)
    return built.measure([objective]).circuit(f"amplitude-estimation-{power}")


def estimate(
    prepare: Sequence[Operation],
    num_qubits: int,
    objective: int,
    runner: Runner,
    *,
    epsilon: float,
    alpha: float,
) -> Interval:
    """P(objective is 1) after the preparation, to half a width of epsilon with confidence
    1 - alpha."""

    def ones(power: int, shots: int) -> int:
        outcome = runner.run([circuit(prepare, num_qubits, objective, power)], shots=shots)[0]
        return sum(count for state, count in outcome.counts.items() if state & 1)

    return iterate(ones, runner.options.shots or SHOTS_DEFAULT, epsilon=epsilon, alpha=alpha)


def iterate(
    ones: Callable[[int, int], int], shots: int, *, epsilon: float, alpha: float
) -> Interval:
    """ones(power, shots): how many of the shots read 1 with so many Grover operators. The angle
    theta in [0, pi/2], probability sin^2 theta, is enclosed ever more closely."""
    # In units of 2 pi, as the reference has it: theta = 2 pi t with t in [0, 1/4].
    low, high = 0.0, 0.25
    rounds_max = max(1, math.ceil(math.log2(math.pi / (8.0 * epsilon))) + 1)
    power, upper_half = 0, True
    calls = 0
    round_shots = round_ones = 0
    complete = True
    while _probability(high) - _probability(low) > 2.0 * epsilon:
        factor = 4 * power + 2
        power_next, upper_next = _next_power(power, low, high, upper_half)
        if power_next != power:
            round_shots = round_ones = 0
        power, upper_half = power_next, upper_next
        factor = 4 * power + 2
        try:
            read = ones(power, shots)
        except Stopped:
            if not calls and not round_shots:
                raise
            complete = False
            break
        calls += power * shots
        round_shots += shots
        round_ones += read
        least, most = _clopper_pearson(round_ones, round_shots, alpha / rounds_max)
        # The measured probability is sin^2((2k+1) theta) = (1 - cos(2 pi * factor * t)) / 2.
        angle_low = math.acos(max(-1.0, min(1.0, 1.0 - 2.0 * least))) / (2.0 * math.pi)
        angle_high = math.acos(max(-1.0, min(1.0, 1.0 - 2.0 * most))) / (2.0 * math.pi)
        if not upper_half:
            angle_low, angle_high = 1.0 - angle_high, 1.0 - angle_low
        turns = math.floor(factor * low + 1e-12)
        low = max(low, (turns + angle_low) / factor)
        high = min(high, (turns + angle_high) / factor)
        if low > high:  # an interval failed, which alpha allows: what is left is a point
            low = high = (low + high) / 2.0
    lower, upper = _probability(low), _probability(high)
    return Interval((lower + upper) / 2.0, lower, upper, calls, complete)


def _probability(t: float) -> float:
    return math.sin(2.0 * math.pi * t) ** 2


def _next_power(power: int, low: float, high: float, upper_half: bool) -> tuple[int, bool]:
    """The greatest power for which the scaled interval stays within one half circle, at least
    RATIO_MIN times the present one; else the present."""
    factor_now = 4 * power + 2
    width = high - low
    factor = math.floor(1.0 / (2.0 * width)) if width > 0 else factor_now
    factor -= (factor - 2) % 4
    while factor >= RATIO_MIN * factor_now:
        start = factor * low - math.floor(factor * low + 1e-12)
        end = factor * high - math.floor(factor * low + 1e-12)
        if end <= 0.5 and start <= 0.5:
            return (factor - 2) // 4, True
        if start >= 0.5 and end <= 1.0:
            return (factor - 2) // 4, False
        factor -= 4
    return power, upper_half


def _clopper_pearson(ones: int, shots: int, alpha: float) -> tuple[float, float]:
    from scipy.stats import beta

    lower = float(beta.ppf(alpha / 2.0, ones, shots - ones + 1)) if ones else 0.0
    upper = float(beta.ppf(1.0 - alpha / 2.0, ones + 1, shots - ones)) if ones < shots else 1.0
    return lower, upper


def monte_carlo_samples(probability: float, epsilon: float, alpha: float) -> int:
    """Samples for the same half width by the normal approximation of a binomial."""
    from scipy.stats import norm

    quantile = float(norm.ppf(1.0 - alpha / 2.0))
    variance = max(probability * (1.0 - probability), epsilon)
    return math.ceil(variance * (quantile / epsilon) ** 2)
