"""Two servers over one PostgreSQL, and two threads over one SQLite, change the same keys."""

import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.timers import Timers
from ketgate_server.store.database import open_store

from .conftest import MINUTE_US, Bench, FakeTime

SERVERS = 3


@pytest.fixture
def servers(bench: Bench, store_url: str | None, tmp_path: Path) -> Iterator[list[Bench]]:
    """The first is bench."""
    if store_url is None:
        yield [bench] * SERVERS
        return
    opened = [
        open_store(tmp_path / str(i), store_url, clock=bench.time) for i in range(SERVERS - 1)
    ]
    yield [bench, *(Bench(store, bench.time) for store in opened)]
    for store in opened:
        store.close()


def at_once(calls: list[Callable[[], object]]) -> None:
    """Run all at the same moment, as far as threads can."""
    gate, failures = threading.Barrier(len(calls)), list[BaseException]()

    def run(call: Callable[[], object]) -> None:
        gate.wait()
        try:
            call()
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=run, args=(call,)) for call in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failures:
        raise failures[0]


def test_what_is_due_is_done_once(servers: list[Bench], time: FakeTime) -> None:
    bench = servers[0]
    for name in "abcde":
        bench.create(name, rotation_period_us=60 * MINUTE_US, destroy_delay_us=MINUTE_US)
        bench.rotate(name)
        bench.act(Act.DESTROY, 1, name)
    told: list[str] = []
    timers = [Timers(server.keys, lambda due: told.append(due.key_id)) for server in servers]
    time.pass_us(200 * MINUTE_US)
    at_once([timer.run_once for timer in timers])
    for name in "abcde":
        assert bench.key(name).primary_version == 3
        states = [version.state for version in bench.keys.versions("red", name)]
        assert states == [VersionState.ENABLED, VersionState.ENABLED, VersionState.DESTROYED]
    assert set(told) == set("abcde")
    with bench.store.read() as reader:
        assert reader.row("SELECT COUNT(*) FROM audit_entries") == (5 * 3 + 5 * 2,)


def test_rotations_and_restorations_at_once_all_hold(servers: list[Bench]) -> None:
    servers[0].create()
    at_once([server.rotate for server in servers])
    found = servers[-1].keys.versions("red", "a")
    assert [version.version for version in found] == [4, 3, 2, 1]
    assert len({version.public_key for version in found}) == 4
    servers[0].act(Act.DESTROY, 1)
    refused: list[Reason] = []

    def restore(server: Bench) -> None:
        try:
            server.act(Act.RESTORE, 1)
        except KetgateError as error:
            refused.append(error.reason)

    at_once([partial(restore, server) for server in servers])
    assert refused == [Reason.KEY_UNUSABLE] * (SERVERS - 1)
    assert servers[-1].version(1).state is VersionState.DISABLED


def test_one_of_many_that_make_a_key_makes_it(servers: list[Bench]) -> None:
    made: list[str] = []
    refused: list[Reason] = []

    def create(server: Bench) -> None:
        try:
            made.append(server.create()[0].uid)
        except KetgateError as error:
            refused.append(error.reason)

    at_once([partial(create, server) for server in servers])
    assert made == [servers[0].key().uid]
    assert refused == [Reason.RESOURCE_EXISTS] * (SERVERS - 1)
