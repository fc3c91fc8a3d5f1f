"""What a quantum solver did, and what a classical method found on the same instance."""

from dataclasses import asdict, dataclass
from typing import Any

from ketgate._algorithm_result import (
    AlgorithmResources,
    Baseline,
    read_baseline,
    read_resources,
)
from ketgate._evidence import Evidence, optional, read_evidence


@dataclass(frozen=True)
class QuantumRun:
    """How a quantum solver came to its solutions."""

    evidence: Evidence
    """Where and how it ran."""
    resources: AlgorithmResources
    baseline: Baseline
    """The classical result on the same instance, in the unit of the objective."""
    layers: int
    """Of its circuit, where it has such."""
    method: str
    """How expectations were computed, for example "state-vector" or "circuits"."""
    expectation: float | None
    approximation_ratio: float | None
    """(worst - expectation) / (worst - best) over all assignments; None where those are unknown."""
    ground_state_probability: float | None
    """To draw a best assignment; None where it is unknown."""
    encoding: str
    """How the problem became one of qubits, where it was not one of spins or binaries."""

    def to_dict(self) -> dict[str, Any]:
        """In plain types."""
        return {
            "evidence": self.evidence.to_dict(),
            "resources": asdict(self.resources),
            "baseline": asdict(self.baseline),
            "layers": self.layers,
            "method": self.method,
            "expectation": self.expectation,
            "approximation_ratio": self.approximation_ratio,
            "ground_state_probability": self.ground_state_probability,
            "encoding": self.encoding,
        }

    def __str__(self) -> str:
        parts = [str(self.evidence), str(self.resources)]
        if self.layers:
            parts.append(f"{self.layers} layers")
        if self.approximation_ratio is not None:
            parts.append(f"approximation ratio {self.approximation_ratio:.4f}")
        return f"on {', '.join(parts)}; classical: {self.baseline}"


def read_quantum_run(message: Any) -> QuantumRun:
    """Of an optimization.v1.QuantumRun."""
    return QuantumRun(
        evidence=read_evidence(message.evidence),
        resources=read_resources(message.resources),
        baseline=read_baseline(message.baseline),
        layers=message.layers,
        method=message.method,
        expectation=optional(message, "expectation"),
        approximation_ratio=optional(message, "approximation_ratio"),
        ground_state_probability=optional(message, "ground_state_probability"),
        encoding=message.encoding,
    )
