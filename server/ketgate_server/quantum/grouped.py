"""Expectations from counts: circuits that measure groups of commuting Paulis, and what their counts
say. For back ends that only run circuits."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np

from ketgate_server.quantum.base import CircuitOutcome, ExpectationOutcome
from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Operation, Register
from ketgate_server.quantum.observable import PauliSum, PauliTerm

Groups = Sequence[Sequence[PauliTerm]]


def measured(circuit: Circuit, groups: Groups) -> list[Circuit]:
    """One circuit a group: its own final measurements left out, each qubit of the group turned into
    its basis and read into the bit of its number."""
    kept = tuple(o for o in circuit.operations if not isinstance(o, Measure))
    registers = (Register("paulis", 0, circuit.num_qubits),)
    return [
        replace(
            circuit,
            num_bits=circuit.num_qubits,
            operations=kept + _readings(group, circuit.num_qubits),
            bit_registers=registers,
            source_digest="",
        )
        for group in groups
    ]


def _readings(group: Sequence[PauliTerm], num_qubits: int) -> tuple[Operation, ...]:
    x = z = 0
    for term in group:
        x |= term.x
        z |= term.z
    readings: list[Operation] = []
    for qubit in range(num_qubits):
        bit = 1 << qubit
        if x & bit and z & bit:
            readings.append(Gate("sdg", (qubit,)))
        if x & bit:
            readings.append(Gate("h", (qubit,)))
        if (x | z) & bit:
            readings.append(Measure(qubit, qubit))
    return tuple(readings)


def from_counts(
    outcomes: Sequence[CircuitOutcome], groups: Groups, observables: Sequence[PauliSum]
) -> ExpectationOutcome:
    """outcomes: one a group, of shots. Standard errors hold the covariance within a group; groups
    are independent of each other."""
    values = np.array([_identity(observable) for observable in observables], dtype=np.float64)
    variances = np.zeros(len(observables))
    for outcome, group in zip(outcomes, groups, strict=True):
        weights = _weights(group, observables)
        reads, counts = _reads(outcome.counts)
        signs = np.array([_parities(reads, term.x | term.z) for term in group])
        of_read = weights @ signs
        shots = counts.sum()
        mean = of_read @ counts / shots
        values += mean
        spread = ((of_read - mean[:, None]) ** 2) @ counts / max(shots - 1, 1)
        variances += spread / shots
    return ExpectationOutcome(
        values,
        np.sqrt(variances),
        len(groups),
        compiling_s=sum(outcome.compiling_s for outcome in outcomes),
        running_s=sum(outcome.running_s for outcome in outcomes),
        method=outcomes[0].method if outcomes else "",
        warnings=list(dict.fromkeys(w for outcome in outcomes for w in outcome.warnings)),
        compiled=outcomes[0].compiled if outcomes else None,
    )


def _reads(counts: Mapping[int, int]) -> tuple[Sequence[int], np.ndarray]:
    return list(counts), np.array(list(counts.values()), dtype=np.float64)


def _parities(reads: Sequence[int], support: int) -> list[float]:
    return [-1.0 if (read & support).bit_count() % 2 else 1.0 for read in reads]


def _weights(group: Sequence[PauliTerm], observables: Sequence[PauliSum]) -> np.ndarray:
    """(number of observables, number of terms)."""
    place = {(term.x, term.z): j for j, term in enumerate(group)}
    weights = np.zeros((len(observables), len(group)))
    for i, observable in enumerate(observables):
        for term in observable.terms:
            j = place.get((term.x, term.z))
            if j is not None:
                weights[i, j] += term.coefficient
    return weights


def _identity(observable: PauliSum) -> float:
    return sum(term.coefficient for term in observable.terms if not (term.x or term.z))
