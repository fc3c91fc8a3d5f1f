"""What came of runs: counts, probabilities and amplitudes, in NumPy, pandas, or a framework's own
types.
"""

from collections.abc import Iterator
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ketgate._errors import FailedPrecondition, KetgateError
from ketgate._evidence import Evidence, Resources, read_evidence, read_resources
from ketgate._tensor import from_tensor
from ketgate.quantum.v1 import quantum_service_pb2 as pb

SHOWN_MAX = 8
"""Outcomes that a text shows."""


class CircuitResult:
    """What came of one circuit. message: as the server sent it.

    Keys of counts and probabilities hold the bits of all classical registers, in the order of their
    declaration, separated by a space; within a register the highest bit comes first.
    """

    def __init__(self, message: pb.CircuitResult) -> None:
        self.message = message
        self.label: str = message.label
        self.index: int = message.index
        """Its place in the request."""
        self.registers: dict[str, int] = {one.name: one.size for one in message.registers}
        """Sizes of the classical registers."""
        self.standard_error_max: float = message.standard_error_max
        """Each probability's standard error is at most this."""

    @cached_property
    def counts(self) -> dict[str, int]:
        """How often each outcome was read, the most frequent first; empty without shots."""
        return _sorted(self.message.counts)

    @cached_property
    def probabilities(self) -> dict[str, float]:
        """Without shots: exact, above 1e-12. With shots: shares of them, or with mitigation of
        readout the corrected quasi-probabilities. The greatest first.
        """
        told = self.message
        if told.probabilities or told.mitigated:
            return _sorted(told.probabilities or told.mitigated)
        shots = sum(self.counts.values())
        return {key: count / shots for key, count in self.counts.items()}

    @property
    def shots(self) -> int:
        return sum(self.counts.values())

    @cached_property
    def memory(self) -> NDArray[np.uint8]:
        """Each shot, shape (shots, bits): column i is bit i of the registers joined in order of
        declaration. With memory=True only.
        """
        return self._array("memory", "memory=True")

    @cached_property
    def state_vector(self) -> NDArray[Any]:
        """Amplitudes before the final measurements, shape (2^n,): qubit 0 is the least significant
        bit of the index, as in Qiskit. With state_vector=True only.
        """
        return self._array("state_vector", "state_vector=True")

    @property
    def state_vector_big_endian(self) -> NDArray[Any]:
        """The same as Cirq, PennyLane and Braket order it: qubit 0 is the most significant bit."""
        state = self.state_vector
        return state.reshape([2] * (state.size.bit_length() - 1)).T.reshape(-1).copy()

    @cached_property
    def resources(self) -> Resources:
        """What it took after compilation."""
        return read_resources(self.message.resources)

    def to_qiskit(self) -> Any:
        """qiskit.result.Counts, whose keys name the last register first; with exact probabilities a
        ProbDistribution over the bits as one number.
        """
        from ketgate import _circuit_results as frameworks

        return frameworks.to_qiskit(self)

    def to_cirq(self) -> Any:
        """cirq.ResultDict with a measurement for each register. Without memory=True the shots come
        in the order of their outcomes.
        """
        from ketgate import _circuit_results as frameworks

        return frameworks.to_cirq(self)

    def to_pandas(self) -> Any:
        """A DataFrame by outcome: counts and probability."""
        import pandas

        index = pandas.Index(list(self.probabilities), name="outcome")
        frame = pandas.DataFrame({"probability": list(self.probabilities.values())}, index=index)
        if self.counts:
            frame.insert(0, "count", [self.counts.get(key, 0) for key in index])
        return frame

    def plot(self, path: Any = None) -> Any:
        """Draw a histogram with matplotlib; write it to path, if given. Returns the Figure."""
        from ketgate import _quantum_plot

        return _quantum_plot.histogram(self, path)

    def to_dict(self) -> dict[str, Any]:
        """In plain types; without memory and amplitudes."""
        document: dict[str, Any] = {"label": self.label, "registers": self.registers}
        if self.counts:
            document["counts"] = self.counts
        return document | {
            "probabilities": self.probabilities,
            "resources": vars(self.resources),
            "standard_error_max": self.standard_error_max,
        }

    def _array(self, name: str, option: str) -> NDArray[Any]:
        if not self.message.HasField(name):
            raise FailedPrecondition(
                f"{name}: it was not asked for", remedy=f"Run the circuit with {option}."
            )
        return from_tensor(getattr(self.message, name))

    def _line(self) -> str:
        shown: dict[str, Any] = dict(self.counts) or {
            key: f"{p:.4g}" for key, p in self.probabilities.items()
        }
        told = ", ".join(f"{key}: {value}" for key, value in list(shown.items())[:SHOWN_MAX])
        more = len(shown) - SHOWN_MAX
        return (
            f"{self.label or self.index}: {told or 'nothing measured'}"
            f"{f' and {more} more' if more > 0 else ''}"
        )

    def __repr__(self) -> str:
        r = self.resources
        return (
            f"CircuitResult {self._line()}\n  {r.num_qubits} qubits, depth {r.depth}, "
            f"{r.num_multi_qubit_gates} gates of two or more qubits"
        )


class RunResult:
    """What came of a run: a result for each circuit, and how it came about.

    Of a single circuit, `counts` and the like are its own; of several, ask result[i].
    """

    def __init__(self, message: pb.RunCircuitsResult, spec: pb.RunCircuitsSpec) -> None:
        self.message = message
        self.spec = spec
        self.circuits = [CircuitResult(told) for told in message.circuits]
        self.evidence: Evidence = read_evidence(message.evidence)

    @property
    def backend(self) -> str:
        """The back end that really ran."""
        return self.evidence.backend

    @property
    def seed(self) -> int:
        return self.evidence.seed

    @property
    def counts(self) -> dict[str, int]:
        return self._only.counts

    @property
    def probabilities(self) -> dict[str, float]:
        return self._only.probabilities

    @property
    def memory(self) -> NDArray[np.uint8]:
        return self._only.memory

    @property
    def state_vector(self) -> NDArray[Any]:
        return self._only.state_vector

    @property
    def resources(self) -> Resources:
        return self._only.resources

    def to_qiskit(self) -> Any:
        """qiskit.result.Result, of which get_counts() can be asked."""
        from ketgate import _circuit_results as frameworks

        return frameworks.whole_to_qiskit(self)

    def to_cirq(self) -> Any:
        """cirq.ResultDict; a list of them for several circuits."""
        made = [one.to_cirq() for one in self.circuits]
        return made[0] if len(made) == 1 else made

    def to_pandas(self) -> Any:
        """A DataFrame by circuit and outcome; by outcome for a single circuit."""
        import pandas

        if len(self.circuits) == 1:
            return self.circuits[0].to_pandas()
        frames = {one.index: one.to_pandas() for one in self.circuits}
        return pandas.concat(frames, names=["circuit"])

    def plot(self, path: Any = None) -> Any:
        """Draw the histogram of a single circuit; see CircuitResult.plot."""
        return self._only.plot(path)

    def to_dict(self) -> dict[str, Any]:
        """In plain types, as `ketgate circuit run --json` prints it."""
        return {
            "circuits": [one.to_dict() for one in self.circuits],
            "evidence": self.evidence.to_dict(),
        }

    @property
    def _only(self) -> CircuitResult:
        if len(self.circuits) != 1:
            raise KetgateError(
                f"there are {len(self.circuits)} circuits in this result",
                remedy="Ask one of them: result[0].counts, or loop over result.",
            )
        return self.circuits[0]

    def __len__(self) -> int:
        return len(self.circuits)

    def __iter__(self) -> Iterator[CircuitResult]:
        return iter(self.circuits)

    def __getitem__(self, index: int) -> CircuitResult:
        return self.circuits[index]

    def __repr__(self) -> str:
        lines = [f"RunResult by {self.evidence}"]
        lines += [f"  {one._line()}" for one in self.circuits[:SHOWN_MAX]]
        if len(self.circuits) > SHOWN_MAX:
            lines.append(f"  and {len(self.circuits) - SHOWN_MAX} more circuits")
        return "\n".join(lines + self.evidence.lines())


def _sorted(table: Any) -> dict[str, Any]:
    """The greatest first; equal ones by key, so that the order is always the same."""
    return dict(sorted(table.items(), key=lambda pair: (-pair[1], pair[0])))
