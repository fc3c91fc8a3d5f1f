"""Small circuits as matrices, in plain NumPy: for checks that must not lean on a back end."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.circuit import Barrier, Gate, Operation
from ketgate_server.quantum.gates import matrix

State = NDArray[np.complex128]


def apply(operations: Sequence[Operation], state: State) -> State:
    """Gates applied to a state of shape (2^n,) or to the columns of (2^n, m). ValueError for what
    is no gate."""
    n = len(state).bit_length() - 1
    columns = state.reshape(len(state), -1)
    for operation in operations:
        if isinstance(operation, Barrier):
            continue
        if not isinstance(operation, Gate):
            raise ValueError(f"{type(operation).__name__} is no gate")
        columns = _gate(operation, columns, n)
    return columns.reshape(state.shape)


def dense(operations: Sequence[Operation], num_qubits: int) -> State:
    """The matrix of gates, shape (2^n, 2^n)."""
    return apply(operations, np.eye(1 << num_qubits, dtype=np.complex128))


def _gate(gate: Gate, columns: State, n: int) -> State:
    count = len(gate.controls)
    bare = Gate(gate.name, gate.qubits[count:], gate.parameters, power=gate.power)
    unitary = matrix(bare)
    k = len(bare.qubits)
    # Controls first, then the gate's own qubits: the matrix acts on one slice alone.
    axes = [n - 1 - q for q in (*gate.qubits[:count], *reversed(bare.qubits))]
    spread = np.moveaxis(columns.reshape((2,) * n + (-1,)), axes, range(count + k)).copy()
    held = spread[gate.controls]
    held[...] = (unitary @ held.reshape(1 << k, -1)).reshape(held.shape)
    return np.ascontiguousarray(np.moveaxis(spread, range(count + k), axes)).reshape(columns.shape)
