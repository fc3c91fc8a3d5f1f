"""Noise models: channels after gates and errors of readout, whatever they came from."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from ketgate_server.cached import cached_property
from ketgate_server.quantum.circuit import Gate


@dataclass(frozen=True, eq=False)
class Channel:
    """A completely positive, trace-preserving map on k qubits."""

    kraus: NDArray[np.complex128]
    """(m, 2^k, 2^k), sum K^dagger K = 1; index bit j belongs to qubits[j]."""
    qubits: tuple[int, ...]
    """Which qubits of the gate it acts on, as places in the gate's list."""
    paulis: tuple[tuple[str, float], ...] = ()
    """Where it is a mixture of Paulis: (letters, probability), identity included, letter j on
    qubits[j]; a trajectory then needs no norms."""


@dataclass(frozen=True, eq=False)
class NoiseModel:
    """What goes wrong. Immutable."""

    gates: Mapping[tuple[str, tuple[int, ...] | None], tuple[Channel, ...]] = field(
        default_factory=dict
    )
    """By name of the gate and its qubits; None: any. Names "*1", "*2": every gate of one, of two
    qubits; "measure": before a measurement, "reset": after a reset."""
    readout: Mapping[int | None, tuple[float, float]] = field(default_factory=dict)
    """(P(1|0), P(0|1)) by qubit; None: any."""
    description: str = ""
    """In words, for the answer."""
    calibration_time_us: int | None = None

    def channels(self, gate: Gate) -> tuple[Channel, ...]:
        """What follows a gate: of its name and qubits, else of its name, else of its size."""
        name, count = _noise_name(gate), len(gate.qubits)
        for key in ((name, gate.qubits), (name, None), (f"*{count}", gate.qubits)):
            found = self.gates.get(key)
            if found is not None:
                return found
        return self.gates.get((f"*{count}", None), ())

    def readout_error(self, qubit: int) -> tuple[float, float]:
        """(P(1|0), P(0|1)) of a qubit."""
        return self.readout.get(qubit) or self.readout.get(None) or (0.0, 0.0)

    @cached_property
    def digest(self) -> str:
        """SHA-256 of everything that matters, hexadecimal."""
        sha = hashlib.sha256()
        for key in sorted(self.gates, key=repr):
            sha.update(repr(key).encode())
            for channel in self.gates[key]:
                sha.update(repr((channel.qubits, channel.kraus.shape)).encode())
                sha.update(np.ascontiguousarray(channel.kraus).tobytes())
        sha.update(repr(sorted(self.readout.items(), key=repr)).encode())
        return sha.hexdigest()


def _noise_name(gate: Gate) -> str:
    return "c" * len(gate.controls) + gate.name
