"""Fusion of gates and their noise: neighbouring maps on one qubit become one, and are taken into the
next map on two; with them goes the product of the ideal gates, from which trajectories make their
Kraus operators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum import gates
from ketgate_server.quantum.circuit import Barrier, Gate, If, Measure, Operation, Place, Reset
from ketgate_server.quantum.native.noisy_steps import Choice, Fused, Record, Step, Wide
from ketgate_server.quantum.noise import Channel, NoiseModel
from ketgate_server.quantum.noise_transfer import (
    Operators,
    Transfer,
    embedded,
    transfer_of_channels,
    transfer_of_kraus,
    transfer_of_unitary,
)

T = TypeVar("T", np.float64, np.complex128)
_RESET = np.array([[[1, 0], [0, 0]], [[0, 1], [0, 0]]], dtype=np.complex128)
_ONE: Operators = np.eye(2, dtype=np.complex128)
_REST: Transfer = np.eye(4)


class Fusion:
    """Builds steps, holding back maps on single qubits until a neighbour takes them in."""

    def __init__(
        self,
        noise: NoiseModel,
        place: Mapping[int, int],
        ending: Mapping[int, Measure],
        *,
        skipped: set[int],
    ) -> None:
        self.noise, self.place, self.ending, self.skipped = noise, place, ending, skipped
        self.steps: list[Step] = []
        self.final: list[Record] = []
        self.held: dict[int, Fused] = {}
        self.newest: dict[int, int] = {}
        """By qubit: the last step that acts on it."""

    def add(self, operations: Sequence[Operation]) -> None:
        for at, operation in enumerate(operations):
            match operation:
                case Gate():
                    self.gate(operation)
                case Measure():
                    if at not in self.skipped:
                        self.measure(operation, at in self.ending)
                case Reset():
                    self.reset(operation.qubit)
                case If():
                    self.choice(operation)
                case Barrier():
                    pass

    def gate(self, gate: Gate) -> None:
        qubits = tuple(self.place[q] for q in gate.qubits)
        channels = self.noise.channels(gate)
        if not qubits:
            return  # a global phase
        if len(qubits) > 2:
            self.flush(qubits)
            self.append(Wide(replace(gate, qubits=qubits), channels), qubits)
            return
        bare = replace(gate, qubits=tuple(range(len(qubits))), place=Place())
        transfer, unitary = _noisy(bare, channels)
        if len(qubits) == 1:
            self.one(qubits[0], transfer, unitary)
        else:
            self.two(qubits, transfer, unitary)

    def one(self, qubit: int, transfer: Transfer, unitary: Operators) -> None:
        held = self.held.get(qubit)
        if held is not None:
            transfer, unitary = transfer @ held.transfer, unitary @ held.unitary
        self.held[qubit] = Fused((qubit,), transfer, unitary)

    def two(self, qubits: tuple[int, ...], transfer: Transfer, unitary: Operators) -> None:
        low, high = qubits
        if low > high:
            low, high = high, low
            transfer = transfer.reshape(4, 4, 4, 4).transpose(1, 0, 3, 2).reshape(16, 16)
            unitary = unitary.reshape(2, 2, 2, 2).transpose(1, 0, 3, 2).reshape(4, 4)
        below, above = self.held.pop(low, None), self.held.pop(high, None)
        if below is not None or above is not None:
            above, below = above or _nothing(), below or _nothing()
            transfer = transfer @ _pair(above.transfer, below.transfer)
            unitary = unitary @ _pair(above.unitary, below.unitary)
        at = self.newest.get(low)
        if at is not None and at == self.newest.get(high):
            last = self.steps[at]
            if isinstance(last, Fused) and last.qubits == (low, high):
                last.transfer, last.unitary = transfer @ last.transfer, unitary @ last.unitary
                return
        self.append(Fused((low, high), transfer, unitary), (low, high))

    def measure(self, measure: Measure, final: bool) -> None:
        qubit = self.place[measure.qubit]
        self.special("measure", measure.qubit)
        record = Record(qubit, measure.bit, self.noise.readout_error(measure.qubit))
        if final:
            self.final.append(record)
        else:
            self.flush((qubit,))
            self.append(record, (qubit,))

    def reset(self, qubit: int) -> None:
        self.one(self.place[qubit], transfer_of_kraus(_RESET), _ONE)
        self.special("reset", qubit)

    def special(self, name: str, qubit: int) -> None:
        """Noise before a measurement, after a reset."""
        channels = self.noise.gates.get((name, (qubit,)), self.noise.gates.get((name, None), ()))
        if channels:
            self.one(self.place[qubit], transfer_of_channels(channels, 1), _ONE)

    def choice(self, operation: If) -> None:
        self.flush()
        sides = []
        for side in (operation.then, operation.otherwise):
            inner = Fusion(self.noise, self.place, {}, skipped=set())
            inner.add(side)
            inner.flush()
            sides.append(tuple(inner.steps))
        self.append(Choice(operation.condition, sides[0], sides[1], operation.place), ())
        self.newest.clear()

    def flush(self, qubits: Sequence[int] | None = None) -> None:
        for qubit in sorted(self.held) if qubits is None else qubits:
            held = self.held.pop(qubit, None)
            if held is not None:
                self.append(held, (qubit,))

    def append(self, step: Step, qubits: Sequence[int]) -> None:
        for qubit in qubits:
            self.newest[qubit] = len(self.steps)
        self.steps.append(step)


def _nothing() -> Fused:
    return Fused((), _REST, _ONE)


def _pair(above: NDArray[T], below: NDArray[T]) -> NDArray[T]:
    """The Kronecker product, at a fifth of numpy.kron's time; the lower qubit is the less
    significant digit."""
    size = len(above) * len(below)
    return np.multiply.outer(above, below).transpose(0, 2, 1, 3).reshape(size, size)


@lru_cache(maxsize=8192)
def _noisy(gate: Gate, channels: tuple[Channel, ...]) -> tuple[Transfer, Operators]:
    unitary = gates.matrix(gate)
    transfer = transfer_of_unitary(unitary)
    if channels:
        transfer = transfer_of_channels(channels, len(gate.qubits)) @ transfer
    return transfer, unitary


def wide_transfer(step: Wide) -> Transfer:
    """Of a gate on three to five qubits with its noise."""
    size = len(step.gate.qubits)
    out = transfer_of_unitary(gates.matrix(replace(step.gate, qubits=tuple(range(size)))))
    for channel in step.channels:
        out = embedded(transfer_of_kraus(channel.kraus), channel.qubits, size) @ out
    return out
