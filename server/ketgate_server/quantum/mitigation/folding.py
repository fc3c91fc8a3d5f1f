"""Circuits whose noise is larger by a factor, and do the same: gates followed by themselves undone
and done again.

Odd factors fold every gate alike and are the most faithful; others fold as many gates as it takes,
spread evenly, and what an observable sees of them depends on which they are. Barriers hold the folds
against compilers, which would cancel them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, If, Operation
from ketgate_server.quantum.gates import GATES


def inverse(gate: Gate) -> Gate:
    """The gate undone."""
    spec = GATES[gate.name]
    if spec.negated:
        negated = tuple(-float(angle) for angle in gate.parameters)  # type: ignore[arg-type]
        return replace(gate, parameters=negated)
    if spec.inverse and gate.power == 1.0:
        return replace(gate, name=spec.inverse)
    return replace(gate, power=-gate.power)


def fold(circuit: Circuit, factor: float) -> Circuit:
    """A bound circuit with about `factor` times its noise, at least 1. Gates on two qubits and more
    are folded, which have most of the noise; where there are none, all gates."""
    if factor == 1.0:
        return circuit
    wide = [gate for gate in circuit.walk() if isinstance(gate, Gate) and len(gate.qubits) > 1]
    every = not wide
    count = len(wide) or sum(isinstance(one, Gate) and bool(one.qubits) for one in circuit.walk())
    if not count:
        return circuit
    extra = round((factor - 1.0) / 2.0 * count)
    folds = _Folds(count, extra, every)
    return replace(circuit, operations=folds.of(circuit.operations), source_digest="")


def achieved(circuit: Circuit, factor: float) -> float:
    """The factor that fold comes to: folds are whole gates."""
    gates = [gate for gate in circuit.walk() if isinstance(gate, Gate) and gate.qubits]
    count = sum(len(gate.qubits) > 1 for gate in gates) or len(gates)
    return 1.0 + 2.0 * round((factor - 1.0) / 2.0 * count) / count if count else 1.0


class _Folds:
    """Hands out folds to gates: gate k of m gets its even share of them."""

    def __init__(self, count: int, extra: int, every: bool) -> None:
        self._count, self._extra, self._every, self._at = count, extra, every, 0

    def of(self, operations: Sequence[Operation]) -> tuple[Operation, ...]:
        out: list[Operation] = []
        for operation in operations:
            if isinstance(operation, If):
                then, otherwise = self.of(operation.then), self.of(operation.otherwise)
                out.append(replace(operation, then=then, otherwise=otherwise))
                continue
            out.append(operation)
            if isinstance(operation, Gate) and len(operation.qubits) > (0 if self._every else 1):
                out += self._folded(operation)
        return tuple(out)

    def _folded(self, gate: Gate) -> list[Operation]:
        times = (self._at + 1) * self._extra // self._count - self._at * self._extra // self._count
        self._at += 1
        wall = Barrier(gate.qubits)
        again: list[Operation] = [inverse(gate), wall, gate, wall]
        return [wall, *again * times] if times else []
