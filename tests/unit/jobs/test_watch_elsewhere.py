"""A watch on one server sees what another commits to the same database, told and not polled for."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ketgate.jobs.v1.job_service_pb2 import WatchJobsResponse
from ketgate_server.jobs import hub as hub_module
from ketgate_server.jobs.hub import Hub
from ketgate_server.store.database import open_store

from .conftest import ACTOR, Bench

NEVER_S = 3600.0


@pytest.fixture
def servers(
    postgres_server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[tuple[Hub, Bench]]:
    """The watches of one server, which never looks for itself, and another server's jobs."""
    monkeypatch.setattr(hub_module, "POLL_INTERVAL_S", NEVER_S)
    monkeypatch.setattr(hub_module, "CHECK_INTERVAL_S", NEVER_S)
    url = postgres_server.new_database()
    one, other = open_store(tmp_path, url), open_store(tmp_path, url)
    hub = Hub(Bench(one).jobs, polls=True)
    one.listen(hub.changed_elsewhere)
    hub.start()
    yield hub, Bench(other)
    hub.close()
    one.close()
    other.close()


def test_a_watch_is_told_of_another_servers_jobs(servers: tuple[Hub, Bench]) -> None:
    hub, elsewhere = servers
    watcher = hub.watch("red", 0)
    answers = watcher.messages(NEVER_S, lambda: False)
    next(answers)  # where it begins
    for _ in range(3):
        job = elsewhere.create()
        [event] = WatchJobsResponse.FromString(next(answers)).events
        assert event.job == f"jobs/{job.uid}"
    watcher.close()


def test_a_long_poll_is_told_that_another_server_ended_the_job(servers: tuple[Hub, Bench]) -> None:
    hub, elsewhere = servers
    job = elsewhere.create()
    waiter = hub.waiter("red", f"jobs/{job.uid}")
    elsewhere.jobs.cancel(ACTOR, elsewhere.request(), job.uid)
    waiter.wait(NEVER_S)
    waiter.close()
