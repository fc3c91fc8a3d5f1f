"""What tests of jobs share."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.jobs.base import Actor, Job, NewJob, RequestKey
from ketgate_server.jobs.ids import new_id
from ketgate_server.jobs.kinds import KINDS
from ketgate_server.jobs.policy import Policy
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store

ACTOR = Actor("red", "ci", "/CreateJob", "call-1")
LEASE_US = 60_000_000


class Bench:
    """A JobStore, and short ways to fill it."""

    def __init__(self, store: Store, policy: Policy | None = None) -> None:
        self.store = store
        self.jobs = JobStore(store, policy, kinds=[*KINDS, "other"])
        self._numbers = itertools.count()

    def new(self, request_id: str = "", tenant: str = "red", **options: Any) -> NewJob:
        actor = Actor(tenant, options.pop("creator", "ci"), "/CreateJob", "call-1")
        digest = options.pop("digest", b"digest")
        kind = options.pop("kind", "solve")
        return NewJob(
            actor,
            RequestKey(request_id, digest),
            new_id(self.store.now_us()),
            kind,
            b"",
            b"spec digest",
            **options,
        )

    def create(self, request_id: str = "", tenant: str = "red", **options: Any) -> Job:
        return self.jobs.create(self.new(request_id, tenant, **options))

    def request(self) -> RequestKey:
        """A new request."""
        return RequestKey(f"request-{next(self._numbers)}", b"digest")


class FakeTime:
    """A source of microseconds that a test moves."""

    def __init__(self) -> None:
        self.us = 1_800_000_000_000_000

    def __call__(self) -> int:
        return self.us

    def pass_s(self, seconds: float) -> None:
        self.us += round(seconds * 1e6)


@pytest.fixture
def bench(store: Store) -> Bench:
    return Bench(store)


@pytest.fixture
def time() -> FakeTime:
    return FakeTime()


@pytest.fixture
def timed(time: FakeTime, store_url: str | None, tmp_path: Path) -> Iterator[Bench]:
    """A bench whose time the test moves, with few jobs to a tenant."""
    store = open_store(tmp_path / "timed", store_url, clock=time)
    yield Bench(store, Policy(unfinished_max=5))
    store.close()
