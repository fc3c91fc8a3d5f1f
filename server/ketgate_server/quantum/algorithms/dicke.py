"""Dicke states: the even superposition of all bit strings with k ones.

Baertschi, Eidenbenz, FCT 2019 (LNCS 11651): about 5 k n gates of two qubits, depth O(n), no ancillas.
"""

from __future__ import annotations

import math

from ketgate_server.quantum.circuit import Gate, Operation


def dicke(num_qubits: int, ones: int) -> list[Operation]:
    """From |0...0>. 0 <= ones <= num_qubits."""
    # Fewer ones than zeros, or the other way round: the circuit is as long as the smaller.
    if 2 * ones > num_qubits:
        return [
            *dicke(num_qubits, num_qubits - ones),
            *(Gate("x", (q,)) for q in range(num_qubits)),
        ]
    out: list[Operation] = [Gate("x", (q,)) for q in range(num_qubits - ones, num_qubits)]
    for size in range(num_qubits, 1, -1):
        out += _split_and_shift(size, min(ones, size - 1))
    return out


def _split_and_shift(size: int, ones: int) -> list[Operation]:
    """On qubits 0..size-1: |0^(size-l) 1^l> to sqrt(l/size) |0^(size-l) 1^l> plus
    sqrt((size-l)/size) |0^(size-l-1) 1^l 0>, for every l up to ones; the last qubit is then done."""
    last = size - 1
    out: list[Operation] = []
    for l in range(1, ones + 1):  # noqa: E741 - the paper's letter
        target = last - l
        angle = 2.0 * math.acos(math.sqrt(l / size))
        out.append(Gate("cx", (target, last)))
        if l == 1:
            out.append(Gate("cry", (last, target), (angle,)))
        else:
            out.append(Gate("ry", (last, target + 1, target), (angle,), (1, 1)))
        out.append(Gate("cx", (target, last)))
    return out
