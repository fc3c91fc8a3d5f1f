"""What a circuit takes: qubits, depth, and operations by name."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, If, Measure, Operation


@dataclass(frozen=True)
class Resources:
    """Of one circuit. What depends on a measurement is counted as if it all happened; only in the
    depth the longer branch counts."""

    num_qubits: int
    """Qubits that something acts on; barriers do nothing."""
    depth: int
    """Layers of operations. A barrier takes no layer, but nothing passes it."""
    operations: Mapping[str, int]
    """By name: gates (one c before the name for each control), measure, reset, barrier, if."""
    num_multi_qubit_gates: int
    num_bits: int


def resources(circuit: Circuit) -> Resources:
    """Counted in one pass, once for each circuit."""
    found = vars(circuit).get(_KEPT)
    if not isinstance(found, Resources):
        found = vars(circuit)[_KEPT] = _counted(circuit)
    return found


_KEPT = "resources"
"""Among the attributes of a circuit, as cached_property does it: the circuit does not change."""


def _counted(circuit: Circuit) -> Resources:
    counting = _Counting(circuit.num_qubits, circuit.num_bits)
    counting.run(circuit.operations)
    return Resources(
        num_qubits=len(counting.touched),
        depth=max((*counting.qubits, *counting.bits), default=0),
        operations=dict(sorted(counting.names.items())),
        num_multi_qubit_gates=counting.multi,
        num_bits=circuit.num_bits,
    )


class _Counting:
    """Layers that each qubit and each bit has reached."""

    def __init__(self, num_qubits: int, num_bits: int) -> None:
        self.qubits = [0] * num_qubits
        self.bits = [0] * num_bits
        self.names: Counter[str] = Counter()
        self.touched: set[int] = set()
        self.multi = 0

    def run(self, operations: Sequence[Operation]) -> None:
        layers, names, touched = self.qubits, self.names, self.touched
        for operation in operations:
            if isinstance(operation, Gate):
                on = operation.qubits
                name = "c" * len(operation.controls) + operation.name
                names[name] += 1
                touched.update(on)
                if len(on) == 1:
                    layers[on[0]] += 1
                elif on:
                    self.multi += 1
                    level = max([layers[q] for q in on]) + 1
                    for q in on:
                        layers[q] = level
            elif isinstance(operation, Measure):
                q, b = operation.qubit, operation.bit
                names["measure"] += 1
                touched.add(q)
                layers[q] = self.bits[b] = max(layers[q], self.bits[b]) + 1
            elif isinstance(operation, Barrier):
                names["barrier"] += 1
                level = max((layers[q] for q in operation.qubits), default=0)
                for q in operation.qubits:
                    layers[q] = level
            elif isinstance(operation, If):
                self._branch(operation)
            else:
                names["reset"] += 1
                touched.add(operation.qubit)
                layers[operation.qubit] += 1

    def _branch(self, operation: If) -> None:
        """Both ways begin where the condition's bits are known; the longer one counts, and at least
        one layer."""
        self.names["if"] += 1
        qubits, bits = _used(operation)
        start = max((*(self.qubits[q] for q in qubits), *(self.bits[b] for b in bits)), default=0)
        end = start + 1
        for inside in (operation.then, operation.otherwise):
            self._level(qubits, bits, start)
            self.run(inside)
            end = max((end, *(self.qubits[q] for q in qubits), *(self.bits[b] for b in bits)))
        self._level(qubits, bits, end)

    def _level(self, qubits: set[int], bits: set[int], level: int) -> None:
        for q in qubits:
            self.qubits[q] = level
        for b in bits:
            self.bits[b] = level


def _used(operation: If) -> tuple[set[int], set[int]]:
    """Qubits and bits of a condition and of what depends on it."""
    qubits: set[int] = set()
    bits: set[int] = set()
    stack: list[Operation] = [operation]
    while stack:
        inner = stack.pop()
        match inner:
            case If():
                bits.update(inner.condition.bits)
                stack.extend((*inner.then, *inner.otherwise))
            case Measure():
                qubits.add(inner.qubit)
                bits.add(inner.bit)
            case Gate() | Barrier():
                qubits.update(inner.qubits)
            case _:
                qubits.add(inner.qubit)
    return qubits, bits
