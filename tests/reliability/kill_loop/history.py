"""What callers of a fleet saw, kept while it runs and looked at afterwards."""

import random
import threading
from dataclasses import dataclass, field

from ketgate.jobs.v1 import job_pb2 as pb

OVER = {
    pb.JOB_STATE_SUCCEEDED,
    pb.JOB_STATE_FAILED,
    pb.JOB_STATE_CANCELLED,
    pb.JOB_STATE_EXPIRED,
}


@dataclass(frozen=True)
class Acknowledged:
    """A mutating call that was answered."""

    method: str
    tenant: str
    request_id: str
    job: str


@dataclass(frozen=True)
class Seen:
    """A job as an answer told it."""

    job: str
    state: int
    revision: int


@dataclass(frozen=True)
class Page:
    """The newest jobs of a tenant, as ListJobs told them."""

    tenant: str
    revision: int
    jobs: tuple[Seen, ...]


@dataclass
class History:
    """Shared by all callers."""

    acknowledged: list[Acknowledged] = field(default_factory=list)
    plans: dict[str, str] = field(default_factory=dict)
    """By job: which work it was created with."""
    seen: list[Seen] = field(default_factory=list)
    pages: list[Page] = field(default_factory=list)
    events: dict[str, list[pb.JobEvent]] = field(default_factory=dict)
    """By tenant, as its watcher got them over all cuts."""
    heads: list[tuple[int, bytes]] = field(default_factory=list)
    """Size and root of the audit's heads."""
    deletions: set[str] = field(default_factory=set)
    """Jobs whose deletion was asked for."""
    known: dict[str, dict[str, int]] = field(default_factory=dict)
    """By tenant and job: the newest revision that any caller knows."""
    broken: list[str] = field(default_factory=list)
    """What was seen to be wrong on the way."""
    lock: threading.Lock = field(default_factory=threading.Lock)

    def acknowledge(self, method: str, tenant: str, request_id: str, job: str) -> None:
        with self.lock:
            self.acknowledged.append(Acknowledged(method, tenant, request_id, job))

    def see(self, tenant: str, job: pb.Job) -> None:
        with self.lock:
            self.seen.append(Seen(job.name, job.state, job.revision))
            known = self.known.setdefault(tenant, {})
            known[job.name] = max(known.get(job.name, 0), job.revision)

    def revision_of(self, tenant: str, job: str) -> int:
        """The newest revision of a job that any caller knows; 0: none."""
        with self.lock:
            return self.known.get(tenant, {}).get(job, 0)

    def any_job(self, tenant: str, generator: random.Random) -> str | None:
        """One of the jobs that callers know; the new ones more often."""
        with self.lock:
            names = list(self.known.get(tenant, ()))
        if not names:
            return None
        return generator.choice(names[-20:] if generator.random() < 0.7 else names)

    def complain(self, text: str) -> None:
        with self.lock:
            self.broken.append(text)
