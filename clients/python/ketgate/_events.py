"""What a stream of a solve tells, gathered into an outcome: every incumbent, the bounds, and the
result.

A stream that ends early has already told its best solution, so an outcome can be made of it at any
time.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from numpy.typing import NDArray

from ketgate._errors import InternalError
from ketgate._options import Prepared, Progress
from ketgate._tensor import from_tensor
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import program_pb2, result_pb2


@dataclass(frozen=True)
class ProgressEvent:
    """How a solve goes at one time."""

    time_s: float
    """Since the request arrived at the server."""
    objective: float | None
    """Best so far."""
    bound: float | None
    """Proven bound so far, if any."""
    solver: str
    """Which solver found a better solution; empty if this is no better one."""
    work: int
    improved: bool
    """Whether a better solution came."""

    @property
    def gap(self) -> float | None:
        """|objective - bound| / max(|objective|, 1e-10)."""
        return relative_gap(self.objective, self.bound)


@dataclass(frozen=True)
class Incumbent:
    """A solution that was better than all before it."""

    time_s: float
    objective: float
    bound: float | None
    solver: str
    work: int
    message: Any = field(repr=False)

    @cached_property
    def values(self) -> NDArray[Any]:
        """Its values, shape (n,)."""
        return from_tensor(self.message.solution.values)


@dataclass
class Outcome:
    """A result as the server sent it, or as its stream had told it when it was ended, and how it
    came about.
    """

    message: result_pb2.SolveResult
    spec: service_pb2.SolveSpec
    incumbents: list[Incumbent]
    trace: list[ProgressEvent]


def relative_gap(objective: float | None, bound: float | None) -> float | None:
    if objective is None or bound is None:
        return None
    return abs(objective - bound) / max(abs(objective), 1e-10)


class Gathering:
    """The events of one stream, as they come."""

    def __init__(self, spec: service_pb2.SolveSpec) -> None:
        self._spec = spec
        self._maximize = maximizes(spec)
        self._result: result_pb2.SolveResult | None = None
        self.incumbents: list[Incumbent] = []
        self.trace: list[ProgressEvent] = []

    def add(self, event: service_pb2.SolveStreamResponse) -> ProgressEvent | None:
        """Take an event in. What it says of progress; None for the result."""
        kind = event.WhichOneof("event")
        if kind == "result":
            self._result = event.result
            return None
        before = self.trace[-1] if self.trace else None
        if kind == "incumbent":
            found = event.incumbent
            bound = found.bound if found.HasField("bound") else None
            progress = ProgressEvent(
                seconds(found.elapsed),
                found.solution.objective,
                self._tighter(bound, before),
                found.solver,
                found.work,
                True,
            )
            self.incumbents.append(
                Incumbent(
                    progress.time_s,
                    found.solution.objective,
                    progress.bound,
                    found.solver,
                    found.work,
                    found,
                )
            )
        elif kind == "progress":
            told = event.progress
            bound = told.bound if told.HasField("bound") else None
            best = self.incumbents[-1].objective if self.incumbents else None
            progress = ProgressEvent(
                seconds(told.elapsed), best, self._tighter(bound, before), "", told.work, False
            )
        else:
            return None  # an event of a newer server
        self.trace.append(progress)
        return progress

    def _tighter(self, bound: float | None, before: ProgressEvent | None) -> float | None:
        """The better of a bound and the last one: what is proven stays proven."""
        if before is None or before.bound is None:
            return bound
        if bound is None:
            return before.bound
        return min(bound, before.bound) if self._maximize else max(bound, before.bound)

    def outcome(self) -> Outcome:
        """The outcome of a stream that came to its end."""
        if self._result is None:
            raise InternalError("the server ended the stream without a result", reason="INTERNAL")
        return Outcome(self._result, self._spec, self.incumbents, self.trace)

    def best_so_far(self, stop_reason: result_pb2.StopReason, warning: str = "") -> Outcome | None:
        """The outcome of a stream that was ended before its result; None if there was no solution
        yet.
        """
        if self._result is not None:
            return self.outcome()
        if not self.incumbents:
            return None
        last = self.incumbents[-1]
        message = result_pb2.SolveResult(
            status=result_pb2.SOLVE_STATUS_FEASIBLE,
            stop_reason=stop_reason,
            sense=program_pb2.OBJECTIVE_SENSE_MAXIMIZE
            if self._maximize
            else program_pb2.OBJECTIVE_SENSE_MINIMIZE,
            objective=last.objective,
            solutions=[last.message.solution],
            solver=last.solver,
            seed=self._spec.seed,
            warnings=[warning] if warning else [],
        )
        bound = self.trace[-1].bound
        if bound is not None:
            message.bound = bound
            gap = relative_gap(last.objective, bound)
            assert gap is not None
            message.gap = gap
        total = round(max(self.trace[-1].time_s, 0.0) * 1e9)
        message.time.total.FromNanoseconds(total)
        return Outcome(message, self._spec, self.incumbents, self.trace)


class Watcher:
    """Shows progress to the user, and passes on the wish to stop."""

    def __init__(self, progress: Progress, time_limit_s: float) -> None:
        self._tell: Callable[[ProgressEvent], object] | None = None
        self._close: Callable[[], None] | None = None
        if callable(progress):
            self._tell = progress
        elif progress:
            from ketgate._progress import open_display

            display = open_display(time_limit_s)
            self._tell, self._close = display.show, display.close

    def wants_stop(self, event: ProgressEvent | None) -> bool:
        """Tell of the event. True if the caller's function answered False."""
        return event is not None and self._tell is not None and self._tell(event) is False

    def close(self) -> None:
        if self._close is not None:
            self._close()


def maximizes(spec: service_pb2.SolveSpec) -> bool:
    """Whether a larger objective is better."""
    kind = spec.WhichOneof("problem")
    if kind == "portfolio":
        return spec.portfolio.objective.WhichOneof("kind") in ("utility", "maximum_sharpe")
    return bool(kind == "linear" and spec.linear.sense == program_pb2.OBJECTIVE_SENSE_MAXIMIZE)


def seconds(duration: Any) -> float:
    """A Duration as seconds."""
    return float(duration.seconds + duration.nanos / 1e9)


def prepared(spec: service_pb2.SolveSpec, progress: Progress = False) -> Prepared[Any]:
    """For a spec that the caller built; its result is of the class that fits its problem."""
    from ketgate._portfolio_result import decode_any

    return Prepared(spec, decode_any, progress)
