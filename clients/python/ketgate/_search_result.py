"""What came of searches, transforms, estimations and factoring."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._algorithm_result import AlgorithmResult
from ketgate._evidence import optional
from ketgate._labels import Labels
from ketgate._tensor import from_tensor


class GroverResult(AlgorithmResult):
    """What came of a search."""

    quantity = "best objective"

    def __init__(self, message: Any, spec: Any, labels: Labels | None = None) -> None:
        super().__init__(message, spec)
        self._labels = labels or Labels(None)
        self.found: bool = message.found
        """Whether a solution was found; checked classically."""
        self.values: NDArray[Any] = from_tensor(message.values)
        """Shape (n,): bit or variable i."""
        self.objective: float | None = optional(message, "objective")
        self.oracle_calls: int = message.oracle_calls
        self.iterations: int = message.iterations
        self.success_probability: float | None = optional(message, "success_probability")
        self.solutions: int | None = optional(message, "solutions")

    @property
    def by_name(self) -> dict[Any, Any]:
        return self._labels.by_name(self.values)

    @property
    def number(self) -> int:
        """The bits as one number; of spins, +1 stands for 0."""
        return sum(1 << i for i, value in enumerate(self.values) if value == self._one)

    @property
    def _one(self) -> int:
        return -1 if self.spec.WhichOneof("target") == "ising" else 1

    def _figures(self) -> dict[str, Any]:
        return {
            "found": self.found,
            "values": self.values.tolist(),
            "objective": self.objective,
            "oracle_calls": self.oracle_calls,
            "iterations": self.iterations,
            "success_probability": self.success_probability,
            "solutions": self.solutions,
        }


class FourierTransformResult(AlgorithmResult):
    """What came of a transform."""

    def __init__(self, message: Any, spec: Any) -> None:
        super().__init__(message, spec)
        self.amplitudes: NDArray[np.complex128] | None = (
            from_tensor(message.amplitudes) if message.HasField("amplitudes") else None
        )
        """Shape (2^n,); of exact simulators."""
        self.counts: dict[int, int] = dict(sorted(message.counts.items()))
        """By number, with shots."""

    def _figures(self) -> dict[str, Any]:
        size = None if self.amplitudes is None else self.amplitudes.size
        return {"amplitudes": size, "counts": self.counts or None}


class PhaseEstimationResult(AlgorithmResult):
    """What came of a phase estimation."""

    def __init__(self, message: Any, spec: Any) -> None:
        super().__init__(message, spec)
        self.phase: float = message.phase
        """In turns: U|psi> = exp(2 pi i phase)|psi>."""
        self.resolution: float = message.resolution
        self.distribution: dict[float, float] = {
            told.phase: told.probability for told in message.distribution
        }
        """Probability, or share of the shots, by phase; the likeliest first."""

    def _figures(self) -> dict[str, Any]:
        return {
            "phase": self.phase,
            "resolution": self.resolution,
            "distribution": self.distribution,
        }


class AmplitudeEstimationResult(AlgorithmResult):
    """What came of an amplitude estimation, or of a value at risk."""

    def __init__(self, message: Any, spec: Any) -> None:
        super().__init__(message, spec)
        self.estimate: float = message.estimate
        """The probability that was asked for; of a value at risk: P(loss <= value_at_risk)."""
        self.interval: tuple[float, float] = (message.lower, message.upper)
        """Confidence interval of the estimate."""
        self.value_at_risk: float | None = optional(message, "value_at_risk")
        self.oracle_calls: int = message.oracle_calls
        """Applications of the Grover operator."""
        self.monte_carlo_samples: int = message.monte_carlo_samples
        """Samples that classical Monte Carlo needs for the same interval."""

    def _figures(self) -> dict[str, Any]:
        return {
            "value_at_risk": self.value_at_risk,
            "estimate": self.estimate,
            "interval": list(self.interval),
            "oracle_calls": self.oracle_calls,
            "monte_carlo_samples": self.monte_carlo_samples,
        }


class FactoringResult(AlgorithmResult):
    """What came of a factoring."""

    def __init__(self, message: Any, spec: Any) -> None:
        super().__init__(message, spec)
        self.factors: tuple[int, ...] = tuple(message.factors)
        """Prime factors with repetition, rising."""
        self.found: bool = message.found
        self.orders: dict[int, int] = dict(sorted(message.orders.items()))
        """Orders that were found, by base."""
        self.shortcut: str = message.shortcut
        """What was found without a quantum circuit."""

    def _figures(self) -> dict[str, Any]:
        return {
            "factors": list(self.factors),
            "found": self.found,
            "orders": self.orders,
            "shortcut": self.shortcut or None,
        }
