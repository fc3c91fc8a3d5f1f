"""Expectations as a device measures them: circuits with turned bases, run and read.

The turns are gates of the circuit: they are compiled and have the device's noise.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.base import CircuitOutcome, ExpectationOutcome, RunOptions, Task
from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Operation
from ketgate_server.quantum.native.noisy_estimate import Estimate, basis
from ketgate_server.quantum.observable import PauliSum, PauliTerm, qubit_wise_groups

_TURNS = {1: ("h",), 2: ("sdg", "h"), 3: ()}


class Runs(Protocol):
    """The part of a back end that is needed."""

    def run(
        self, circuits: Sequence[Circuit], options: RunOptions, task: Task
    ) -> Sequence[CircuitOutcome]: ...


def measured(circuit: Circuit, group: Sequence[PauliTerm]) -> tuple[Circuit, list[int]]:
    """The circuit with a group of commuting terms measured at its end in place of its own final
    measurements, bit k from the k-th of the qubits that come back."""
    letters = basis(group)
    turns = [Gate(name, (qubit,)) for qubit, letter in letters.items() for name in _TURNS[letter]]
    reads = [Measure(qubit, circuit.num_bits + k) for k, qubit in enumerate(letters)]
    bare = without_final_measurements(circuit)
    out = replace(
        bare,
        num_bits=circuit.num_bits + len(reads),
        operations=(*bare.operations, *turns, *reads),
        bit_registers=(),
        source_digest="",
    )
    return out, list(letters)


def without_final_measurements(circuit: Circuit) -> Circuit:
    """Measurements after which nothing happens to the qubit are left out."""
    kept: list[Operation] = []
    busy: set[int] = set()
    for operation in reversed(circuit.operations):
        if isinstance(operation, Measure) and operation.qubit not in busy:
            continue
        for inner in replace(circuit, operations=(operation,)).walk():
            if isinstance(inner, Gate):
                busy.update(inner.qubits)
            elif hasattr(inner, "qubit"):
                busy.add(inner.qubit)
        kept.append(operation)
    return replace(circuit, operations=tuple(reversed(kept)))


def expectations(
    backend: Runs,
    circuit: Circuit,
    observables: Sequence[PauliSum],
    options: RunOptions,
    task: Task,
) -> ExpectationOutcome:
    """options.shots for each group."""
    groups = qubit_wise_groups(observables)
    estimate = Estimate(observables)
    outcome = ExpectationOutcome(np.zeros(0), np.zeros(0), groups=len(groups))
    for at, group in enumerate(groups):
        turned, qubits = measured(circuit, group)
        seed = int(np.random.SeedSequence([options.seed, at]).generate_state(1, np.uint64)[0])
        own = replace(options, seed=seed, memory=False, trajectories=0)
        (found,) = backend.run([turned], own, task)
        estimate.add(group, qubits, _spread(found.counts, circuit.num_bits))
        outcome.compiled = outcome.compiled or found.compiled
        outcome.compiling_s += found.compiling_s
        outcome.running_s += found.running_s
        outcome.method = found.method
        outcome.warnings = tuple(dict.fromkeys((*outcome.warnings, *found.warnings)))
    outcome.values, outcome.standard_errors = estimate.result()
    return outcome


def _spread(counts: Mapping[int, int], from_bit: int) -> NDArray[np.int64]:
    """(shots, 1) from counts."""
    values = np.array([outcome >> from_bit for outcome in counts], dtype=np.int64)
    times = np.array(list(counts.values()), dtype=np.int64)
    return np.repeat(values, times)[:, None]
