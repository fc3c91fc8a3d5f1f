"""QAOA: angles are looked for, the state at the best ones is sampled, and the best sample is compared
with what classical search finds."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms import baseline, qaoa_circuit
from ketgate_server.quantum.algorithms.answer import Baseline, Convergence
from ketgate_server.quantum.algorithms.grover import bits
from ketgate_server.quantum.algorithms.optimizer import (
    Angles,
    Minimum,
    OptimizerOptions,
    minimize,
)
from ketgate_server.quantum.algorithms.qaoa_circuit import spin_terms, warm_angles
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.qaoa.angles import coefficient_scale
from ketgate_server.quantum.qaoa.problem import Mixer, QaoaProblem
from ketgate_server.type.quadratic import Alphabet, QuadraticFunction

SHOTS_DEFAULT = 1024
SAME = 1e-9
"""Objectives so close, relative to the spread, are one."""
FINAL_SHARE = 0.15
"""Of the time, for sampling and comparing at the end."""
START_SPREAD = 0.3
"""Further starts are within this share of the first one's angles."""


@dataclass(frozen=True)
class Instance:
    """What is asked for."""

    function: QuadraticFunction
    layers: int
    mixer: Mixer = Mixer.X
    hamming_weight: int = 0
    warm_start: NDArray[np.float64] | None = None
    """(n,), probabilities that the binary is 1."""


class Evaluator(Protocol):
    """Expectations of one instance, by whatever means. Angles: gammas, then betas, (2p,)."""

    @property
    def method(self) -> str:
        """As QaoaResult.method."""

    def value(self, angles: Angles) -> float: ...
    def gradient(self, angles: Angles) -> tuple[float, Angles]: ...
    def minimize(
        self, start: Angles, options: OptimizerOptions, convergence: Convergence, seed: int
    ) -> Minimum:
        """The best angles met. Raises Stopped only where there are none."""

    def standard_error(self, angles: Angles) -> float:
        """Of a value that was asked for."""

    def sample(self, angles: Angles, shots: int) -> Mapping[int, int]:
        """Outcomes (bit i is variable i) and how often."""

    def extremes(self) -> tuple[float, float] | None:
        """Least and greatest objective among the states that can be reached; None where that is too
        much work."""

    def probability_at_most(self, angles: Angles, objective: float) -> float | None:
        """Exact; None where it is not known."""


@dataclass(frozen=True)
class Sample:
    values: NDArray[Any]
    objective: float
    count: int


@dataclass
class Qaoa:
    """What came of it."""

    samples: list[Sample]
    minimum: Minimum
    standard_error: float
    method: str
    baseline: Baseline
    approximation_ratio: float | None = None
    ground_state_probability: float | None = None
    convergence: Convergence = field(default_factory=Convergence)


def run(
    instance: Instance,
    evaluator: Evaluator,
    runner: Runner,
    options: OptimizerOptions,
    start: Angles,
    samples_max: int,
) -> Qaoa:
    """start: (2p,). Stopped is raised only where there is no expectation yet."""
    function = instance.function
    seed = runner.options.seed
    classical = classical_least(instance, seed, runner.remaining_s())
    convergence = Convergence()
    runner.reserve(FINAL_SHARE)
    minimum = evaluator.minimize(start, options, convergence, seed)
    shots = runner.options.shots or SHOTS_DEFAULT
    try:
        counts = evaluator.sample(minimum.angles, shots)
    except Stopped:
        counts = {}
    found = Qaoa(
        ordered(function, counts, samples_max),
        minimum,
        evaluator.standard_error(minimum.angles),
        evaluator.method,
        classical,
        convergence=convergence,
    )
    with contextlib.suppress(Stopped):  # then what there is is the answer
        _compare(found, evaluator)
    return found


def described(instance: Instance, angles: Angles | None = None) -> Any:
    """The circuit that is run, or that a kernel stands in for; bound where angles are given."""
    circuit = qaoa_circuit.circuit(
        instance.function,
        instance.layers,
        instance.mixer,
        hamming_weight=instance.hamming_weight,
        warm_start=instance.warm_start,
        measured=True,
    )
    if angles is None:
        return circuit
    return circuit.bind(dict(zip(circuit.parameters, angles.tolist(), strict=True)))


def classical_least(instance: Instance, seed: int, remaining_s: float) -> Baseline:
    """Over the states that the mixer can reach."""
    function = instance.function
    if instance.mixer is Mixer.X:
        return baseline.least(function, seed=seed, remaining_s=remaining_s).baseline
    return baseline.least_of_weight(function, instance.hamming_weight, seed=seed)


def to_values(function: QuadraticFunction, state: int) -> NDArray[Any]:
    """The caller's values of an outcome: |0> is spin +1, |1> is binary 1."""
    found = bits(state, function.size)
    if function.alphabet is Alphabet.SPIN:
        return (1 - 2 * found.astype(np.int8)).astype(np.int8)
    return found


def gamma_scale(instance: Instance) -> float:
    """Size of the coefficients, by which gammas are measured."""
    return coefficient_scale(problem_of(instance))


def problem_of(instance: Instance) -> QaoaProblem:
    """As the kernels take it."""
    constant, fields, couplings = spin_terms(instance.function)
    pairs = np.array(list(couplings), dtype=np.int64).reshape(-1, 2)
    return QaoaProblem(
        fields,
        pairs[:, 0].copy(),
        pairs[:, 1].copy(),
        np.array(list(couplings.values())),
        constant,
        mixer=instance.mixer,
        hamming_weight=instance.hamming_weight,
        tilts=None if instance.warm_start is None else warm_angles(instance.warm_start),
    )


def starts_about(first: Angles, count: int, seed: int) -> list[Angles]:
    rng = np.random.default_rng(seed)
    spread = START_SPREAD * (np.abs(first) + 0.1)
    others = [first + rng.uniform(-1.0, 1.0, len(first)) * spread for _ in range(count - 1)]
    return [first, *others]


def ordered(
    function: QuadraticFunction, counts: Mapping[int, int], samples_max: int
) -> list[Sample]:
    """The best distinct samples, best first."""
    found = []
    for state, count in counts.items():
        values = to_values(function, state)
        found.append(Sample(values, function(values), count))
    found.sort(key=lambda one: (one.objective, -one.count, one.values.tobytes()))
    return found[:samples_max]


def _compare(found: Qaoa, evaluator: Evaluator) -> None:
    """With the exact best and worst, where they are known."""
    extremes = evaluator.extremes()
    if extremes is None:
        return
    least, greatest = extremes
    spread = greatest - least
    found.approximation_ratio = (greatest - found.minimum.value) / spread if spread > 0.0 else 1.0
    slack = SAME * max(spread, abs(least), 1.0)
    found.ground_state_probability = evaluator.probability_at_most(
        found.minimum.angles, least + slack
    )


class CircuitEvaluator:
    """Runs circuits: for every back end, with shots and noise too."""

    method = "circuits"

    def __init__(self, instance: Instance, runner: Runner) -> None:
        self._instance = instance
        self._runner = runner
        self._circuit = qaoa_circuit.circuit(
            instance.function,
            instance.layers,
            instance.mixer,
            hamming_weight=instance.hamming_weight,
            warm_start=instance.warm_start,
        )
        self._observable = qaoa_circuit.hamiltonian(instance.function)
        self._errors: dict[bytes, float] = {}
        self._has_gradients = runner.exact and runner.is_native

    def value(self, angles: Angles) -> float:
        self._runner.check_search()
        found = self._runner.expectations(
            self._circuit, [self._observable], parameters=self._named(angles)
        )
        self._errors[angles.tobytes()] = float(found.standard_errors[0])
        return float(found.values[0])

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        self._runner.check_search()
        found = self._runner.expectations(
            self._circuit, [self._observable], parameters=self._named(angles), gradients=True
        )
        assert found.gradients is not None
        return float(found.values[0]), np.asarray(found.gradients[0], dtype=np.float64)

    def minimize(
        self, start: Angles, options: OptimizerOptions, convergence: Convergence, seed: int
    ) -> Minimum:
        # Gammas are searched in units of the coefficients, so that all angles move alike.
        scale = np.ones_like(start)
        scale[: self._instance.layers] = gamma_scale(self._instance)

        def gradient(scaled: Angles) -> tuple[float, Angles]:
            value, slopes = self.gradient(scaled / scale)
            return value, slopes / scale

        gradients = self._has_gradients and options.method in ("", "lbfgs")
        found = minimize(
            lambda scaled: self.value(scaled / scale),
            gradient if gradients else None,
            [one * scale for one in starts_about(start, options.starts, seed)],
            options,
            convergence,
            seed,
        )
        return replace(found, angles=found.angles / scale)

    def standard_error(self, angles: Angles) -> float:
        return self._errors.get(angles.tobytes(), 0.0)

    def sample(self, angles: Angles, shots: int) -> Mapping[int, int]:
        return self._runner.run([described(self._instance, angles)], shots=shots)[0].counts

    def extremes(self) -> tuple[float, float] | None:
        instance = self._instance
        return baseline.extremes(
            instance.function,
            None if instance.mixer is Mixer.X else instance.hamming_weight,
        )

    def probability_at_most(self, angles: Angles, objective: float) -> float | None:
        del angles, objective
        return None

    def _named(self, angles: Angles) -> dict[str, float]:
        return dict(zip(self._circuit.parameters, angles.tolist(), strict=True))
