"""The best angles: L-BFGS on adjoint gradients, from transferred angles and random ones.

Gammas are searched in units of the coefficients' size, so that both kinds of angle move alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.qaoa.angles import coefficient_scale, transferred
from ketgate_server.quantum.qaoa.evaluate import Evaluator
from ketgate_server.quantum.qaoa.problem import Angles, Floats, QaoaProblem

GRADIENT_TOLERANCE = 1e-9
SPREAD = 0.3
"""Standard deviation of further starts about the first, in scaled radians."""

Note = Callable[[int, float], None]
"""Told after each evaluation: evaluations so far, and its value."""


@dataclass(frozen=True)
class Search:
    """How long to look."""

    evaluations_max: int = 500
    """Gradients count for Evaluator.gradient_cost."""
    tolerance: float = 1e-8
    """Relative improvement of a step below which a start is done."""
    starts: int = 1


@dataclass(frozen=True)
class Optimum:
    """The best angles met."""

    angles: Angles
    value: float
    evaluations: int
    complete: bool
    """False: ended by a stop or by evaluations_max."""


class _Enough(Exception):  # noqa: N818 - how scipy is told to end
    pass


def optimize(
    problem: QaoaProblem,
    evaluator: Evaluator,
    layers: int,
    *,
    start: Angles | None = None,
    search: Search | None = None,
    seed: int = 0,
    note: Note | None = None,
) -> Optimum:
    """Minimise the expectation. start: (2, layers); None: transferred from typical instances. Further starts are drawn
    about it by the seed. Raises base.Stopped only when nothing was evaluated.
    """
    first = transferred(problem, layers) if start is None else np.asarray(start, dtype=np.float64)
    if first.shape != (2, layers):
        raise ValueError(f"start: expected shape (2, {layers}), given {first.shape}")
    return _Run(problem, evaluator, search or Search(), note).run(first, seed)


class _Run:
    def __init__(
        self, problem: QaoaProblem, evaluator: Evaluator, search: Search, note: Note | None
    ) -> None:
        self._evaluator, self._search, self._note = evaluator, search, note
        self._units = np.array([[1.0 / coefficient_scale(problem)], [1.0]])
        self._evaluations = 0
        self._best: Angles | None = None
        self._best_value = np.inf

    def run(self, first: Angles, seed: int) -> Optimum:
        rng = np.random.Generator(np.random.PCG64(seed))
        complete = True
        try:
            for k in range(self._search.starts):
                scaled = first / self._units
                self._descend(scaled if k == 0 else scaled + SPREAD * rng.normal(size=first.shape))
        except _Enough:
            complete = False
        except Stopped:
            if self._best is None:
                raise
            complete = False
        assert self._best is not None
        return Optimum(self._best, self._best_value, self._evaluations, complete)

    def _descend(self, scaled: Angles) -> None:
        from scipy.optimize import minimize

        minimize(
            self._both,
            scaled.ravel(),
            jac=True,
            method="L-BFGS-B",
            options={
                "ftol": self._search.tolerance,
                "gtol": GRADIENT_TOLERANCE,
                "maxiter": 10**6,
                "maxfun": 10**9,
            },
        )

    def _both(self, flat: Floats) -> tuple[float, Floats]:
        cost = self._evaluator.gradient_cost
        if self._best is not None and self._evaluations + cost > self._search.evaluations_max:
            raise _Enough
        angles = flat.reshape(2, -1) * self._units
        value, slopes = self._evaluator.gradient(angles)
        self._evaluations += cost
        if self._best is None or value < self._best_value:
            self._best, self._best_value = angles, value
        if self._note is not None:
            self._note(self._evaluations, value)
        return value, (slopes * self._units).ravel()
