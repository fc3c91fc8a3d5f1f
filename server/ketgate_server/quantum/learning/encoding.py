"""Feature maps as circuits: how a sample becomes a state."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from ketgate_server.quantum.algorithms.ansatz import entangled_pairs
from ketgate_server.quantum.algorithms.builder import Builder, inverse
from ketgate_server.quantum.circuit import Circuit, Operation


class FeatureMapKind(StrEnum):
    ZZ = "zz"
    IQP = "iqp"
    DATA_REUPLOADING = "data-reuploading"


@dataclass(frozen=True)
class FeatureMap:
    """How samples become states; one qubit a feature."""

    kind: FeatureMapKind = FeatureMapKind.ZZ
    layers: int = 2
    entanglement: str = "linear"
    scale: float = 1.0

    def pairs(self, num_qubits: int) -> list[tuple[int, int]]:
        """That interact."""
        return entangled_pairs(num_qubits, self.entanglement)

    def operations_count(self, num_qubits: int) -> int:
        per_layer = 2 * num_qubits + len(self.pairs(num_qubits))
        return self.layers * per_layer + 2 * num_qubits


def encode(feature_map: FeatureMap, sample: NDArray[np.float64]) -> list[Operation]:
    """From |0...0> to the sample's state."""
    n = len(sample)
    x = feature_map.scale * sample
    built = Builder(n)
    if feature_map.kind is FeatureMapKind.DATA_REUPLOADING:
        for _ in range(feature_map.layers):
            for qubit in range(n):
                built.gate("ry", qubit, angles=(float(x[qubit]),))
                built.gate("rz", qubit, angles=(float(x[qubit]),))
            for a, b in entangled_pairs(n, "ring"):
                built.gate("cx", a, b)
        return built.operations
    superposes_between = feature_map.kind is FeatureMapKind.ZZ
    for layer in range(feature_map.layers):
        if layer == 0 or superposes_between:
            built.each("h", range(n))
        # exp(-i (sum x_i Z_i + sum x_i x_j Z_i Z_j))
        for qubit in range(n):
            built.gate("rz", qubit, angles=(2.0 * float(x[qubit]),))
        for i, j in feature_map.pairs(n):
            built.gate("rzz", i, j, angles=(2.0 * float(x[i] * x[j]),))
    if not superposes_between:
        built.each("h", range(n))
    return built.operations


def overlap(
    feature_map: FeatureMap, one: NDArray[np.float64], other: NDArray[np.float64]
) -> Circuit:
    """Its chance to read all zeros is the kernel of the two samples."""
    n = len(one)
    built = Builder(n, n).add(encode(feature_map, one)).add(inverse(encode(feature_map, other)))
    return built.measure(range(n)).circuit("overlap")
