"""Minimise an expectation over angles: L-BFGS where there are exact gradients, SPSA otherwise.

SPSA: Spall, IEEE Trans. Aerospace and Electronic Systems 34 (1998) 817: two evaluations a step,
whatever the number of angles, and it stands noise.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.answer import Convergence
from ketgate_server.quantum.base import Stopped

Angles = NDArray[np.float64]
METHODS = ("lbfgs", "spsa", "none")

GRADIENT_COST = 4
"""Evaluations that one gradient of all angles counts for: what the adjoint method takes at most."""
SPSA_ALPHA, SPSA_GAMMA = 0.602, 0.101
SPSA_SHIFT = 0.1
SPSA_FIRST_STEP = 0.15
"""How far the first steps go, in radians: the gain is calibrated to it."""
SPSA_CALIBRATIONS = 5
FINALISTS = 3
"""Angles that are looked at once more at the end of a walk."""


@dataclass(frozen=True)
class OptimizerOptions:
    method: str = ""
    """Empty: lbfgs where there are gradients, else spsa."""
    evaluations_max: int = 500
    tolerance: float = 1e-8
    starts: int = 1


@dataclass
class Minimum:
    """The best angles met."""

    angles: Angles
    value: float
    evaluations: int
    complete: bool
    """False: stopped by the caller, the time or evaluations_max."""


class _Enough(Exception):  # noqa: N818 - how scipy is told to end
    pass


class Minimizer:
    """One search from one start; remembers the best it met.

    value: the expectation at angles. gradient: expectation and its derivatives; None: there are
    none. Both may raise Stopped: then the best so far is the answer, and Stopped is raised only if
    there is nothing yet.
    """

    def __init__(
        self,
        value: Callable[[Angles], float],
        gradient: Callable[[Angles], tuple[float, Angles]] | None,
        options: OptimizerOptions,
        convergence: Convergence,
    ) -> None:
        self._value = value
        self._gradient = gradient
        self._options = options
        self._convergence = convergence
        self.evaluations = 0
        self.best: Angles | None = None
        self.best_value = np.inf

    def run(self, start: Angles, seed: int) -> Minimum:
        method = self._options.method or ("lbfgs" if self._gradient is not None else "spsa")
        before = self.evaluations
        complete = True
        try:
            if method == "none" or not len(start):
                self._evaluate(start)
            elif method == "lbfgs":
                self._lbfgs(start)
            else:
                self._spsa(start, np.random.default_rng(seed), before)
        except _Enough:
            complete = False
        except Stopped:
            if self.best is None:
                raise
            complete = False
        assert self.best is not None
        return Minimum(self.best, self.best_value, self.evaluations - before, complete)

    def _note(self, angles: Angles, value: float) -> None:
        if value < self.best_value or self.best is None:
            self.best, self.best_value = angles.copy(), value
        self._convergence.note(self.evaluations, value)

    def _evaluate(self, angles: Angles) -> float:
        value = self._value(angles)
        self.evaluations += 1
        self._note(angles, value)
        return value

    def _lbfgs(self, start: Angles) -> None:
        from scipy.optimize import minimize

        gradient = self._gradient
        assert gradient is not None

        def both(angles: Angles) -> tuple[float, Angles]:
            if self.evaluations >= self._options.evaluations_max and self.best is not None:
                raise _Enough
            value, slope = gradient(angles)
            self.evaluations += GRADIENT_COST
            self._note(angles, value)
            return value, slope

        minimize(
            both,
            start,
            jac=True,
            method="L-BFGS-B",
            options={"ftol": self._options.tolerance, "gtol": 1e-9, "maxiter": 10**6},
        )

    def _spsa(self, start: Angles, rng: np.random.Generator, before: int) -> None:
        """Walk until the evaluations are used up."""
        budget = max(FINALISTS + 2, self._options.evaluations_max - (self.evaluations - before))
        angles = start.astype(np.float64)
        gain, steps = self._calibrated(angles, rng, budget)
        stability = 0.1 * steps
        tail, total = max(1, steps // 4), np.zeros_like(angles)
        for step in range(steps):
            shift = SPSA_SHIFT / (step + 1) ** SPSA_GAMMA
            direction = rng.choice((-1.0, 1.0), size=len(angles))
            ahead = self._evaluate(angles + shift * direction)
            behind = self._evaluate(angles - shift * direction)
            slope = (ahead - behind) / (2.0 * shift)
            rate = gain / (step + 1 + stability) ** SPSA_ALPHA
            # Where the first slopes were small, as at a good start, the gain is large: no step is
            # longer than the first was meant to be.
            move = np.clip(rate * slope, -SPSA_FIRST_STEP, SPSA_FIRST_STEP)
            angles = angles - move * direction
            if step >= steps - tail:
                total += angles
        self._final([start.astype(np.float64), angles, total / tail])

    def _calibrated(
        self, angles: Angles, rng: np.random.Generator, budget: int
    ) -> tuple[float, int]:
        """A gain that makes the first steps SPSA_FIRST_STEP long, and how many steps are left."""
        tries = min(SPSA_CALIBRATIONS, max(1, budget // 10))
        slopes = []
        for _ in range(tries):
            direction = rng.choice((-1.0, 1.0), size=len(angles))
            ahead = self._evaluate(angles + SPSA_SHIFT * direction)
            behind = self._evaluate(angles - SPSA_SHIFT * direction)
            slopes.append(abs(ahead - behind) / (2.0 * SPSA_SHIFT))
        steps = max(1, (budget - 2 * tries - FINALISTS) // 2)
        typical = float(np.mean(slopes)) or 1.0
        return SPSA_FIRST_STEP / typical * (1.0 + 0.1 * steps) ** SPSA_ALPHA, steps

    def _final(self, candidates: list[Angles]) -> None:
        """With noise the lowest value met is the luckiest, not the best: the start, the end of the
        walk and the mean of its last quarter are looked at once more, and the lowest is the answer.
        """
        found = []
        for angles in candidates:
            value = self._value(angles)
            self.evaluations += 1
            self._convergence.note(self.evaluations, value)
            found.append((value, angles))
        value, angles = min(found, key=lambda one: one[0])
        self.best, self.best_value = angles.copy(), value


def minimize(
    value: Callable[[Angles], float],
    gradient: Callable[[Angles], tuple[float, Angles]] | None,
    starts: list[Angles],
    options: OptimizerOptions,
    convergence: Convergence,
    seed: int,
) -> Minimum:
    """The best of several starts, which share evaluations_max. Raises Stopped only where there is
    nothing yet."""
    best: Minimum | None = None
    evaluations = 0
    for k, start in enumerate(starts):
        share = max(1, (options.evaluations_max - evaluations) // (len(starts) - k))
        one = Minimizer(value, gradient, replace(options, evaluations_max=share), convergence)
        try:
            found = one.run(start, seed + k)
        except Stopped:
            if best is None:
                raise
            break
        evaluations += found.evaluations
        if best is None or found.value < best.value:
            best = found
        if not found.complete and evaluations >= options.evaluations_max:
            break
    assert best is not None
    return replace(best, evaluations=evaluations)
