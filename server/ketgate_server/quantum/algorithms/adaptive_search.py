"""Grover adaptive search: the least value of a quadratic function of binaries.

Gilliam, Woerner, Gonciulea, Quantum 5 (2021) 428: a value register holds f(x) - y in two's
complement, written by phases and an inverse Fourier transform; the oracle is the sign bit. Each
better value found lowers y.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.answer import Baseline, Convergence
from ketgate_server.quantum.algorithms.builder import Builder, inverse
from ketgate_server.quantum.algorithms.fourier import inverse_transform
from ketgate_server.quantum.algorithms.grover import GROWTH, Search, bits
from ketgate_server.quantum.algorithms.oracles import phase_flip
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.circuit import Circuit, Gate, Operation
from ketgate_server.type.quadratic import QuadraticFunction

VALUE_QUBITS_MAX = 12
DENOMINATOR_MAX = 4096
PATIENCE = 3.0
"""It ends when this times sqrt(2^n) oracle calls in a row brought nothing better: by then a better
state would have been read with a probability of more than 99.9 percent."""


@dataclass(frozen=True)
class Encoding:
    """Whole-number coefficients: f(x) - f(0) is about (linear x + x quadratic x) / scale."""

    linear: NDArray[np.int64]
    pairs: tuple[tuple[int, int, int], ...]
    """(i, j, coefficient), i < j."""
    scale: float
    exact: bool
    """Whether no coefficient was rounded."""
    low: int
    high: int
    """Bounds of the whole-number function."""

    @property
    def value_qubits(self) -> int:
        """Enough for the difference of any two values, with a sign."""
        return max(2, (self.high - self.low).bit_length() + 1)


def encode(function: QuadraticFunction) -> Encoding:
    """The smallest scale that makes every coefficient whole; else the greatest that fits
    VALUE_QUBITS_MAX, with rounding: then the order of nearly equal values may be lost in the
    circuit, never in the answer, which is evaluated from the caller's numbers."""
    binary = function.as_binary()
    linear = binary.linear.astype(np.float64).copy()
    pairs: dict[tuple[int, int], float] = {}
    q = binary.quadratic
    for i, j, value in zip(q.row.tolist(), q.column.tolist(), q.value.tolist(), strict=True):
        if i == j:
            linear[i] += value
        else:
            key = (min(i, j), max(i, j))
            pairs[key] = pairs.get(key, 0.0) + value
    values = [*linear.tolist(), *pairs.values()]
    room = 2 ** (VALUE_QUBITS_MAX - 1) - 1
    spread = sum(abs(value) for value in values) or 1.0
    scale, exact = _scale(values), True
    if scale is None or spread * scale > room:
        scale, exact = max(room - len(values), 1) / spread, False
    whole = np.rint(linear * scale).astype(np.int64)
    whole_pairs = tuple((i, j, round(v * scale)) for (i, j), v in pairs.items() if round(v * scale))
    coefficients = [*whole.tolist(), *(c for _, _, c in whole_pairs)]
    return Encoding(
        whole,
        whole_pairs,
        scale,
        exact,
        sum(c for c in coefficients if c < 0),
        sum(c for c in coefficients if c > 0),
    )


def _scale(values: list[float]) -> float | None:
    """The least factor that makes all of them whole; None where there is no small one."""
    denominator = 1
    for value in values:
        fraction = Fraction(value).limit_denominator(DENOMINATOR_MAX)
        if abs(float(fraction) - value) > 1e-12 * max(1.0, abs(value)):
            return None
        denominator = math.lcm(denominator, fraction.denominator)
        if denominator > DENOMINATOR_MAX:
            return None
    common = math.gcd(*(round(value * denominator) for value in values)) or 1
    return denominator / common


def load(encoding: Encoding, threshold: int, n: int) -> list[Operation]:
    """|0>|0> to the sum over x of |x>|f(x) - threshold>; qubits 0..n-1 are x. threshold: in the
    units of the whole-number function."""
    m = encoding.value_qubits
    value = list(range(n, n + m))
    out: list[Operation] = [Gate("h", (q,)) for q in range(n + m)]

    def add(amount: int, controls: tuple[int, ...]) -> None:
        for k, qubit in enumerate(value):
            angle = 2.0 * math.pi * ((amount << k) % (1 << m)) / (1 << m)
            if angle:
                ones = (1,) * len(controls)
                out.append(Gate("p", (*controls, qubit), (angle,), controls=ones))

    add(-threshold, ())
    for i, amount in enumerate(encoding.linear.tolist()):
        add(amount, (i,))
    for i, j, amount in encoding.pairs:
        add(amount, (i, j))
    return [*out, *inverse_transform(value)]


def circuit(encoding: Encoding, threshold: int, n: int, iterations: int) -> Circuit:
    m = encoding.value_qubits
    prepare = load(encoding, threshold, n)
    everything = list(range(n + m))
    about_start: list[Operation] = [
        *inverse(prepare),
        *phase_flip(everything, (0,) * (n + m)),
        *prepare,
        Gate("gphase", (), (math.pi,)),
    ]
    built = Builder(n + m, n).add(prepare)
    for _ in range(iterations):
        built.gate("z", n + m - 1).add(about_start)  # the sign bit: f(x) < threshold
    return built.measure(range(n)).circuit("grover-adaptive-search")


def minimize(
    function: QuadraticFunction, runner: Runner, *, baseline: Baseline, oracle_calls_max: int
) -> Search:
    """The least value met; complete when nothing better was read for PATIENCE sqrt(N) calls."""
    n = function.size
    encoding = encode(function)
    rng = np.random.default_rng(runner.options.seed)
    convergence = Convergence()
    best = int(rng.integers(0, 1 << n))
    best_value = _value(function, best)
    calls, k, idle, bound = 1, 0, 0, 1.0
    convergence.note(calls, best_value)
    patience = PATIENCE * math.sqrt(1 << n)
    while calls < oracle_calls_max and idle < patience:
        k = min(int(rng.integers(0, math.ceil(bound))), oracle_calls_max - calls - 1)
        threshold = _whole(encoding, best)
        try:
            outcome = runner.run([circuit(encoding, threshold, n, k)], shots=1)[0]
        except Stopped:
            break
        calls += k + 1
        state = next(iter(outcome.counts))
        value = _value(function, state)
        if value < best_value:
            best, best_value, idle, bound = state, value, 0, 1.0
            convergence.note(calls, value)
        else:
            idle += k + 1
            bound = min(GROWTH * bound, math.sqrt(1 << n))
    return Search(
        True, best, calls, k, None, None, baseline, objective=best_value, convergence=convergence
    )


def _value(function: QuadraticFunction, state: int) -> float:
    return function(function.from_binaries(bits(state, function.size)))


def _whole(encoding: Encoding, state: int) -> int:
    x = bits(state, len(encoding.linear)).astype(np.int64)
    return int(encoding.linear @ x) + sum(c for i, j, c in encoding.pairs if x[i] and x[j])
