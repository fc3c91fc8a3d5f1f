"""What a problem and a solver are, and what passes between a solver and the race that runs it.

Objectives inside are minimised; ``Problem.sense`` says how a caller sees them. Values are in the
caller's own form: spins -1 and +1, binaries 0 and 1, weights.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol, TypeGuard

import numpy as np
from ketgate_native.monitor import Monitor
from numpy.typing import NDArray

PROVEN_GAP = 1e-9
"""Relative gap that rounding may leave of a proof to the end."""


class ProblemKind(StrEnum):
    ISING = "ising"
    BINARY_QUADRATIC = "binary_quadratic"
    PORTFOLIO_CONTINUOUS = "portfolio_continuous"
    PORTFOLIO_DISCRETE = "portfolio_discrete"
    LINEAR = "linear"
    MIXED_INTEGER = "mixed_integer"


class Sense(StrEnum):
    MINIMIZE = "minimize"
    MAXIMIZE = "maximize"


class Proof(StrEnum):
    OPTIMALITY = "optimality"
    BOUND = "bound"
    INFEASIBILITY = "infeasibility"


class Status(StrEnum):
    OPTIMAL = "optimal"
    FEASIBLE = "feasible"
    INFEASIBLE = "infeasible"
    UNBOUNDED = "unbounded"
    NO_SOLUTION = "no_solution"


class StopReason(StrEnum):
    COMPLETED = "completed"
    TIME_LIMIT = "time_limit"
    DEADLINE = "deadline"
    CANCELLED = "cancelled"
    TARGET = "target"
    GAP = "gap"
    WORK_LIMIT = "work_limit"


@dataclass(frozen=True)
class Evaluation:
    """A solution, evaluated in float64 from the caller's own numbers."""

    objective: float
    """In the caller's sense."""
    violation_max: float
    """Greatest violation of a continuous constraint, absolute; infinite if a discrete one is
    broken."""
    scale: float = 1.0
    """Size of the objective's parts, which rounding is relative to; 1 where the problem does not
    tell."""


@dataclass(frozen=True)
class Conflict:
    """A constraint that cannot hold together with the others listed."""

    field: str
    """Path below SolveSpec, for example ``portfolio.constraints.groups[2]``."""
    name: str
    description: str


class Problem(Protocol):
    """A checked problem. Immutable; shared by the solvers that race on it."""

    @property
    def kind(self) -> ProblemKind: ...
    @property
    def sense(self) -> Sense: ...
    @property
    def size(self) -> int: ...
    @property
    def terms(self) -> int:
        """Coefficients beyond those of single variables that evaluating a solution sums up."""

    @property
    def num_constraints(self) -> int: ...
    @property
    def wants_frontier(self) -> bool:
        """Whether one solution, however good, is not the answer."""

    @property
    def warnings(self) -> Sequence[str]: ...

    def evaluate(self, values: NDArray[Any]) -> Evaluation: ...

    def polish(self, values: NDArray[Any]) -> NDArray[Any]:
        """The caller's form of what a solver found: right dtype, exact zeros and lots.
        Idempotent."""

    def fallback(self) -> NDArray[Any] | None:
        """A solution that takes no search; None where there is none at hand."""


@dataclass(frozen=True)
class ParameterSpec:
    """A parameter of a solver; its default tells its type (int, float, bool or str)."""

    name: str
    description: str
    default: int | float | bool | str
    minimum: float | None = None
    maximum: float | None = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True)
class Outcome:
    """What a solver says at its end."""

    status: Status
    stop_reason: StopReason
    solutions: Sequence[NDArray[Any]] = ()
    """Best first, in the caller's form. The race evaluates and checks them again."""
    occurrences: Sequence[int] = ()
    bound: float | None = None
    """Proven, in the minimised sense."""
    work: int = 0
    conflict: Sequence[Conflict] = ()
    frontier: Any = None
    """A portfolio.model.Frontier, where one was asked for."""
    warnings: Sequence[str] = ()
    quantum: Any = None
    """A quantum.solving.Solved, of a quantum solver."""


class Task(Protocol):
    """One solver's run within a race: its limits, and its way to report."""

    seed: int
    threads: int
    work_limit: int
    """In the solver's unit; 0: none."""
    pool_size: int
    parameters: Mapping[str, Any]
    """Every parameter of the solver, defaults filled in."""
    initial: NDArray[Any] | None
    """(m, n) in the caller's form."""
    target: float | None
    """In the minimised sense."""
    gap_relative: float
    gap_absolute: float
    feasibility_tolerance: float

    def open_monitor(
        self, solution_bytes: int, decode: Callable[[bytes], NDArray[Any]], *, report: bool = True
    ) -> Monitor:
        """A monitor for one kernel call, with this task's deadline, target and gaps, cancelled with
        the task. Its incumbents reach the race while the kernel runs; decode turns the kernel's
        bytes into the caller's values. report=False: for a subproblem whose objective is not the
        problem's: deadline and cancellation only. Says prepared() as well."""

    def open_setup_monitor(self) -> Monitor:
        """A monitor for building what a kernel takes: deadline and cancellation only."""

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Run callback once when told to stop, at once if it was; from any thread. The time limit
        does not call."""

    def prepared(self) -> None:
        """Set-up is over and the search begins. The first time counts."""

    def offer(self, values: NDArray[Any], *, work: int = 0) -> None:
        """Report a solution from Python."""

    def offer_bound(self, bound: float, *, work: int = 0) -> None:
        """Report a proven bound, in the minimised sense."""

    @property
    def should_stop(self) -> bool: ...

    @property
    def stop_reason(self) -> StopReason:
        """Why should_stop is true; COMPLETED while it is not."""

    @property
    def deadline_reason(self) -> StopReason:
        """TIME_LIMIT or DEADLINE: what a library that watches the clock itself has met."""

    @property
    def remaining_s(self) -> float: ...


class Solver(Protocol):
    """A solver. One object serves all calls, so it holds no state of a run."""

    name: str
    description: str
    problems: frozenset[ProblemKind]
    proofs: frozenset[Proof]
    parameters: Sequence[ParameterSpec]
    part: str
    """Name in parts.PARTS: native, highs, clarabel."""
    work_unit: str
    deterministic: bool
    warm_start: bool

    def unsuitable(self, problem: Problem) -> str | None:
        """Why it cannot take this problem (size, structure), in words; None if it can."""

    def memory_bytes(self, problem: Problem) -> int:
        """About how much it needs beyond the request."""

    def solve(self, problem: Problem, task: Task) -> Outcome: ...


@dataclass(frozen=True)
class SolveOptions:
    """How to solve: SolveSpec without its problem."""

    solvers: Sequence[tuple[str, Mapping[str, Any]]] = ()
    time_limit_s: float = 10.0
    work_limit: int = 0
    seed: int | None = None
    threads: int = 0
    target_objective: float | None = None
    gap_relative: float = 1e-9
    gap_absolute: float = 0.0
    pool_size: int = 1
    initial: NDArray[Any] | None = None
    feasibility_tolerance: float = 1e-9


class Estimating(Protocol):
    """A solver that knows for some problems how long it takes at most."""

    def work_seconds(self, problem: Problem, options: SolveOptions) -> float | None:
        """Seconds, about, where the work is known beforehand; None where the limits decide. What
        takes a few milliseconds runs at once, at normal priority, and does not wait for a slot."""


class Threaded(Protocol):
    """A solver that needs memory for each of its threads."""

    def thread_bytes(self, problem: Problem) -> int:
        """About how much one thread needs, beside what memory_bytes says."""


class NeedingParts(Protocol):
    """A solver that needs another part for some problems."""

    def parts_for(self, problem: Problem) -> Sequence[str]:
        """Names in parts.PARTS, beside its own part."""


# isinstance with a protocol takes 20 us in Python 3.11, and every solve and every new job asks.


def is_estimating(solver: object) -> TypeGuard[Estimating]:
    return hasattr(solver, "work_seconds")


def is_threaded(solver: object) -> TypeGuard[Threaded]:
    return hasattr(solver, "thread_bytes")


def needs_parts(solver: object) -> TypeGuard[NeedingParts]:
    return hasattr(solver, "parts_for")


def sense_sign(sense: Sense) -> float:
    """Times this, a caller's objective is the minimised one, and back."""
    return 1.0 if sense is Sense.MINIMIZE else -1.0


def value_bytes(problem: Problem) -> int:
    """Bytes of one value of a solution: spins and binaries take one."""
    return 1 if problem.kind in (ProblemKind.ISING, ProblemKind.BINARY_QUADRATIC) else 8


def reason_of_proof(score: float, bound: float) -> StopReason:
    """Why a solver ended that has proven its answer, both minimised: within a gap that was asked
    for, or to the end."""
    left = score - bound
    return StopReason.GAP if left > PROVEN_GAP * max(abs(score), 1e-10) else StopReason.COMPLETED


def as_float64(values: Any) -> NDArray[np.float64]:
    return np.ascontiguousarray(values, dtype=np.float64)
