"""What is simulated of a noisy circuit: its steps on the qubits that are used, and what is read at
its end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from ketgate_server.quantum.circuit import Circuit, Gate, If, Measure, Operation, Reset
from ketgate_server.quantum.native.noisy_fusion import Fusion
from ketgate_server.quantum.native.noisy_steps import Choice, Record, Step
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.noise_transfer import Operators, transfer_of_unitary


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
    made = Fusion(
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
