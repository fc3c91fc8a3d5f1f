"""Expectations of a state, exact or as shots would estimate them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from ketgate_server.quantum.backends.readings import (
    Floats,
    State,
    draw,
    expectations,
    misread,
    parities,
    populations,
    turned,
)
from ketgate_server.quantum.observable import PauliSum, PauliTerm, qubit_wise_groups


@dataclass(frozen=True)
class Estimate:
    values: Floats
    standard_errors: Floats
    groups: int


def estimate(
    state: State,
    observables: Sequence[PauliSum],
    shots: int,
    errors: Sequence[tuple[float, float]],
    rng: np.random.Generator,
) -> Estimate:
    """shots: for each measured group; 0: what infinitely many would give. errors: of readout,
    (P(1|0), P(0|1)) by qubit."""
    count = len(observables)
    if shots == 0 and not any(up or down for up, down in errors):
        return Estimate(expectations(state, observables), np.zeros(count), 0)
    values = np.array([_identity(observable) for observable in observables], dtype=np.float64)
    variances = np.zeros(count)
    groups = qubit_wise_groups(observables)
    for group in groups:
        weights = _weights(group, observables)
        read = misread(populations(turned(state, group)), errors)
        if shots == 0:
            values += weights @ (parities(np.arange(len(read)), group) @ read)
            continue
        outcomes, counts = np.unique(draw(read, shots, rng), return_counts=True)
        of_outcome = weights @ parities(outcomes, group)
        mean = of_outcome @ counts / shots
        values += mean
        spread = ((of_outcome - mean[:, None]) ** 2) @ counts / max(shots - 1, 1)
        variances += spread / shots
    return Estimate(values, np.sqrt(variances), len(groups) if shots else 0)


def _weights(group: Sequence[PauliTerm], observables: Sequence[PauliSum]) -> Floats:
    """(number of observables, number of terms): coefficients of the group's strings in each."""
    place = {(term.x, term.z): j for j, term in enumerate(group)}
    weights = np.zeros((len(observables), len(group)))
    for i, observable in enumerate(observables):
        for term in observable.terms:
            j = place.get((term.x, term.z))
            if j is not None:
                weights[i, j] += term.coefficient
    return weights


def _identity(observable: PauliSum) -> float:
    return sum((term.coefficient for term in observable.terms if not (term.x or term.z)), 0.0)
