"""What a calibration means as noise.

As IBM's simulators compose a device model: after each gate a depolarizing channel and the relaxation
of each qubit while the gate lasts, such that both together have the gate's average error; before the
answer, errors of readout. Errors that are coherent on the device are counted as depolarizing.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from functools import lru_cache

import numpy as np

from ketgate_server.cached import cached_property
from ketgate_server.quantum.base import Calibration, GateCalibration, QubitCalibration
from ketgate_server.quantum.noise import Channel, NoiseModel
from ketgate_server.quantum.noise_channels import depolarizing, relaxation
from ketgate_server.quantum.noise_transfer import transfer_of_kraus

USELESS = 0.5
"""A gate with this average error or more is out of order: providers write 1 for those."""
_UNKNOWN = float("inf")
Use = tuple[str, tuple[int, ...]]

FRAMES = frozenset({"rz", "p"})
"""Changes of the frame that later pulses are in: nothing is done to the qubit, and nothing can err."""
NAMED_MAX = 6
"""Of what a calibration lacks, named in a warning."""


class Deferred(Calibration):
    """A calibration that is read when it is first looked at: of most devices it never is."""

    def __init__(self, read: Callable[[], Calibration]) -> None:
        # Not a field: the base class is frozen, and compares and prints fields only.
        self.__dict__["_read"] = read

    @cached_property
    def _found(self) -> Calibration:
        read: Callable[[], Calibration] = self.__dict__["_read"]
        return read()

    @property
    def time_us(self) -> int:
        return self._found.time_us

    @property
    def qubits(self) -> tuple[QubitCalibration, ...]:
        return self._found.qubits

    @property
    def gates(self) -> tuple[GateCalibration, ...]:
        return self._found.gates

    @property
    def digest(self) -> str:
        return self._found.digest


def noise_model(
    calibration: Calibration, description: str, used: Collection[Use] | None = None
) -> NoiseModel:
    """The device's noise. used: gates and their qubits that matter ("reset" and "measure" too);
    a model of the others would cost far more than a run."""
    qubits = {one.qubit: one for one in calibration.qubits}
    wanted = None if used is None else set(used)
    gates: dict[tuple[str, tuple[int, ...] | None], tuple[Channel, ...]] = {}
    for gate in calibration.gates:
        if gate.gate == "measure" or (
            wanted is not None and (gate.gate, gate.qubits) not in wanted
        ):
            continue
        channels = gate_channels(gate, qubits)
        if channels:
            gates[(gate.gate, gate.qubits)] = channels
    readout: dict[int | None, tuple[float, float]] = {}
    for qubit in calibration.qubits:
        if wanted is not None and ("measure", (qubit.qubit,)) not in wanted:
            continue
        pair = (qubit.p1_given_0 or 0.0, qubit.p0_given_1 or 0.0)
        if any(pair):
            readout[qubit.qubit] = pair
    return NoiseModel(gates, readout, description, calibration.time_us)


def gate_channels(
    gate: GateCalibration, qubits: Mapping[int, QubitCalibration]
) -> tuple[Channel, ...]:
    """What follows one gate; out of order: as the worst that physics allows."""
    count = len(gate.qubits)
    dim = 2**count
    relaxations: list[Channel] = []
    fidelity = 1.0  # of the process: mean of the diagonal of the transfer matrix
    if gate.duration_ns:
        for place, qubit in enumerate(gate.qubits):
            found = _relaxation(*_times(qubits.get(qubit)), gate.duration_ns)
            if found is not None:
                channel, share = found
                relaxations.append(replace(channel, qubits=(place,)))
                fidelity *= share
    average = (dim * fidelity + 1.0) / (dim + 1.0)
    error = min(gate.error or 0.0, dim / (dim + 1.0))
    if gate.gate == "reset" or error <= 1.0 - average:
        return tuple(relaxations)
    share = dim * (error - (1.0 - average)) / (dim * average - 1.0)
    return _depolarizing(min(share, 4**count / (4**count - 1)), count) + tuple(relaxations)


@lru_cache(maxsize=4096)
def _depolarizing(share: float, count: int) -> tuple[Channel, ...]:
    return depolarizing(share, count)


@lru_cache(maxsize=4096)
def _relaxation(t1_us: float, t2_us: float, duration_ns: float) -> tuple[Channel, float] | None:
    if t1_us == t2_us == _UNKNOWN:
        return None
    channel = relaxation(t1_us, t2_us, duration_ns)
    return channel, float(np.trace(transfer_of_kraus(channel.kraus))) / 4.0


def _times(qubit: QubitCalibration | None) -> tuple[float, float]:
    """(T1, T2), T2 at most 2 T1; what was not measured is infinite."""
    t1 = (qubit.t1_us if qubit else None) or _UNKNOWN
    t2 = (qubit.t2_us if qubit else None) or _UNKNOWN
    return t1, min(t2, 2.0 * t1)


def digest(calibration: Calibration) -> str:
    """SHA-256 of the canonical form, hexadecimal."""
    qubits = [
        (q.qubit, q.t1_us, q.t2_us, q.p1_given_0, q.p0_given_1, q.readout_ns, q.label)
        for q in calibration.qubits
    ]
    gates = [(g.gate, g.qubits, g.error, g.duration_ns) for g in calibration.gates]
    # Shortest decimals of floats are the same everywhere.
    text = json.dumps([calibration.time_us, qubits, gates], separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


def untold(calibration: Calibration, used: Collection[Use]) -> str:
    """A warning that names what of it the calibration tells no error of, and which is simulated
    without one; empty where it tells all."""
    told = {(gate.gate, gate.qubits) for gate in calibration.gates if gate.error is not None}
    told |= {
        ("measure", (qubit.qubit,))
        for qubit in calibration.qubits
        if qubit.p1_given_0 is not None or qubit.p0_given_1 is not None
    }
    lacking = sorted(use for use in set(used) - told if use[0] not in FRAMES)
    if not lacking:
        return ""
    names = [f"{gate} on {'-'.join(map(str, qubits))}" for gate, qubits in lacking[:NAMED_MAX]]
    more = len(lacking) - len(names)
    words = ", ".join(names) + (f" and {more} more" if more else "")
    return (
        f"the calibration tells no error of {words}: "
        "simulated without one, but for relaxation where the times are known"
    )
