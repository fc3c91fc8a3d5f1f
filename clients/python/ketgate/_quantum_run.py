"""What a quantum solver did, and what a classical method found on the same instance."""

from dataclasses import dataclass, field
from typing import Any

from ketgate._events import seconds

_KINDS = {0: "unknown", 1: "simulator", 2: "emulator", 3: "qpu"}


@dataclass(frozen=True)
class QuantumRun:
    """How a quantum solver came to its solutions."""

    backend: str
    """That really ran."""
    kind: str
    """ "simulator", "emulator" or "qpu"."""
    version: str
    num_qubits: int
    depth: int
    num_multi_qubit_gates: int
    circuits: int
    shots: int
    """In all."""
    layers: int
    method: str
    """How expectations were computed, for example "state-vector" or "circuits"."""
    expectation: float | None
    approximation_ratio: float | None
    """(worst - expectation) / (worst - best) over all assignments; None where those are unknown."""
    ground_state_probability: float | None
    """To draw a best assignment; None where it is unknown."""
    noise_model: str
    baseline_method: str
    """The classical method on the same instance."""
    baseline_value: float
    baseline_proven: bool
    """Whether its value is the best there is."""
    baseline_time_s: float
    encoding: str
    """How the problem became one of qubits, where it was not one of spins or binaries."""
    message: Any = field(repr=False, compare=False, default=None)
    """The whole, as it came: evidence, resources with the circuit, baseline."""

    def __str__(self) -> str:
        parts = [f"{self.num_qubits} qubits", f"depth {self.depth}"]
        if self.layers:
            parts.append(f"{self.layers} layers")
        parts.append(f"{self.circuits} circuits, {self.shots} shots")
        if self.approximation_ratio is not None:
            parts.append(f"approximation ratio {self.approximation_ratio:.4f}")
        proven = "proven" if self.baseline_proven else "best known"
        return (
            f"on {self.backend} ({self.kind}, {self.noise_model}): {', '.join(parts)}; classical: "
            f"{self.baseline_value:.9g} {proven} by {self.baseline_method} in "
            f"{self.baseline_time_s:.3g} s"
        )


def read_quantum_run(message: Any) -> QuantumRun:
    """Of an optimization.v1.QuantumRun."""
    evidence, needed, baseline = message.evidence, message.resources, message.baseline

    def given(name: str) -> float | None:
        return getattr(message, name) if message.HasField(name) else None

    return QuantumRun(
        backend=evidence.backend,
        kind=_KINDS.get(evidence.kind, "unknown"),
        version=evidence.version,
        num_qubits=needed.num_qubits,
        depth=needed.depth,
        num_multi_qubit_gates=needed.num_multi_qubit_gates,
        circuits=needed.circuits,
        shots=needed.shots,
        layers=message.layers,
        method=message.method,
        expectation=given("expectation"),
        approximation_ratio=given("approximation_ratio"),
        ground_state_probability=given("ground_state_probability"),
        noise_model=evidence.noise_model,
        baseline_method=baseline.method,
        baseline_value=baseline.value,
        baseline_proven=baseline.proven,
        baseline_time_s=seconds(baseline.time),
        encoding=message.encoding,
        message=message,
    )
