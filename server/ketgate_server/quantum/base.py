"""What a back end is, and what passes between it and the gateway.

service -> Gateway (limits, caps, routing, slots) -> Backend (this server or a worker process of it)
                                                  -> Provider (submit, poll, fetch: durable jobs)
Nothing here imports a framework: adapters import theirs when they first run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.quantum.circuit import NOWHERE, Circuit, Place
from ketgate_server.quantum.noise import NoiseModel
from ketgate_server.quantum.observable import PauliSum


class BackendKind(StrEnum):
    SIMULATOR = "simulator"
    EMULATOR = "emulator"
    QPU = "qpu"


class BackendStatus(StrEnum):
    ONLINE = "online"
    PAUSED = "paused"
    OFFLINE = "offline"
    UNAVAILABLE = "unavailable"
    BROKEN = "broken"


class Precision(StrEnum):
    DOUBLE = "double"
    SINGLE = "single"


class NoiseMethod(StrEnum):
    AUTO = "auto"
    DENSITY_MATRIX = "density-matrix"
    TRAJECTORIES = "trajectories"


class Unsuitable(KetgateError):  # noqa: N818 - a property of the pair
    """The back end cannot do it. what: the gate or feature; why and what to do in words."""

    def __init__(self, backend: str, what: str, why: str, place: Place = NOWHERE) -> None:
        where = f" at line {place.line}, column {place.column}" if place.line else ""
        super().__init__(
            Reason.BACKEND_UNSUITABLE,
            f"the back end {backend!r} cannot do {what}{where}: {why}",
            metadata={"backend": backend, "what": what}
            | ({"line": str(place.line), "column": str(place.column)} if place.line else {}),
        )


@dataclass(frozen=True)
class Capabilities:
    """As the contract's message of that name."""

    exact: bool = False
    state_vector: bool = False
    noise: bool = False
    mid_circuit_measurement: bool = False
    reset: bool = False
    classical_control: bool = False
    single_precision: bool = False
    seeded: bool = True
    cancel: bool = False


@dataclass(frozen=True)
class QubitCalibration:
    qubit: int
    t1_us: float | None = None
    t2_us: float | None = None
    p1_given_0: float | None = None
    p0_given_1: float | None = None
    readout_ns: float | None = None
    label: str = ""


@dataclass(frozen=True)
class GateCalibration:
    gate: str
    qubits: tuple[int, ...]
    error: float | None = None
    duration_ns: float | None = None


@dataclass(frozen=True)
class Calibration:
    """What was measured of a device."""

    time_us: int
    """Microseconds since 1970."""
    qubits: tuple[QubitCalibration, ...] = ()
    gates: tuple[GateCalibration, ...] = ()
    digest: str = ""


@dataclass(frozen=True)
class Price:
    """In minor units (cents) of currency."""

    currency: str = "USD"
    per_task: int = 0
    per_million_shots: int = 0
    per_minute: int = 0
    source: str = ""


@dataclass(frozen=True)
class Description:
    """What a back end tells of itself. Learning it imports nothing heavy and asks no provider."""

    name: str
    description: str
    kind: BackendKind
    provider: str = "ketgate"
    status: BackendStatus = BackendStatus.ONLINE
    status_message: str = ""
    status_time_us: int | None = None
    version: str = ""
    num_qubits: int = 0
    coupling: tuple[tuple[int, int], ...] = ()
    """Empty: all pairs."""
    basis_gates: tuple[str, ...] = ()
    """Empty: every gate of gates.GATES."""
    capabilities: Capabilities = Capabilities()
    calibration: Calibration | None = None
    queue_depth: int | None = None
    price: Price | None = None
    region: str = "local"
    shots_max: int = 0
    circuits_max: int = 0
    part: str = "native"
    """Name in parts.PARTS."""


@dataclass(frozen=True)
class RunOptions:
    """How to run."""

    shots: int
    """0: exact."""
    seed: int
    precision: Precision = Precision.DOUBLE
    threads: int = 1
    noise: NoiseModel | None = None
    noise_method: NoiseMethod = NoiseMethod.AUTO
    trajectories: int = 0
    memory: bool = False
    state_vector: bool = False
    optimization_level: int = 1


@dataclass
class CircuitOutcome:
    """What came of one circuit."""

    counts: Mapping[int, int] = field(default_factory=dict)
    """By outcome: bit i of the number is classical bit i. With shots."""
    probabilities: Mapping[int, float] = field(default_factory=dict)
    """Above 1e-12, without shots."""
    memory: NDArray[np.uint8] | None = None
    """(shots, num_bits), where asked for."""
    state_vector: NDArray[Any] | None = None
    """(2^n,), before the final measurements, where asked for."""
    compiled: Circuit | None = None
    """What really ran, where it was compiled to other gates; the source of the resources told."""
    compiling_s: float = 0.0
    running_s: float = 0.0
    method: str = ""
    """"density-matrix", "trajectories" or "master-equation" where noise was simulated."""
    warnings: Sequence[str] = ()
    mitigated: Mapping[int, float] = field(default_factory=dict)
    """Quasi-probabilities, filled by the gateway where mitigation was asked for."""


@dataclass
class ExpectationOutcome:
    """Expectations of some observables on one circuit."""

    values: NDArray[np.float64]
    """(number of observables,)."""
    standard_errors: NDArray[np.float64]
    """As values; 0: exact to rounding."""
    groups: int = 0
    """Measured groups, with shots."""
    gradients: NDArray[np.float64] | None = None
    """(number of observables, number of parameters), where asked for."""
    compiling_s: float = 0.0
    running_s: float = 0.0
    method: str = ""
    warnings: Sequence[str] = ()
    compiled: Circuit | None = None
    raw_values: NDArray[np.float64] | None = None
    """Before mitigation, filled by the gateway where there was any."""


class Task(Protocol):
    """What a run sees of its caller."""

    @property
    def stopped(self) -> bool:
        """Whether the caller went away or the time is over: raise Stopped soon."""

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Run callback once when stopped, at once if it was; from any thread."""

    def remaining_s(self) -> float: ...


class Stopped(Exception):  # noqa: N818 - an answer to Task.stopped
    """The run was stopped before it had a result."""


@dataclass(frozen=True)
class Need:
    """What a run would take of this server."""

    memory_bytes: int
    run_s: float


class Backend(Protocol):
    """A back end that runs here. One object serves all calls, from many threads."""

    name: str
    isolated: bool
    """Whether it computes in Python, or cannot share this environment: it then runs in a worker
    process, where its module is imported; describe, check and need are called in the server."""

    def describe(self) -> Description: ...

    def check(self, circuit: Circuit, options: RunOptions) -> None:
        """Raises Unsuitable, naming gate, line and column. The circuit may be unbound."""

    def need(self, circuit: Circuit, options: RunOptions) -> Need: ...

    def run(
        self, circuits: Sequence[Circuit], options: RunOptions, task: Task
    ) -> Sequence[CircuitOutcome]:
        """Run bound circuits. Same seed, same result, where `seeded`. Raises Stopped."""

    def expectations(
        self,
        circuit: Circuit,
        observables: Sequence[PauliSum],
        options: RunOptions,
        task: Task,
        *,
        parameters: Mapping[str, float] | None = None,
        gradients: bool = False,
    ) -> ExpectationOutcome:
        """Expectations on a circuit, whose final measurements are left out. With gradients the
        circuit is unbound and parameters holds its values; only where describe().capabilities.exact
        and shots = 0. Raises Stopped, Unsuitable."""


class ProviderJobStatus(StrEnum):
    QUEUED = "queued"
    RUNNING = "running"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(frozen=True)
class ProviderState:
    """Where a job stands at its provider."""

    status: ProviderJobStatus
    queue_position: int | None = None
    message: str = ""
    """Of a failure, as the provider tells it, without secrets."""
    poll_after_s: float | None = None
    """When to ask again, where the provider says so."""


@dataclass
class ProviderResult:
    """What a provider's job brought."""

    outcomes: Sequence[CircuitOutcome]
    cost_minor_units: int | None = None
    device_s: float | None = None
    queued_s: float | None = None


class Provider(Protocol):
    """A cloud. Credentials come from the server's configuration or the provider's own chain.

    Methods raise providers.errors (faults: throttled, credentials, unreachable, undecided).
    """

    name: str
    isolated: bool

    def backends(self) -> Sequence[Description]:
        """Asks the provider; the gateway caches it."""

    def check(self, backend: str, circuit: Circuit, options: RunOptions) -> None:
        """As Backend.check, from what backends() told last."""

    def submit(
        self, backend: str, circuits: Sequence[Circuit], options: RunOptions, tag: str
    ) -> str:
        """Submit under a tag that is unique for ever, as the provider's idempotency token where it
        has one; the provider's id of the job. Raises Undecided where the answer was lost."""

    def find(self, backend: str, tag: str) -> str | None:
        """The id of what was submitted under the tag, if anything was. Raises Undecided where the
        provider cannot tell."""

    def poll(self, backend: str, provider_job: str) -> ProviderState: ...

    def fetch(
        self, backend: str, provider_job: str, circuits: Sequence[Circuit], options: RunOptions
    ) -> ProviderResult: ...

    def cancel(self, backend: str, provider_job: str) -> None: ...
