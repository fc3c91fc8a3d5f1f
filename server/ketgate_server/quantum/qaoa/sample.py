"""Measured states: outcomes, their energies, and how good they are beside the best there is."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from ketgate_native.monitor import Stopped as NativeStopped
from numpy.typing import NDArray

from ketgate_server.quantum.base import Stopped
from ketgate_server.quantum.qaoa.evaluate import StateVector, Subspace
from ketgate_server.quantum.qaoa.problem import Angles, Floats

ROUNDING = 1e-9
"""Energies closer than this, relative to the range of energies, are one: sums in other orders differ."""


@dataclass(frozen=True)
class Sampled:
    """Outcomes by energy, lowest first; of equal ones the smallest outcome."""

    outcomes: NDArray[np.uint64]
    """(k,); bit i is qubit i."""
    counts: NDArray[np.int64]
    """(k,)"""
    energies: Floats
    """(k,)"""


@dataclass(frozen=True)
class Quality:
    """A state beside every possible outcome."""

    best: float
    worst: float
    best_outcome: int
    probability: float
    """To draw an outcome of the best energy."""

    def approximation_ratio(self, expectation: float) -> float:
        """(worst - expectation) / (worst - best); 1 where all outcomes are equal."""
        width = self.worst - self.best
        return (self.worst - expectation) / width if width > 0.0 else 1.0


def prepare(state: StateVector | Subspace, angles: Angles) -> float:
    """Make and keep the state at the angles, and tell its expectation. Raises Stopped."""
    return state.value(angles, keep=True)


def draw(state: StateVector | Subspace, shots: int, seed: int) -> Sampled:
    """Measure what was prepared. Same seed, same outcomes."""
    if isinstance(state, StateVector):
        found = state.state.sample(shots, seed)
        outcomes, counts = found.outcomes, found.counts
    else:
        weights = np.abs(state.state.amplitudes()) ** 2
        rng = np.random.Generator(np.random.PCG64(seed))
        drawn = rng.multinomial(shots, weights / weights.sum())
        hit = np.flatnonzero(drawn)
        outcomes, counts = state.state.states()[hit], drawn[hit].astype(np.int64)
    energies = state.problem.energies(outcomes)
    order = np.lexsort((outcomes, energies))
    return Sampled(outcomes[order], counts[order], energies[order])


def quality(state: StateVector | Subspace) -> Quality:
    """Of what was prepared, over every outcome. Raises Stopped."""
    try:
        return _whole(state) if isinstance(state, StateVector) else _subspace(state)
    except NativeStopped as stopped:
        raise Stopped(str(stopped)) from None


def _whole(state: StateVector) -> Quality:
    monitor = state.stopping.monitor
    ends = state.state.extremes(monitor=monitor)
    limit = ends.least + ROUNDING * max(ends.greatest - ends.least, abs(ends.least))
    share = state.state.probability_at_most(limit, monitor=monitor)
    return Quality(ends.least, ends.greatest, ends.least_at, share)


def _subspace(state: Subspace) -> Quality:
    costs = state.state.costs
    best, worst = float(costs.min()), float(costs.max())
    limit = best + ROUNDING * max(worst - best, abs(best))
    share = float((np.abs(state.state.amplitudes()) ** 2)[costs <= limit].sum())
    return Quality(best, worst, int(state.state.states()[int(costs.argmin())]), share)
