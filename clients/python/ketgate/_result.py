"""Results: what was found, what is proven of it, and how it came about, in NumPy or pandas as the
request was.
"""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from numpy.typing import NDArray

from ketgate._errors import NoSolution
from ketgate._events import Incumbent, Outcome, ProgressEvent, seconds
from ketgate._labels import Labels
from ketgate._quantum_run import QuantumRun, read_quantum_run
from ketgate._tensor import from_tensor
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import program_pb2, result_pb2


class Status(StrEnum):
    """What is known at the end of a solve."""

    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    NO_SOLUTION = "no_solution"
    UNKNOWN = "unknown"
    """A status that this client is too old to know."""


class StopReason(StrEnum):
    """Why a solve ended."""

    COMPLETED = "completed"
    TIME_LIMIT = "time_limit"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    TARGET = "target"
    GAP = "gap"
    WORK_LIMIT = "work_limit"
    UNKNOWN = "unknown"


@dataclass(frozen=True)
class TimeSplit:
    """Where the time went, in seconds. The parts need not add up, as solvers race."""

    queued_s: float
    checking_s: float
    preparing_s: float
    solving_s: float
    verifying_s: float
    total_s: float


@dataclass(frozen=True)
class Conflict:
    """A constraint that cannot hold together with the others listed."""

    field: str
    name: str
    description: str


@dataclass(frozen=True)
class SolverRun:
    """One solver's run."""

    solver: str
    version: str
    status: Status
    stop_reason: StopReason
    objective: float | None
    bound: float | None
    work: int
    work_unit: str
    time_s: float
    failure: str
    quantum: QuantumRun | None = None
    """What a quantum solver did; None for classical ones."""


@dataclass(frozen=True)
class PortfolioFigures:
    """Figures of a portfolio."""

    expected_return: float | None
    volatility: float
    sharpe_ratio: float | None
    turnover: float | None
    cost: float | None
    names_held: int
    risk_shares: Any
    """Share of the variance of each name; a Series where pandas came in."""
    lots: Any
    """Lots of each name; None without round lots."""


class Solution:
    """One solution of a result."""

    def __init__(self, message: result_pb2.Solution, labels: Labels) -> None:
        self._labels = labels
        self.message = message
        self.objective: float = message.objective
        self.occurrences: int = message.occurrences
        self.violation_max: float = message.violation_max
        self.solver: str = message.solver

    @cached_property
    def array(self) -> NDArray[Any]:
        """The values as an array, shape (n,)."""
        return from_tensor(self.message.values)

    @property
    def values(self) -> Any:
        """The values; a Series where pandas came in."""
        return self._labels.dress(self.array)

    @property
    def by_name(self) -> dict[Any, Any]:
        return self._labels.by_name(self.array)

    @cached_property
    def figures(self) -> PortfolioFigures | None:
        """Figures of a portfolio; None for other problems."""
        if not self.message.HasField("portfolio"):
            return None
        told = self.message.portfolio
        optional = {
            name: getattr(told, name) if told.HasField(name) else None
            for name in ("expected_return", "sharpe_ratio", "turnover", "cost")
        }
        return PortfolioFigures(
            volatility=told.volatility,
            names_held=told.names_held,
            risk_shares=self._series(told, "risk_shares"),
            lots=self._series(told, "lots"),
            **optional,
        )

    def _series(self, told: Any, name: str) -> Any:
        return (
            self._labels.dress(from_tensor(getattr(told, name)), name)
            if told.HasField(name)
            else None
        )

    def __repr__(self) -> str:
        return (
            f"Solution(objective={self.objective:.9g}, solver={self.solver!r}, n={self.array.size})"
        )


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
        self.status = _enum(Status, result_pb2.SolveStatus, message.status)
        self.stop_reason = _enum(StopReason, result_pb2.StopReason, message.stop_reason)
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
                status=_enum(Status, result_pb2.SolveStatus, run.status),
                stop_reason=_enum(StopReason, result_pb2.StopReason, run.stop_reason),
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


E = TypeVar("E", Status, StopReason)


def _enum(kind: type[E], names: Any, value: int) -> E:
    """An enum of the contract as ours; UNKNOWN for one that this client is too old to know."""
    try:
        name = names.Name(value)
    except ValueError:
        return kind("unknown")
    return kind.__members__.get(
        name.removeprefix("SOLVE_STATUS_").removeprefix("STOP_REASON_"), kind("unknown")
    )
