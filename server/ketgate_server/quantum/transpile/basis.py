"""Gates that a back end lacks, written in u and cx: exactly, phase included, without Qiskit."""

from __future__ import annotations

import cmath
from collections.abc import Collection, Sequence
from dataclasses import replace
from functools import cache

import numpy as np

from ketgate_server.quantum.circuit import Circuit, Gate, If, Operation
from ketgate_server.quantum.expression import Expression
from ketgate_server.quantum.gates import GATES, Matrix, matrix
from ketgate_server.quantum.openqasm.definitions import DEFINITIONS
from ketgate_server.quantum.openqasm.library import STDGATES
from ketgate_server.quantum.openqasm.modifiers import controlled, unfolded
from ketgate_server.quantum.openqasm.parse_statements import Parser
from ketgate_server.quantum.openqasm.reader import Reader
from ketgate_server.quantum.openqasm.source import DEFAULT_LIMITS, Source
from ketgate_server.quantum.openqasm.syntax import DefineGate
from ketgate_server.quantum.transpile.controlled import Writer

_SMALL = 1e-14


def rewrite(circuit: Circuit, keep: Collection[str]) -> Circuit:
    """The circuit with every gate whose name is not in keep, or that has controls or a power, in u
    and cx. Global phases become gphase, once a block. ValueError for such a gate whose parameters
    have no values."""
    return replace(circuit, operations=_rewritten(circuit.operations, frozenset(keep)))


def _rewritten(operations: Sequence[Operation], keep: frozenset[str]) -> tuple[Operation, ...]:
    out: list[Operation] = []
    phase = 0.0
    for operation in operations:
        if isinstance(operation, Gate):
            if operation.name in keep and not operation.controls and operation.power == 1.0:
                out.append(operation)
            else:
                gates, more = written(operation)
                out += gates
                phase += more
        elif isinstance(operation, If):
            then = _rewritten(operation.then, keep)
            otherwise = _rewritten(operation.otherwise, keep)
            out.append(replace(operation, then=then, otherwise=otherwise))
        else:
            out.append(operation)
    if phase:
        out.append(Gate("gphase", (), (phase,)))
    return tuple(out)


def written(gate: Gate) -> tuple[list[Gate], float]:
    """(gates u and cx, global phase in radians) with the meaning of a bound gate."""
    if any(isinstance(angle, Expression) for angle in gate.parameters):
        raise ValueError(f"the gate {gate.name} has a parameter without a value")
    writer = Writer(gate.place)
    _write(writer, gate)
    return writer.gates, writer.phase


def _write(writer: Writer, gate: Gate) -> None:
    apart = unfolded(gate)
    count = len(apart.controls)
    controls, on = apart.qubits[:count], apart.qubits[count:]
    base = replace(apart, qubits=on, controls=())
    if base.name == "gphase":
        angle = cmath.phase(matrix(base)[0, 0])
        writer.controlled_phase(angle, controls, apart.controls)
    elif len(on) == 1:
        writer.controlled(matrix(base), controls, apart.controls, on[0])
    elif base.name == "cu" and base.power == 1.0:
        inner = matrix(base)[1::2, 1::2]
        writer.controlled(inner, (*controls, on[0]), (*apart.controls, 1), on[1])
    elif base.name in DEFINITIONS and base.power == 1.0:
        for inside in _definition(base.name, base.parameters):  # type: ignore[arg-type]
            placed = replace(inside, qubits=tuple(on[k] for k in inside.qubits), place=gate.place)
            _write(writer, controlled(placed, apart.controls, controls) if count else placed)
    else:
        _two_level(writer, matrix(base), on, controls, apart.controls)


@cache
def _parsed(name: str) -> DefineGate:
    (definition,) = Parser(Source(DEFINITIONS[name], ""), DEFAULT_LIMITS).program().statements
    assert isinstance(definition, DefineGate)
    return definition


def _definition(name: str, angles: Sequence[float]) -> list[Gate]:
    """What the text of a library gate says, on qubits 0, 1, …"""
    reader = Reader(Source(DEFINITIONS[name], ""), DEFAULT_LIMITS)
    reader.scopes.globals.update(STDGATES)
    operations = reader.expand(_parsed(name), angles, tuple(range(GATES[name].num_qubits)), 0)
    return [operation for operation in operations if isinstance(operation, Gate)]


def _two_level(
    writer: Writer,
    unitary: Matrix,
    on: tuple[int, ...],
    controls: tuple[int, ...],
    values: tuple[int, ...],
) -> None:
    """Any unitary of few qubits as rotations of two basis states each, which a power of a gate of
    several qubits needs: no shorter way is known for all of them."""
    for low, high, block in reversed(_rotations(unitary)):
        differing = [k for k in range(len(on)) if (low ^ high) >> k & 1]
        pivot = differing[0]
        if low >> pivot & 1:
            low, high, block = high, low, block[::-1, ::-1]
        others = [k for k in range(len(on)) if k != pivot]
        # Where the pivot is 1 the other differing bits are flipped: then only the pivot differs.
        for k in differing[1:]:
            writer.cx(on[pivot], on[k])
        writer.controlled(
            block,
            (*controls, *(on[k] for k in others)),
            (*values, *(low >> k & 1 for k in others)),
            on[pivot],
        )
        for k in differing[1:]:
            writer.cx(on[pivot], on[k])


def _rotations(unitary: Matrix) -> list[tuple[int, int, Matrix]]:
    """(state, state, 2 by 2 unitary) whose product, the first leftmost, is the unitary."""
    rest = unitary.astype(np.complex128, copy=True)
    size = len(rest)
    found: list[tuple[int, int, Matrix]] = []
    for column in range(size - 1):
        for row in range(column + 1, size):
            a, b = rest[column, column], rest[row, column]
            is_last = row == size - 1
            if abs(b) < _SMALL and not (is_last and abs(a - 1) > _SMALL):
                continue
            norm = np.hypot(abs(a), abs(b))
            turn = np.array([[np.conj(a), np.conj(b)], [-b, a]]) / norm
            if abs(b) < _SMALL:
                turn = np.diag([np.conj(a) / abs(a), 1.0])
            rest[[column, row]] = turn @ rest[[column, row]]
            found.append((column, row, turn.conj().T))
    corner = rest[size - 1, size - 1]
    if abs(corner - 1) > _SMALL:
        found.append((size - 2, size - 1, np.diag([1.0, corner])))
    return found
