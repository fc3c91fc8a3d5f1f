"""Back ends: what they are, what they can, how good they are and what they cost."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from typing import Any

from ketgate._evidence import Money, enum_name, optional, read_money
from ketgate.quantum.v1 import backend_pb2


@dataclass(frozen=True)
class QubitCalibration:
    """What was measured of a qubit; None: not told."""

    qubit: int
    t1_us: float | None
    t2_us: float | None
    p1_given_0: float | None
    """Probability to read 1 where the state is 0."""
    p0_given_1: float | None
    readout_ns: float | None
    label: str
    """Its name at the provider."""


@dataclass(frozen=True)
class GateCalibration:
    """What was measured of a gate."""

    gate: str
    qubits: tuple[int, ...]
    error: float | None
    """Average error per gate."""
    duration_ns: float | None


@dataclass(frozen=True)
class Calibration:
    """What was measured of a device."""

    time: datetime | None
    qubits: tuple[QubitCalibration, ...]
    gates: tuple[GateCalibration, ...]
    digest: str
    """SHA-256 of its canonical form: what results of noise name."""

    def to_pandas(self) -> Any:
        """A DataFrame by qubit."""
        import pandas

        return pandas.DataFrame([asdict(qubit) for qubit in self.qubits]).set_index("qubit")

    def __repr__(self) -> str:
        return f"Calibration of {self.time}: {len(self.qubits)} qubits, {len(self.gates)} gates"


@dataclass(frozen=True)
class Price:
    """What a provider charges; None: nothing for that."""

    per_task: Money | None
    per_million_shots: Money | None
    per_minute: Money | None
    source: str
    """Where the figures come from, and as of when."""

    def __str__(self) -> str:
        told = {
            "task": self.per_task,
            "1,000,000 shots": self.per_million_shots,
            "minute": self.per_minute,
        }
        parts = [f"{money} for each {what}" for what, money in told.items() if money]
        return ", ".join(parts) or "free"


@dataclass(frozen=True)
class BackendDescription:
    """A back end, as the server tells it."""

    name: str
    description: str
    kind: str
    """ "simulator", "emulator" or "qpu"."""
    provider: str
    """ "ketgate" for what runs in the server, "ibm", "aws", "google"."""
    status: str
    """ "online", "paused", "offline", "unavailable", "broken" or "unspecified"."""
    status_message: str
    """What is wrong and what to do, where it is not online."""
    status_time: datetime | None
    retry_time: datetime | None
    version: str
    num_qubits: int
    coupling: tuple[tuple[int, int], ...]
    """Pairs of qubits that a gate of two can act on; empty: all. Only of backend(name)."""
    basis_gates: tuple[str, ...]
    """Gates that it does itself; empty: every gate of the standard library."""
    capabilities: Mapping[str, bool]
    """exact, state_vector, noise, mid_circuit_measurement, reset, classical_control,
    single_precision, seeded, cancel.
    """
    calibration: Calibration | None
    """Of emulators and QPUs. Only of backend(name)."""
    queue_depth: int | None
    price: Price | None
    """None: free."""
    region: str
    shots_max: int
    """0: only the server's limit."""
    circuits_max: int

    @property
    def online(self) -> bool:
        return self.status == "online"

    def to_dict(self) -> dict[str, Any]:
        """In plain types, as `ketgate backends --json` prints it."""
        document = asdict(self)
        for name in ("status_time", "retry_time"):
            document[name] = document[name] and document[name].isoformat()
        if self.calibration is not None:
            time = self.calibration.time
            document["calibration"]["time"] = None if time is None else time.isoformat()
        return document

    def __repr__(self) -> str:
        can = ", ".join(name.replace("_", " ") for name, able in self.capabilities.items() if able)
        lines = [
            f"{self.name} ({self.kind}, {self.status}): {self.num_qubits} qubits; {self.description}",
            f"  can: {can or 'run circuits'}",
        ]
        if self.price is not None:
            lines.append(f"  price: {self.price}")
        if self.queue_depth is not None:
            lines.append(f"  waiting there: {self.queue_depth} jobs")
        if self.calibration is not None:
            lines.append(f"  {self.calibration!r}")
        return "\n".join(lines + [f"  {text}" for text in (self.status_message,) if text])


def read_backend(told: backend_pb2.Backend) -> BackendDescription:
    pairs = list(told.coupling)
    return BackendDescription(
        name=told.name,
        description=told.description,
        kind=enum_name(backend_pb2.BackendKind, told.kind, "BACKEND_KIND_"),
        provider=told.provider,
        status=enum_name(backend_pb2.BackendStatus, told.status, "BACKEND_STATUS_"),
        status_message=told.status_message,
        status_time=_time(told, "status_time"),
        retry_time=_time(told, "retry_time"),
        version=told.version,
        num_qubits=told.num_qubits,
        coupling=tuple(zip(pairs[::2], pairs[1::2], strict=False)),
        basis_gates=tuple(told.basis_gates),
        capabilities={
            field.name: getattr(told.capabilities, field.name)
            for field in told.capabilities.DESCRIPTOR.fields
        },
        calibration=_calibration(told.calibration) if told.HasField("calibration") else None,
        queue_depth=optional(told, "queue_depth"),
        price=_price(told.price) if told.HasField("price") else None,
        region=told.region,
        shots_max=told.shots_max,
        circuits_max=told.circuits_max,
    )


def _calibration(told: backend_pb2.Calibration) -> Calibration:
    measured = ("t1_us", "t2_us", "p1_given_0", "p0_given_1", "readout_ns")
    return Calibration(
        time=_time(told, "time"),
        qubits=tuple(
            QubitCalibration(
                qubit=one.qubit, label=one.label, **{name: optional(one, name) for name in measured}
            )
            for one in told.qubits
        ),
        gates=tuple(
            GateCalibration(
                one.gate, tuple(one.qubits), optional(one, "error"), optional(one, "duration_ns")
            )
            for one in told.gates
        ),
        digest=told.digest,
    )


def _price(told: backend_pb2.Price) -> Price:
    parts = {
        name: read_money(getattr(told, name)) if told.HasField(name) else None
        for name in ("per_task", "per_million_shots", "per_minute")
    }
    return Price(source=told.source, **parts)


def _time(told: Any, field: str) -> datetime | None:
    when: datetime | None = getattr(told, field).ToDatetime(UTC) if told.HasField(field) else None
    return when
