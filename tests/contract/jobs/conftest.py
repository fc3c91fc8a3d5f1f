"""A server in this process whose one kind of job does what a test tells it to, and callers of any tenant."""

import itertools
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.longrunning import operations_pb2 as lro
from google.protobuf import empty_pb2
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as pb
from ketgate.jobs.v1 import job_service_pb2_grpc as services
from ketgate.optimization.v1 import optimization_service_pb2, result_pb2
from ketgate_server import durable
from ketgate_server.config import load
from ketgate_server.errors import FieldError
from ketgate_server.jobs.faults import Stopped
from ketgate_server.rpc.auth import Authenticator
from ketgate_server.rpc.edge import Edge
from ketgate_server.rpc.log import LogWriter
from ketgate_server.rpc.metrics import Metrics
from ketgate_server.rpc.server import GrpcServer
from ketgate_server.tokens import TokenStore

TIMEOUT_S = 200.0
OVER = {5, 6, 7, 8}

SolveResult = result_pb2.SolveResult


class Gate:
    """Holds an attempt until the test lets it go, or it is told to stop."""

    def __init__(self) -> None:
        self.entered = threading.Semaphore(0)
        self.open = threading.Event()
        self.error: Exception | None = None

    def wait_entered(self) -> None:
        assert self.entered.acquire(timeout=TIMEOUT_S)


class Work:
    """The kind "solve", without solving: a spec with a seed that has a gate waits at it."""

    name = "solve"
    role = "optimization.user"
    entry = ""
    isolated = False

    def __init__(self) -> None:
        self.gates: dict[int, Gate] = {}

    def check(self, spec: optimization_service_pb2.SolveSpec) -> None:
        if spec.work_limit < 0:
            raise FieldError("spec.work_limit", expected="0 or more", given=spec.work_limit)

    def digest(self, spec: optimization_service_pb2.SolveSpec) -> bytes:
        return bytes([spec.seed % 256]) * 32

    def artifacts(self, spec: optimization_service_pb2.SolveSpec) -> list[str]:
        return []

    def run(self, spec: optimization_service_pb2.SolveSpec, context: Any) -> SolveResult:
        gate = self.gates.get(spec.seed)
        if gate is not None:
            context.on_stop(gate.open.set)
            context.progress(job_pb2.JobProgress(objective=1.5, solver="gate"))
            gate.entered.release()
            assert gate.open.wait(TIMEOUT_S)
            if gate.error is not None:
                raise gate.error
        if context.stopped:
            raise Stopped(SolveResult(solver="gate", seed=spec.seed))
        return SolveResult(solver="gate", seed=spec.seed)


@dataclass
class Caller:
    """One token, and its calls."""

    server: "JobServer"
    tenant: str
    subject: str
    """Name of the token."""
    metadata: tuple[tuple[str, str], ...]

    def call(self, method: str, request: Any, **options: Any) -> Any:
        """A method of JobService."""
        options = {"metadata": self.metadata, "timeout": TIMEOUT_S} | options
        return getattr(self.server.stub, method)(request, **options)

    def operation(self, method: str, request: Any, answer: Any = lro.Operation) -> Any:
        """A method of google.longrunning.Operations."""
        call = self.server.channel.unary_unary(
            f"/google.longrunning.Operations/{method}",
            request_serializer=type(request).SerializeToString,
            response_deserializer=answer.FromString,
        )
        return call(request, metadata=self.metadata, timeout=TIMEOUT_S)

    def empty(self, method: str, request: Any) -> Any:
        return self.operation(method, request, empty_pb2.Empty)

    def create(self, seed: int = 0, **fields: Any) -> job_pb2.Job:
        return self.call("CreateJob", creation(seed, **fields)).job

    def get(self, name: str, **fields: Any) -> job_pb2.Job:
        return self.call("GetJob", pb.GetJobRequest(name=name, **fields)).job

    def wait(self, name: str, **fields: Any) -> job_pb2.Job:
        return self.call("WaitJob", pb.WaitJobRequest(name=name, **fields)).job

    def watch(self, **fields: Any) -> Any:
        return self.call("WatchJobs", pb.WatchJobsRequest(**fields))


def until(condition: Callable[[], object]) -> None:
    """Look again and again, for what nobody tells of; the time-out of the test ends it."""
    while not condition():
        threading.Event().wait(0.001)


def creation(seed: int = 0, **fields: Any) -> pb.CreateJobRequest:
    """A request for a job; fields as in the contract."""
    request = pb.CreateJobRequest(**fields)
    request.spec.solve.seed = seed
    return request


class JobServer:
    """An edge over plaintext loopback, with the whole of what is durable behind it."""

    def __init__(
        self,
        folder: Path,
        limits: Mapping[str, int],
        jobs: Mapping[str, Any],
        store_url: str | None = None,
    ) -> None:
        folder.mkdir(exist_ok=True)
        self.work = Work()
        given = {"data_dir": str(folder), "limits": dict(limits), "jobs": dict(jobs)}
        if store_url is not None:  # what servers of one database share
            given["signing.kek_file"] = str(folder.parent / "shared" / "kek.key")
        self.settings, _ = load(given | {"insecure": True, "store_url": store_url})
        values = self.settings.limit_values
        self.durable = durable.start(self.settings, [self.work])
        self.tokens = TokenStore(self.durable.store)
        self._name = folder.name
        self._log_file = (folder / "log.jsonl").open("wb")
        self.log = LogWriter(self._log_file.fileno())
        self.metrics = Metrics()
        self.edge = Edge(
            values,
            Authenticator(self.tokens),
            self.metrics,
            self.log,
            plaintext=True,
            witness=self.durable.audit.recorder,
        )
        for service in self.durable.services:
            self.edge.add_service(service)
        self.server = GrpcServer(self.edge, values)
        port = self.server.listen("127.0.0.1", 0, None)
        self.server.start()
        options = [("grpc.use_local_subchannel_pool", 1), ("grpc.max_receive_message_length", -1)]
        self.address = f"127.0.0.1:{port}"
        self.channel = grpc.insecure_channel(self.address, options)
        self.stub = services.JobServiceStub(self.channel)
        self._numbers = itertools.count(1)

    def caller(self, tenant: str | None = None, roles: tuple[str, ...] | None = None) -> Caller:
        """A caller, of a tenant of its own unless one is named."""
        number = next(self._numbers)
        tenant = tenant or f"tenant-{number}"
        named = {} if roles is None else {"roles": roles}
        subject = f"{self._name}-{number}"
        secret, _ = self.tokens.create(subject, tenant=tenant, **named)
        return Caller(self, tenant, subject, (("authorization", f"Bearer {secret}"),))

    def gate(self) -> tuple[int, Gate]:
        """A seed whose jobs wait at the gate."""
        seed = 1000 + next(self._numbers)
        gate = self.work.gates[seed] = Gate()
        return seed, gate

    def audited(self) -> list[tuple[str, str, str, str]]:
        """Actor, action, resource and outcome of every entry of the audit."""
        found = self.audit_payloads()
        return [(p.actor, p.action.rpartition("/")[2], p.resource, p.outcome) for p in found]

    def audit_payloads(self) -> list[Any]:
        """Every entry of the audit, as an AuditPayload."""
        from ketgate.audit.v1 import audit_service_pb2

        with self.durable.store.read() as reader:
            rows = reader.rows("SELECT payload FROM audit_entries ORDER BY idx")
        return [audit_service_pb2.AuditPayload.FromString(payload) for (payload,) in rows]

    def close(self) -> None:
        for gate in self.work.gates.values():
            gate.open.set()
        self.durable.begin_drain(5.0)
        self.channel.close()
        self.server.stop()
        self.durable.close()
        self.log.close()
        self._log_file.close()


MakeJobServer = Callable[..., JobServer]


@pytest.fixture
def make_job_server(tmp_path: Path) -> Iterator[MakeJobServer]:
    """Makes servers of a test's own; limits by name, jobs: settings of jobs."""
    made: list[JobServer] = []

    def make(
        jobs: Mapping[str, Any] | None = None, store_url: str | None = None, **limits: int
    ) -> JobServer:
        named = {name.replace("__", "."): value for name, value in limits.items()}
        folder = tmp_path / f"jobs-{len(made)}"
        made.append(JobServer(folder, named, jobs or {"workers": 2}, store_url))
        return made[-1]

    yield make
    for server in made:
        server.close()


@pytest.fixture(scope="session", params=["sqlite", "postgresql"])
def job_server(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[JobServer]:
    """One server for all, on each kind of store; tests keep apart by their tenants."""
    url = None
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_server").new_database()
    server = JobServer(tmp_path_factory.mktemp("jobs"), {}, {"workers": 16}, url)
    yield server
    server.close()


@pytest.fixture
def caller(job_server: JobServer) -> Caller:
    """The only caller of a tenant."""
    return job_server.caller()
