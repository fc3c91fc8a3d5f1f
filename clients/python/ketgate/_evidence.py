"""Where, how and with what a quantum result came to be; what circuits need and cost."""

from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

from ketgate._events import seconds
from ketgate.quantum.v1 import backend_pb2, circuit_pb2


@dataclass(frozen=True)
class Money:
    """An amount in the smallest unit of a currency."""

    asset: str
    minor_units: int

    def __str__(self) -> str:
        from ketgate._quantum_options import DECIMALS

        return f"{Decimal(self.minor_units).scaleb(-DECIMALS.get(self.asset, 2))} {self.asset}"


@dataclass(frozen=True)
class Resources:
    """What a circuit needs."""

    label: str
    num_qubits: int
    """Qubits that something acts on."""
    depth: int
    """Layers of operations."""
    operations: dict[str, int]
    """Operations by name."""
    num_multi_qubit_gates: int
    """Operations on two or more qubits."""
    num_bits: int


@dataclass(frozen=True)
class RunTimes:
    """Where the time went, in seconds."""

    queued_s: float
    checking_s: float
    compiling_s: float
    running_s: float
    total_s: float


@dataclass(frozen=True)
class Evidence:
    """Where, how and with what a result came to be."""

    backend: str
    """The back end that really ran."""
    kind: str
    """ "simulator", "emulator" or "qpu"."""
    version: str
    """Package and version that did the work."""
    seed: int
    shots: int
    """Of each circuit; 0: exact."""
    precision: str
    noise_model: str
    """In words."""
    noise_digest: str
    """SHA-256 of the noise model or calibration; empty: ideal."""
    calibration_time: datetime | None
    method: str
    """How noise was simulated: "density-matrix", "trajectories"; empty: none, or real."""
    expected_fidelity: float | None
    """Expected probability that no error happens, from the calibration."""
    routing: tuple[tuple[str, str], ...]
    """Back ends that were passed over or failed before, and why."""
    provider_job: str
    cost: Money | None
    times: RunTimes
    warnings: tuple[str, ...]
    threads: int
    spec_digest: str
    mitigation: tuple[str, ...]
    """Mitigation that was applied, in words."""

    def __str__(self) -> str:
        parts = [f"{self.backend} ({self.kind})", self.noise_model or "ideal"]
        parts.append(f"{self.shots} shots" if self.shots else "exact")
        parts.append(f"seed {self.seed}")
        if self.expected_fidelity is not None:
            parts.append(f"expected fidelity {self.expected_fidelity:.3g}")
        if self.cost is not None:
            parts.append(f"cost {self.cost}")
        return ", ".join([*parts, f"{self.times.total_s:.3g} s"])

    def lines(self) -> list[str]:
        """What a person is to know beyond one line."""
        told = [f"  passed over: {name}: {reason}" for name, reason in self.routing]
        told += [f"  mitigation: {text}" for text in self.mitigation]
        return told + [f"  warning: {text}" for text in self.warnings]

    def to_dict(self) -> dict[str, Any]:
        """In plain types."""
        when = self.calibration_time
        cost = None if self.cost is None else str(self.cost)
        return asdict(self) | {
            "calibration_time": None if when is None else when.isoformat(),
            "cost": cost,
        }


@dataclass(frozen=True)
class RunEstimate:
    """What a run would take."""

    backend: str
    """The back end that would be used."""
    memory_bytes: int
    run_time_s: float
    """To compile and run."""
    queue_time_s: float | None
    """In the provider's queue, where it is known."""
    shots: int
    cost: Money | None
    """None: free."""
    device_seconds: float
    resources: tuple[Resources, ...]
    expected_fidelity: float | None
    warnings: tuple[str, ...]
    alternatives: tuple["RunEstimate", ...] = ()
    """The same for every other back end that could."""

    def to_dict(self) -> dict[str, Any]:
        """In plain types."""
        return asdict(self) | {
            "cost": None if self.cost is None else str(self.cost),
            "alternatives": [other.to_dict() for other in self.alternatives],
        }

    def __repr__(self) -> str:
        parts = [f"{self.backend}: {self.run_time_s:.3g} s", f"{self.memory_bytes / 2**20:.3g} MiB"]
        if self.queue_time_s is not None:
            parts.append(f"queue {self.queue_time_s:.3g} s")
        if self.expected_fidelity is not None:
            parts.append(f"expected fidelity {self.expected_fidelity:.3g}")
        parts.append(f"cost {self.cost}" if self.cost else "free")
        lines = ["RunEstimate of " + ", ".join(parts)]
        lines += [f"  warning: {text}" for text in self.warnings]
        if self.alternatives:
            lines.append(f"  or: {', '.join(other.backend for other in self.alternatives)}")
        return "\n".join(lines)


def read_evidence(told: Any) -> Evidence:
    times = told.times
    has_time = told.HasField("calibration_time")
    return Evidence(
        backend=told.backend,
        kind=enum_name(backend_pb2.BackendKind, told.kind, "BACKEND_KIND_"),
        version=told.version,
        seed=told.seed,
        shots=told.shots,
        precision=enum_name(circuit_pb2.Precision, told.precision, "PRECISION_"),
        noise_model=told.noise_model,
        noise_digest=told.noise_digest,
        calibration_time=told.calibration_time.ToDatetime(UTC) if has_time else None,
        method=told.method,
        expected_fidelity=optional(told, "expected_fidelity"),
        routing=tuple((step.backend, step.reason) for step in told.routing),
        provider_job=told.provider_job,
        cost=read_money(told.cost) if told.HasField("cost") else None,
        times=RunTimes(
            *(
                seconds(getattr(times, part))
                for part in ("queued", "checking", "compiling", "running", "total")
            )
        ),
        warnings=tuple(told.warnings),
        threads=told.threads,
        spec_digest=told.spec_digest,
        mitigation=tuple(told.mitigation),
    )


def read_run_estimate(told: Any, alternatives: Any = ()) -> RunEstimate:
    return RunEstimate(
        backend=told.backend,
        memory_bytes=told.memory_bytes,
        run_time_s=seconds(told.run_time),
        queue_time_s=seconds(told.queue_time) if told.HasField("queue_time") else None,
        shots=told.shots,
        cost=read_money(told.cost) if told.HasField("cost") else None,
        device_seconds=told.device_seconds,
        resources=tuple(read_resources(one) for one in told.resources),
        expected_fidelity=optional(told, "expected_fidelity"),
        warnings=tuple(told.warnings),
        alternatives=tuple(read_run_estimate(one) for one in alternatives),
    )


def read_resources(told: Any) -> Resources:
    return Resources(
        label=told.label,
        num_qubits=told.num_qubits,
        depth=told.depth,
        operations=dict(sorted(told.operations.items())),
        num_multi_qubit_gates=told.num_multi_qubit_gates,
        num_bits=told.num_bits,
    )


def read_money(told: Any) -> Money:
    return Money(told.asset, told.minor_units)


def optional(message: Any, name: str) -> Any:
    """A field's value; None where it is absent."""
    return getattr(message, name) if message.HasField(name) else None


def enum_name(names: Any, value: int, prefix: str) -> str:
    known = value in names.values()
    return names.Name(value).removeprefix(prefix).lower() if known else str(value)
