"""A noisy circuit as maps: gates with what follows them, fused, on the qubits that are used.

Neighbouring gates on one qubit become one map, and are taken into the next map on two; with them
goes the product of the ideal gates, from which trajectories make their Kraus operators.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum import gates
from ketgate_server.quantum.circuit import (
    Barrier,
    Circuit,
    Condition,
    Gate,
    If,
    Measure,
    Operation,
    Place,
    Reset,
)
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


@dataclass
class Fused:
    """A map on one or two qubits, the lower one first."""

    qubits: tuple[int, ...]
    transfer: Transfer
    unitary: Operators
    """The product of the ideal gates in it."""


@dataclass(frozen=True)
class Wide:
    """A gate on three qubits or more, and what follows it."""

    gate: Gate
    channels: tuple[Channel, ...]


@dataclass(frozen=True)
class Record:
    """A measurement amid the circuit."""

    qubit: int
    bit: int
    flips: tuple[float, float]
    """(P(1|0), P(0|1)) of the reading."""


@dataclass(frozen=True)
class Choice:
    condition: Condition
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...]
    place: Place


Step = Fused | Wide | Record | Choice


@dataclass(frozen=True)
class Plan:
    """What to simulate. Qubits are numbered over those that are used."""

    num_qubits: int
    num_bits: int
    steps: tuple[Step, ...]
    final: tuple[Record, ...]
    """Measurements after which nothing happens to the qubit, and whose bit is not looked at."""
    active: tuple[int, ...]
    """The circuit's qubit of each qubit here."""
    branching: bool
    """Whether anything is measured amid the circuit."""
    _place: Mapping[int, int] = field(default_factory=dict)

    def place(self, qubit: int) -> int:
        """The number here of a circuit's qubit."""
        return self._place[qubit]


def plan(
    circuit: Circuit,
    noise: NoiseModel,
    *,
    keep: int = 0,
    measured: bool = True,
    turns: Mapping[int, Operators] | None = None,
) -> Plan:
    """The plan of a bound circuit.

    keep: mask of qubits to keep though nothing acts on them. measured: whether final measurements
    matter; else they are left out. turns: ideal gates on single qubits at the very end."""
    active = _active(circuit, keep)
    place = {qubit: k for k, qubit in enumerate(active)}
    ending = _final_measurements(circuit)
    made = _Maker(
        noise, place, ending if measured else {}, skipped=set() if measured else set(ending)
    )
    made.add(circuit.operations)
    for qubit, unitary in (turns or {}).items():
        made.one(place[qubit], transfer_of_unitary(unitary), unitary)
    made.flush()
    return Plan(
        num_qubits=len(active),
        num_bits=circuit.num_bits,
        steps=tuple(made.steps),
        final=tuple(made.final),
        active=active,
        branching=_branches(made.steps),
        _place=place,
    )


def _active(circuit: Circuit, keep: int) -> tuple[int, ...]:
    used = {qubit for qubit in range(circuit.num_qubits) if (keep >> qubit) & 1}
    for operation in circuit.walk():
        if isinstance(operation, Gate):
            used.update(operation.qubits)
        elif isinstance(operation, Measure | Reset):
            used.add(operation.qubit)
    return tuple(sorted(used))


def _branches(steps: Sequence[Step]) -> bool:
    return any(isinstance(step, Record | Choice) for step in steps)


def _final_measurements(circuit: Circuit) -> dict[int, Measure]:
    """By place in the circuit: those that can be read off the last state together."""
    touched: set[int] = set()
    bits: set[int] = set()
    found: dict[int, Measure] = {}
    for at in range(len(circuit.operations) - 1, -1, -1):
        operation = circuit.operations[at]
        if isinstance(operation, Measure):
            if operation.qubit not in touched and operation.bit not in bits:
                found[at] = operation
            touched.add(operation.qubit)
            bits.add(operation.bit)
            continue
        for inner in _inside(operation):
            match inner:
                case Gate():
                    touched.update(inner.qubits)
                case Measure():
                    touched.add(inner.qubit)
                    bits.add(inner.bit)
                case Reset():
                    touched.add(inner.qubit)
                case If():
                    bits.update(inner.condition.bits)
    return found


def _inside(operation: Operation) -> list[Operation]:
    if not isinstance(operation, If):
        return [operation]
    inner = [
        part
        for side in (operation.then, operation.otherwise)
        for op in side
        for part in _inside(op)
    ]
    return [operation, *inner]


class _Maker:
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
            inner = _Maker(self.noise, self.place, {}, skipped=set())
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
