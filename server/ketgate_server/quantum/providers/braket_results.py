"""Results of Amazon Braket, as AwsQuantumTask returns them, in our order of bits."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgate_server.quantum.base import CircuitOutcome, RunOptions
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.providers import readings
from ketgate_server.quantum.providers.braket_circuit import measured


@dataclass(frozen=True)
class Entry:
    """What was read of one circuit: (shots, m) bits, column j of qubits[j]."""

    measurements: Any
    qubits: Sequence[int]


def entries(result: Any) -> list[Entry]:
    """By circuit."""
    if hasattr(result, "measurements"):
        return [Entry(result.measurements, result.measured_qubits)]
    return [Entry(one.entries[0].measurements, one.entries[0].measured_qubits) for one in result]


def outcome(circuit: Circuit, entry: Entry, options: RunOptions) -> CircuitOutcome:
    where = measured(circuit)
    columns = [column for column, qubit in enumerate(entry.qubits) if qubit in where.bits]
    bits = [where.bits[entry.qubits[column]] for column in columns]
    read = np.asarray(entry.measurements, dtype=np.uint8)
    warnings = list(where.warnings)
    if len(read) != options.shots:
        warnings.append(f"the device returned {len(read)} of {options.shots} shots")
    return readings.outcome(
        read[:, columns], bits, circuit.num_bits, memory=options.memory, warnings=warnings
    )


def device_s(result: Any) -> float | None:
    """Of simulators; QPUs do not tell."""
    told = getattr(getattr(result, "additional_metadata", None), "simulatorMetadata", None)
    return None if told is None else told.executionDuration / 1000.0
