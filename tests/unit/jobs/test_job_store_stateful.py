"""Any sequence of what can be done to jobs does to the store what it does to a dictionary."""

import itertools
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.jobs.base import Actor, Claim, Ending, Fault, Outcome, RequestKey
from ketgate_server.jobs.listing import ListQuery
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.record import (
    CANCELLED,
    CANCELLING,
    FAILED,
    QUEUED,
    RUNNING,
    SUBMITTED,
    SUCCEEDED,
    TERMINAL,
)
from ketgate_server.store.base import Store

from .conftest import LEASE_US, Bench

POLICY = Policy(unfinished_max=4, attempts_max=2, losses_max=2, backoff_us=0, backoff_us_max=0)


@dataclass
class ModelJob:
    """What a dictionary knows of a job."""

    state: int = QUEUED
    attempts: int = 0
    faults: int = 0
    losses: int = 0
    fence: int = 0
    last_fence: int = 0
    outside: bool = False
    """A provider may have work of it."""
    events: int = 1
    states: list[int] = field(default_factory=list)

    @property
    def may_be_claimed(self) -> bool:
        return self.state == QUEUED or (self.outside and self.state in (SUBMITTED, CANCELLING))

    def become(self, state: int) -> None:
        self.events += self.state != state
        self.state = state


_tenants = itertools.count()
T = TypeVar("T")


def attempt(call: Callable[[], T]) -> tuple[T | None, Reason | None]:
    """What call returns, or why it was refused."""
    try:
        return call(), None
    except KetgateError as error:
        return None, error.reason


class Machine(RuleBasedStateMachine):
    bench: Bench
    jobs = Bundle("jobs")
    held = Bundle("held")

    def __init__(self) -> None:
        super().__init__()
        self.tenant = f"tenant-{next(_tenants)}"
        self.model: dict[str, ModelJob] = {}
        self.requests: dict[str, str] = {}
        self.first_revision = self.bench.jobs.revision() + 1
        self.deleted_events = 0

    @property
    def unfinished(self) -> int:
        return sum(job.state not in TERMINAL for job in self.model.values())

    def actor(self, method: str) -> Actor:
        return Actor(self.tenant, "ci", method)

    @initialize(target=jobs)
    def begin(self) -> object:
        """Some to begin with: what can be done is drawn for each example, and often leaves out to
        create any."""
        return multiple(*(self.create("", True) for _ in range(3)))

    @rule(target=jobs, request_id=st.sampled_from(["", "a", "b", "c"]), digest=st.booleans())
    def create(self, request_id: str, digest: bool) -> object:
        body = b"one" if digest else b"two"
        known = self.requests.get(request_id)
        job, refusal = attempt(lambda: self.bench.create(request_id, self.tenant, digest=body))
        if job is None:
            if known is None:
                assert refusal is Reason.QUOTA_EXCEEDED
                assert self.unfinished == POLICY.unfinished_max
            elif known.endswith(body.decode()):
                assert refusal is Reason.REPLY_EXPIRED
                assert known.split()[0] not in self.model
            else:
                assert refusal is Reason.REQUEST_ID_REUSED
            return multiple()
        if known is not None:
            assert known == f"{job.uid} {body.decode()}"
            return job.uid
        assert self.unfinished < POLICY.unfinished_max
        self.model[job.uid] = ModelJob()
        if request_id:
            self.requests[request_id] = f"{job.uid} {body.decode()}"
        return job.uid

    @rule(target=held, count=st.integers(1, 3))
    def claim(self, count: int) -> object:
        places = {job_id: place for place, job_id in enumerate(self.model)}
        waiting = [key for key, job in self.model.items() if not job.fence and job.may_be_claimed]
        ready = sorted(waiting, key=lambda key: (-self.model[key].state, places[key]))
        self.bench.jobs.tick()  # what failed is ready again at once
        claims = self.bench.jobs.claim(f"{self.tenant}/w", count, LEASE_US)
        assert [claim.id for claim in claims] == ready[:count]
        for claim in claims:
            job = self.model[claim.id]
            assert claim.fence > job.last_fence
            assert claim.handle == (b"h" if job.outside else None)
            assert claim.stopped == (job.state == CANCELLING)
            if job.state == QUEUED:
                job.attempts += 1
                job.become(RUNNING)
            assert claim.attempt == job.attempts
            job.fence = job.last_fence = claim.fence
        return multiple(*claims)

    @rule(
        claim=consumes(held),
        end=st.sampled_from(
            ["done", "stopped", "caller", "provider", "server", "lost", "back", "submitted"]
        ),
    )
    def finish(self, claim: Claim, end: str) -> None:
        error = KetgateError(Reason.INTERNAL, "it broke")
        faults = {"caller": Fault.CALLER, "provider": Fault.PROVIDER, "server": Fault.SERVER}
        ending = {
            "done": Ending(Outcome.SUCCEEDED, b""),
            "stopped": Ending(Outcome.STOPPED, b""),
            "lost": Ending(Outcome.LOST),
            "back": Ending(Outcome.GIVEN_BACK),
            "submitted": Ending(Outcome.SUBMITTED, handle=b"h"),
        }.get(end) or Ending(Outcome.FAILED, fault=faults[end], error=error)
        job = self.model.get(claim.id)
        holds = job is not None and job.fence == claim.fence
        assert self.bench.jobs.finish(claim, ending) == holds
        if job is not None and holds:
            job.become(self.after(job, end))
            job.fence = 0

    def after(self, job: ModelJob, end: str) -> int:
        if end == "done":
            return SUCCEEDED
        if end == "submitted":
            job.outside, job.faults, job.losses = True, 0, 0
            return SUBMITTED if job.state == RUNNING else job.state
        if job.state == CANCELLING and (not job.outside or end in ("stopped", "caller")):
            return CANCELLED
        if end == "caller":
            return FAILED
        again = QUEUED if job.state == RUNNING else job.state
        enough = CANCELLED if job.state == CANCELLING else FAILED
        if end in ("provider", "server"):
            job.faults, job.losses = job.faults + 1, 0
            return enough if job.faults == POLICY.attempts_max else again
        if end == "lost":
            job.losses += 1
            return enough if job.losses == POLICY.losses_max else again
        return again

    @rule()
    def recover(self) -> None:
        running = [job for job in self.model.values() if job.fence]
        assert self.bench.jobs.recover(f"{self.tenant}/") == len(running)
        for job in running:
            job.become(self.after(job, "lost"))
            job.fence = 0

    @rule(job_id=jobs)
    def cancel(self, job_id: str) -> None:
        job = self.model.get(job_id)
        found, refusal = attempt(
            lambda: self.bench.jobs.cancel(self.actor("/C"), RequestKey("", b""), job_id)
        )
        if found is None:
            assert refusal is Reason.RESOURCE_NOT_FOUND
            assert job is None
            return
        assert job is not None
        if job.state == QUEUED and not job.outside:
            job.become(CANCELLED)
        elif job.state in (QUEUED, RUNNING, SUBMITTED):
            job.become(CANCELLING)
        assert found.state == job.state

    @rule(job_id=jobs)
    def delete(self, job_id: str) -> None:
        job = self.model.get(job_id)
        _, refusal = attempt(
            lambda: self.bench.jobs.delete(self.actor("/D"), RequestKey("", b""), job_id)
        )
        if refusal is not None:
            assert refusal is (Reason.RESOURCE_NOT_FOUND if job is None else Reason.JOB_UNFINISHED)
            assert job is None or job.state not in TERMINAL
            return
        assert job is not None
        assert job.state in TERMINAL
        self.deleted_events += job.events + 1
        del self.model[job_id]

    @precondition(lambda self: self.model)
    @rule(states=st.sets(st.sampled_from(["QUEUED", "RUNNING", "CANCELLED", "FAILED"]), min_size=1))
    def list(self, states: set[str]) -> None:
        numbers = {"QUEUED": QUEUED, "RUNNING": RUNNING, "CANCELLED": CANCELLED, "FAILED": FAILED}
        wanted = {numbers[name] for name in states}
        query = ListQuery(filter=f"state = ({', '.join(sorted(states))})", order_by="create_time")
        found = [job.uid for job in self.bench.jobs.list(self.tenant, query).jobs]
        assert found == [key for key, job in self.model.items() if job.state in wanted]

    @invariant()
    def the_store_is_the_model(self) -> None:
        found = self.bench.jobs.list(self.tenant, ListQuery(order_by="create_time")).jobs
        assert [(job.uid, job.state, job.attempt_count) for job in found] == [
            (job_id, job.state, job.attempts) for job_id, job in self.model.items()
        ]
        events = self.bench.jobs.events(self.tenant, self.first_revision, 10_000)
        revisions = [revision for revision, _, _ in events]
        assert revisions == list(range(self.first_revision, self.first_revision + len(revisions)))
        assert len(events) == self.deleted_events + sum(j.events for j in self.model.values())

    def teardown(self) -> None:
        """Leave nothing that the next machine could claim."""
        for job_id, job in self.model.items():
            if job.state not in TERMINAL:
                self.bench.jobs.cancel(self.actor("/C"), RequestKey("", b""), job_id)
        self.bench.jobs.recover(f"{self.tenant}/")
        self.bench.jobs.tick()
        for claim in self.bench.jobs.claim("end", 9, LEASE_US):
            self.bench.jobs.finish(claim, Ending(Outcome.STOPPED))


@pytest.mark.timeout(300)
def test_the_store_does_what_a_dictionary_does(store: Store) -> None:
    bench = Bench(store, POLICY)
    examples = 120 if store.dialect == "sqlite" else 25
    machine = type("BenchMachine", (Machine,), {"bench": bench})
    run_state_machine_as_test(
        machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None)
    )
