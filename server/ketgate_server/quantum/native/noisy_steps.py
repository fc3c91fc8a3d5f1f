"""What a noisy circuit comes down to: maps, measurements and choices."""

from __future__ import annotations

from dataclasses import dataclass

from ketgate_server.quantum.circuit import Condition, Gate, Place
from ketgate_server.quantum.noise import Channel
from ketgate_server.quantum.noise_transfer import Operators, Transfer


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
