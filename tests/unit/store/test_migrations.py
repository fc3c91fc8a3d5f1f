"""Stores of older and of newer versions, on every database."""

import sqlite3

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ketgate_server.jobs.record import QUEUED, RUNNING
from ketgate_server.jobs.store import JobStore
from ketgate_server.store import migrations, postgres_connection
from ketgate_server.store.database import FILE_NAME, SCHEMA_HEAD, open_store
from ketgate_server.store.errors import StoreError
from ketgate_server.store.schema import metadata
from ketgate_server.store.transaction import COUNTERS
from ketgate_server.tokens import TokenStore
from sqlalchemy import NullPool, create_engine, text

from .gates import in_threads
from .test_operations import add_event

TOKENS = """INSERT INTO tokens
    (secret_sha256, name, tenant, roles, create_time_us, expire_time_us, revoke_time_us) VALUES
    ('a', 'old', 'desk', 'admin', 1000000, NULL, 2000000),
    ('b', 'ci', 'default', 'server.reader', 3000000, 4000000, NULL)"""


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request):
    """Where an empty store is to be: None for SQLite, or a database without tables."""
    if request.param == "sqlite":
        return None
    return request.getfixturevalue("postgres_server").new_database(empty=True)


def engine_of(folder, url):
    if url is not None:
        return create_engine(
            "postgresql+psycopg://",
            creator=lambda: postgres_connection.connect(url),
            poolclass=NullPool,
        )
    folder.mkdir(exist_ok=True)
    return create_engine(f"sqlite:///{folder / FILE_NAME}", poolclass=NullPool)


def write_with_version(folder, url, revision, *statements):
    """A store as the version with this revision of the schema left it."""
    config = migrations.configuration()
    with engine_of(folder, url).begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        for statement in statements:
            connection.execute(text(statement))


def test_the_store_of_the_first_version_comes_along(tmp_path, empty_url):
    write_with_version(tmp_path / "data", empty_url, "0001", TOKENS)
    tokens = TokenStore.open(tmp_path / "data", empty_url)
    assert [(r.name, r.tenant, r.roles, r.revoke_time is None) for r in tokens.list()] == [
        ("old", "desk", ("admin",), False),
        ("ci", "default", ("server.reader",), True),
    ]
    tokens.revoke("ci")
    tokens.create("new")
    assert [record.name for record in tokens.list()] == ["old", "ci", "new"]
    tokens.close()
    store = open_store(tmp_path / "data", empty_url)
    assert store.run(add_event) == 1
    with store.read() as reader:
        found = {name for (name,) in reader.rows("SELECT name FROM counters")}
    assert found == set(COUNTERS)
    store.close()


def test_jobs_of_the_second_version_come_along(tmp_path, empty_url):
    """One that waits, and one that a server was at."""
    counters = "UPDATE counters SET value = 41 WHERE name = 'revision'"
    none = "''" if empty_url else "x''"  # bytes, as each of the two writes them
    bodies = f"INSERT INTO job_bodies (seq, spec) VALUES (40, {none}), (41, {none})"
    columns = (
        "seq, id, tenant, kind, state, priority, labels, creator, create_time_us, update_time_us,"
        " revision, attempts, faults, losses, fence, worker, lease_time_us, spec_digest"
    )
    jobs = f"""INSERT INTO jobs ({columns}) VALUES
        (40, 'waits', 'red', 'solve', 1, 0, '', 'ci', 1, 1, 40, 0, 0, 0, 0, '', NULL, {none}),
        (41, 'runs', 'red', 'solve', 3, 0, '', 'ci', 1, 1, 41, 1, 0, 0, 41, 'old/1', 2, {none})"""
    write_with_version(tmp_path / "data", empty_url, "0002", counters, bodies, jobs)
    store = open_store(tmp_path / "data", empty_url)
    jobs = JobStore(store)
    [claim] = jobs.claim("new/1", 9, 60_000_000)
    assert (claim.id, claim.handle) == ("waits", None)
    assert claim.fence > 41  # than that of any attempt before
    assert jobs.recover("old/") == 1
    assert {job.uid: job.state for job in jobs.find("red", ["waits", "runs"])} == {
        "waits": RUNNING,
        "runs": QUEUED,
    }
    store.close()


def test_the_store_of_a_newer_version_is_refused(tmp_path, empty_url):
    newer = "UPDATE alembic_version SET version_num = '9999'"
    write_with_version(tmp_path / "data", empty_url, "head", newer)
    with pytest.raises(StoreError, match="written by a newer version of Ketgate"):
        open_store(tmp_path / "data", empty_url)


def test_tables_are_what_a_new_store_holds(tmp_path, empty_url):
    open_store(tmp_path / "data", empty_url).close()
    with engine_of(tmp_path / "data", empty_url).connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
        version = connection.execute(text("SELECT version_num FROM alembic_version")).all()
    assert version == [(SCHEMA_HEAD,)]


def test_servers_that_start_together_make_one_store(tmp_path, empty_url):
    def start():
        store = open_store(tmp_path / "data", empty_url)
        revision = store.run(add_event)
        store.close()
        return revision

    assert sorted(in_threads([start] * 4)) == [1, 2, 3, 4]


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path, empty_url, monkeypatch):
    write_with_version(tmp_path / "data", empty_url, "0001", TOKENS)

    def fail(*_, **__):
        raise sqlite3.OperationalError("no room")

    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(Exception, match="no room"):
        open_store(tmp_path / "data", empty_url)
    monkeypatch.undo()
    tokens = TokenStore.open(tmp_path / "data", empty_url)
    assert len(tokens.list()) == 2
    tokens.close()
