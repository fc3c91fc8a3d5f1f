"""Results: what was found, what is proven of it, and how it came about, in NumPy or pandas as the
request was.
"""

from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from ketgate._errors import NoSolution
from ketgate._events import Incumbent, Outcome, ProgressEvent, seconds
from ketgate._labels import Labels
from ketgate._quantum_run import read_quantum_run
from ketgate._solution import (
    Conflict,
    Solution,
    SolverRun,
    Status,
    StopReason,
    TimeSplit,
    as_enum,
)
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import program_pb2, result_pb2


class Result:
    """The result of a solve.

    message: the message as the server sent it. spec: what was asked. incumbents: each better
    solution, as it came. trace: objective and bound over time.
    """

    values_name = "value"

    def __init__(self, outcome: Outcome, labels: Labels) -> None:
        message = outcome.message
        self.message = message
        self.spec: service_pb2.SolveSpec = outcome.spec
        self.labels = labels
        self.incumbents: list[Incumbent] = outcome.incumbents
        self.trace: list[ProgressEvent] = outcome.trace
        self.status = as_enum(Status, result_pb2.SolveStatus, message.status)
        self.stop_reason = as_enum(StopReason, result_pb2.StopReason, message.stop_reason)
        self.maximize: bool = message.sense == program_pb2.OBJECTIVE_SENSE_MAXIMIZE
        self.objective: float | None = message.objective if message.HasField("objective") else None
        self.bound: float | None = message.bound if message.HasField("bound") else None
        self.gap: float | None = message.gap if message.HasField("gap") else None
        self.solver: str = message.solver
        # A solve that was ended here, not by the server, did not hear what the server had chosen.
        cut = message.threads == 0
        self.seed: int | None = None if cut and not message.seed else message.seed
        self.threads: int | None = None if cut else message.threads
        self.warnings: list[str] = list(message.warnings)
        self.spec_digest: str = message.spec_digest
        self.solutions = [Solution(told, labels) for told in message.solutions]

    @property
    def solved(self) -> bool:
        """Whether there is a solution, proven best or not."""
        return bool(self.solutions)

    @property
    def proven(self) -> bool:
        """Whether the first solution is proven to be the best, within the gap asked for."""
        return self.status is Status.OPTIMAL

    @property
    def best(self) -> Solution:
        """The best solution. Raises NoSolution if there is none."""
        if self.solutions:
            return self.solutions[0]
        text = f"there is no solution: {self.status.value} ({self.stop_reason.value})"
        if self.conflict:
            text += "; these cannot hold together: " + "; ".join(
                c.description or c.field for c in self.conflict
            )
        raise NoSolution(
            text, remedy="Look at result.status and result.conflict before asking for values."
        )

    @property
    def array(self) -> NDArray[Any]:
        """Values of the best solution as an array, shape (n,)."""
        return self.best.array

    @property
    def values(self) -> Any:
        """Values of the best solution; a Series where pandas came in."""
        return self.labels.dress(self.best.array, self.values_name)

    @property
    def by_name(self) -> dict[Any, Any]:
        """Values of the best solution by name, or by position where there are no names."""
        return self.best.by_name

    @cached_property
    def time(self) -> TimeSplit:
        told = self.message.time
        return TimeSplit(
            *(
                seconds(getattr(told, part))
                for part in ("queued", "checking", "preparing", "solving", "verifying", "total")
            )
        )

    @cached_property
    def conflict(self) -> list[Conflict]:
        """Constraints that cannot hold together, where leaving out any one of them helps."""
        return [Conflict(c.field, c.name, c.description) for c in self.message.conflict]

    @cached_property
    def runs(self) -> list[SolverRun]:
        """Every solver that ran."""
        return [
            SolverRun(
                solver=run.solver,
                version=run.version,
                status=as_enum(Status, result_pb2.SolveStatus, run.status),
                stop_reason=as_enum(StopReason, result_pb2.StopReason, run.stop_reason),
                objective=run.objective if run.HasField("objective") else None,
                bound=run.bound if run.HasField("bound") else None,
                work=run.work,
                work_unit=run.work_unit,
                time_s=seconds(run.time),
                failure=run.failure,
                quantum=read_quantum_run(run.quantum) if run.HasField("quantum") else None,
            )
            for run in self.message.runs
        ]

    def plot(self, path: Any = None) -> Any:
        """Draw the result with matplotlib; write it to path, if given. Returns the Figure."""
        from ketgate import _plot

        return _plot.finish(_plot.draw(self), path)

    def to_dict(self) -> dict[str, Any]:
        """The result in plain types, as `ketgate optimize --json` prints it."""
        document: dict[str, Any] = {
            "status": self.status.value,
            "stop_reason": self.stop_reason.value,
            "objective": self.objective,
            "bound": self.bound,
            "gap": self.gap,
            "solver": self.solver,
            "seed": self.seed,
            "threads": self.threads,
            "time_s": self.time.total_s,
            "warnings": self.warnings,
            "conflict": [vars(conflict) for conflict in self.conflict],
            "incumbents": [
                {"time_s": i.time_s, "objective": i.objective, "bound": i.bound, "solver": i.solver}
                for i in self.incumbents
            ],
        }
        quantum = {run.solver: run.quantum for run in self.runs if run.quantum is not None}
        if quantum:
            document["quantum"] = {solver: run.to_dict() for solver, run in quantum.items()}
        if self.solved:
            document[self.values_name + "s"] = {
                str(key): value for key, value in self.by_name.items()
            }
        return document

    def __repr__(self) -> str:
        parts = [f"{type(self).__name__}: {self.status.value}"]
        if self.objective is not None:
            parts.append(f"objective {self.objective:.9g}")
        if self.bound is not None:
            parts.append(f"bound {self.bound:.9g}")
        if self.gap is not None:
            parts.append(f"gap {self.gap:.2g}")
        parts.append(
            f"{self.solver or 'no solver'} in {self.time.total_s:.3g} s ({self.stop_reason.value})"
        )
        lines = [", ".join(parts), *self._lines()]
        lines += [f"  {run.solver} {run.quantum}" for run in self.runs if run.quantum is not None]
        lines += [f"  in conflict: {c.description or c.field}" for c in self.conflict]
        lines += [f"  warning: {warning}" for warning in self.warnings]
        return "\n".join(lines)

    def _lines(self) -> list[str]:
        """What a subclass adds to the text."""
        return []


class BinaryResult(Result):
    """Result of a QUBO or of a binary program; values are 0 and 1."""

    def _lines(self) -> list[str]:
        if not self.solved:
            return []
        return [f"  {int(self.array.sum())} of {self.array.size} binaries are 1"]


class IsingResult(Result):
    """Result of an Ising problem; values are -1 and +1."""

    values_name = "spin"

    @property
    def spins(self) -> Any:
        return self.values

    def _lines(self) -> list[str]:
        if not self.solved:
            return []
        return [f"  {int((self.array > 0).sum())} of {self.array.size} spins are up"]


class LinearResult(Result):
    """Result of a linear or mixed-integer program."""
