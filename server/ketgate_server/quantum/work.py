"""What is asked of the gateway: circuits, how to run them, and which back ends may."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ketgate_server.cached import cached_property
from ketgate_server.quantum.base import RunOptions
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.observable import PauliSum, qubit_wise_groups


class Policy(StrEnum):
    """What matters most when the gateway chooses."""

    LATENCY = "latency"
    FIDELITY = "fidelity"
    QUEUE = "queue"
    PRICE = "price"


@dataclass(frozen=True)
class Choice:
    """Which back end, or how to choose one."""

    backend: str = ""
    policy: Policy = Policy.LATENCY
    fail_over: bool = False
    allowed: tuple[str, ...] = ()
    """Names, or prefixes that end with "/" or "*"."""
    regions: tuple[str, ...] = ()
    path: str = field(default="spec.backend", compare=False)
    """Where it stands in the request, for refusals."""

    @property
    def noise_path(self) -> str:
        """Where the noise stands, which is beside it."""
        return self.path.removesuffix("backend") + "noise"

    def names(self, name: str) -> bool:
        """Whether a back end is named, as the one or as allowed; or a provider, by one of its back
        ends."""
        if name == self.backend or any(matches(one, name) for one in self.allowed):
            return True
        return any(one.startswith(f"{name}/") for one in (self.backend, *self.allowed))


def matches(pattern: str, name: str) -> bool:
    """Whether a name is the pattern, or begins with it where it ends with "/" or "*"."""
    if pattern.endswith("*"):
        return name.startswith(pattern[:-1])
    return name == pattern or (pattern.endswith("/") and name.startswith(pattern))


@dataclass(frozen=True)
class Money:
    """minor_units of an asset: cents of "USD"."""

    asset: str
    minor_units: int


@dataclass(frozen=True)
class Caps:
    """How much a request may cost; 0 and None: no cap but the server's."""

    cost_max: Money | None = None
    shots_max: int = 0
    device_seconds_max: float = 0.0


@dataclass(frozen=True)
class Mitigation:
    """Error mitigation that was asked for."""

    readout: bool = False
    noise_factors: tuple[float, ...] = ()
    extrapolation: str = "linear"


@dataclass(frozen=True)
class Work:
    """Circuits to run, or on which to estimate observables."""

    circuits: tuple[Circuit, ...]
    """As they were read: unbound."""
    parameters: tuple[Mapping[str, float], ...]
    """Values for each circuit; none are missing."""
    bound: tuple[Circuit, ...]
    options: RunOptions
    """Threads are 0 where the gateway is to choose."""
    choice: Choice = Choice()
    caps: Caps = Caps()
    observables: tuple[PauliSum, ...] = ()
    """Empty: a run."""
    gradients: bool = False
    mitigation: Mitigation | None = None
    time_limit_s: float = 3600.0
    device: str = ""
    """The emulator whose noise is to be added."""
    calibration: bytes = b""
    """A calibration file: an emulator that the work brings."""
    calibration_path: str = ""

    @cached_property
    def groups(self) -> int:
        """Groups of commuting terms that are measured; 0: nothing is sampled."""
        if not self.observables or not self.options.shots:
            return 0
        return len(qubit_wise_groups(self.observables))

    @cached_property
    def executions(self) -> int:
        """Circuits that a device would run."""
        factors = len(self.mitigation.noise_factors) if self.mitigation else 0
        return len(self.circuits) * (self.groups or 1) * (factors or 1)

    @property
    def shots_total(self) -> int:
        return self.options.shots * self.executions

    @property
    def num_active_qubits(self) -> int:
        """That something acts on, of the circuit with the most of them."""
        return max(len(circuit.active_qubits) for circuit in self.circuits)

    @property
    def num_qubits(self) -> int:
        """Of the largest circuit."""
        return max(circuit.num_qubits for circuit in self.circuits)


THREADED_QUBITS_MIN = 14
"""Below, a state vector is too small to be shared between threads."""


def threads_for(num_qubits: int, threads_max: int) -> int:
    """Threads where nobody asked for a number."""
    return 1 if num_qubits < THREADED_QUBITS_MIN else threads_max


@dataclass(frozen=True)
class Caller:
    """The part of a call, or of a job, that a run needs."""

    tenant: str = ""
    arrival_s: float = 0.0
    """time.monotonic()."""
    deadline_s: float = float("inf")
    """As arrival_s."""
    is_cancelled: Callable[[], bool] = field(default=lambda: False)
    on_cancel: Callable[[Callable[[], None]], None] = field(default=lambda _: None)
    patient: bool = False
    """Whether nobody waits at the other end: a job. It is not refused when many wait, and the time
    until its slot comes free does not count against its limit."""
