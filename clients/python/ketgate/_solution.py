"""What a result is made of: how it ended, its solutions, and who found them in what time."""

from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from typing import Any, TypeVar

from numpy.typing import NDArray

from ketgate._labels import Labels
from ketgate._quantum_run import QuantumRun
from ketgate._tensor import from_tensor
from ketgate.optimization.v1 import result_pb2


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


E = TypeVar("E", Status, StopReason)


def as_enum(kind: type[E], names: Any, value: int) -> E:
    """An enum of the contract as ours; UNKNOWN for one that this client is too old to know."""
    try:
        name = names.Name(value)
    except ValueError:
        return kind("unknown")
    return kind.__members__.get(
        name.removeprefix("SOLVE_STATUS_").removeprefix("STOP_REASON_"), kind("unknown")
    )
