"""Clients of a simulation. They reach servers over a network that drops, doubles, delays and reorders
messages; they repeat until they are answered, and remember what they were told."""

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Actor, Job, NewJob, RequestKey
from ketgate_server.jobs.ids import new_id
from ketgate_server.jobs.listing import ListQuery
from ketgate_server.jobs.record import CANCELLED, CANCELLING, SUCCEEDED, TERMINAL
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import StoreUnavailable

from .checker import CANCEL, CREATE, DELETE, Checker
from .database import Database
from .server import Server
from .world import MS, SECOND, Process, World

TRIES_MAX = 200
NO_ANSWER = object()


@dataclass
class Told:
    """What clients were told, and hold the servers to."""

    jobs_of: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))
    """Jobs that answers named, by request id: one each."""
    first: dict[str, Job] = field(default_factory=dict)
    """The first answer to each request id: all are the same."""
    cancelled: dict[str, str] = field(default_factory=dict)
    """Jobs whose cancellation was answered, and their tenants."""
    deleted: set[str] = field(default_factory=set)
    over: dict[str, int] = field(default_factory=dict)
    """Terminal states that were seen."""


class Network:
    """Brings calls to some server and its answers back, or not."""

    def __init__(self, world: World, database: Database, servers: list[Server]) -> None:
        self._world = world
        self._database = database
        self._servers = servers

    def call(self, do: Callable[[JobStore], Any], timeout_us: float) -> Any:
        """What do returned on a server, its error, or NO_ANSWER in time."""
        world, faults = self._world, self._database.faults

        def send(resume: Callable[[Any], None]) -> None:
            server = world.random.choice(self._servers)
            copies = 0 if world.chance(faults.drop) else 2 if world.chance(faults.duplicate) else 1
            for _ in range(copies):
                if server.process.alive:
                    delay_us = world.between(0, 50 * MS)
                    server.process.spawn(lambda: self._serve(server, do, resume), delay_us)
            world.later(timeout_us, lambda: resume(NO_ANSWER))

        return world.wait(send)

    def _serve(
        self, server: Server, do: Callable[[JobStore], Any], resume: Callable[[Any], None]
    ) -> None:
        try:
            answer = do(server.jobs)
        except (KetgateError, StoreUnavailable) as error:
            answer = error
        if not self._world.chance(self._database.faults.drop):
            self._world.later(self._world.between(0, 50 * MS), lambda: resume(answer))


class Client:
    """Makes jobs, looks at them, cancels and deletes some, and repeats what was not answered."""

    def __init__(
        self, world: World, network: Network, told: Told, tenant: str, name: str, jobs: int
    ) -> None:
        self._world = world
        self._network = network
        self._told = told
        self._tenant = tenant
        self._name = name
        self._jobs = jobs
        self.process: Process = world.process(name)
        self.done = False
        self.process.spawn(self._run)

    def _run(self) -> None:
        world = self._world
        for number in range(self._jobs):
            world.sleep(world.between(0, 2 * SECOND))
            job = self._create(f"{self._name}-{number}")
            if job is not None:
                self._use(job.uid, f"{self._name}-{number}")
        self.done = True

    def _create(self, request_id: str) -> Job | None:
        world = self._world
        delay_us = round(world.between(0, 2 * SECOND)) if world.chance(0.2) else None
        timeout_us = round(world.between(MS, 6 * SECOND)) if world.chance(0.3) else None
        priority = world.random.randrange(-2, 3)
        labels = {"n": request_id} if world.chance(0.3) else {}

        def create(jobs: JobStore) -> Job:
            new = NewJob(
                Actor(self._tenant, self._name, CREATE, "call"),
                RequestKey(request_id, request_id.encode()),
                new_id(world.now_us, world.random.randbytes(16)),
                "solve",
                b"",
                b"digest",
                priority,
                labels,
                delay_us,
                timeout_us,
            )
            return jobs.create(new)

        def known(answer: Any) -> bool:
            if isinstance(answer, Job):
                self._told.jobs_of[request_id].add(answer.name)
                if self._told.first.setdefault(request_id, answer) != answer:
                    world.broken(f"{request_id} was answered in two ways")
            return True

        answer = self._insist(create, known)
        if isinstance(answer, Job) and world.chance(0.2):
            self._insist(create, known)  # as one does who lost the answer
        return answer if isinstance(answer, Job) else None

    def _use(self, job_id: str, key: str) -> None:
        world = self._world
        if world.chance(0.35):
            world.sleep(world.between(0, 3 * SECOND))
            self._cancel(job_id, f"cancel-{key}")
        if world.chance(0.5):
            for _ in range(world.random.randrange(4)):
                world.sleep(world.between(0, SECOND))
                self._look(job_id)
        if world.chance(0.2):
            self._delete(job_id, f"delete-{key}")
        if world.chance(0.2):
            self._insist(lambda jobs: jobs.list(self._tenant, ListQuery(filter="state != QUEUED")))

    def _cancel(self, job_id: str, request_id: str) -> None:
        actor = Actor(self._tenant, self._name, CANCEL)
        request = RequestKey(request_id, b"cancel")
        answer = self._insist(lambda jobs: jobs.cancel(actor, request, job_id, "as it pleases"))
        if isinstance(answer, Job):
            if answer.state not in TERMINAL and answer.state != CANCELLING:
                self._world.broken(f"{answer.name} was cancelled, but is in state {answer.state}")
            self._told.cancelled[answer.name] = self._tenant
            self._see(answer)

    def _delete(self, job_id: str, request_id: str) -> None:
        actor = Actor(self._tenant, self._name, DELETE)
        request = RequestKey(request_id, b"delete")
        answer = self._insist(lambda jobs: jobs.delete(actor, request, job_id))
        if answer is None:
            self._told.deleted.add(f"jobs/{job_id}")

    def _look(self, job_id: str) -> None:
        answer = self._insist(lambda jobs: jobs.get(self._tenant, job_id))
        if isinstance(answer, Job):
            self._see(answer)

    def _see(self, job: Job) -> None:
        if job.state in TERMINAL and self._told.over.setdefault(job.name, job.state) != job.state:
            self._world.broken(f"{job.name} was over, and then over otherwise")

    def _insist(
        self, do: Callable[[JobStore], Any], saw: Callable[[Any], bool] = lambda _: True
    ) -> Any:
        """Call until there is an answer that is no failure of the server."""
        for _ in range(TRIES_MAX):
            answer = self._network.call(do, self._world.between(100 * MS, 4 * SECOND))
            if answer is NO_ANSWER or isinstance(answer, StoreUnavailable):
                self._world.sleep(self._world.between(0, SECOND))
                continue
            if isinstance(answer, KetgateError) and answer.reason is Reason.INTERNAL:
                self._world.broken(f"{self._name}: {answer}")
            saw(answer)
            return answer
        self._world.broken(f"{self._name} is never answered")
        return None


@dataclass
class Stretch:
    """What a watcher saw without a break."""

    begin: int
    reached: int
    """The first revision that it has not seen."""
    seen: list[tuple[int, str]] = field(default_factory=list)


class Watcher:
    """Watches a tenant, is cut off, and goes on where it was."""

    def __init__(self, world: World, network: Network, tenant: str) -> None:
        self._world = world
        self._network = network
        self.tenant = tenant
        self.stretches = [Stretch(1, 1)]
        """One more after each compaction."""
        self.process: Process = world.process(f"watcher of {tenant}")
        self.process.spawn(self._run)

    def _run(self) -> None:
        while True:
            self._world.sleep(self._world.between(0, SECOND))
            stretch = self.stretches[-1]
            limit = self._world.random.choice([1, 3, 50])
            read = partial(self._read, start=stretch.reached, limit=limit)
            answer = self._network.call(read, SECOND)
            if isinstance(answer, KetgateError):
                assert answer.reason is Reason.REVISION_COMPACTED, answer
                begin = self._revision()
                self.stretches.append(Stretch(begin, begin))
            elif answer is not NO_ANSWER and not isinstance(answer, StoreUnavailable):
                seen, stretch.reached = answer
                stretch.seen.extend(seen)

    def _read(self, jobs: JobStore, start: int, limit: int) -> tuple[list[tuple[int, str]], int]:
        newest = jobs.revision()
        events = jobs.events(self.tenant, start, limit)
        seen = [(revision, event.job) for revision, _, event in events]
        last = seen[-1][0] if len(seen) == limit else max([newest, *(r for r, _ in seen)])
        return seen, max(start, last + 1)

    def _revision(self) -> int:
        """As a client does that lists, and watches from there."""
        while True:
            answer = self._network.call(lambda jobs: jobs.list(self.tenant, ListQuery()), SECOND)
            if answer is not NO_ANSWER and not isinstance(answer, Exception):
                return int(answer.revision) + 1
            self._world.sleep(100 * MS)


def check(world: World, checker: Checker, told: Told, watchers: list[Watcher]) -> None:
    """At the end: what was told holds."""
    for request_id, names in told.jobs_of.items():
        if len(names) != 1:
            world.broken(f"{request_id} made {len(names)} jobs: {names}")
        for name in names - checker.jobs.keys():
            world.broken(f"{name} was acknowledged, and is lost")
    for name in told.cancelled:
        job = checker.jobs[name]
        if job.states and job.states[-1] == CANCELLING:
            world.broken(f"{name} was cancelled, but is not over")
        if CANCELLING in job.states and job.state not in (CANCELLED, SUCCEEDED):
            world.broken(f"{name} was cancelled while it ran, and ended in state {job.state}")
    for name in told.deleted:
        if not checker.jobs[name].deleted:
            world.broken(f"{name} was deleted, and is there")
    for name, state in told.over.items():
        if checker.jobs[name].state != state:
            world.broken(f"{name} was over in state {state}, and is now {checker.jobs[name].state}")
    for watcher in watchers:
        _check_watch(world, checker, watcher)


def _check_watch(world: World, checker: Checker, watcher: Watcher) -> None:
    for stretch in watcher.stretches:
        expected = [
            (revision, job)
            for revision, tenant, job in checker.log
            if tenant == watcher.tenant and stretch.begin <= revision < stretch.reached
        ]
        if stretch.seen != expected:
            missed = sorted(set(expected) ^ set(stretch.seen))[:5]
            world.broken(f"the watcher of {watcher.tenant} did not see each event once: {missed}")
