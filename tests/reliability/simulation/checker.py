"""What must hold whatever happens: looked at after every commit, and once more at the end."""

from collections import Counter, defaultdict
from dataclasses import dataclass, field

from ketgate.audit.v1.audit_service_pb2 import AuditPayload
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server.jobs import record
from ketgate_server.jobs.outside import WARNING
from ketgate_server.jobs.record import CANCELLED, QUEUED, RUNNING, SUCCEEDED, TERMINAL

from .database import Database
from .provider import Provider
from .world import World

# Written out anew, not imported: the model is what the machine is held to.
ALLOWED = {
    (QUEUED, RUNNING),
    (QUEUED, record.CANCELLING),
    (RUNNING, record.SUBMITTED),
    (record.SUBMITTED, record.CANCELLING),
    (record.SUBMITTED, SUCCEEDED),
    (record.SUBMITTED, record.FAILED),
    (record.SUBMITTED, record.EXPIRED),
    (QUEUED, record.CANCELLED),
    (QUEUED, record.EXPIRED),
    (RUNNING, QUEUED),
    (RUNNING, record.CANCELLING),
    (RUNNING, SUCCEEDED),
    (RUNNING, record.FAILED),
    (RUNNING, record.EXPIRED),
    (record.CANCELLING, SUCCEEDED),
    (record.CANCELLING, CANCELLED),
}
CREATE, CANCEL, DELETE = "/Create", "/Cancel", "/Delete"


@dataclass
class Model:
    """A job, as its events tell."""

    tenant: str
    state: int
    revision: int
    attempt: int = 0
    fence: int = 0
    deleted: bool = False
    states: list[int] = field(default_factory=list)


class Checker:
    """Follows the events of the database as they are committed."""

    def __init__(self, world: World, database: Database, provider: Provider) -> None:
        self._world = world
        self._provider = provider
        self._database = database
        database.transaction.committed = self.check
        self.jobs: dict[str, Model] = {}
        self.log: list[tuple[int, str, str]] = []
        """Every event: revision, tenant, job."""
        self.revision = 0
        self._audited = 0
        self._audits: Counter[tuple[str, str]] = Counter()
        self._effects: Counter[tuple[str, str]] = Counter()

    def check(self) -> None:
        """After a commit."""
        touched = set()
        for revision, tenant, stored in self._database.rows(
            "SELECT revision, tenant, event FROM events WHERE revision > ? ORDER BY revision",
            (self.revision,),
        ):
            if revision != self.revision + 1:
                self._broken(f"revision {revision} follows {self.revision}")
            self.revision = revision
            event = pb.JobEvent.FromString(stored)
            self.log.append((revision, tenant, event.job))
            self._world.log(
                f"#{revision} {event.job[-6:]} {event.type} {event.state} {event.reason}"
            )
            self._apply(revision, tenant, event)
            touched.add(event.job)
        taken = self._database.row("SELECT value FROM counters WHERE name = 'revision'")
        if taken is None or taken[0] != self.revision:
            self._broken(
                f"revisions up to {taken} were taken, but {self.revision} is the newest event's"
            )
        for name in touched:
            self._check_row(name)
            if self.jobs[name].state == SUCCEEDED and not self.jobs[name].deleted:
                self._check_result(name)
        self._check_audit()
        self._check_outside()

    def _check_outside(self) -> None:
        """Who is followed to a provider, and who holds what: also where no event tells of it."""
        for sql, what in (
            ("(fence = 0) <> (lease_time_us IS NULL)", "a fence without a lease"),
            ("state = 2 AND outside_until_us IS NULL", "submitted, and followed by nobody"),
            ("end_time_us IS NOT NULL AND outside_until_us IS NOT NULL", "over, and followed"),
            (
                "outside_until_us IS NOT NULL AND seq NOT IN (SELECT seq FROM job_handles)",
                "no handle",
            ),
            ("state = 4 AND lease_time_us IS NULL AND outside_until_us IS NULL", "told to nobody"),
        ):
            for (job_id,) in self._database.rows(f"SELECT id FROM jobs WHERE {sql}"):
                self._broken(f"jobs/{job_id}: {what}")

    def _apply(self, revision: int, tenant: str, event: pb.JobEvent) -> None:
        job = self.jobs.get(event.job)
        if event.type == pb.JOB_EVENT_TYPE_CREATED:
            if job is not None:
                self._broken(f"{event.job} was created twice")
            self.jobs[event.job] = Model(tenant, event.state, revision)
            self._effects[CREATE, event.job] += 1
            return
        if job is None or job.deleted:
            self._broken(f"{event.job}: an event of a job that is not there")
            return
        if event.type == pb.JOB_EVENT_TYPE_DELETED:
            if job.state not in TERMINAL:
                self._broken(f"{event.job} was deleted before it was over")
            job.deleted = True
            self._effects[DELETE, event.job] += event.actor != "server"
        elif event.type == pb.JOB_EVENT_TYPE_PROGRESS:
            if event.state != job.state or event.attempt != job.attempt:
                self._broken(f"{event.job}: progress of another attempt or state")
        else:
            self._change(event, job)
        job.revision = revision

    def _fence_of(self, event: pb.JobEvent) -> int:
        """Of the attempt that began with this event."""
        row = self._database.row(
            "SELECT a.attempt FROM jobs j JOIN job_attempts a ON a.seq = j.seq"
            " WHERE j.id = ? AND a.number = ?",
            (event.job.removeprefix("jobs/"), event.attempt),
        )
        return 0 if row is None else pb.JobAttempt.FromString(row[0]).fence

    def _change(self, event: pb.JobEvent, job: Model) -> None:
        if (job.state, event.state) not in ALLOWED:
            self._broken(f"{event.job} went from state {job.state} to {event.state}")
        if event.state == RUNNING:
            if event.attempt != job.attempt + 1:
                self._broken(f"{event.job}: attempt {event.attempt} follows {job.attempt}")
            fence = self._fence_of(event)
            if fence <= job.fence:
                self._broken(f"{event.job}: fence {fence} after {job.fence}")
            job.fence = fence
        elif event.attempt != job.attempt:
            self._broken(f"{event.job}: attempt {job.attempt} became {event.attempt}")
        if event.actor != "server":
            self._effects[CANCEL, event.job] += 1
        job.state, job.attempt = event.state, event.attempt
        job.states.append(event.state)
        unwarned = event.state in TERMINAL and not event.reason.endswith(WARNING)
        if unwarned and self._provider.is_running(event.job.removeprefix("jobs/")):
            self._broken(f"{event.job} is over, and its work at the provider is not")

    def _check_row(self, name: str) -> None:
        job = self.jobs[name]
        row = self._database.row(
            "SELECT state, revision, attempts, fence, lease_time_us FROM jobs WHERE id = ?",
            (name.removeprefix("jobs/"),),
        )
        if job.deleted:
            if row is not None:
                self._broken(f"{name} is there, although it was deleted")
            return
        expected = (job.state, job.revision, job.attempt)
        if row is None or row[:3] != expected:
            self._broken(f"{name} is {row}, its events say {expected}")
            return
        fence, held = row[3], row[4] is not None
        may_be = {
            RUNNING: fence == job.fence,
            record.SUBMITTED: fence == 0 or fence > job.fence,
            record.CANCELLING: fence == 0 or fence >= job.fence,
        }
        if held != (fence != 0) or not may_be.get(job.state, fence == 0):
            self._broken(f"{name} in state {job.state} has fence {fence} after {job.fence}")

    def _check_audit(self) -> None:
        """Every effect of a caller has its entry in the same commit. (An entry without an effect is
        fine: a job that was over was cancelled.)"""
        for index, payload in self._database.rows(
            "SELECT idx, payload FROM audit_entries WHERE idx >= ? ORDER BY idx", (self._audited,)
        ):
            if index != self._audited:
                self._broken(f"audit entry {index} follows {self._audited - 1}")
            self._audited = index + 1
            entry = AuditPayload.FromString(payload)
            self._audits[entry.action, entry.resource] += 1
        for effect, times in self._effects.items():
            if self._audits[effect] < times:
                self._broken(
                    f"{effect} has {self._audits[effect]} audit entries for {times} effects"
                )

    def finish(self) -> None:
        """At the end: everything is over, and nothing is left behind."""
        unfinished: Counter[str] = Counter()
        for name, job in self.jobs.items():
            if job.deleted:
                continue
            if job.state not in TERMINAL:
                unfinished[job.tenant] += 1
                self._broken(f"{name} is not over, but in state {job.state}: {job.states}")
            self._check_row(name)
        self._check_counts(unfinished)
        self._check_requests()

    def _check_result(self, name: str) -> None:
        """The result is that of the attempt that the history says succeeded."""
        [(seq, result)] = self._database.rows(
            "SELECT b.seq, b.result FROM jobs j JOIN job_bodies b ON b.seq = j.seq WHERE j.id = ?",
            (name.removeprefix("jobs/"),),
        )
        attempts = [
            pb.JobAttempt.FromString(stored)
            for (stored,) in self._database.rows(
                "SELECT attempt FROM job_attempts WHERE seq = ? ORDER BY number", (seq,)
            )
        ]
        won = [a for a in attempts if a.outcome == pb.ATTEMPT_OUTCOME_SUCCEEDED]
        if [a.fence for a in won] != [self.jobs[name].fence] or won != attempts[-1:]:
            self._broken(f"{name}: {len(won)} attempts succeeded, not the last alone")
        tag = name.removeprefix("jobs/")
        if result == f"provider {tag}".encode():
            if tag not in self._provider.works:
                self._broken(f"{name} has the result of work that never was")
        elif result != str(self.jobs[name].fence).encode():
            self._broken(f"{name} has the result of fence {result!r}, not {self.jobs[name].fence}")

    def _check_counts(self, unfinished: Counter[str]) -> None:
        for tenant in {job.tenant for job in self.jobs.values()}:
            counted = self._database.row(
                "SELECT value FROM counters WHERE name = ?", (f"jobs unfinished {tenant}",)
            )
            if counted is None or counted[0] != unfinished[tenant]:
                self._broken(f"{counted} jobs of {tenant} count as not over: {unfinished[tenant]}")
        for table in ("job_bodies", "job_attempts", "job_labels", "job_handles"):
            if self._database.rows(
                f"SELECT 1 FROM {table} WHERE seq NOT IN (SELECT seq FROM jobs)"
            ):
                self._broken(f"{table} has rows of jobs that are gone")

    def _check_requests(self) -> None:
        """A request_id made one job at most: what it made is what is remembered."""
        made: dict[str, list[str]] = defaultdict(list)
        for (resource,) in self._database.rows(
            "SELECT resource FROM requests WHERE method = ?", (CREATE,)
        ):
            made[resource].append(resource)
        for resource in made:
            if resource not in self.jobs:
                self._broken(f"a request is remembered for {resource}, which never was")

    def _broken(self, text: str) -> None:
        self._world.broken(text)
