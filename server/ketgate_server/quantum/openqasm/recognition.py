"""Definitions that say what the library says.

Programs define gates of the library by themselves, because the include that they were written for
does not have them. Kept as a gate, `rzz` is one operation, which a back end may have.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from ketgate_server.quantum.circuit import NOWHERE, Gate
from ketgate_server.quantum.gates import GATES, Matrix, matrix
from ketgate_server.quantum.openqasm.library import (
    BEYOND_STDGATES,
    QELIB1_LATER,
    STDGATES,
    LibraryGate,
)
from ketgate_server.quantum.openqasm.source import Fault
from ketgate_server.quantum.openqasm.syntax import DefineGate

_LIBRARY = QELIB1_LATER | STDGATES | BEYOND_STDGATES
_GATES_MAX = 64
_TOLERANCE = 1e-12
_SAMPLES = ((0.7310585, 1.2345678, -2.2133447, 0.5772156), (2.7182818, -0.3141592, 1.4142135, 3.3))
"""Two formulas in sines and cosines that agree at both are the same."""


def library_gate(
    definition: DefineGate, gates: Callable[[DefineGate, tuple[float, ...]], list[Gate]]
) -> LibraryGate | None:
    """The library's gate of this name, if the definition has its matrix, phase included."""
    known = _LIBRARY.get(definition.name)
    if (
        known is None
        or known.target not in GATES
        or known.num_qubits != len(definition.qubits)
        or known.num_parameters != len(definition.parameters)
        or len(definition.body) > _GATES_MAX
    ):
        return None
    for sample in _SAMPLES if known.num_parameters else _SAMPLES[:1]:
        angles = sample[: known.num_parameters]
        try:
            mine = gates(definition, angles)
        except Fault:
            return None
        if len(mine) > _GATES_MAX:
            return None
        library = known.gates(angles, tuple(range(known.num_qubits)), NOWHERE)
        if not np.allclose(
            unitary(mine, known.num_qubits),
            unitary(library, known.num_qubits),
            rtol=0,
            atol=_TOLERANCE,
        ):
            return None
    return known


def unitary(gates: list[Gate], num_qubits: int) -> Matrix:
    """The product of gates on few qubits, shape (2^n, 2^n)."""
    size = 1 << num_qubits
    out = np.eye(size, dtype=np.complex128)
    for gate in gates:
        small = matrix(gate)
        count = len(gate.qubits)
        state = out.reshape((2,) * num_qubits + (size,))
        # Axis of qubit q is num_qubits - 1 - q: the first index bit is the last axis.
        axes = [num_qubits - 1 - q for q in reversed(gate.qubits)]
        state = np.tensordot(
            small.reshape((2,) * (2 * count)), state, (range(count, 2 * count), axes)
        )
        out = np.moveaxis(state, range(count), axes).reshape(size, size)
    return out
