"""NoiseSpec to a noise model, or to the device whose noise is meant."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from ketgate.quantum.v1 import circuit_pb2 as pb

from ketgate_server.errors import FieldError
from ketgate_server.limits import Limit
from ketgate_server.quantum import noise_channels as channels
from ketgate_server.quantum.base import NoiseMethod
from ketgate_server.quantum.gates import GATES
from ketgate_server.quantum.noise import Channel, NoiseModel
from ketgate_server.type.tensors import COMPLEX128, read_tensor

CALIBRATION_BYTES_MAX = 4 << 20
GATE_NOISES_MAX = 10_000
READOUTS_MAX = 10_000
KRAUS_QUBITS_MAX = 3
"""Of a gate whose qubits err together: an operator for each of 4^k Pauli strings has 4^k numbers."""
KRAUS_ENTRIES_MAX = 1 << 22
"""Numbers of all operators of a request: 64 MiB."""
CONTROLS_MAX = 64
TOGETHER = ("depolarizing", "pauli", "kraus")
"""Channels that act on all qubits of the gate together."""
QUBIT_MAX = 1 << 16
TRAJECTORIES_MAX = 10_000_000

METHODS = {
    pb.NOISE_METHOD_UNSPECIFIED: NoiseMethod.AUTO,
    pb.NOISE_METHOD_DENSITY_MATRIX: NoiseMethod.DENSITY_MATRIX,
    pb.NOISE_METHOD_TRAJECTORIES: NoiseMethod.TRAJECTORIES,
}


@dataclass(frozen=True)
class Noise:
    """What a NoiseSpec asks for; by default none."""

    model: NoiseModel | None = None
    device: str = ""
    calibration: bytes = b""
    """A calibration file, not read yet."""
    method: NoiseMethod = NoiseMethod.AUTO
    trajectories: int = 0


def read_noise(given: pb.NoiseSpec, limits: Mapping[str, Limit], path: str) -> Noise:  # noqa: ARG001
    """Raises FieldError."""
    if given.method not in METHODS:
        raise FieldError(f"{path}.method", expected="a method of the contract", given=given.method)
    if not 0 <= given.trajectories <= TRAJECTORIES_MAX:
        raise FieldError(
            f"{path}.trajectories", expected=f"0 to {TRAJECTORIES_MAX}", given=given.trajectories
        )
    method, trajectories = METHODS[given.method], given.trajectories
    match given.WhichOneof("model"):
        case "device":
            if not given.device:
                raise FieldError(f"{path}.device", expected="name of an emulator", given="nothing")
            return Noise(device=given.device, method=method, trajectories=trajectories)
        case "calibration":
            size = len(given.calibration)
            if not 0 < size <= CALIBRATION_BYTES_MAX:
                raise FieldError(
                    f"{path}.calibration",
                    expected=f"1 to {CALIBRATION_BYTES_MAX} bytes of JSON",
                    given=given.calibration,
                )
            return Noise(calibration=given.calibration, method=method, trajectories=trajectories)
        case "channels":
            model = _read_model(given.channels, f"{path}.channels")
            return Noise(model, method=method, trajectories=trajectories)
        case _:
            raise FieldError(
                path, expected="one of device, calibration and channels", given="none of them"
            )


def _read_model(given: pb.NoiseModel, path: str) -> NoiseModel:
    if not given.gates and not given.readout:
        raise FieldError(path, expected="channels or errors of readout", given="neither")
    for name, count, most in (
        ("gates", len(given.gates), GATE_NOISES_MAX),
        ("readout", len(given.readout), READOUTS_MAX),
    ):
        if count > most:
            raise FieldError(f"{path}.{name}", expected=f"at most {most} of them", given=count)
    gates: dict[tuple[str, tuple[int, ...] | None], tuple[Channel, ...]] = {}
    entries = 0
    for index, one in enumerate(given.gates):
        where = f"{path}.gates[{index}]"
        size = _gate_size(one.gate, where)
        key = (one.gate, _read_qubits(one, size, where))
        read = _read_channel(one, size, where)
        # Those of one qubit are shared between its qubits.
        entries += read[0].kraus.size
        if entries > KRAUS_ENTRIES_MAX:
            raise FieldError(
                where,
                expected=f"at most {KRAUS_ENTRIES_MAX} numbers in the Kraus operators together",
                given=f"{entries} up to here",
            )
        # What is given twice happens one after the other.
        gates[key] = gates.get(key, ()) + read
    readout: dict[int | None, tuple[float, float]] = {}
    for index, error in enumerate(given.readout):
        where = f"{path}.readout[{index}]"
        qubit = error.qubit if error.HasField("qubit") else None
        if qubit is not None and not 0 <= qubit < QUBIT_MAX:
            raise FieldError(f"{where}.qubit", expected=f"0 to {QUBIT_MAX - 1}", given=qubit)
        if qubit in readout:
            raise FieldError(
                f"{where}.qubit",
                expected="each qubit once",
                given="any, twice" if qubit is None else f"{qubit}, twice",
            )
        for name in ("p1_given_0", "p0_given_1"):
            if not 0.0 <= getattr(error, name) <= 1.0:
                raise FieldError(f"{where}.{name}", expected="0 to 1", given=getattr(error, name))
        readout[qubit] = (error.p1_given_0, error.p0_given_1)
    return NoiseModel(gates, readout, "the channels of the request")


def _gate_size(name: str, path: str) -> int:
    """Qubits of a gate by its name: of the library, with a c before it for each control."""
    if name in ("*1", "reset"):
        return 1
    if name == "*2":
        return 2
    size = 0
    for controls in range(CONTROLS_MAX + 1):
        bare = name[controls:]
        if bare in GATES:
            size = GATES[bare].num_qubits + controls
            break
        if not bare.startswith("c"):
            break
    if not size:
        raise FieldError(
            f"{path}.gate", expected='a gate of the library, "*1", "*2" or "reset"', given=name
        )
    return size


def _read_qubits(given: pb.GateNoise, size: int, path: str) -> tuple[int, ...] | None:
    qubits = tuple(given.qubits)
    if not qubits:
        return None
    if len(qubits) != size or len(set(qubits)) != size:
        raise FieldError(
            f"{path}.qubits",
            expected=f"{size} different qubits, as {given.gate} has",
            given=list(qubits),
        )
    for qubit in qubits:
        if not 0 <= qubit < QUBIT_MAX:
            raise FieldError(f"{path}.qubits", expected=f"0 to {QUBIT_MAX - 1}", given=qubit)
    return qubits


def _read_channel(given: pb.GateNoise, size: int, path: str) -> tuple[Channel, ...]:
    kind = given.WhichOneof("channel")
    where = f"{path}.{kind}"
    if kind in TOGETHER and size > KRAUS_QUBITS_MAX:
        raise FieldError(
            where,
            expected=f"gates of at most {KRAUS_QUBITS_MAX} qubits, which err together",
            given=f"{given.gate}, of {size}",
        )
    try:
        match kind:
            case "depolarizing":
                return channels.depolarizing(given.depolarizing, size)
            case "bit_flip":
                return channels.bit_flip(given.bit_flip, size)
            case "phase_flip":
                return channels.phase_flip(given.phase_flip, size)
            case "amplitude_damping":
                return channels.amplitude_damping(given.amplitude_damping, size)
            case "phase_damping":
                return channels.phase_damping(given.phase_damping, size)
            case "pauli":
                return _read_paulis(given.pauli, size, where)
            case "thermal":
                thermal = given.thermal
                return channels.thermal_relaxation(
                    thermal.t1_us,
                    thermal.t2_us,
                    thermal.duration_ns,
                    thermal.excited_population,
                    size,
                )
            case "kraus":
                return _read_kraus(given, size, where)
    except ValueError as error:
        what, _, why = str(error).partition(": ")
        expected, _, given_value = why.removeprefix("expected ").partition(", given ")
        is_scalar = what == "probability" or kind in ("kraus", "pauli")
        raise FieldError(
            where if is_scalar else f"{where}.{what}",
            expected=expected,
            given=given_value or "something else",
        ) from None
    raise FieldError(path, expected="a channel", given="none")


def _read_paulis(given: pb.PauliErrors, size: int, path: str) -> tuple[Channel, ...]:
    words = list(given.paulis)
    if not words or len(words) > 4**size or any(len(word) != size for word in words):
        raise FieldError(
            f"{path}.paulis",
            expected=f"1 to {4**size} strings of {size} letters of I, X, Y, Z",
            given=", ".join(words[:4]) or "none",
        )
    return channels.pauli(words, list(given.probabilities))


def _read_kraus(given: pb.GateNoise, size: int, path: str) -> tuple[Channel, ...]:
    shape = ("m", 2**size, 2**size)
    operators = read_tensor(given.kraus, path, shape=shape, dtypes={COMPLEX128})
    if not 1 <= len(operators) <= 4**size:
        raise FieldError(path, expected=f"1 to {4**size} operators", given=len(operators))
    return channels.kraus(np.array(operators))
