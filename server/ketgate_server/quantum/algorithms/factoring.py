"""Shor's factoring by order finding, with every classical shortcut named.

Shor, SIAM Journal on Computing 26 (1997) 1484.
"""

from __future__ import annotations

import math
import time
from dataclasses import dataclass, field
from fractions import Fraction

import numpy as np

from ketgate_server.quantum.algorithms.answer import Baseline
from ketgate_server.quantum.algorithms.modular import order_finding
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped

SHOTS_DEFAULT = 4
"""Each shot is a simulation of its own, as it measures on the way; one gives the order with a
probability above a half."""


@dataclass
class Factoring:
    number: int
    factors: list[int] = field(default_factory=list)
    """Primes with repetition, rising; empty where none was found."""
    orders: dict[int, int] = field(default_factory=dict)
    shortcuts: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)
    baseline: Baseline | None = None
    complete: bool = True

    @property
    def found(self) -> bool:
        return math.prod(self.factors) == self.number and len(self.factors) > 1


def factor(number: int, base: int, attempts_max: int, runner: Runner) -> Factoring:
    """base: 0: drawn. Stopped is raised only where nothing was found yet."""
    started_s = time.monotonic()
    proven = trial_division(number)
    elapsed_s = time.monotonic() - started_s
    out = Factoring(number)
    out.baseline = Baseline("trial division: least factor", float(proven[0]), True, elapsed_s)
    rng = np.random.default_rng(runner.options.seed)
    pending = [number]
    while pending:
        part = pending.pop()
        if trial_division(part) == [part]:
            out.factors.append(part)
            continue
        try:
            divisor = _split(part, base if part == number else 0, attempts_max, runner, rng, out)
        except Stopped:
            if not out.orders and not out.factors:
                raise
            out.complete = False
            divisor = None
        if divisor is None:
            out.complete = False
            if part != number:  # part of the way: what is left is told as it is
                out.factors.append(part)
            continue
        pending += [divisor, part // divisor]
    out.factors.sort()
    if out.factors == [number] and proven != [number]:
        out.factors = []
    return out


def _split(
    number: int,
    base: int,
    attempts_max: int,
    runner: Runner,
    rng: np.random.Generator,
    out: Factoring,
) -> int | None:
    """A factor other than 1 and number; None where the attempts brought none."""
    if not base:
        if number % 2 == 0:
            out.shortcuts.append(f"{number} is even")
            return 2
        root = perfect_power(number)
        if root is not None:
            out.shortcuts.append(f"{number} is a power of {root}")
            return root
    for attempt in range(attempts_max):
        a: int = base if base and not attempt else int(rng.integers(2, number - 1))
        shared = math.gcd(a, number)
        if shared > 1:
            out.shortcuts.append(f"the base {a} shares the factor {shared} with {number}")
            return shared
        order = find_order(a, number, runner)
        if order is not None:
            out.orders[a] = order
            half: int = pow(a, order // 2, number)
            divisor = 1 if order % 2 else math.gcd(half - 1, number)
            if 1 < divisor < number:
                return divisor
        if base and not attempt:
            then = "others were drawn" if attempts_max > 1 else "no other was tried"
            out.warnings.append(f"the base {base} {_why(order)}: {then}")
    return None


def _why(order: int | None) -> str:
    """Why a base gave no factor."""
    if order is None:
        return "gave no order in these shots"
    if order % 2:
        return f"has the odd order {order}, which gives no factor"
    return f"has the order {order}, whose half gives -1 and so no factor"


def find_order(base: int, modulus: int, runner: Runner) -> int | None:
    """The least r > 0 with base^r = 1 modulo modulus, read from a circuit; None where the shots
    did not tell it. What is returned was checked."""
    shots = runner.options.shots or SHOTS_DEFAULT
    outcome = runner.run([order_finding(base, modulus)], shots=shots)[0]
    size = 1 << (2 * modulus.bit_length())
    candidates: set[int] = set()
    for read in outcome.counts:
        if read:
            candidates.add(Fraction(read, size).limit_denominator(modulus - 1).denominator)
    # Denominators divide the order, up to reading errors: their multiples and products may be it.
    for one in sorted(candidates):
        for other in (1, *sorted(candidates)):
            multiple = math.lcm(one, other)
            for small in (1, 2, 3, 4):
                if pow(base, multiple * small, modulus) == 1:
                    return _least(base, multiple * small, modulus)
    return None


def _least(base: int, order: int, modulus: int) -> int:
    """Divide out what a multiple of the order has too much."""
    for prime in set(trial_division(order)) if order > 1 else ():
        while order % prime == 0 and pow(base, order // prime, modulus) == 1:
            order //= prime
    return order


def perfect_power(number: int) -> int | None:
    """The root b where number = b^k, k > 1; None otherwise."""
    for k in range(2, number.bit_length() + 1):
        root: int = round(number ** (1.0 / k))
        for near in (root - 1, root, root + 1):
            if near > 1 and near**k == number:
                return near
    return None


def trial_division(number: int) -> list[int]:
    """Prime factors with repetition, rising. Numbers here are small."""
    out = []
    divisor = 2
    while divisor * divisor <= number:
        while number % divisor == 0:
            out.append(divisor)
            number //= divisor
        divisor += 1
    if number > 1:
        out.append(number)
    return out
