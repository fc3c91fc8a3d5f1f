"""What came of quantum algorithms, always with the classical result on the same instance."""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._errors import NoSolution
from ketgate._events import seconds
from ketgate._evidence import Evidence, optional, read_evidence
from ketgate._labels import Labels
from ketgate._tensor import from_tensor


@dataclass(frozen=True)
class Baseline:
    """What a classical method finds on the same instance."""

    method: str
    value: float
    """In the unit of the quantum result's own value."""
    proven: bool
    """Whether that is proven to be the best there is, or exact to rounding."""
    time_s: float

    def __str__(self) -> str:
        return f"{self.method} {self.value:.9g}{' (proven)' if self.proven else ''} in {self.time_s:.3g} s"


@dataclass(frozen=True)
class ConvergencePoint:
    """One step of an optimizer."""

    evaluations: int
    value: float
    elapsed_s: float


@dataclass(frozen=True)
class AlgorithmResources:
    """What an algorithm needed."""

    num_qubits: int
    depth: int
    """Of its largest circuit."""
    num_multi_qubit_gates: int
    circuits: int
    """Run or simulated."""
    shots: int
    """In all."""
    openqasm: str
    """The largest circuit."""

    def __str__(self) -> str:
        shots = f", {self.shots} shots" if self.shots else ""
        return f"{self.num_qubits} qubits, depth {self.depth}, {self.circuits} circuits{shots}"


@dataclass(frozen=True)
class Sample:
    """A sample of an optimization."""

    values: NDArray[np.int8]
    """Binaries 0 and 1, or spins -1 and +1, shape (n,)."""
    objective: float
    """Computed classically from the caller's numbers."""
    count: int
    """How often it was drawn."""


def read_baseline(told: Any) -> Baseline:
    """Of a quantum.v1.ClassicalBaseline."""
    return Baseline(told.method, told.value, told.proven, seconds(told.time))


def read_resources(told: Any) -> AlgorithmResources:
    """Of a quantum.v1.AlgorithmResources."""
    return AlgorithmResources(
        told.num_qubits,
        told.depth,
        told.num_multi_qubit_gates,
        told.circuits,
        told.shots,
        told.openqasm,
    )


class AlgorithmResult:
    """What all results of algorithms have. message: as the server sent it. spec: what was asked."""

    quantity = "value"

    def __init__(self, message: Any, spec: Any) -> None:
        self.message = message
        self.spec = spec
        self.evidence: Evidence = read_evidence(message.evidence)

    @cached_property
    def resources(self) -> AlgorithmResources:
        return read_resources(self.message.resources)

    @cached_property
    def baseline(self) -> Baseline | None:
        """The classical result on the same instance."""
        if "baseline" not in self.message.DESCRIPTOR.fields_by_name:
            return None
        if not self.message.HasField("baseline"):
            return None
        return read_baseline(self.message.baseline)

    @cached_property
    def convergence(self) -> list[ConvergencePoint]:
        """The optimizer's way, step by step."""
        return [
            ConvergencePoint(step.evaluations, step.value, step.elapsed_s)
            for step in getattr(self.message, "convergence", ())
        ]

    def plot(self, path: Any = None) -> Any:
        """Draw the optimizer's way with matplotlib; write it to path, if given. Returns the
        Figure.
        """
        from ketgate import _quantum_plot

        baseline = self.baseline
        return _quantum_plot.convergence(
            self.convergence,
            title=f"{type(self).__name__.removesuffix('Result')} on {self.evidence.backend}",
            ylabel=self.quantity,
            level=baseline.value if baseline else None,
            level_name=baseline.method if baseline else "",
            path=path,
        )

    def to_dict(self) -> dict[str, Any]:
        """In plain types, as `ketgate algorithm --json` prints it."""
        return self._figures() | {
            "baseline": None if self.baseline is None else asdict(self.baseline),
            "convergence": [asdict(step) for step in self.convergence],
            "resources": asdict(self.resources),
            "evidence": self.evidence.to_dict(),
        }

    def _figures(self) -> dict[str, Any]:
        """What a subclass has found, in plain types."""
        return {}

    def _headline(self) -> str:
        return ", ".join(
            f"{name} {_short(value)}"
            for name, value in self._figures().items()
            if value is not None
        )

    def __repr__(self) -> str:
        lines = [f"{type(self).__name__}: {self._headline()}"]
        if self.baseline is not None:
            lines.append(f"  classical: {self.baseline}")
        lines += [f"  {self.resources}", f"  {self.evidence}"]
        return "\n".join(lines + self.evidence.lines())


class QaoaResult(AlgorithmResult):
    """What came of a QAOA; `values` are those of the best sample."""

    quantity = "expectation"

    def __init__(self, message: Any, spec: Any, labels: Labels | None = None) -> None:
        super().__init__(message, spec)
        self._labels = labels or Labels(None)
        self.expectation: float = message.expectation
        self.standard_error: float = message.standard_error
        self.angles: NDArray[np.float64] = from_tensor(message.angles)
        """Shape (2, layers): gammas, then betas."""
        self.approximation_ratio: float | None = optional(message, "approximation_ratio")
        """(worst - expectation) / (worst - best); None where they are not known."""
        self.ground_state_probability: float | None = optional(message, "ground_state_probability")
        self.method: str = message.method
        """How expectations were computed."""
        self.samples = [
            Sample(from_tensor(told.values), told.objective, told.count) for told in message.samples
        ]
        """Best first."""

    @property
    def best(self) -> Sample:
        """Raises NoSolution where none was drawn."""
        if not self.samples:
            raise NoSolution("no sample was drawn")
        return self.samples[0]

    @property
    def objective(self) -> float:
        """Of the best sample."""
        return self.best.objective

    @property
    def values(self) -> Any:
        """Of the best sample; a Series where pandas came in."""
        return self._labels.dress(self.best.values, "value")

    @property
    def by_name(self) -> dict[Any, Any]:
        """Values of the best sample by name, or by position where there are no names."""
        return self._labels.by_name(self.best.values)

    def to_pandas(self) -> Any:
        """A DataFrame of the samples: the values, objective and count of each."""
        import pandas

        names = self._labels.keys or range(len(self.best.values))
        frame = pandas.DataFrame([s.values for s in self.samples], columns=list(names))
        frame["objective"] = [s.objective for s in self.samples]
        frame["count"] = [s.count for s in self.samples]
        return frame

    def _figures(self) -> dict[str, Any]:
        return {
            "objective": self.samples[0].objective if self.samples else None,
            "expectation": self.expectation,
            "standard_error": self.standard_error or None,
            "approximation_ratio": self.approximation_ratio,
            "ground_state_probability": self.ground_state_probability,
            "method": self.method,
            "values": self.samples[0].values.tolist() if self.samples else None,
            "angles": self.angles.tolist(),
        }


class VqeResult(AlgorithmResult):
    """What came of a VQE."""

    quantity = "energy"

    def __init__(self, message: Any, spec: Any) -> None:
        super().__init__(message, spec)
        self.energy: float = message.energy
        self.standard_error: float = message.standard_error
        self.array: NDArray[np.float64] = from_tensor(message.parameters)
        """The parameters, shape (m,)."""
        self.parameters: dict[str, float] = dict(
            zip(message.parameter_names, map(float, self.array), strict=False)
        )
        """By name."""

    def _figures(self) -> dict[str, Any]:
        return {
            "energy": self.energy,
            "standard_error": self.standard_error or None,
            "parameters": self.parameters,
        }


def _short(value: Any) -> str:
    if isinstance(value, float):
        return f"{value:.9g}"
    text = str(value)
    return text if len(text) <= 60 else text[:60] + "…"
