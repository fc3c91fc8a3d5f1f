"""Noise for simulators, as Python values, made into the contract's messages."""

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from ketgate._errors import InvalidArgument
from ketgate._options import number, one_of
from ketgate._tensor import to_tensor
from ketgate.quantum.v1 import circuit_pb2

_METHODS = {
    "density-matrix": circuit_pb2.NOISE_METHOD_DENSITY_MATRIX,
    "trajectories": circuit_pb2.NOISE_METHOD_TRAJECTORIES,
}


@dataclass(frozen=True)
class Noise:
    """Noise that a simulator is to add: of exactly one of device, calibration and channels.

    >>> client.quantum.run(circuit, shots=1000, noise=ketgate.Noise(device="emulator/ibm_torino"))
    >>> ketgate.Noise(channels={"*2": {"depolarizing": 0.01}}, readout=0.02)
    """

    device: str = ""
    """An emulator, as client.quantum.backends() names it: its published calibration is used."""
    calibration: "bytes | str | os.PathLike[str] | Mapping[str, Any] | None" = None
    """A calibration file: its path, its bytes, or what it holds; docs/quantum.md tells the format."""
    channels: Any = None
    """Channels after gates: {gate: {channel: value}}, or a list of mappings with `gate`, one channel
    and perhaps `qubits`. Gates by name, "*1" all of one qubit, "*2" all of two, "reset". Channels:
    depolarizing, bit_flip, phase_flip, amplitude_damping, phase_damping (a probability), pauli
    ({"X": 0.01}), thermal ({"t1_us":, "t2_us":, "duration_ns":}), kraus (array (m, 2^k, 2^k)).
    """
    readout: Any = None
    """Errors of measurement, with channels: one probability, a pair (p1_given_0, p0_given_1), or
    {qubit: either}.
    """
    method: Literal["", "density-matrix", "trajectories"] = ""
    """How it is simulated; default: the density matrix where it fits."""
    trajectories: int = 0
    """For expectations; default: as many as shots, or 1,000."""

    def message(self) -> circuit_pb2.NoiseSpec:
        """As the contract has it. Raises InvalidArgument."""
        written_out = self.channels is not None or self.readout is not None
        given = [bool(self.device), self.calibration is not None, written_out]
        if sum(given) != 1:
            raise InvalidArgument(
                f"noise: expected one of device, calibration and channels, given {sum(given)} of them",
                field="noise",
            )
        made = circuit_pb2.NoiseSpec(
            trajectories=number(self.trajectories, "noise.trajectories", int)
        )
        if self.method:
            made.method = one_of(self.method, _METHODS, "noise.method")
        if self.device:
            made.device = self.device
        elif self.calibration is not None:
            made.calibration = _calibration(self.calibration)
        else:
            made.channels.SetInParent()
            made.channels.gates.extend(_channels(self.channels))
            made.channels.readout.extend(_readout(self.readout))
        return made


def as_noise(given: Any) -> Noise:
    """Noise, or what stands for it: the name of an emulator, the path of a calibration. Raises InvalidArgument."""
    if isinstance(given, Noise):
        return given
    if isinstance(given, str) and not given.endswith(".json"):
        return Noise(device=given)
    if isinstance(given, (str, os.PathLike)):
        return Noise(calibration=Path(given))
    raise InvalidArgument(
        "noise: expected a ketgate.Noise, the name of an emulator or the path of a calibration "
        f"(.json), given {given!r}",
        field="noise",
    )


def _calibration(given: Any) -> bytes:
    if isinstance(given, bytes):
        return given
    if isinstance(given, Mapping):
        return json.dumps(dict(given)).encode()
    try:
        return Path(given).read_bytes()
    except OSError as error:
        raise InvalidArgument(
            f"noise.calibration: {str(given)[:100]} cannot be read: {error.strerror}",
            field="noise.calibration",
        ) from None


def _channels(given: Any) -> list[circuit_pb2.GateNoise]:
    if given is None:
        return []
    if isinstance(given, Mapping):
        given = [
            {"gate": gate, name: value}
            for gate, channels in given.items()
            for name, value in channels.items()
        ]
    return [_channel(dict(one)) for one in given]


def _channel(given: dict[str, Any]) -> circuit_pb2.GateNoise:
    made = circuit_pb2.GateNoise(gate=str(given.pop("gate", "")), qubits=given.pop("qubits", ()))
    fields = [field.name for field in made.DESCRIPTOR.oneofs_by_name["channel"].fields]
    if len(given) != 1 or next(iter(given)) not in fields:
        raise InvalidArgument(
            f"noise.channels: expected one of {', '.join(fields)} for the gate {made.gate!r}, given "
            f"{', '.join(map(str, given)) or 'none'}",
            field="noise.channels",
        )
    ((name, value),) = given.items()
    field = f"noise.channels.{name}"
    if name == "kraus":
        made.kraus.CopyFrom(to_tensor(np.asarray(value, dtype=np.complex128)))
    elif name == "pauli":
        made.pauli.paulis.extend(value)
        made.pauli.probabilities.extend(number(p, field, float) for p in value.values())
    elif name == "thermal":
        made.thermal.SetInParent()
        for part, figure in value.items():
            if part not in made.thermal.DESCRIPTOR.fields_by_name:
                raise InvalidArgument(
                    f"{field}: expected t1_us, t2_us, duration_ns and excited_population, given {part!r}",
                    field=field,
                )
            setattr(made.thermal, part, number(figure, f"{field}.{part}", float))
    else:
        setattr(made, name, number(value, field, float))
    return made


def _readout(given: Any) -> list[circuit_pb2.ReadoutError]:
    if given is None:
        return []
    by_qubit = given if isinstance(given, Mapping) else {None: given}
    made = []
    for qubit, errors in by_qubit.items():
        pair = errors if isinstance(errors, (tuple, list)) else (errors, errors)
        if len(pair) != 2:
            raise InvalidArgument(
                f"noise.readout: expected a probability or a pair of them, given {errors!r}",
                field="noise.readout",
            )
        p1, p0 = (number(p, "noise.readout", float) for p in pair)
        made.append(circuit_pb2.ReadoutError(qubit=qubit, p1_given_0=p1, p0_given_1=p0))
    return made
