"""Gates as the kernel takes them: (qubits, matrix, controls, their value, generators)."""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import cast

import numpy as np
from ketgate_native.statevector import KernelGate

from ketgate_server.quantum.circuit import Gate
from ketgate_server.quantum.expression import Expression, evaluate
from ketgate_server.quantum.gates import Matrix, matrix
from ketgate_server.quantum.native.generators import generators

Numbers = Mapping[int, int]
"""Of each qubit in the state."""


@lru_cache(maxsize=8192)
def _matrix(name: str, angles: tuple[float, ...], power: float) -> Matrix:
    """Without controls. The kernel copies it, so it is shared."""
    return np.ascontiguousarray(matrix(Gate(name, (), angles, power=power)))


def _placed(gate: Gate, numbers: Numbers | None) -> tuple[tuple[int, ...], int, int]:
    """(targets, mask of controls, their value); controls that are gates of the library's own are
    seen by the kernel in their matrix."""
    qubits = gate.qubits
    if numbers is not None:
        qubits = tuple([numbers[qubit] for qubit in qubits])
    if not gate.controls:
        return qubits, 0, 0
    mask = value = 0
    for qubit, wanted in zip(qubits, gate.controls, strict=False):
        mask |= 1 << qubit
        value |= wanted << qubit
    return qubits[len(gate.controls) :], mask, value


def lowered(gate: Gate, numbers: Numbers | None = None) -> KernelGate:
    """A bound gate; numbers None: qubits keep theirs."""
    targets, mask, value = _placed(gate, numbers)
    angles = cast(tuple[float, ...], gate.parameters)
    unitary = _matrix(gate.name, angles, gate.power)
    return targets, unitary, mask, value, None


def lowered_with_slopes(
    gate: Gate, values: Mapping[str, float], numbers: Numbers | None
) -> tuple[KernelGate, list[Expression]]:
    """A gate at some values of its parameters, and the angles to which its slots belong."""
    slots = [(k, a) for k, a in enumerate(gate.parameters) if isinstance(a, Expression)]
    angles = tuple(evaluate(angle, values) for angle in gate.parameters)
    targets, mask, value = _placed(gate, numbers)
    unitary = _matrix(gate.name, angles, gate.power)
    if not slots:
        return (targets, unitary, mask, value, None), []
    made = generators(gate.name, angles, gate.power)
    stacked = np.stack([made[k] for k, _ in slots])
    return (targets, unitary, mask, value, stacked), [angle for _, angle in slots]
