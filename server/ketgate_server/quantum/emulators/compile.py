"""A circuit in a device's gates, on its qubits.

Here what fits without swaps; the rest by a transpiler, which is given from outside and runs in a
worker. Barriers stay: nothing is fused across them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from ketgate_server.quantum.base import Unsuitable
from ketgate_server.quantum.circuit import Barrier, Circuit, Gate, If, Measure, Operation, Reset
from ketgate_server.quantum.emulators.decompose import (
    Cx,
    Local,
    Piece,
    entangled,
    local_gates,
    pieces,
)
from ketgate_server.quantum.emulators.device import Device
from ketgate_server.quantum.emulators.layout import Demand, place
from ketgate_server.quantum.gates import Matrix


@dataclass(frozen=True)
class Compiled:
    """A circuit on the device's qubits."""

    circuit: Circuit
    initial_layout: tuple[int, ...]
    """The device's qubit of each of the program's at the start; -1: not used."""
    final_layout: tuple[int, ...]
    compiler: str


ROUTED_BASIS = ("rz", "sx", "x", "cz")
"""What a transpiler is asked for; its circuits are then written in the device's own gates."""


def compile_directly(circuit: Circuit, device: Device, keep: int = 0) -> Compiled | None:
    """Without swaps; None where that cannot be. keep: mask of qubits to place though nothing acts
    on them. Raises Unsuitable for more qubits than the device has."""
    expanded = _expand(circuit.operations)
    if expanded is None:
        return None
    demand = _demand(expanded, keep)
    if len(demand.measured) > device.num_qubits:
        raise Unsuitable(
            device.name,
            f"{len(demand.measured)} qubits",
            f"the device has {device.num_qubits}",
        )
    layout = place(demand, device)
    if layout is None and demand.measured:
        return None
    found = layout or {}
    where = tuple(found.get(qubit, -1) for qubit in range(circuit.num_qubits))
    return Compiled(_written(circuit, expanded, device, found), where, where, "ketgate")


def in_own_gates(circuit: Circuit, device: Device) -> Circuit:
    """A circuit of ROUTED_BASIS, on the device's qubits and pairs, in the device's gates."""
    expanded = _expand(circuit.operations)
    assert expanded is not None
    return _written(circuit, expanded, device, {q: q for q in range(device.num_qubits)})


def _written(
    circuit: Circuit, expanded: Sequence[_Item], device: Device, layout: dict[int, int]
) -> Circuit:
    writer = _Writer(device, layout)
    writer.add(expanded)
    writer.flush()
    return Circuit(
        num_qubits=device.num_qubits,
        num_bits=circuit.num_bits,
        operations=tuple(writer.out),
        bit_registers=circuit.bit_registers,
        label=circuit.label,
    )


@dataclass(frozen=True)
class _Expanded:
    """An If whose operations were expanded."""

    operation: If
    then: Sequence[_Item]
    otherwise: Sequence[_Item]


_Item = Piece | Measure | Reset | Barrier | _Expanded


def _expand(operations: Sequence[Operation]) -> list[_Item] | None:
    out: list[_Item] = []
    for operation in operations:
        if isinstance(operation, Gate):
            found = pieces(operation)
            if found is None:
                return None
            out += found
        elif isinstance(operation, If):
            then, otherwise = _expand(operation.then), _expand(operation.otherwise)
            if then is None or otherwise is None:
                return None
            out.append(_Expanded(operation, then, otherwise))
        else:
            out.append(operation)
    return out


def _demand(items: Sequence[_Item], keep: int) -> Demand:
    pairs: dict[tuple[int, int], int] = {}
    measured: dict[int, int] = {q: 1 for q in range(keep.bit_length()) if (keep >> q) & 1}

    def count(inner: Sequence[_Item]) -> None:
        for item in inner:
            match item:
                case Cx():
                    pair = (min(item.control, item.target), max(item.control, item.target))
                    pairs[pair] = pairs.get(pair, 0) + 1
                    for qubit in pair:
                        measured.setdefault(qubit, 0)
                case Local() | Reset():
                    measured.setdefault(item.qubit, 0)
                case Measure():
                    measured[item.qubit] = measured.get(item.qubit, 0) + 1
                case _Expanded():
                    count(item.then)
                    count(item.otherwise)
                case _:
                    pass

    count(items)
    return Demand(pairs, measured)


class _Writer:
    """Puts pieces on the device; gates on one qubit wait until something else happens to it."""

    def __init__(self, device: Device, layout: dict[int, int]) -> None:
        self._device, self._layout = device, layout
        self._held: dict[int, Matrix] = {}
        self.out: list[Operation] = []

    def add(self, items: Sequence[_Item]) -> None:
        for item in items:
            match item:
                case Local():
                    self._hold(self._layout[item.qubit], item.matrix)
                case Cx():
                    self._entangle(self._layout[item.control], self._layout[item.target])
                case Measure() | Reset():
                    qubit = self._layout[item.qubit]
                    self.flush([qubit])
                    self.out.append(replace(item, qubit=qubit))
                case Barrier():
                    on = tuple(self._layout[q] for q in item.qubits if q in self._layout)
                    self.flush(on)
                    self.out.append(replace(item, qubits=on))
                case _Expanded():
                    self._branch(item)

    def _hold(self, qubit: int, matrix: Matrix) -> None:
        held = self._held.get(qubit)
        self._held[qubit] = matrix if held is None else matrix @ held

    def _entangle(self, control: int, target: int) -> None:
        name, on = self._device.entangle(control, target)
        for piece in entangled(control, target, name, on, Gate(name, on).place):
            if isinstance(piece, Local):
                self._hold(piece.qubit, piece.matrix)
            elif isinstance(piece, Gate):
                self.flush(piece.qubits)
                self.out.append(piece)

    def _branch(self, item: _Expanded) -> None:
        self.flush()
        sides = []
        for side in (item.then, item.otherwise):
            inner = _Writer(self._device, self._layout)
            inner.add(side)
            inner.flush()
            sides.append(tuple(inner.out))
        self.out.append(replace(item.operation, then=sides[0], otherwise=sides[1]))

    def flush(self, qubits: Sequence[int] | None = None) -> None:
        for qubit in sorted(self._held) if qubits is None else qubits:
            matrix = self._held.pop(qubit, None)
            if matrix is not None:
                unitary = np.asarray(matrix, dtype=np.complex128)
                self.out += local_gates(unitary, qubit, self._device.basis_gates)
