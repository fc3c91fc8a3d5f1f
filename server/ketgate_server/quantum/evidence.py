"""Where, how and with what a result came to be."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from ketgate_server.quantum.base import CircuitOutcome, Description, RunOptions
from ketgate_server.quantum.circuit import Circuit
from ketgate_server.quantum.routing import Step
from ketgate_server.quantum.work import Money


@dataclass
class Evidence:
    """Of one run on one back end; filled while it runs."""

    description: Description
    options: RunOptions
    steps: Sequence[Step] = ()
    """Back ends that were tried or passed over before."""
    queued_s: float = 0.0
    compiling_s: float = 0.0
    running_s: float = 0.0
    method: str = ""
    warnings: list[str] = field(default_factory=list)
    mitigation: list[str] = field(default_factory=list)
    estimated_fidelity: float | None = None
    compiled_fidelity: float | None = None
    """Of what really ran, where the back end tells that."""
    uncorrected_s: float = 0.0
    """The back end's own estimate of its run."""
    provider_job: str = ""
    cost: Money | None = None

    def mitigated_by(self, words: Iterable[str]) -> None:
        self.mitigation += [word for word in words if word not in self.mitigation]

    def mitigate_counts(self, circuit: Circuit, outcome: CircuitOutcome) -> None:
        """Correct the counts for what is known of readout. Raises KetgateError where nothing is."""
        from ketgate_server.quantum.mitigation import apply  # SciPy, when it is first needed

        readout = apply.readout_of(self.options, self.description.calibration)
        outcome.mitigated, words = apply.counts(circuit, outcome, readout)
        self.mitigated_by([words])

    @property
    def expected_fidelity(self) -> float | None:
        return self.estimated_fidelity if self.compiled_fidelity is None else self.compiled_fidelity
