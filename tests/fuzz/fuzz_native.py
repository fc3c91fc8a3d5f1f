"""Fuzz the native simulator: python tests/fuzz/fuzz_native.py --seconds 20 [--seed N].

Random small circuits of every gate of the library, with controls, powers, measurements amid them,
resets and conditions, are run and held against the slow simulator of the tests: state vectors and
exact distributions to rounding, counts within what chance allows, expectations and their gradients.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

import argparse
import math
import os
import random
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "server"), str(ROOT / "native")]

from ketgate_server.quantum.base import Precision, RunOptions
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Measure, Reset
from ketgate_server.quantum.expression import parameter
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.native.backend import NativeBackend
from ketgate_server.quantum.observable import PauliSum, PauliTerm
from ketgate_server.quantum.workers.order import OrderTask

from tests.unit.quantum import oracle

QUBITS_MAX = 5
SHOTS = 4_000
SIGMAS = 7.0
"""By chance, one comparison in 10^11 is further off."""
TOLERANCE = {Precision.DOUBLE: 1e-10, Precision.SINGLE: 1e-4}
BACKEND = NativeBackend()


def gate(rng: random.Random, n: int) -> Gate:
    while True:
        name = rng.choice(list(GATES))
        size = GATES[name].num_qubits
        if size <= n:
            break
    controls = min(rng.choice([0, 0, 0, 1, 2]), n - size)
    angles = tuple(rng.uniform(-7, 7) for _ in range(GATES[name].num_parameters))
    return Gate(
        name,
        tuple(rng.sample(range(n), size + controls)),
        angles,
        tuple(rng.randrange(2) for _ in range(controls)),
        rng.choice([1.0, 1.0, 1.0, -1.0, 2.0, 0.5, rng.uniform(-3, 3)]),
    )


def unitary(rng: random.Random) -> Circuit:
    n = rng.randrange(1, QUBITS_MAX + 1)
    gates = tuple(gate(rng, n) for _ in range(rng.randrange(1, 25)))
    bits = rng.sample(range(n + 1), rng.randrange(1, n + 1))
    qubits = rng.sample(range(n), len(bits))
    return Circuit(n, n + 1, gates + tuple(map(Measure, qubits, bits)))


def dynamic(rng: random.Random) -> Circuit:
    n = rng.randrange(1, 4)

    def some(count: int, depth: int) -> tuple[Any, ...]:
        made: list[Any] = []
        for _ in range(count):
            match rng.randrange(8 if depth < 2 else 7):
                case 0 | 1:
                    made.append(Measure(rng.randrange(n), rng.randrange(n)))
                case 2:
                    made.append(Reset(rng.randrange(n)))
                case 7:
                    bits = tuple(rng.sample(range(n), rng.randrange(1, n + 1)))
                    sign = rng.choice(["==", "!=", "<", "<=", ">", ">="])
                    when = Condition(bits, sign, rng.randrange(1 << n))  # type: ignore[arg-type]
                    made.append(If(when, some(2, depth + 1), some(rng.randrange(2), depth + 1)))
                case _:
                    made.append(gate(rng, n))
        return tuple(made)

    return Circuit(n, n, (*some(rng.randrange(3, 9), 0), Measure(0, 0)))


def check_states(rng: random.Random) -> None:
    circuit = unitary(rng)
    precision = rng.choice(list(Precision))
    options = RunOptions(0, 1, precision=precision, state_vector=True, threads=rng.choice([1, 2]))
    (outcome,) = BACKEND.run([circuit], options, OrderTask())
    close = TOLERANCE[precision]
    expected = oracle.state_vector(circuit)
    assert outcome.state_vector is not None
    np.testing.assert_allclose(outcome.state_vector, expected, atol=close, err_msg=str(circuit))
    for memory, probability in oracle.distribution(circuit).items():
        found = outcome.probabilities.get(memory, 0.0)
        assert abs(found - probability) < close, (circuit, memory, found, probability)


def check_counts(rng: random.Random) -> None:
    circuit = dynamic(rng)
    options = RunOptions(SHOTS, rng.randrange(1 << 30))
    (outcome,) = BACKEND.run([circuit], options, OrderTask())
    assert sum(outcome.counts.values()) == SHOTS
    expected = oracle.distribution(circuit)
    for memory in outcome.counts:
        assert expected.get(memory, 0.0) > 1e-12, (circuit, memory)
    for memory, probability in expected.items():
        spread = math.sqrt(SHOTS * probability * max(0.0, 1 - probability))  # it may round above 1
        most = SIGMAS * spread + SIGMAS
        off = abs(outcome.counts.get(memory, 0) - SHOTS * probability)
        assert off <= most, (circuit, memory, off, most)


def check_expectations(rng: random.Random) -> None:
    """With slopes by central differences of the slow simulator."""
    n = rng.randrange(1, QUBITS_MAX + 1)
    names = ("a", "b")
    plain = [gate(rng, n) for _ in range(rng.randrange(2, 10))]
    gates = []
    for one in plain:
        if one.parameters and one.power == 1.0 and rng.random() < 0.7:
            angle = parameter(rng.choice(names))
            one = Gate(one.name, one.qubits, (angle, *one.parameters[1:]), one.controls)
        gates.append(one)
    circuit = Circuit(n, 0, tuple(gates), parameters=names)
    terms = {(rng.randrange(1 << n), rng.randrange(1 << n)): rng.uniform(-2, 2) for _ in range(4)}
    observable = PauliSum(tuple(PauliTerm(c, x, z) for (x, z), c in terms.items()))
    values = {name: rng.uniform(-3, 3) for name in names}
    outcome = BACKEND.expectations(
        circuit, [observable], RunOptions(0, 1), OrderTask(), parameters=values, gradients=True
    )

    def slow(**moved: float) -> float:
        state = oracle.state_vector(circuit.bind(values | moved))
        return float(oracle.expectation(state, observable))

    assert abs(outcome.values[0] - slow()) < 1e-9, (circuit, values)
    assert outcome.gradients is not None
    step = 1e-5
    for k, name in enumerate(names):
        at = values[name]
        slope = (slow(**{name: at + step}) - slow(**{name: at - step})) / (2 * step)
        assert abs(outcome.gradients[0, k] - slope) < 1e-6, (circuit, values, name)


CHECKS: list[Callable[[random.Random], None]] = [check_states, check_counts, check_expectations]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=20.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    rng = random.Random(arguments.seed)
    end_s = time.monotonic() + arguments.seconds
    counts = dict.fromkeys((check.__name__ for check in CHECKS), 0)
    while time.monotonic() < end_s:
        for check in CHECKS:
            try:
                check(rng)
            except Exception:
                print(f"FINDING with --seed {arguments.seed} in {check.__name__}")
                raise
            counts[check.__name__] += 1
    print(f"seed {arguments.seed}: {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
