"""From what a device read, shot by shot, to counts in our order of bits."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.base import CircuitOutcome

Bits = NDArray[np.uint8]


def outcome(
    columns: Bits, bits: Sequence[int], num_bits: int, *, memory: bool, warnings: Sequence[str] = ()
) -> CircuitOutcome:
    """columns: (shots, m), column j holds classical bit bits[j]. Bits that nothing was measured into
    are 0."""
    shots = np.zeros((len(columns), num_bits), dtype=np.uint8)
    shots[:, list(bits)] = columns
    return CircuitOutcome(
        counts=counts(shots), memory=shots if memory else None, warnings=tuple(warnings)
    )


def counts(shots: Bits) -> dict[int, int]:
    """How often each row occurs; bit i of a key is column i."""
    packed = np.packbits(shots, axis=1, bitorder="little")
    rows, numbers = np.unique(packed, axis=0, return_counts=True)
    return {
        int.from_bytes(row.tobytes(), "little"): int(number)
        for row, number in zip(rows, numbers, strict=True)
    }
