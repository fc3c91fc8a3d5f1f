"""Where and how circuits run: back end, noise, caps and mitigation, as Python values, made into the
contract's messages.
"""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, TypedDict

import numpy as np

from ketgate._errors import InvalidArgument
from ketgate._options import duration, number, one_of
from ketgate._tensor import to_tensor
from ketgate.quantum.v1 import circuit_pb2
from ketgate.quantum.v1 import quantum_service_pb2 as pb
from ketgate.type.v1 import money_pb2

Policy = Literal["latency", "fidelity", "queue", "price"]
PrecisionName = Literal["double", "single"]

_POLICIES: dict[str, Any] = {
    name.removeprefix("ROUTING_POLICY_").lower(): number_
    for name, number_ in circuit_pb2.RoutingPolicy.items()[1:]
}
_PRECISIONS = {
    "double": circuit_pb2.PRECISION_DOUBLE,
    "single": circuit_pb2.PRECISION_SINGLE,
}
_METHODS = {
    "density-matrix": circuit_pb2.NOISE_METHOD_DENSITY_MATRIX,
    "trajectories": circuit_pb2.NOISE_METHOD_TRAJECTORIES,
}
DECIMALS = {
    "JPY": 0,
    "KRW": 0,
    "VND": 0,
    "CLP": 0,
    "ISK": 0,
    "KWD": 3,
    "BHD": 3,
    "OMR": 3,
    "TND": 3,
}
"""Currencies whose smallest unit is no hundredth (ISO 4217)."""


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


class RunOptions(TypedDict, total=False):
    """Where and how a run happens.

    backend: name of a back end; default: chosen by policy.
    policy: what matters most in the choice: "latency" (default), "fidelity", "queue", "price".
    allowed: only these back ends, by name or by a prefix that ends with "/" or "*". A QPU runs only
        where it is named here or as backend.
    regions: only these regions.
    fail_over: go on to the next allowed back end where one fails before it accepts the work.
    seed: repeats a run; default: drawn, and told in the result.
    precision: "double" (default), or "single": half the memory, errors of about 1e-6.
    noise: a Noise; or the name of an emulator, whose noise is added; or the path of a calibration.
    caps: what it may cost at most: {"cost": "12.34 USD", "shots": 100_000, "device_seconds": 60}.
    threads: for simulation; default: chosen by the server.
    time_limit: seconds, or a timedelta.
    """

    backend: str
    policy: Policy
    allowed: Sequence[str]
    regions: Sequence[str]
    fail_over: bool
    seed: int | None
    precision: PrecisionName
    noise: "Noise | str | os.PathLike[str] | None"
    caps: Mapping[str, Any] | None
    threads: int
    time_limit: float | timedelta | None


def fill_execution(spec: Any, options: RunOptions) -> None:
    """Write the options into any message that has the fields of ExecutionOptions."""
    spec.backend.CopyFrom(_choice(options))
    seed, precision = options.get("seed"), options.get("precision")
    if seed is not None:
        spec.seed = number(seed, "seed", int)
    if precision is not None:
        spec.precision = one_of(precision, _PRECISIONS, "precision")
    spec.threads = number(options.get("threads", 0), "threads", int)
    noise, caps, limit = options.get("noise"), options.get("caps"), options.get("time_limit")
    if noise is not None:
        spec.noise.CopyFrom(_noise(noise).message())
    if caps is not None:
        spec.caps.CopyFrom(_caps(caps))
    if limit is not None:
        spec.time_limit.CopyFrom(duration(limit))


def mitigation(given: Any) -> pb.Mitigation | None:
    """True or "readout"; or {"readout": True, "noise_factors": [1, 3], "extrapolation": "linear"}."""
    if given is None or given is False:
        return None
    if given is True or given == "readout":
        return pb.Mitigation(readout=True)
    if isinstance(given, Mapping) and given.keys() <= {"readout", "noise_factors", "extrapolation"}:
        return pb.Mitigation(
            readout=bool(given.get("readout", False)),
            noise_factors=[
                number(factor, "mitigation.noise_factors", float)
                for factor in given.get("noise_factors", ())
            ],
            extrapolation=str(given.get("extrapolation", "")),
        )
    raise InvalidArgument(
        'mitigation: expected "readout", or a mapping of readout, noise_factors and extrapolation, '
        f"given {given!r}",
        field="mitigation",
    )


def _choice(options: RunOptions) -> circuit_pb2.BackendChoice:
    policy = options.get("policy")
    backend = options.get("backend")
    if not (backend is None or isinstance(backend, str)):
        raise InvalidArgument(
            f"backend: expected the name of a back end, given {backend!r}", field="backend"
        )
    return circuit_pb2.BackendChoice(
        backend=backend or "",
        policy=None if policy is None else one_of(policy, _POLICIES, "policy"),
        fail_over=bool(options.get("fail_over", False)),
        allowed=_texts(options.get("allowed"), "allowed"),
        regions=_texts(options.get("regions"), "regions"),
    )


def _texts(given: Any, field: str) -> list[str]:
    if given is None:
        return []
    if isinstance(given, str) or not all(isinstance(one, str) for one in given):
        raise InvalidArgument(f"{field}: expected a list of texts, given {given!r}", field=field)
    return list(given)


def _noise(given: Any) -> Noise:
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


def _caps(given: Mapping[str, Any]) -> circuit_pb2.Caps:
    if not isinstance(given, Mapping) or not given.keys() <= {"cost", "shots", "device_seconds"}:
        raise InvalidArgument(
            f"caps: expected a mapping of cost, shots and device_seconds, given {given!r}",
            field="caps",
        )
    made = circuit_pb2.Caps()
    if given.get("cost") is not None:
        made.cost_max.CopyFrom(_money(given["cost"]))
    if given.get("shots") is not None:
        made.shots_max = number(given["shots"], "caps.shots", int)
    if given.get("device_seconds") is not None:
        made.device_seconds_max = number(given["device_seconds"], "caps.device_seconds", float)
    return made


def _money(given: Any) -> money_pb2.Money:
    """ "12.34 USD" in the smallest units, which are whole and never floats."""
    amount, _, asset = str(given).strip().partition(" ")
    asset = asset.strip().upper()
    try:
        cents = Decimal(amount).scaleb(DECIMALS.get(asset, 2))
    except ArithmeticError:
        cents = Decimal("NaN")
    if not asset or not cents.is_finite() or cents != int(cents):
        raise InvalidArgument(
            "caps.cost: expected an amount, no finer than the currency has it, and the currency, as "
            f'"12.34 USD", given {given!r}',
            field="caps.cost",
        )
    return money_pb2.Money(asset=asset, minor_units=int(cents))
