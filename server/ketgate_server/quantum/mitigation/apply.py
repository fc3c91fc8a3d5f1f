"""Mitigation of a request: what to run in place of its circuits, and what that comes to.

The caller gives something that runs circuits, and what is known of readout: on which back end, and
with how many slots, is not decided here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.base import (
    Calibration,
    CircuitOutcome,
    ExpectationOutcome,
    RunOptions,
)
from ketgate_server.quantum.circuit import Circuit, Measure
from ketgate_server.quantum.emulators.sampled import measured
from ketgate_server.quantum.mitigation.folding import achieved, fold
from ketgate_server.quantum.mitigation.readout import Flips, bit_weights, check, corrected_counts
from ketgate_server.quantum.mitigation.zne import EXTRAPOLATIONS, extrapolate
from ketgate_server.quantum.native.noisy_estimate import Estimate, letters_of
from ketgate_server.quantum.observable import PauliSum, PauliTerm, qubit_wise_groups
from ketgate_server.quantum.work import Mitigation

Readout = Callable[[int], Flips]
"""Errors of readout by the qubit that was measured, of the circuit that really ran."""


class Runs(Protocol):
    """gateway.Session, or whatever else runs circuits."""

    def run(self, circuits: Sequence[Circuit], options: RunOptions) -> Sequence[CircuitOutcome]: ...

    def expectations(
        self, circuit: Circuit, observables: Sequence[PauliSum], options: RunOptions
    ) -> ExpectationOutcome: ...


@dataclass
class Mitigated:
    """Expectations after mitigation, and before."""

    outcome: ExpectationOutcome
    raw_values: NDArray[np.float64]
    """At the smallest factor of noise, readout as it was."""
    words: list[str]
    """What was done."""


def readout_of(options: RunOptions, calibration: Calibration | None) -> Readout | None:
    """What is known: of the request's noise, else of the device. None: nothing."""
    if options.noise is not None:
        return options.noise.readout_error
    if calibration is None:
        return None
    known = {q.qubit: (q.p1_given_0 or 0.0, q.p0_given_1 or 0.0) for q in calibration.qubits}
    return lambda qubit: known.get(qubit, (0.0, 0.0))


def counts(
    circuit: Circuit, outcome: CircuitOutcome, readout: Readout | None
) -> tuple[dict[int, float], str]:
    """Quasi-probabilities of a run, and what was done in words. Raises KetgateError where readout
    is not known, or a bit cannot be corrected."""
    flips = _flips(outcome.compiled or circuit, readout)
    words = f"readout: counts corrected by the known errors of {len(flips)} bits"
    return corrected_counts(outcome.counts, flips), words


def expectations(
    mitigation: Mitigation,
    runs: Runs,
    circuit: Circuit,
    observables: Sequence[PauliSum],
    options: RunOptions,
    readout: Readout | None,
) -> Mitigated:
    """Mitigated expectations on a bound circuit; options.shots for each factor and group. Raises
    KetgateError for what cannot be mitigated, and what runs raises."""
    if mitigation.readout and options.shots:
        _known(readout)
    factors = sorted(set(mitigation.noise_factors)) or [1.0]
    if mitigation.noise_factors:
        _check_factors(circuit, factors, mitigation.extrapolation)
    words: list[str] = []
    points: list[ExpectationOutcome] = []
    raw: NDArray[np.float64] | None = None
    for at, factor in enumerate(factors):
        own = replace(options, seed=_seed(options.seed, at))
        folded = fold(circuit, factor)
        if mitigation.readout:
            point, before = _without_readout(runs, folded, observables, own, readout)
        else:
            point = runs.expectations(folded, observables, own)
            before = point.values
        points.append(point)
        raw = before if raw is None else raw
    assert raw is not None
    if mitigation.readout:
        words.append("readout: each bit weighed by its known errors")
    outcome = points[0]
    if mitigation.noise_factors:
        outcome = _extrapolated(circuit, factors, points, mitigation.extrapolation, words)
    return Mitigated(outcome, raw, words)


def _check_factors(circuit: Circuit, factors: Sequence[float], extrapolation: str) -> None:
    needed = EXTRAPOLATIONS[extrapolation]
    reached = {achieved(circuit, factor) for factor in factors}
    if len(reached) < needed:
        raise KetgateError(
            Reason.FIELD_INVALID,
            f"spec.mitigation.noise_factors: expected at least {needed} that differ for "
            f"{extrapolation!r}; the circuit has too few gates to fold: these come to "
            f"{sorted(reached)}",
            field="spec.mitigation.noise_factors",
        )


def _extrapolated(
    circuit: Circuit,
    factors: Sequence[float],
    points: Sequence[ExpectationOutcome],
    extrapolation: str,
    words: list[str],
) -> ExpectationOutcome:
    reached = [achieved(circuit, factor) for factor in factors]
    values, errors = [], []
    notes: dict[str, None] = {}
    for k in range(len(points[0].values)):
        value, error, note = extrapolate(
            reached,
            [float(point.values[k]) for point in points],
            [float(point.standard_errors[k]) for point in points],
            extrapolation,
        )
        values.append(value)
        errors.append(error)
        if note:
            notes[note] = None
    told = ", ".join(f"{factor:.4g}" for factor in reached)
    words.append(f"zero-noise extrapolation: {extrapolation}, gates folded to factors {told}")
    words += notes
    return replace(
        points[0],
        values=np.array(values),
        standard_errors=np.array(errors),
        compiling_s=sum(point.compiling_s for point in points),
        running_s=sum(point.running_s for point in points),
    )


def _without_readout(
    runs: Runs,
    circuit: Circuit,
    observables: Sequence[PauliSum],
    options: RunOptions,
    readout: Readout | None,
) -> tuple[ExpectationOutcome, NDArray[np.float64]]:
    """(mitigated, raw values)."""
    if options.shots:
        return _weighed(runs, circuit, observables, options, readout)
    if options.noise is None:
        raise KetgateError(
            Reason.FIELD_INVALID,
            "spec.mitigation.readout: expected shots with it on this back end, given exact "
            "expectations (shots = 0); give shots, or leave readout mitigation out",
            field="spec.mitigation.readout",
        )
    before = runs.expectations(circuit, observables, options)
    # Exactly corrected is what would be read without errors.
    ideal = replace(options, noise=replace(options.noise, readout={}))
    return runs.expectations(circuit, observables, ideal), before.values


def _weighed(
    runs: Runs,
    circuit: Circuit,
    observables: Sequence[PauliSum],
    options: RunOptions,
    readout: Readout | None,
) -> tuple[ExpectationOutcome, NDArray[np.float64]]:
    groups = qubit_wise_groups(observables)
    raw = Estimate(observables)
    values = np.array([_constant(observable) for observable in observables], dtype=np.float64)
    variances = np.zeros(len(observables))
    whole = ExpectationOutcome(np.zeros(0), np.zeros(0), groups=len(groups))
    for at, group in enumerate(groups):
        turned, qubits = measured(circuit, group)
        own = replace(options, seed=_seed(options.seed, at), memory=False)
        (found,) = runs.run([turned], own)
        flips = _flips(found.compiled or turned, readout)
        check(flips)
        read, times = _read(found.counts, circuit.num_bits)
        raw.add(group, qubits, np.repeat(read, times)[:, None])
        weights = [bit_weights(flips[circuit.num_bits + k]) for k in range(len(qubits))]
        place = {qubit: k for k, qubit in enumerate(qubits)}
        products = [_products(read, [place[q] for q, _ in letters_of(t)], weights) for t in group]
        for k, observable in enumerate(observables):
            mean, variance = _moments(observable, group, products, times)
            values[k] += mean
            variances[k] += variance
        whole = replace(
            whole,
            compiled=whole.compiled or found.compiled,
            compiling_s=whole.compiling_s + found.compiling_s,
            running_s=whole.running_s + found.running_s,
            method=found.method,
        )
    errors = np.sqrt(variances)
    return replace(whole, values=values, standard_errors=errors), raw.result()[0]


def _flips(ran: Circuit, readout: Readout | None) -> dict[int, Flips]:
    known = _known(readout)
    return {one.bit: known(one.qubit) for one in ran.walk() if isinstance(one, Measure)}


def _known(readout: Readout | None) -> Readout:
    """Asked before anything runs, which may cost money."""
    if readout is None:
        raise KetgateError(
            Reason.BACKEND_UNSUITABLE,
            "readout mitigation needs the errors of readout, and this back end tells none; choose "
            "one with a calibration, or give noise with errors of readout",
        )
    return readout


def _read(found: Mapping[int, int], from_bit: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """(outcomes from a bit on, how often)."""
    read = np.array([outcome >> from_bit for outcome in found], dtype=np.int64)
    return read, np.array(list(found.values()), dtype=np.int64)


def _products(
    read: NDArray[np.int64], bits: Sequence[int], weights: Sequence[tuple[float, float]]
) -> NDArray[np.float64]:
    out = np.ones(len(read))
    for bit in bits:
        zero, one = weights[bit]
        out *= np.where((read >> bit) & 1, one, zero)
    return out


def _moments(
    observable: PauliSum,
    group: Sequence[PauliTerm],
    products: Sequence[NDArray[np.float64]],
    times: NDArray[np.int64],
) -> tuple[float, float]:
    """(mean, variance of the mean) of an observable's part in a group."""
    coefficients = {(term.x, term.z): term.coefficient for term in observable.terms}
    per_shot = np.zeros(len(times))
    for term, product in zip(group, products, strict=True):
        per_shot += coefficients.get((term.x, term.z), 0.0) * product
    shots = int(times.sum())
    mean = float(per_shot @ times) / shots
    spread = float((per_shot - mean) ** 2 @ times) / max(1, shots - 1)
    return mean, spread / shots


def _constant(observable: PauliSum) -> float:
    return sum(term.coefficient for term in observable.terms if not term.x | term.z)


def _seed(seed: int, at: int) -> int:
    return (
        seed if at == 0 else int(np.random.SeedSequence([seed, at]).generate_state(1, np.uint64)[0])
    )
