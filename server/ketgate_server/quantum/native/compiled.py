"""Circuits as the kernel runs them: programs between the places where something is measured.

Only qubits that something acts on are simulated, so a circuit may name more than fit.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from ketgate_native.statevector import Program

from ketgate_server.cached import cached_property
from ketgate_server.quantum.base import Precision
from ketgate_server.quantum.circuit import Circuit, Condition, Gate, If, Measure, Operation, Reset
from ketgate_server.quantum.native.lowering import Numbers, lowered

KEPT_BYTES_MAX = 64 << 20
"""Of all programs that are kept."""
KEPT_OPERATIONS_MAX = 2000
"""Of a circuit whose program is kept: making a larger one's digest costs what it saves."""


@dataclass(frozen=True)
class Reading:
    """Qubits that are measured together, by their numbers in the state, and where to; distinct."""

    qubits: tuple[int, ...]
    bits: tuple[int, ...]


@dataclass(frozen=True)
class Clearing:
    """A reset."""

    qubit: int
    flip: Program
    """Takes |1> to |0>."""


@dataclass(frozen=True)
class Choosing:
    condition: Condition
    then: tuple[Node, ...]
    otherwise: tuple[Node, ...]


Node = Program | Reading | Clearing | Choosing


@dataclass(frozen=True)
class Compiled:
    """num_qubits: of the state. nodes: with one program and one reading behind it where everything
    is measured at the end."""

    num_qubits: int
    nodes: tuple[Node, ...]

    @cached_property
    def memory_bytes(self) -> int:
        return sum(_memory_bytes(node) for node in self.nodes)


def _memory_bytes(node: Node) -> int:
    match node:
        case Program():
            return node.memory_bytes
        case Clearing():
            return node.flip.memory_bytes
        case Choosing():
            return sum(_memory_bytes(inner) for inner in (*node.then, *node.otherwise))
    return 0


def numbers_of(qubits: Sequence[int]) -> Numbers | None:
    """Their places; None where every qubit keeps its number."""
    if all(qubit == i for i, qubit in enumerate(qubits)):
        return None
    return {qubit: i for i, qubit in enumerate(qubits)}


class _Compiler:
    def __init__(self, qubits: Sequence[int], precision: Precision) -> None:
        self._size = len(qubits)
        self._numbers = numbers_of(qubits)
        self._precision = precision

    def program(self, gates: Sequence[Gate]) -> Program:
        given = [lowered(gate, self._numbers) for gate in gates]
        return Program(self._size, given, precision=self._precision.value)

    def _number(self, qubit: int) -> int:
        return qubit if self._numbers is None else self._numbers[qubit]

    def at_end(self, circuit: Circuit) -> tuple[Node, ...]:
        """Gates never follow the measurement of their qubits, so all of these may be last."""
        gates = [one for one in circuit.operations if isinstance(one, Gate)]
        measures = [one for one in circuit.operations if isinstance(one, Measure)]
        return self.program(gates), self._reading(sorted(measures, key=lambda one: one.bit))

    def _reading(self, measures: Sequence[Measure]) -> Reading:
        qubits = tuple(self._number(one.qubit) for one in measures)
        return Reading(qubits, tuple(one.bit for one in measures))

    def nodes(self, operations: Sequence[Operation]) -> tuple[Node, ...]:
        """In order; neighbours of a kind together."""
        found: list[Node] = []
        gates: list[Gate] = []
        measures: list[Measure] = []

        def close() -> None:
            if gates:
                found.append(self.program(gates))
                gates.clear()
            if measures:
                found.append(self._reading(measures))
                measures.clear()

        for one in operations:
            if isinstance(one, Gate):
                if measures:
                    close()
                gates.append(one)
            elif isinstance(one, Measure):
                if gates or any(m.qubit == one.qubit or m.bit == one.bit for m in measures):
                    close()
                measures.append(one)
            elif isinstance(one, Reset):
                close()
                found.append(
                    Clearing(self._number(one.qubit), self.program([Gate("x", (one.qubit,))]))
                )
            elif isinstance(one, If):
                close()
                then, otherwise = self.nodes(one.then), self.nodes(one.otherwise)
                found.append(Choosing(one.condition, then, otherwise))
        close()
        return tuple(found)


def compile_circuit(circuit: Circuit, qubits: Sequence[int], precision: Precision) -> Compiled:
    """A bound circuit on a state of these qubits, which ascend and hold all active ones."""
    compiler = _Compiler(qubits, precision)
    if circuit.measures_at_end:
        return Compiled(len(qubits), compiler.at_end(circuit))
    return Compiled(len(qubits), compiler.nodes(circuit.operations))


class Kept:
    """Compiled circuits that were used last. Safe to use from many threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._found: OrderedDict[tuple[str, tuple[int, ...], Precision], Compiled] = OrderedDict()
        self._bytes = 0

    def get(self, circuit: Circuit, qubits: tuple[int, ...], precision: Precision) -> Compiled:
        if len(circuit.operations) > KEPT_OPERATIONS_MAX:
            return compile_circuit(circuit, qubits, precision)
        key = (circuit.digest, qubits, precision)
        with self._lock:
            compiled = self._found.get(key)
            if compiled is not None:
                self._found.move_to_end(key)
                return compiled
        compiled = compile_circuit(circuit, qubits, precision)
        with self._lock:
            if key not in self._found:  # another thread may have been as fast
                self._bytes += compiled.memory_bytes
            self._found[key] = compiled
            while self._bytes > KEPT_BYTES_MAX:
                _, dropped = self._found.popitem(last=False)
                self._bytes -= dropped.memory_bytes
        return compiled
