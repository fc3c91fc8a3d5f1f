"""The quantum Fourier transform: amplitudes a_j become sum_j exp(2 pi i j k / N) a_j / sqrt(N)."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ketgate_server.quantum.algorithms.builder import inverse
from ketgate_server.quantum.circuit import Gate, Operation


def transform(
    qubits: Sequence[int], *, swaps: bool = True, approximation_degree: int = 0
) -> list[Operation]:
    """On a number whose least significant bit is qubits[0].

    swaps: False leaves the result with its bits in reverse order. approximation_degree: phases
    below 2 pi / 2^degree are left out; 0: none.
    """
    out: list[Operation] = []
    for k in reversed(range(len(qubits))):
        out.append(Gate("h", (qubits[k],)))
        for j in reversed(range(k)):
            distance = k - j
            if approximation_degree and distance + 1 > approximation_degree:
                continue
            out.append(Gate("cp", (qubits[j], qubits[k]), (math.pi / 2**distance,)))
    if swaps:
        half = len(qubits) // 2
        out += [Gate("swap", (qubits[k], qubits[-1 - k])) for k in range(half)]
    return out


def inverse_transform(
    qubits: Sequence[int], *, swaps: bool = True, approximation_degree: int = 0
) -> list[Operation]:
    """Undoes transform."""
    return inverse(transform(qubits, swaps=swaps, approximation_degree=approximation_degree))
