"""Circuits as algorithms write them: gates one after another, controlled and inverted parts."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ketgate_server.quantum.circuit import Circuit, Gate, Measure, Operation, Register, Reset
from ketgate_server.quantum.expression import Angle, Expression
from ketgate_server.quantum.gates import GATES


class Builder:
    """Collects operations on num_qubits qubits."""

    def __init__(self, num_qubits: int, num_bits: int = 0) -> None:
        self.num_qubits = num_qubits
        self.num_bits = num_bits
        self.operations: list[Operation] = []

    def gate(self, name: str, *qubits: int, angles: Sequence[Angle] = ()) -> Builder:
        self.operations.append(Gate(name, qubits, tuple(angles)))
        return self

    def controlled(
        self,
        name: str,
        controls: Sequence[int],
        *qubits: int,
        values: Sequence[int] | None = None,
        angles: Sequence[Angle] = (),
    ) -> Builder:
        """A gate on qubits where the controls have the values; default: all 1."""
        wanted = tuple(values) if values is not None else (1,) * len(controls)
        self.operations.append(Gate(name, (*controls, *qubits), tuple(angles), wanted))
        return self

    def each(self, name: str, qubits: Iterable[int]) -> Builder:
        for qubit in qubits:
            self.gate(name, qubit)
        return self

    def add(self, operations: Iterable[Operation]) -> Builder:
        self.operations.extend(operations)
        return self

    def measure(self, qubits: Sequence[int], first_bit: int = 0) -> Builder:
        """Qubit k into bit first_bit + k."""
        self.operations += [Measure(qubit, first_bit + k) for k, qubit in enumerate(qubits)]
        return self

    def reset(self, qubit: int) -> Builder:
        self.operations.append(Reset(qubit))
        return self

    def circuit(
        self,
        label: str = "",
        *,
        parameters: Sequence[str] = (),
        registers: Sequence[tuple[str, int]] | None = None,
    ) -> Circuit:
        """registers: names and sizes of the bits; default: one, "c"."""
        bits: list[Register] = []
        for name, size in registers or ([("c", self.num_bits)] if self.num_bits else []):
            bits.append(Register(name, bits[-1].start + bits[-1].size if bits else 0, size))
        return Circuit(
            self.num_qubits,
            self.num_bits,
            tuple(self.operations),
            qubit_registers=(Register("q", 0, self.num_qubits),),
            bit_registers=tuple(bits),
            parameters=tuple(parameters),
            label=label,
        )


def inverse(operations: Iterable[Operation]) -> list[Operation]:
    """Undo gates. ValueError for what cannot be undone."""
    return [_inverted(operation) for operation in reversed(list(operations))]


def _inverted(operation: Operation) -> Operation:
    if not isinstance(operation, Gate):
        raise ValueError(f"{type(operation).__name__} cannot be undone")
    spec = GATES[operation.name]
    if operation.power != 1.0:
        return replace(operation, power=-operation.power)
    if spec.inverse:
        return replace(operation, name=spec.inverse)
    if spec.negated:
        return replace(operation, parameters=tuple(map(_negated, operation.parameters)))
    if operation.name == "u":
        theta, phi, lam = operation.parameters
        return replace(operation, parameters=(_negated(theta), _negated(lam), _negated(phi)))
    return replace(operation, power=-1.0)


def _negated(angle: Angle) -> Angle:
    return Expression("neg", (angle,)) if isinstance(angle, Expression) else -angle


def with_control(operations: Iterable[Operation], control: int, value: int = 1) -> list[Operation]:
    """Each gate only where the control has the value. ValueError for what is no gate."""
    out: list[Operation] = []
    for operation in operations:
        if not isinstance(operation, Gate):
            raise ValueError(f"{type(operation).__name__} cannot be controlled")
        out.append(
            replace(
                operation,
                qubits=(control, *operation.qubits),
                controls=(value, *operation.controls),
            )
        )
    return out


def moved(operations: Iterable[Operation], qubits: Sequence[int]) -> list[Operation]:
    """The same gates with qubit k at qubits[k]. ValueError for what is no gate."""
    out: list[Operation] = []
    for operation in operations:
        if not isinstance(operation, Gate):
            raise ValueError(f"{type(operation).__name__} is no gate")
        out.append(replace(operation, qubits=tuple(qubits[q] for q in operation.qubits)))
    return out
