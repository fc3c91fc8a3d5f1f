"""How and where to run: what the specs of circuits and of algorithms have in common."""

from __future__ import annotations

import math
from collections.abc import Mapping

from google.protobuf import duration_pb2
from ketgate.quantum.v1 import circuit_pb2

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.quantum.base import Precision
from ketgate_server.quantum.work import Caps, Choice, Money, Policy

NAME_CHARACTERS_MAX = 128
ALLOWED_MAX = 64
OPTIMIZATION_LEVELS = range(4)

Limits = Mapping[str, Limit]

POLICIES = {
    circuit_pb2.ROUTING_POLICY_UNSPECIFIED: Policy.LATENCY,
    circuit_pb2.ROUTING_POLICY_LATENCY: Policy.LATENCY,
    circuit_pb2.ROUTING_POLICY_FIDELITY: Policy.FIDELITY,
    circuit_pb2.ROUTING_POLICY_QUEUE: Policy.QUEUE,
    circuit_pb2.ROUTING_POLICY_PRICE: Policy.PRICE,
}
PRECISIONS = {
    circuit_pb2.PRECISION_UNSPECIFIED: Precision.DOUBLE,
    circuit_pb2.PRECISION_DOUBLE: Precision.DOUBLE,
    circuit_pb2.PRECISION_SINGLE: Precision.SINGLE,
}


def read_choice(given: circuit_pb2.BackendChoice, path: str) -> Choice:
    if given.policy not in POLICIES:
        raise FieldError(f"{path}.policy", expected="a policy of the contract", given=given.policy)
    for name, texts in (("allowed", given.allowed), ("regions", given.regions)):
        if len(texts) > ALLOWED_MAX:
            raise FieldError(
                f"{path}.{name}", expected=f"at most {ALLOWED_MAX} of them", given=len(texts)
            )
        for index, text in enumerate(texts):
            if not 0 < len(text) <= NAME_CHARACTERS_MAX:
                raise FieldError(
                    f"{path}.{name}[{index}]",
                    expected=f"1 to {NAME_CHARACTERS_MAX} characters",
                    given=text,
                )
    return Choice(
        backend=given.backend,
        policy=POLICIES[given.policy],
        fail_over=given.fail_over,
        allowed=tuple(given.allowed),
        regions=tuple(given.regions),
        path=path,
    )


def read_caps(given: circuit_pb2.Caps, path: str) -> Caps:
    cost = None
    if given.HasField("cost_max"):
        cost = Money(given.cost_max.asset, given.cost_max.minor_units)
        if not 1 <= len(cost.asset) <= 64:
            raise FieldError(
                f"{path}.cost_max.asset", expected='a currency, as "USD"', given=cost.asset
            )
        if cost.minor_units < 0:
            raise FieldError(
                f"{path}.cost_max.minor_units", expected="0 or more", given=cost.minor_units
            )
    if given.shots_max < 0:
        raise FieldError(f"{path}.shots_max", expected="0 or more", given=given.shots_max)
    seconds = given.device_seconds_max
    if not (math.isfinite(seconds) and seconds >= 0.0):
        raise FieldError(f"{path}.device_seconds_max", expected="0 or more", given=seconds)
    return Caps(cost, given.shots_max, seconds)


def read_precision(given: int, path: str) -> Precision:
    if given not in PRECISIONS:
        raise FieldError(path, expected="a precision of the contract", given=given)
    return PRECISIONS[given]  # type: ignore[index]


def read_threads(given: int, threads_max: int, path: str) -> int:
    if not 0 <= given <= threads_max:
        raise FieldError(path, expected=f"0 to {threads_max}", given=given)
    return given


def read_duration(given: duration_pb2.Duration, longest_s: float, path: str) -> float:
    """Seconds, more than 0 and at most longest_s, which is quantum.time_limit_ms_max."""
    seconds, nanos = given.seconds, given.nanos
    if abs(nanos) >= 1_000_000_000 or seconds > 0 > nanos or seconds < 0 < nanos:
        raise FieldError(
            path,
            expected="a duration whose nanos are below 10^9 and of the sign of its seconds",
            given=f"{seconds} s and {nanos} ns",
        )
    total_s = seconds + nanos * 1e-9
    if not 0.0 < total_s <= longest_s:
        raise FieldError(
            path,
            expected=f"more than 0 and at most {longest_s:g} s (quantum.time_limit_ms_max)",
            given=f"{total_s:g} s",
        )
    return total_s


def read_shots(given: int, limits: Limits, path: str) -> int:
    if given < 0:
        raise FieldError(path, expected="0 or more", given=given)
    allowed = limits["quantum.shots_max"].value
    if given > allowed:
        raise LimitError("quantum.shots_max", allowed=allowed, given=given, field=path)
    return given


def read_level(level: int, path: str) -> int:
    if level not in OPTIMIZATION_LEVELS:
        raise FieldError(path, expected="0 to 3", given=level)
    return level
