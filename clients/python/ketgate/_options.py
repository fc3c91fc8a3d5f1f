"""How to solve: the options that all problems share, and what a problem and its options make."""

import difflib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Generic, Literal, TypedDict, TypeVar

import numpy as np
from google.protobuf import duration_pb2

from ketgate._errors import InvalidArgument
from ketgate._tensor import to_tensor
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import solver_pb2

if TYPE_CHECKING:
    from ketgate._events import Outcome, ProgressEvent

R = TypeVar("R")

TIME_LIMIT_S_DEFAULT = 10.0
"""What the contract says of a spec without a time limit."""

SolverName = str
Progress = bool | Literal["auto"] | Callable[["ProgressEvent"], object]


class SolveOptions(TypedDict, total=False):
    """Options of every solve.

    time_limit: seconds, or a timedelta; default 10. Covers the whole call; the best by then returns.
    solver: a name, a list of names that race, or {name: {parameter: value}}; default: chosen by the
        server.
    seed: repeats a run; with work_limit, byte for byte.
    threads: for each solver; default: chosen by the server.
    work_limit: sweeps, nodes or iterations of each solver.
    target_objective: stop at an objective this good.
    gap: stop at this relative gap. gap_absolute: at this absolute one.
    pool_size: distinct solutions to return at most.
    initial: where to start: values of shape (n,) or (m, n), or a Result.
    feasibility_tolerance: greatest violation of a continuous constraint; default 1e-9.
    progress: False (default), True (shown on the terminal), or a function called with each
        ProgressEvent; if it returns False, the solve ends and the best so far is returned.
    """

    time_limit: float | timedelta | None
    solver: SolverName | Sequence[SolverName] | Mapping[SolverName, Mapping[str, Any]] | None
    seed: int | None
    threads: int
    work_limit: int
    target_objective: float | None
    gap: float | None
    gap_absolute: float | None
    pool_size: int
    initial: Any
    feasibility_tolerance: float | None
    progress: Progress


@dataclass(frozen=True)
class Prepared(Generic[R]):
    """A spec, and what makes its outcome into what the caller gets."""

    spec: service_pb2.SolveSpec
    decode: "Callable[[Outcome], R]"
    progress: Progress = False

    @property
    def time_limit_s(self) -> float:
        return spec_time_limit_s(self.spec)


def spec_time_limit_s(spec: service_pb2.SolveSpec) -> float:
    """Seconds that the spec allows; the contract's default where it is silent."""
    if not spec.HasField("time_limit"):
        return TIME_LIMIT_S_DEFAULT
    return float(spec.time_limit.seconds + spec.time_limit.nanos / 1e9)


def fill_options(spec: service_pb2.SolveSpec, options: SolveOptions) -> Progress:
    """Write the options into the spec; return how to show progress."""
    check_names(options, SolveOptions)
    limit = options.get("time_limit")
    if limit is not None:
        spec.time_limit.CopyFrom(duration(limit))
    spec.solvers.extend(_choices(options.get("solver")))
    for name, field, kind in _NUMBERS:
        value = options.get(name)
        if value is not None:
            setattr(spec, field, number(value, name, kind))
    initial = options.get("initial")
    if initial is not None:
        spec.initial.CopyFrom(_initial(initial))
    return options.get("progress", False)


_NUMBERS: tuple[tuple[str, str, type], ...] = (
    ("seed", "seed", int),
    ("threads", "threads", int),
    ("work_limit", "work_limit", int),
    ("target_objective", "target_objective", float),
    ("gap", "gap_relative", float),
    ("gap_absolute", "gap_absolute", float),
    ("pool_size", "pool_size", int),
    ("feasibility_tolerance", "feasibility_tolerance", float),
)
_SIGNED_64 = (-(2**63), 2**63)
_INTEGER_RANGES = {
    "seed": (0, 2**64),
    "number": (0, 2**64),
    "base": (0, 2**64),
    "state": (0, 2**64),
    "work_limit": _SIGNED_64,
    "shots": _SIGNED_64,
    "caps.shots": _SIGNED_64,
    "oracle_calls_max": _SIGNED_64,
}


def number(value: Any, field: str, kind: type) -> Any:
    """value as int or float, as the contract's field holds it; numbers of NumPy will do, texts and
    truths will not.
    """
    whole = isinstance(value, (int, np.integer)) and not isinstance(value, bool)
    if kind is int and whole:
        low, high = _INTEGER_RANGES.get(field, (-(2**31), 2**31))
        if low <= value < high:
            return int(value)
        raise InvalidArgument(
            f"{field}: expected an integer from {low} to {high - 1}, given {value}", field=field
        )
    if kind is float and (whole or isinstance(value, (float, np.floating))):
        return float(value)
    article = "an integer" if kind is int else "a number"
    raise InvalidArgument(f"{field}: expected {article}, given {value!r}", field=field)


def duration(limit: float | timedelta, field: str = "time_limit") -> duration_pb2.Duration:
    """Seconds or a timedelta as a Duration; fractions of a nanosecond are rounded up, so that
    nothing becomes 0.
    """
    if isinstance(limit, str):
        raise InvalidArgument(
            f"{field}: expected seconds or a datetime.timedelta, given {limit!r}", field=field
        )
    seconds = limit.total_seconds() if isinstance(limit, timedelta) else number(limit, field, float)
    if not (0 < seconds < 1e9):
        raise InvalidArgument(f"{field}: expected seconds above 0, given {seconds}", field=field)
    nanos = math.ceil(seconds * 1e9)
    return duration_pb2.Duration(seconds=nanos // 10**9, nanos=nanos % 10**9)


def check_names(given: Mapping[str, Any], accepted: Any) -> None:
    """Refuse an unknown keyword as Python itself would, with the nearest one that there is."""
    known = accepted.__annotations__
    for name in given:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            raise TypeError(f"unexpected keyword argument {name!r}{hint}")


def _choices(solver: Any) -> list[solver_pb2.SolverChoice]:
    if solver is None:
        return []
    if isinstance(solver, str):
        solver = {solver: {}}
    elif not isinstance(solver, Mapping):
        solver = {name: {} for name in solver}
    return [
        solver_pb2.SolverChoice(
            name=str(name),
            parameters={key: _parameter(name, key, value) for key, value in (values or {}).items()},
        )
        for name, values in solver.items()
    ]


def _parameter(solver: str, name: str, value: Any) -> solver_pb2.ParameterValue:
    if isinstance(value, (bool, np.bool_)):
        return solver_pb2.ParameterValue(flag=bool(value))
    if isinstance(value, (int, np.integer)):
        if not -(2**63) <= value < 2**63:
            raise InvalidArgument(
                f"solver: {solver}.{name} = {value} is beyond 64 bits", field="solver"
            )
        return solver_pb2.ParameterValue(integer=int(value))
    if isinstance(value, (float, np.floating)):
        return solver_pb2.ParameterValue(number=float(value))
    if isinstance(value, str):
        return solver_pb2.ParameterValue(text=value)
    raise InvalidArgument(
        f"solver: expected a number, truth value or text for {solver}.{name}, given {value!r}",
        field="solver",
    )


def _initial(initial: Any) -> Any:
    from ketgate._result import Result

    if isinstance(initial, Result):
        initial = np.stack([solution.array for solution in initial.solutions])
    array = np.asarray(initial)
    if array.dtype.kind not in "iufb" or array.ndim not in (1, 2):
        raise InvalidArgument(
            f"initial: expected numbers of shape (n,) or (m, n), given {array.dtype} of shape {array.shape}",
            field="initial",
        )
    exact = array.dtype in (np.int8, np.uint8)
    return to_tensor(array if exact else array.astype(np.float64))


def one_of(value: Any, table: Mapping[str, Any], field: str) -> Any:
    """table[value], or an error that lists what there is."""
    if isinstance(value, str) and value in table:
        return table[value]
    raise InvalidArgument(
        f"{field}: expected one of {', '.join(table)}, given {value!r}", field=field
    )
