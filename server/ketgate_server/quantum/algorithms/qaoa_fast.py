"""The fastest evaluator for an instance: kernels of the native simulator stand in for circuits where
they can."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from ketgate_native.monitor import Stopped as NativeStopped

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.algorithms import baseline
from ketgate_server.quantum.algorithms.answer import Convergence
from ketgate_server.quantum.algorithms.optimizer import Angles, Minimum, OptimizerOptions, minimize
from ketgate_server.quantum.algorithms.qaoa import (
    CircuitEvaluator,
    Evaluator,
    Instance,
    described,
    problem_of,
    starts_about,
)
from ketgate_server.quantum.algorithms.runner import Runner
from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.qaoa import evaluate, optimize, sample
from ketgate_server.quantum.qaoa.angles import transferred
from ketgate_server.quantum.qaoa.problem import Mixer


def evaluator_of(instance: Instance, runner: Runner, memory_bytes_max: int = 4 << 30) -> Evaluator:
    """Raises BACKEND_UNSUITABLE where a kernel could stand in and no exact way fits."""
    if not (runner.is_native and runner.exact):
        return CircuitEvaluator(instance, runner)
    return KernelEvaluator(instance, runner, memory_bytes_max)


def first_angles(instance: Instance) -> Angles:
    """(2p,): transferred from typical instances."""
    return transferred(problem_of(instance), instance.layers).reshape(-1)


def needs_no_state(instance: Instance, memory_bytes_max: int) -> bool:
    """Whether a closed form or light cones may do what no state vector can: expectations alone."""
    if instance.mixer is not Mixer.X or instance.warm_start is not None:
        return instance.mixer is not Mixer.X
    return not evaluate.has_state(problem_of(instance), memory_bytes_max)


class KernelEvaluator:
    """By kernels, exactly."""

    def __init__(self, instance: Instance, runner: Runner, memory_bytes_max: int) -> None:
        options = runner.options
        self._instance = instance
        self._runner = runner
        self._problem = problem_of(instance)
        self._circuit = described(instance)
        threads = max(1, options.threads)
        try:
            self._evaluator = evaluate.evaluator(
                self._problem,
                instance.layers,
                precision=options.precision,
                threads=threads,
                memory_bytes_max=memory_bytes_max,
                task=runner,
            )
        except evaluate.TooLarge as error:
            raise KetgateError(
                Reason.BACKEND_UNSUITABLE,
                f"{error}; fewer layers, a sparser problem or fewer variables would do",
                field="spec.layers",
            ) from None
        self._state: evaluate.StateVector | evaluate.Subspace | None = None
        if isinstance(self._evaluator, evaluate.StateVector | evaluate.Subspace):
            self._state = self._evaluator
        elif evaluate.has_state(self._problem, memory_bytes_max, options.precision):
            self._state = evaluate.state_of(
                self._problem, precision=options.precision, threads=threads, task=runner
            )
        self._prepared: bytes | None = None

    @property
    def method(self) -> str:
        return self._evaluator.method

    def value(self, angles: Angles) -> float:
        self._runner.check_search()
        self._runner.count(self._circuit, 0)
        self._prepared = None
        return self._evaluator.value(angles.reshape(2, -1))

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        self._runner.check_search()
        self._runner.count(self._circuit, 0)
        self._prepared = None
        value, slopes = self._evaluator.gradient(angles.reshape(2, -1))
        return value, slopes.reshape(-1)

    def minimize(
        self, start: Angles, options: OptimizerOptions, convergence: Convergence, seed: int
    ) -> Minimum:
        if options.method not in ("", "lbfgs"):
            starts = starts_about(start, options.starts, seed)
            return minimize(self.value, None, starts, options, convergence, seed)
        self._prepared = None
        found = optimize.optimize(
            self._problem,
            _Checked(self._evaluator, self._runner),
            self._instance.layers,
            start=start.reshape(2, -1),
            search=optimize.Search(options.evaluations_max, options.tolerance, options.starts),
            seed=seed,
            note=convergence.note,
        )
        self._runner.count(self._circuit, 0, found.evaluations)
        angles = found.angles.reshape(-1)
        return Minimum(angles, found.value, found.evaluations, found.complete)

    def standard_error(self, angles: Angles) -> float:
        del angles
        return 0.0

    def sample(self, angles: Angles, shots: int) -> Mapping[int, int]:
        """Nothing where no state fits: an expectation alone is the answer."""
        if self._state is None:
            return {}
        self._prepare(angles)
        self._runner.count(self._circuit, shots)
        found = sample.draw(self._state, shots, self._runner.options.seed)
        return dict(zip(found.outcomes.tolist(), found.counts.tolist(), strict=True))

    def extremes(self) -> tuple[float, float] | None:
        weight = None if self._instance.mixer is Mixer.X else self._instance.hamming_weight
        if self._state is None:
            return baseline.extremes(self._instance.function, weight)
        if isinstance(self._state, evaluate.Subspace):
            costs = self._state.state.costs
            return float(costs.min()), float(costs.max())
        try:
            ends = self._state.state.extremes(monitor=self._state.stopping.monitor)
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None
        return ends.least, ends.greatest

    def probability_at_most(self, angles: Angles, objective: float) -> float | None:
        if self._state is None:
            return None
        self._prepare(angles)
        if isinstance(self._state, evaluate.Subspace):
            weights = np.abs(self._state.state.amplitudes()) ** 2
            return float(weights[self._state.state.costs <= objective].sum())
        try:
            return self._state.state.probability_at_most(
                objective, monitor=self._state.stopping.monitor
            )
        except NativeStopped as stopped:
            raise Stopped(str(stopped)) from None

    def _prepare(self, angles: Angles) -> None:
        """Keep the state at the angles."""
        assert self._state is not None
        if self._prepared != angles.tobytes():
            sample.prepare(self._state, angles.reshape(2, -1))
            self._prepared = angles.tobytes()


class _Checked:
    """An evaluator that looks at the time before each evaluation."""

    def __init__(self, evaluator: evaluate.Evaluator, runner: Runner) -> None:
        self._evaluator = evaluator
        self._runner = runner

    @property
    def method(self) -> str:
        return self._evaluator.method

    @property
    def gradient_cost(self) -> int:
        return self._evaluator.gradient_cost

    def value(self, angles: Angles) -> float:
        self._runner.check_search()
        return self._evaluator.value(angles)

    def gradient(self, angles: Angles) -> tuple[float, Angles]:
        self._runner.check_search()
        return self._evaluator.gradient(angles)
