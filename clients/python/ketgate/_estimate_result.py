"""What came of estimations: expectations, their errors and derivatives."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._errors import KetgateError
from ketgate._evidence import Evidence, optional, read_evidence
from ketgate.quantum.v1 import quantum_service_pb2 as pb

SHOWN_MAX = 16
"""Expectations that a text shows."""


class Expectation:
    """An expectation. message: as the server sent it. names: the circuit's own, of parameters that
    the program calls otherwise.
    """

    def __init__(self, message: pb.Expectation, names: Mapping[str, str] | None = None) -> None:
        names = names or {}
        self.message = message
        self.circuit: int = message.circuit
        self.observable: int = message.observable
        self.value: float = message.value
        self.standard_error: float = message.standard_error
        """0: exact to rounding."""
        self.groups: int = message.groups
        """Groups of commuting terms that were measured together; 0: none was measured."""
        self.raw_value: float | None = optional(message, "raw_value")
        """Before mitigation."""
        self.gradient: dict[str, float] = {
            names.get(name, name): slope for name, slope in sorted(message.gradient.items())
        }
        """Derivatives by the circuit's parameters."""

    def __repr__(self) -> str:
        error = f" +- {self.standard_error:.2g}" if self.standard_error else ""
        return f"Expectation({self.value:.9g}{error})"


class EstimateResult:
    """Expectations: of every circuit, every observable.

    Of a single circuit and observable, `value` and the like are its own. names: for each circuit, the
    names in the program to its own.
    """

    def __init__(
        self,
        message: pb.EstimateObservablesResult,
        spec: pb.EstimateObservablesSpec,
        names: Sequence[Mapping[str, str]] = (),
    ) -> None:
        self.message = message
        self.spec = spec
        self.expectations = [
            Expectation(told, names[told.circuit] if names else None)
            for told in message.expectations
        ]
        """By circuit, then by observable."""
        self.evidence: Evidence = read_evidence(message.evidence)

    @cached_property
    def values(self) -> NDArray[np.float64]:
        """Shape (circuits, observables)."""
        return self._table("value")

    @cached_property
    def standard_errors(self) -> NDArray[np.float64]:
        """One standard error of each value, shape (circuits, observables); 0: exact to rounding."""
        return self._table("standard_error")

    @property
    def value(self) -> float:
        return self._only.value

    @property
    def standard_error(self) -> float:
        return self._only.standard_error

    @property
    def gradient(self) -> dict[str, float]:
        """Derivatives by the circuit's parameters, with gradients=True."""
        return self._only.gradient

    def to_pandas(self) -> Any:
        """A DataFrame by circuit and observable; a column for each derivative."""
        import pandas

        rows = [
            {"circuit": e.circuit, "observable": e.observable, "value": e.value}
            | {"standard_error": e.standard_error}
            | {f"d/d {name}": slope for name, slope in e.gradient.items()}
            for e in self.expectations
        ]
        return pandas.DataFrame(rows).set_index(["circuit", "observable"])

    def to_dict(self) -> dict[str, Any]:
        """In plain types, as `ketgate circuit estimate --json` prints it."""
        names = ("circuit", "observable", "value", "standard_error", "groups", "raw_value")
        return {
            "expectations": [
                {name: getattr(e, name) for name in names} | {"gradient": e.gradient}
                for e in self.expectations
            ],
            "evidence": self.evidence.to_dict(),
        }

    @property
    def _only(self) -> Expectation:
        if len(self.expectations) != 1:
            raise KetgateError(
                f"there are {len(self.expectations)} expectations in this result",
                remedy="Ask result.values[circuit, observable], or result.expectations.",
            )
        return self.expectations[0]

    def _table(self, name: str) -> NDArray[np.float64]:
        shape = (len(self.spec.circuits), len(self.spec.observables))
        return np.array([getattr(e, name) for e in self.expectations]).reshape(shape)

    def __repr__(self) -> str:
        lines = [f"EstimateResult by {self.evidence}"]
        several = len(self.expectations) > 1
        for e in self.expectations[:SHOWN_MAX]:
            where = f"circuit {e.circuit}, observable {e.observable}: " if several else ""
            lines.append(f"  {where}{e!r}" + (f", gradient {e.gradient}" if e.gradient else ""))
        if len(self.expectations) > SHOWN_MAX:
            lines.append(f"  and {len(self.expectations) - SHOWN_MAX} more")
        return "\n".join(lines + self.evidence.lines())
