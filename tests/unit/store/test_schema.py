"""The schema is said three times: as SQL for a new store, as migrations, as tables. They must
agree."""

import sqlite3
import stat
import subprocess
import sys

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from ketgate_server.store import migrations
from ketgate_server.store.database import FILE_NAME, SCHEMA_HEAD, open_database
from ketgate_server.store.errors import StoreError
from ketgate_server.store.schema import metadata
from sqlalchemy import NullPool, create_engine

EMPTY_VERSION_TABLE = "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL PRIMARY KEY)"


def columns(connection):
    tables = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    found = {}
    for (table,) in sorted(tables):
        if table != "alembic_version":
            found[table] = connection.execute(f"PRAGMA table_info({table})").fetchall()
            for row in connection.execute(f"PRAGMA index_list({table})").fetchall():
                found[row[1]] = (
                    row[2:],
                    connection.execute(f"PRAGMA index_info({row[1]})").fetchall(),
                )
    return found


def old_store(folder):
    """A store before its first migration."""
    folder.mkdir()
    with sqlite3.connect(folder / FILE_NAME) as connection:
        connection.execute(EMPTY_VERSION_TABLE)
    connection.close()
    return folder


def test_migrations_end_where_a_new_store_begins(tmp_path):
    fresh = open_database(tmp_path / "new")
    migrated = open_database(old_store(tmp_path / "old"))
    assert columns(fresh) == columns(migrated)
    for connection in (fresh, migrated):
        version = connection.execute("SELECT version_num FROM alembic_version").fetchall()
        assert version == [(SCHEMA_HEAD,)]
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
        connection.close()


def test_the_head_is_the_newest_migration():
    assert migrations.head() == SCHEMA_HEAD


def test_tables_are_what_the_store_holds(tmp_path):
    open_database(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / FILE_NAME}", poolclass=NullPool)
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []


def test_a_store_of_a_newer_version_is_refused(tmp_path):
    connection = open_database(tmp_path)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    with pytest.raises(StoreError, match="newer version"):
        open_database(tmp_path)


def test_a_migration_that_fails_leaves_the_store_as_it_was(tmp_path, monkeypatch):
    folder = old_store(tmp_path / "old")

    def fail(*_, **__):
        raise sqlite3.OperationalError("disk full")

    monkeypatch.setattr("alembic.op.create_index", fail)
    with pytest.raises(StoreError, match="disk full"):
        open_database(folder)
    monkeypatch.undo()
    connection = open_database(folder)  # the next start does it all
    assert "tokens_name_live" in columns(connection)
    connection.close()


def test_processes_that_start_together_make_one_store(tmp_path):
    script = (
        "import sys; from pathlib import Path;"
        "from ketgate_server.tokens import TokenStore;"
        "TokenStore.open(Path(sys.argv[1])).create(sys.argv[2])"
    )
    running = [
        subprocess.Popen(
            [sys.executable, "-c", script, str(tmp_path / "new"), f"t{number}"], env=_environment()
        )
        for number in range(4)
    ]
    assert [process.wait(60) for process in running] == [0, 0, 0, 0]
    connection = open_database(tmp_path / "new")
    assert connection.execute("SELECT count(*) FROM tokens").fetchone() == (4,)
    connection.close()


def _environment():
    import os

    return os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def test_the_database_is_private(tmp_path):
    open_database(tmp_path / "new").close()
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "new" / FILE_NAME).stat().st_mode) == 0o600


def test_opening_a_store_imports_no_migration_tools(tmp_path):
    script = (
        "import sys; from pathlib import Path;"
        "from ketgate_server.tokens import TokenStore; TokenStore.open(Path(sys.argv[1]));"
        "assert not {'alembic', 'sqlalchemy'} & set(sys.modules)"
    )
    subprocess.run(
        [sys.executable, "-c", script, str(tmp_path / "n")], env=_environment(), check=True
    )
