"""SolveSpec to a checked problem and its options. Every refusal names the field at fault."""

import hashlib
import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from google.protobuf import duration_pb2
from ketgate.optimization.v1 import optimization_service_pb2, solver_pb2
from numpy.typing import NDArray

from ketgate_server.errors import FieldError, LimitError
from ketgate_server.limits import Limit
from ketgate_server.optimization.base import Problem, SolveOptions, value_bytes
from ketgate_server.optimization.binary import BinaryProblem
from ketgate_server.optimization.convert_programs import (
    read_binary_quadratic,
    read_ising,
    read_linear,
    read_qubo,
)
from ketgate_server.optimization.ising import IsingProblem
from ketgate_server.type.quadratic import Alphabet
from ketgate_server.type.tensors import read_float64

DIGEST_VERSION = b"ketgate.optimization.v1.SolveSpec/1\0"
"""What precedes the canonical bytes in the digest: protobuf's deterministic serialisation, fields
by number, maps sorted. A change of either takes a new number."""
TIME_LIMIT_DEFAULT_S = 10.0
TOLERANCE_DEFAULT, TOLERANCE_MIN, TOLERANCE_MAX = 1e-9, 1e-12, 1e-3
TEXT_CHARACTERS_MAX = 200
INITIAL_MAX = 1e20
"""Greatest start of a weight or a variable: beyond it are no bounds either."""
PROBLEMS = "ising, qubo, binary_quadratic, portfolio or linear"

SolveSpec = optimization_service_pb2.SolveSpec
Request = optimization_service_pb2.SolveRequest | optimization_service_pb2.SolveStreamRequest
Limits = Mapping[str, Limit]


def read_request(
    request: Request,
    limits: Limits,
    threads_max: int,
    *,
    arrival_s: float = math.inf,
    deadline_s: float = math.inf,
) -> tuple[Problem, SolveOptions]:
    """The problem and its options, checked. Raises FieldError and LimitError; DEADLINE_EXCEEDED
    where the checks outlast the limit from arrival_s or deadline_s (time.monotonic())."""
    if not request.HasField("spec"):
        raise FieldError("spec", expected="what to solve", given="nothing")
    return read_spec(request.spec, limits, threads_max, arrival_s=arrival_s, deadline_s=deadline_s)


def read_spec(
    spec: SolveSpec,
    limits: Limits,
    threads_max: int,
    *,
    arrival_s: float = math.inf,
    deadline_s: float = math.inf,
) -> tuple[Problem, SolveOptions]:
    """As read_request, of its spec."""
    options = _read_options(spec, limits, threads_max)
    until_s = min(arrival_s + options.time_limit_s, deadline_s)
    problem = _read_problem(spec, limits, options.feasibility_tolerance, until_s)
    if spec.HasField("initial"):
        initial = _read_initial(spec, problem, limits)
        options = SolveOptions(**{**vars(options), "initial": initial})
    _check_answer_size(problem, options, limits)
    return problem, options


def digest(spec: SolveSpec) -> str:
    """SHA-256 of the canonical bytes, hexadecimal."""
    found = hashlib.sha256(DIGEST_VERSION)
    found.update(spec.SerializeToString(deterministic=True))
    return found.hexdigest()


def _read_problem(spec: SolveSpec, limits: Limits, tolerance: float, until_s: float) -> Problem:
    match spec.WhichOneof("problem"):
        case "ising":
            return read_ising(spec.ising, "spec.ising", limits)
        case "qubo":
            return read_qubo(spec.qubo, "spec.qubo", limits)
        case "binary_quadratic":
            path = "spec.binary_quadratic"
            return read_binary_quadratic(spec.binary_quadratic, path, limits, tolerance)
        case "linear":
            return read_linear(spec.linear, "spec.linear", limits)
        case "portfolio":
            from ketgate_server.optimization.portfolio.convert import problem_from_proto

            return problem_from_proto(spec.portfolio, "spec.portfolio", limits, until_s)
        case _:
            raise FieldError("spec.problem", expected=PROBLEMS, given="none of them")


def _read_options(spec: SolveSpec, limits: Limits, threads_max: int) -> SolveOptions:
    if spec.work_limit < 0:
        raise FieldError("spec.work_limit", expected="0 or more", given=spec.work_limit)
    if not 0 <= spec.threads <= threads_max:
        raise FieldError("spec.threads", expected=f"0 to {threads_max}", given=spec.threads)
    if spec.pool_size < 0:
        raise FieldError("spec.pool_size", expected="0 or more", given=spec.pool_size)
    pool_max = limits["optimization.pool_size_max"].value
    if spec.pool_size > pool_max:
        raise LimitError(
            "optimization.pool_size_max",
            allowed=pool_max,
            given=spec.pool_size,
            field="spec.pool_size",
        )
    target = None
    if spec.HasField("target_objective"):
        target = _read_number(spec.target_objective, "spec.target_objective", -math.inf, math.inf)
    gap_relative, gap_absolute, tolerance = 1e-9, 0.0, TOLERANCE_DEFAULT
    if spec.HasField("gap_relative"):
        gap_relative = _read_number(spec.gap_relative, "spec.gap_relative", 0.0, 1.0)
    if spec.HasField("gap_absolute"):
        gap_absolute = _read_number(spec.gap_absolute, "spec.gap_absolute", 0.0, math.inf)
    if spec.HasField("feasibility_tolerance"):
        path = "spec.feasibility_tolerance"
        tolerance = _read_number(spec.feasibility_tolerance, path, TOLERANCE_MIN, TOLERANCE_MAX)
    return SolveOptions(
        solvers=_read_solvers(spec, limits),
        time_limit_s=_read_time_limit(spec, limits),
        work_limit=spec.work_limit,
        seed=spec.seed if spec.HasField("seed") else None,
        threads=spec.threads,
        target_objective=target,
        gap_relative=gap_relative,
        gap_absolute=gap_absolute,
        pool_size=spec.pool_size or 1,
        feasibility_tolerance=tolerance,
    )


def _read_time_limit(spec: SolveSpec, limits: Limits) -> float:
    longest_s = limits["optimization.time_limit_ms_max"].value / 1000
    if not spec.HasField("time_limit"):
        return min(TIME_LIMIT_DEFAULT_S, longest_s)
    given: duration_pb2.Duration = spec.time_limit
    seconds, nanos = given.seconds, given.nanos
    well_formed = (
        abs(nanos) < 1_000_000_000 and not (seconds > 0 > nanos) and not (seconds < 0 < nanos)
    )
    if not well_formed:
        raise FieldError(
            "spec.time_limit",
            expected="a duration whose nanos are below 10^9 and of the sign of its seconds",
            given=f"{seconds} s and {nanos} ns",
        )
    total_s = seconds + nanos * 1e-9
    if not 0.0 < total_s <= longest_s:
        raise FieldError(
            "spec.time_limit",
            expected=f"more than 0 and at most {longest_s:g} s (optimization.time_limit_ms_max)",
            given=f"{total_s:g} s",
        )
    return total_s


def _read_solvers(spec: SolveSpec, limits: Limits) -> list[tuple[str, Mapping[str, Any]]]:
    allowed = limits["optimization.solvers_max"].value
    if len(spec.solvers) > allowed:
        raise LimitError(
            "optimization.solvers_max",
            allowed=allowed,
            given=len(spec.solvers),
            field="spec.solvers",
        )
    return [(choice.name, _read_parameters(choice, k)) for k, choice in enumerate(spec.solvers)]


def _read_parameters(choice: solver_pb2.SolverChoice, index: int) -> dict[str, Any]:
    """Raw values; the registry checks names, types and ranges."""
    values: dict[str, Any] = {}
    path = f"spec.solvers[{index}].parameters"
    for name, value in choice.parameters.items():
        kind = value.WhichOneof("kind")
        if len(name) > TEXT_CHARACTERS_MAX or (
            kind == "text" and len(value.text) > TEXT_CHARACTERS_MAX
        ):
            raise FieldError(
                path,
                expected=f"names and texts of at most {TEXT_CHARACTERS_MAX} characters",
                given=name,
            )
        values[name] = None if kind is None else getattr(value, kind)
    return values


def _read_initial(spec: SolveSpec, problem: Problem, limits: Limits) -> NDArray[Any]:
    """(m, n) in the caller's form."""
    path, size = "spec.initial", problem.size
    values = read_float64(spec.initial, path)
    if values.shape == (size,):
        values = values.reshape(1, size)
    if values.ndim != 2 or values.shape[1] != size or not len(values):
        raise FieldError(
            path, expected=f"shape ({size},) or (m, {size})", given=f"shape {values.shape}"
        )
    allowed = limits["optimization.pool_size_max"].value
    if len(values) > allowed:
        raise LimitError(
            "optimization.pool_size_max", allowed=allowed, given=len(values), field=path
        )
    if isinstance(problem, (IsingProblem, BinaryProblem)):
        low = -1.0 if problem.function.alphabet is Alphabet.SPIN else 0.0
        wrong = (values != low) & (values != 1.0)
        if wrong.any():
            k = int(np.argmax(wrong.reshape(-1)))
            raise FieldError(
                path, expected=f"{low:g} or 1", given=f"{values.reshape(-1)[k]:g} at element {k}"
            )
        return values.astype(problem.function.dtype)
    large = np.abs(values) > INITIAL_MAX
    if large.any():
        k = int(np.argmax(large.reshape(-1)))
        raise FieldError(
            path,
            expected=f"numbers of magnitude at most {INITIAL_MAX:g}",
            given=f"{values.reshape(-1)[k]:g} at element {k}",
        )
    return values


def _check_answer_size(problem: Problem, options: SolveOptions, limits: Limits) -> None:
    """A pool whose solutions would not fit a message is refused before it is sought."""
    given = options.pool_size * problem.size * value_bytes(problem)
    allowed = limits["rpc.message_bytes_max"].value
    if given > allowed:
        raise LimitError(
            "rpc.message_bytes_max", allowed=allowed, given=given, field="spec.pool_size"
        )


def _read_number(value: float, path: str, least: float, most: float) -> float:
    value = float(value)
    if not math.isfinite(value) or not least <= value <= most:
        span = "a finite number" if math.isinf(least) else f"a finite number from {least:g}"
        text = span if math.isinf(most) else f"{span} to {most:g}"
        raise FieldError(path, expected=text, given=value)
    return value
