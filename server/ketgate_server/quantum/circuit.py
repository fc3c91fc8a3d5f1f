"""A circuit as the gateway knows it: flat, checked, with the place of each operation in its source.

Qubits and bits are numbered from 0 over all registers in the order of declaration. Loops and gates
that a program defines are already written out. Angles are in radians.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Literal

from ketgate_server.cached import cached_property
from ketgate_server.quantum.expression import Angle


@dataclass(frozen=True, slots=True)
class Place:
    """Where an operation stands in its program; from 1. Line 0: it was made, not written."""

    line: int = 0
    column: int = 0

    def __reduce__(self) -> tuple[type[Place], tuple[int, int]]:
        return Place, (self.line, self.column)  # half of the time, as for Gate


NOWHERE = Place()


@dataclass(frozen=True, slots=True)
class Register:
    """A named run of qubits or bits."""

    name: str
    start: int
    size: int


@dataclass(frozen=True, slots=True)
class Gate:
    """A gate of the standard library (gates.GATES) on some qubits.

    With controls, the first len(controls) qubits are controls, each of which must have the value
    given (1: ctrl, 0: negctrl). power: the gate is raised to it before it is controlled.
    """

    name: str
    qubits: tuple[int, ...]
    parameters: tuple[Angle, ...] = ()
    controls: tuple[int, ...] = ()
    power: float = 1.0
    place: Place = NOWHERE

    def __reduce__(self) -> tuple[type[Gate], tuple[object, ...]]:
        # Circuits of many gates go to workers and back: this takes half of dataclass's own time.
        return Gate, (
            self.name,
            self.qubits,
            self.parameters,
            self.controls,
            self.power,
            self.place,
        )


@dataclass(frozen=True, slots=True)
class Measure:
    """Measure a qubit in the Z basis into a bit."""

    qubit: int
    bit: int
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Reset:
    """Put a qubit into |0>."""

    qubit: int
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Barrier:
    """Nothing is moved across it by compilation."""

    qubits: tuple[int, ...]
    place: Place = NOWHERE


@dataclass(frozen=True, slots=True)
class Condition:
    """Compares bits, read as an unsigned number (the first is the least significant), with a
    value."""

    bits: tuple[int, ...]
    comparison: Literal["==", "!=", "<", "<=", ">", ">="]
    value: int

    def holds(self, memory: int) -> bool:
        """memory: bit i is classical bit i."""
        number = sum(((memory >> bit) & 1) << k for k, bit in enumerate(self.bits))
        return {
            "==": number == self.value,
            "!=": number != self.value,
            "<": number < self.value,
            "<=": number <= self.value,
            ">": number > self.value,
            ">=": number >= self.value,
        }[self.comparison]


@dataclass(frozen=True, slots=True)
class If:
    """Operations that depend on what was measured."""

    condition: Condition
    then: tuple[Operation, ...]
    otherwise: tuple[Operation, ...] = ()
    place: Place = NOWHERE


Operation = Gate | Measure | Reset | Barrier | If


@dataclass(frozen=True)
class Circuit:
    """A program, read and checked. Immutable; safe to share between threads and to pickle."""

    num_qubits: int
    num_bits: int
    operations: tuple[Operation, ...]
    qubit_registers: tuple[Register, ...] = ()
    bit_registers: tuple[Register, ...] = ()
    parameters: tuple[str, ...] = ()
    """Names of `input` parameters that have no value yet; in the order of declaration."""
    label: str = ""
    source_digest: str = field(default="", compare=False)
    """SHA-256 of the text it was read from, hexadecimal; a key for caches together with the
    parameters' values."""

    def bind(self, values: Mapping[str, float]) -> Circuit:
        """The circuit with every parameter replaced by its value. KeyError for a missing one."""
        from ketgate_server.quantum.binding import bind

        return bind(self, values)

    def walk(self) -> Iterator[Operation]:
        """Every operation, those inside of If included, in order."""
        stack = list(reversed(self.operations))
        while stack:
            operation = stack.pop()
            yield operation
            if isinstance(operation, If):
                stack.extend(reversed(operation.otherwise))
                stack.extend(reversed(operation.then))

    @cached_property
    def measures(self) -> bool:
        """Whether anything is measured."""
        return any(isinstance(operation, Measure) for operation in self.walk())

    @cached_property
    def active_qubits(self) -> tuple[int, ...]:
        """Qubits that something acts on, ascending: a simulator needs no others."""
        found: set[int] = set()
        for operation in self.walk():
            if isinstance(operation, Gate):
                found.update(operation.qubits)
            elif isinstance(operation, Measure | Reset):
                found.add(operation.qubit)
        return tuple(sorted(found))

    @cached_property
    def measures_at_end(self) -> bool:
        """Whether nothing happens to a qubit after it was measured, no bit is written twice, and
        there is neither reset nor If: then shots are samples of one state."""
        measured: set[int] = set()
        written: set[int] = set()
        for operation in self.operations:
            if isinstance(operation, If | Reset):
                return False
            if isinstance(operation, Measure):
                if operation.qubit in measured or operation.bit in written:
                    return False
                measured.add(operation.qubit)
                written.add(operation.bit)
            elif isinstance(operation, Gate) and not measured.isdisjoint(operation.qubits):
                return False
        return True

    @cached_property
    def digest(self) -> str:
        """SHA-256 of what it does, hexadecimal: places and label left out."""
        # repr of frozen dataclasses of numbers and strings is stable between processes.
        bare = [_bare(operation) for operation in self.operations]
        text = repr((self.num_qubits, self.num_bits, bare, self.bit_registers, self.parameters))
        return hashlib.sha256(text.encode()).hexdigest()


def _bare(operation: Operation) -> object:
    match operation:
        case Gate():
            return (
                operation.name,
                operation.qubits,
                operation.parameters,
                operation.controls,
                operation.power,
            )
        case Measure():
            return ("measure", operation.qubit, operation.bit)
        case Reset():
            return ("reset", operation.qubit)
        case Barrier():
            return ("barrier", operation.qubits)
        case If():
            return (
                "if",
                operation.condition,
                [_bare(inner) for inner in operation.then],
                [_bare(inner) for inner in operation.otherwise],
            )
