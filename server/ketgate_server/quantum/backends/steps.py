"""A circuit as what happens to its state: gates, the noise around them, and what depends on
outcomes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.circuit import (
    NOWHERE,
    Barrier,
    Circuit,
    Gate,
    If,
    Measure,
    Operation,
    Place,
    Reset,
)
from ketgate_server.quantum.gates import matrix
from ketgate_server.quantum.noise import Channel, NoiseModel


@dataclass(frozen=True, eq=False)
class Noise:
    """A channel on qubits of the circuit."""

    kraus: NDArray[np.complex128]
    """(m, 2^k, 2^k); index bit j belongs to qubits[j]."""
    qubits: tuple[int, ...]
    place: Place = NOWHERE


Step = Gate | Noise
"""What changes a state in the same way whatever was measured."""


def with_noise(
    operations: Iterable[Operation], noise: NoiseModel | None
) -> Iterator[Step | Measure | Reset | If]:
    """The operations in order, each with the noise around it; inside of an If it is left for when
    a branch is taken. Barriers and phases of the whole state are dropped (see global_phase)."""
    for operation in operations:
        if isinstance(operation, Barrier) or (isinstance(operation, Gate) and not operation.qubits):
            continue
        if noise is not None and isinstance(operation, Measure):
            channels = _of_qubit("measure", operation.qubit, noise)
            yield from _placed(channels, (operation.qubit,), operation.place)
        yield operation
        if noise is not None and isinstance(operation, Gate):
            yield from _placed(noise.channels(operation), operation.qubits, operation.place)
        if noise is not None and isinstance(operation, Reset):
            channels = _of_qubit("reset", operation.qubit, noise)
            yield from _placed(channels, (operation.qubit,), operation.place)


def global_phase(circuit: Circuit) -> complex:
    """The factor of all phases that belong to no qubit, of a bound circuit."""
    phase = 1.0 + 0.0j
    for operation in circuit.operations:
        if isinstance(operation, Gate) and not operation.qubits:
            phase *= complex(matrix(operation)[0, 0])
    return phase


def active_qubits(circuit: Circuit) -> set[int]:
    """Qubits that something acts on."""
    found: set[int] = set()
    for operation in circuit.walk():
        match operation:
            case Gate(qubits=qubits):
                found.update(qubits)
            case Measure(qubit=qubit) | Reset(qubit=qubit):
                found.add(qubit)
    return found


def renumbered(steps: Sequence[Step], number: Mapping[int, int]) -> list[Step]:
    """The steps on qubits of other numbers."""
    return [replace(step, qubits=tuple(number[qubit] for qubit in step.qubits)) for step in steps]


def _of_qubit(name: str, qubit: int, noise: NoiseModel) -> tuple[Channel, ...]:
    found = noise.gates.get((name, (qubit,)))
    return noise.gates.get((name, None), ()) if found is None else found


def _placed(channels: Iterable[Channel], qubits: tuple[int, ...], place: Place) -> Iterator[Noise]:
    for channel in channels:
        yield Noise(channel.kraus, tuple(qubits[j] for j in channel.qubits), place)


def unconditional(steps: Iterable[Step | Measure | Reset | If]) -> list[Step]:
    """Of a circuit that measures at its end: all but the measurements."""
    return [step for step in steps if isinstance(step, Gate | Noise)]
