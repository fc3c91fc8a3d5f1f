"""What is sent. A scenario makes the same requests from the same seed, and tells right answers from
wrong ones.

Requests are made and serialised before the clock runs: the client's time goes into sending.
"""

import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ketgate import _job_requests, _wire
from ketgate._tensor import from_tensor, to_tensor
from ketgate.jobs.v1 import job_pb2, job_service_pb2
from ketgate.optimization.v1 import optimization_service_pb2 as service_pb2
from ketgate.optimization.v1 import portfolio_pb2, result_pb2
from ketgate.server.v1 import server_service_pb2
from ketgate.type.v1 import ising_pb2, tensor_pb2

VARIANTS = 32
"""Different requests of each kind; sent in an order that the seed draws."""
DRAWN_AT_ONCE = 1000
JOB_LABELS = {"made-by": "ketgate-load"}
"""Of jobs, so that they are told from others afterwards."""

_SOLVED = (result_pb2.SOLVE_STATUS_OPTIMAL, result_pb2.SOLVE_STATUS_FEASIBLE)

MakeSpec = Callable[[np.random.Generator], service_pb2.SolveSpec]
MakeRequests = Callable[[np.random.Generator], list[Any]]


@dataclass(frozen=True)
class Operation:
    """A kind of call."""

    name: str
    """As reports show it."""
    method: Any
    """_wire.Method."""
    stream: bool
    variants: MakeRequests
    """Makes VARIANTS requests."""
    check: Callable[[Any], str]
    """What is wrong with an answer (of a stream: with its last message); empty if nothing is."""
    added: Callable[[], bytes] = bytes
    """Makes what is added to each request as it is sent: fields that no two may have in common."""


@dataclass(frozen=True)
class Scenario:
    """Operations, each with its share of the calls."""

    name: str
    description: str
    shares: tuple[tuple[float, Operation], ...]


@dataclass(frozen=True)
class Shot:
    """One request, ready to be sent."""

    operation: int
    """Position in the scenario's operations."""
    request: bytes


class Shots:
    """The requests of a scenario, made once."""

    def __init__(self, scenario: Scenario, seed: int) -> None:
        rng = np.random.default_rng(seed)
        self._pools = [
            [Shot(position, request.SerializeToString()) for request in operation.variants(rng)]
            for position, (_, operation) in enumerate(scenario.shares)
        ]
        weights = np.array([share for share, _ in scenario.shares])
        self._weights = weights / weights.sum()

    def draw(self, seed: Sequence[int]) -> Iterator[Shot]:
        """Shots in the order in which one sender sends them, without end."""
        rng = np.random.default_rng(seed)
        while True:
            # By the thousand: to draw one from NumPy costs as much as to send a call.
            operations = rng.choice(len(self._pools), size=DRAWN_AT_ONCE, p=self._weights)
            variants = rng.integers(VARIANTS, size=DRAWN_AT_ONCE)
            for operation, variant in zip(operations.tolist(), variants.tolist(), strict=True):
                yield self._pools[operation][variant]


def _covariance(rng: np.random.Generator, names: int) -> tensor_pb2.Tensor:
    """A covariance of daily returns: four factors, and what each name does by itself."""
    loadings = rng.normal(0.0, 0.004, (names, 4))
    loadings[:, 0] += 0.01
    return to_tensor(loadings @ loadings.T + np.diag(rng.uniform(1e-5, 2e-4, names)))


def _portfolio(rng: np.random.Generator, names: int, held: int = 0) -> service_pb2.SolveSpec:
    """Utility of `names` names, at most `held` of them where that is not 0."""
    spec = service_pb2.SolveSpec(seed=1)
    spec.time_limit.seconds = 5
    spec.portfolio.moments.covariance.CopyFrom(_covariance(rng, names))
    spec.portfolio.moments.expected_returns.CopyFrom(to_tensor(rng.normal(4e-4, 3e-4, names)))
    spec.portfolio.objective.utility.risk_aversion = float(rng.uniform(2.0, 10.0))
    spec.portfolio.constraints.upper.CopyFrom(to_tensor(np.array([0.4])))
    if held:
        spec.portfolio.constraints.cardinality.CopyFrom(
            portfolio_pb2.Cardinality(names_max=held, position_min=0.02)
        )
    return spec


def _spin_glass(rng: np.random.Generator, spins: int) -> service_pb2.SolveSpec:
    """Couplings of -1 and +1 on a random graph, six a spin: no proof ends it before its time."""
    spec = service_pb2.SolveSpec(seed=1, threads=1)
    spec.time_limit.seconds = 1
    pairs = np.unique(np.sort(rng.integers(spins, size=(3 * spins, 2)), axis=1), axis=0)
    pairs = pairs[pairs[:, 0] != pairs[:, 1]].astype("<i4")
    ising = ising_pb2.Ising(num_spins=spins)
    ising.quadratic.row.CopyFrom(to_tensor(pairs[:, 0]))
    ising.quadratic.column.CopyFrom(to_tensor(pairs[:, 1]))
    ising.quadratic.value.CopyFrom(to_tensor(rng.choice([-1.0, 1.0], len(pairs))))
    spec.ising.CopyFrom(ising)
    return spec


def _solve(make: MakeSpec) -> MakeRequests:
    return lambda rng: [service_pb2.SolveRequest(spec=make(rng)) for _ in range(VARIANTS)]


def _stream(make: MakeSpec) -> MakeRequests:
    return lambda rng: [service_pb2.SolveStreamRequest(spec=make(rng)) for _ in range(VARIANTS)]


def _jobs(make: MakeSpec) -> MakeRequests:
    def variants(rng: np.random.Generator) -> list[job_service_pb2.CreateJobRequest]:
        specs = [job_pb2.JobSpec(solve=make(rng)) for _ in range(VARIANTS)]
        return [job_service_pb2.CreateJobRequest(spec=spec, labels=JOB_LABELS) for spec in specs]

    return variants


def _own_request_id() -> bytes:
    """Serialised messages that follow each other are one, with the fields of all."""
    return job_service_pb2.CreateJobRequest(request_id=uuid.uuid4().hex).SerializeToString()


def _wrong_job(job: job_pb2.Job) -> str:
    return "" if job.name.startswith("jobs/") and job.kind == "solve" else "no job"


def _wrong_portfolio(result: Any) -> str:
    if result.status not in _SOLVED or not result.solutions:
        return f"no portfolio: {result_pb2.SolveStatus.Name(result.status)}"
    total = float(from_tensor(result.solutions[0].values).sum())
    return "" if abs(total - 1.0) <= 1e-6 else f"weights sum to {total!r}"


def _wrong_spins(result: Any) -> str:
    if result.status not in _SOLVED or not result.solutions:
        return f"no spins: {result_pb2.SolveStatus.Name(result.status)}"
    return (
        ""
        if set(np.unique(from_tensor(result.solutions[0].values))) <= {-1, 1}
        else "values that are no spins"
    )


def _wrong_last_event(event: Any) -> str:
    return (
        _wrong_portfolio(event.result)
        if event.WhichOneof("event") == "result"
        else "a stream without a result"
    )


SMALL_SOLVE = Operation(
    "Solve portfolio n=20",
    _wire.SOLVE,
    False,
    _solve(lambda rng: _portfolio(rng, 20)),
    lambda answer: _wrong_portfolio(answer.result),
)
STREAM = Operation(
    "SolveStream 5 of 30",
    _wire.SOLVE_STREAM,
    True,
    _stream(lambda rng: _portfolio(rng, 30, 5)),
    _wrong_last_event,
)
HEAVY = Operation(
    "Solve Ising n=2000 1s",
    _wire.SOLVE,
    False,
    _solve(lambda rng: _spin_glass(rng, 2000)),
    lambda answer: _wrong_spins(answer.result),
)
CREATE_JOB = Operation(
    "CreateJob portfolio n=20",
    _job_requests.CREATE,
    False,
    _jobs(lambda rng: _portfolio(rng, 20)),
    lambda answer: _wrong_job(answer.job),
    _own_request_id,
)
SERVER_INFO = Operation(
    "GetServerInfo",
    _wire.GET_SERVER_INFO,
    False,
    lambda _: [server_service_pb2.GetServerInfoRequest()] * VARIANTS,
    lambda answer: "" if answer.version else "no version",
)
LIST_SOLVERS = Operation(
    "ListSolvers",
    _wire.LIST_SOLVERS,
    False,
    lambda _: [service_pb2.ListSolversRequest()] * VARIANTS,
    lambda answer: "" if answer.solvers else "no solvers",
)

SCENARIOS: dict[str, Scenario] = {
    scenario.name: scenario
    for scenario in (
        Scenario("info", "GetServerInfo: the edge alone", ((1.0, SERVER_INFO),)),
        Scenario("small-solve", "Solve a portfolio of 20 names", ((1.0, SMALL_SOLVE),)),
        Scenario("stream", "SolveStream the best 5 of 30 names", ((1.0, STREAM),)),
        Scenario(
            "mix",
            "70 % small solves, 20 % info, 5 % streams, 5 % solver lists",
            ((0.70, SMALL_SOLVE), (0.20, SERVER_INFO), (0.05, STREAM), (0.05, LIST_SOLVERS)),
        ),
        Scenario(
            "jobs",
            "CreateJob with a portfolio of 20 names: until the job is on disk",
            ((1.0, CREATE_JOB),),
        ),
        Scenario(
            "heavy",
            "Solve a spin glass of 2000 spins for 1 s: to measure others beside",
            ((1.0, HEAVY),),
        ),
    )
}
