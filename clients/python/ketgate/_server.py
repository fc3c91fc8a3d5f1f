"""What a server says of itself: its version, limits and parts, and its solvers."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from ketgate._events import seconds
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import solver_pb2
from ketgate.server.v1 import server_service_pb2


@dataclass(frozen=True)
class Limit:
    """A limit that the server enforces."""

    value: int
    unit: str
    description: str


@dataclass(frozen=True)
class Part:
    """An optional part of the server."""

    name: str
    installed: bool
    version: str
    purpose: str
    install_command: str


@dataclass(frozen=True)
class ServerInfo:
    """What a server is and what it can do."""

    version: str
    start_time: datetime
    processors: int
    instruction_set: str
    services: tuple[str, ...]
    tenant: str
    """Of the token that asked."""
    roles: tuple[str, ...]
    limits: dict[str, Limit]
    parts: dict[str, Part]


@dataclass(frozen=True)
class Parameter:
    """A parameter of a solver."""

    name: str
    description: str
    default: int | float | bool | str | None
    minimum: float | None
    maximum: float | None
    choices: tuple[str, ...]


@dataclass(frozen=True)
class SolverDescription:
    """A solver of the server."""

    name: str
    description: str
    problems: tuple[str, ...]
    """Kinds of problem that it takes, for example "portfolio_discrete"."""
    proofs: tuple[str, ...]
    """What it can prove: "optimality", "bound", "infeasibility"."""
    parameters: tuple[Parameter, ...]
    part: str
    available: bool
    version: str
    deterministic: bool
    work_unit: str
    warm_start: bool


@dataclass(frozen=True)
class Estimate:
    """What a solve would take."""

    solvers: tuple[str, ...]
    memory_bytes: int
    time_max_s: float
    num_variables: int
    num_constraints: int
    warnings: tuple[str, ...]


def server_info(told: server_service_pb2.GetServerInfoResponse) -> ServerInfo:
    return ServerInfo(
        version=told.version,
        start_time=datetime.fromtimestamp(
            told.start_time.seconds + told.start_time.nanos / 1e9, UTC
        ),
        processors=told.processors,
        instruction_set=told.instruction_set,
        services=tuple(told.services),
        tenant=told.tenant,
        roles=tuple(told.roles),
        limits={
            limit.name: Limit(limit.value, limit.unit, limit.description) for limit in told.limits
        },
        parts={
            part.name: Part(
                part.name, part.installed, part.version, part.purpose, part.install_command
            )
            for part in told.parts
        },
    )


def solver_descriptions(told: Iterable[solver_pb2.Solver]) -> list[SolverDescription]:
    return [
        SolverDescription(
            name=solver.name,
            description=solver.description,
            problems=tuple(
                _name(solver_pb2.ProblemKind, kind, "PROBLEM_KIND_") for kind in solver.problems
            ),
            proofs=tuple(_name(solver_pb2.Proof, proof, "PROOF_") for proof in solver.proofs),
            parameters=tuple(_parameter(parameter) for parameter in solver.parameters),
            part=solver.part,
            available=solver.available,
            version=solver.version,
            deterministic=solver.deterministic,
            work_unit=solver.work_unit,
            warm_start=solver.warm_start,
        )
        for solver in told
    ]


def estimate(told: service_pb2.SolveEstimate) -> Estimate:
    return Estimate(
        solvers=tuple(told.solvers),
        memory_bytes=told.memory_bytes,
        time_max_s=seconds(told.time_max),
        num_variables=told.num_variables,
        num_constraints=told.num_constraints,
        warnings=tuple(told.warnings),
    )


def problem_kind(name: str | None) -> Any:
    """The contract's number of a kind of problem, by the name that SolverDescription.problems
    uses.
    """
    if name is None:
        return solver_pb2.PROBLEM_KIND_UNSPECIFIED
    from ketgate._errors import InvalidArgument

    prefix = "PROBLEM_KIND_"
    known = [key.removeprefix(prefix).lower() for key in solver_pb2.ProblemKind.keys()[1:]]
    if name not in known:
        raise InvalidArgument(
            f"problem: expected one of {', '.join(known)}, given {name!r}", field="problem"
        )
    return solver_pb2.ProblemKind.Value(prefix + name.upper())


def _parameter(told: solver_pb2.Parameter) -> Parameter:
    kind = told.default_value.WhichOneof("kind")
    default: Any = getattr(told.default_value, kind) if kind else None
    return Parameter(
        name=told.name,
        description=told.description,
        default=default,
        minimum=told.minimum if told.HasField("minimum") else None,
        maximum=told.maximum if told.HasField("maximum") else None,
        choices=tuple(told.choices),
    )


def _name(names: Any, value: int, prefix: str) -> str:
    """An enum's name without its prefix; its number if this client is too old to know it."""
    try:
        return str(names.Name(value)).removeprefix(prefix).lower()
    except ValueError:
        return str(value)
