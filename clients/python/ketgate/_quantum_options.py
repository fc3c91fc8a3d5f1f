"""Where and how circuits run: back end, noise, caps and mitigation, as Python values, made into the
contract's messages.
"""

import os
from collections.abc import Mapping, Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal, TypedDict

from ketgate._errors import InvalidArgument
from ketgate._noise import Noise, as_noise
from ketgate._options import duration, number, one_of
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
        spec.noise.CopyFrom(as_noise(noise).message())
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
