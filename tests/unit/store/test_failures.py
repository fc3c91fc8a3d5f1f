"""What a store does while its disk or its database fails, and when that is over: refuse clearly,
keep nothing of what it refused, and go on."""

import resource
import sqlite3

import pytest
from ketgate_server.store import postgres_connection
from ketgate_server.store.base import StoreFull, StoreUnavailable
from ketgate_server.store.database import open_store
from ketgate_server.store.errors import StoreError

from .gates import held_writer, in_threads
from .test_operations import INSERT, add_event, counter, revisions


def add_large(tx):
    revision = tx.take("revision")
    tx.execute(INSERT, (revision, "desk", 1, tx.now_us, b"x" * 1_000_000))
    return revision


@pytest.fixture
def sqlite_store(tmp_path):
    store = open_store(tmp_path / "data")
    yield store
    store.close()


@pytest.fixture
def postgres_url(postgres_server):
    return postgres_server.new_database()


@pytest.fixture
def postgres_store(postgres_url, tmp_path, monkeypatch):
    monkeypatch.setattr(postgres_connection, "RETRY_S_MIN", 0.0)  # try again each time
    store = open_store(tmp_path, postgres_url)
    store._door.retry_s = 0.0
    yield store
    store.close()


def fill(store):
    while True:
        store.run(lambda tx: [add_event(tx) for _ in range(20)])


def set_pages_max(store, pages):
    connection = store._writer._transaction._connection
    connection.execute(f"PRAGMA max_page_count={pages}")


def test_a_full_disk_refuses_what_has_no_room_only(sqlite_store):
    sqlite_store.run(add_event)
    set_pages_max(sqlite_store, 100)
    work = [lambda: sqlite_store.run(add_event)] * 4
    work.insert(1, lambda: sqlite_store.run(add_large))
    with held_writer(sqlite_store) as release:
        outcomes = in_threads(work, release)
    assert sorted(o for o in outcomes if isinstance(o, int)) == [2, 3, 4, 5]
    assert isinstance(outcomes[1], StoreFull)
    assert "the disk is full" in str(outcomes[1])
    assert not outcomes[1].uncertain
    set_pages_max(sqlite_store, 1_000_000)
    assert sqlite_store.run(add_large) == 6
    assert revisions(sqlite_store) == [1, 2, 3, 4, 5, 6]


def test_a_commit_that_fails_runs_no_callback_and_tells_each_caller(sqlite_store, monkeypatch):
    seen = []

    def operation(tx):
        tx.on_commit(lambda: seen.append(1))
        return add_event(tx)

    transaction = sqlite_store._writer._transaction
    commit = transaction._commit

    def fail(counters):
        error = sqlite3.OperationalError("disk I/O error")
        error.sqlite_errorcode = sqlite3.SQLITE_IOERR
        raise error

    monkeypatch.setattr(transaction, "_commit", fail)
    with held_writer(sqlite_store) as release:
        outcomes = in_threads([lambda: sqlite_store.run(operation)] * 3, release)
    assert [type(o) for o in outcomes] == [StoreUnavailable] * 3
    assert all(o.uncertain for o in outcomes)
    assert len({id(o) for o in outcomes}) == 3
    assert (seen, revisions(sqlite_store)) == ([], [])
    monkeypatch.setattr(transaction, "_commit", commit)
    assert sqlite_store.run(operation) == 1
    assert seen == [1]


def test_a_full_disk_refuses_all_until_there_is_room(sqlite_store):
    set_pages_max(sqlite_store, 100)
    with pytest.raises(StoreFull):
        fill(sqlite_store)
    kept = revisions(sqlite_store)
    assert kept == list(range(1, len(kept) + 1))
    assert counter(sqlite_store) == len(kept)
    set_pages_max(sqlite_store, 1_000_000)
    assert sqlite_store.run(add_event) == len(kept) + 1


def test_a_write_that_the_system_refuses(sqlite_store, tmp_path):
    """A limit on the size of files: the system refuses to write beyond it, as a broken disk does."""
    sqlite_store.run(add_event)
    size = (tmp_path / "data" / "ketgate.db-wal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(StoreUnavailable, match="cannot be used now"):
            sqlite_store.run(add_large)
        assert revisions(sqlite_store) == [1]
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert sqlite_store.run(add_event) == 2


def test_a_file_system_that_was_read_only_for_a_while(sqlite_store):
    sqlite_store._writer._transaction._connection.execute("PRAGMA query_only=ON")
    with pytest.raises(StoreUnavailable, match="read-only"):
        sqlite_store.run(add_event)
    assert revisions(sqlite_store) == []
    assert sqlite_store.run(add_event) == 1, "with a new connection"


def test_a_disk_that_was_not_mounted_for_a_while(sqlite_store, tmp_path):
    """An empty database was made in the folder where the disk should be, and used from then on."""
    sqlite_store.run(add_event)
    sqlite_store._writer._transaction.close()
    folder = tmp_path / "data"
    folder.rename(tmp_path / "disk")
    folder.mkdir()
    with pytest.raises(StoreUnavailable, match="cannot be opened"):
        sqlite_store.run(add_event)
    with pytest.raises(StoreUnavailable, match="cannot be opened"), sqlite_store.read():
        pass
    folder.rmdir()
    (tmp_path / "disk").rename(folder)
    assert sqlite_store.run(add_event) == 2
    assert revisions(sqlite_store) == [1, 2]


def test_another_process_that_writes_too_long(sqlite_store, tmp_path, monkeypatch):
    sqlite_store._writer._transaction._connection.execute("PRAGMA busy_timeout=1")
    other = sqlite3.connect(tmp_path / "data" / "ketgate.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="another process"):
        sqlite_store.run(add_event)
    other.execute("ROLLBACK")
    other.close()
    assert sqlite_store.run(add_event) == 1


def test_a_connection_lost_while_idle_is_not_noticed(postgres_store, postgres_server, postgres_url):
    assert postgres_store.run(add_event) == 1
    assert revisions(postgres_store) == [1]
    postgres_server.break_connections(postgres_url)
    assert revisions(postgres_store) == [1]
    assert postgres_store.run(add_event) == 2


def test_a_connection_lost_in_an_operation(postgres_store, postgres_server, postgres_url):
    def operation(tx):
        add_event(tx)
        postgres_server.break_connections(postgres_url)
        add_event(tx)

    with pytest.raises(
        StoreUnavailable, match=r"connection was lost|cannot be reached|stopping"
    ) as caught:
        postgres_store.run(operation)
    assert not caught.value.uncertain
    assert revisions(postgres_store) == []
    assert postgres_store.run(add_event) == 1


def test_a_connection_lost_at_commit_leaves_the_outcome_open(
    postgres_store, postgres_server, postgres_url
):
    def operation(tx):
        add_event(tx)
        postgres_server.break_connections(postgres_url)

    with pytest.raises(StoreUnavailable) as caught:
        postgres_store.run(operation)
    assert caught.value.uncertain
    assert postgres_store.run(add_event) == counter(postgres_store)


def test_a_connection_lost_in_a_read(postgres_store, postgres_server, postgres_url):
    def read():
        with postgres_store.read() as reader:
            reader.row("SELECT 1")
            postgres_server.break_connections(postgres_url)
            reader.row("SELECT 1")

    with pytest.raises(StoreUnavailable):
        read()
    assert revisions(postgres_store) == []


def test_a_database_that_stops_and_comes_back(postgres_store, postgres_server):
    postgres_store.run(add_event)
    postgres_server.stop()
    try:
        for _ in range(2):
            with pytest.raises(StoreUnavailable, match=r"cannot be reached|is stopping"):
                postgres_store.run(add_event)
        with pytest.raises(StoreUnavailable), postgres_store.read():
            pass
    finally:
        postgres_server.start()
    assert postgres_store.run(add_event) == 2
    assert revisions(postgres_store) == [1, 2]


def test_while_the_database_is_away_callers_are_refused_at_once(
    postgres_store, postgres_url, postgres_server, monkeypatch
):
    postgres_store._door.retry_s = 1000.0
    attempts = []
    connect = postgres_connection.connect
    monkeypatch.setattr(
        postgres_connection, "connect", lambda url: attempts.append(url) or connect(url)
    )
    postgres_server.stop()
    try:
        for _ in range(5):
            with pytest.raises(StoreUnavailable, match=r"cannot be reached|is stopping"):
                postgres_store.run(add_event)
            with pytest.raises(StoreUnavailable), postgres_store.read():
                pass
    finally:
        postgres_server.start()
    # Stores of other tests, whose threads have not ended yet, try for themselves.
    assert attempts.count(postgres_url) == 1
    postgres_store._door.retry_at_s = 0.0
    assert postgres_store.run(add_event) == 1


def test_another_server_that_holds_the_lock_too_long(postgres_store, postgres_url, monkeypatch):
    with postgres_connection.connect(postgres_url) as other, other.transaction():
        other.execute("SELECT 1 FROM counters FOR UPDATE")
        postgres_store._writer._transaction._open.connection.execute("SET lock_timeout = '1ms'")
        with pytest.raises(StoreUnavailable, match="another server"):
            postgres_store.run(add_event)
    assert postgres_store.run(add_event) == 1


def test_messages_do_not_tell_the_password(tmp_path):
    with pytest.raises(StoreError, match="cannot be reached") as caught:
        open_store(tmp_path, f"postgresql://me:hunter2@/jobs?host={tmp_path}")
    assert "hunter2" not in str(caught.value)


def test_two_servers_share_one_database(postgres_url, tmp_path):
    stores = [open_store(tmp_path, postgres_url) for _ in range(2)]
    outcomes = in_threads(
        [lambda s=s: [s.run(add_event) for _ in range(20)] for s in stores for _ in range(4)]
    )
    assert sorted(sum(outcomes, [])) == list(range(1, 161))  # noqa: RUF017
    assert all(list(taken) == sorted(taken) for taken in outcomes)
    for store in stores:
        assert revisions(store) == list(range(1, 161))
        store.close()


def test_without_the_driver_the_command_that_installs_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr("ketgate_server.parts.part_version", lambda name: None)
    with pytest.raises(StoreError, match=r"pip install 'ketgate-server\[postgres\]'"):
        open_store(tmp_path, "postgresql://localhost/jobs")
