"""Brings an older store to the schema of this version.

Alembic costs about half a second to import, so this package is imported only when there is
something to do.
"""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy import Engine, NullPool, create_engine, event
from sqlalchemy.exc import SQLAlchemyError

from ketgate_server.store.errors import StoreError

MIGRATION_LOCK = 0x6B65746761746500
"""Key of PostgreSQL's advisory lock; "ketgate" in ASCII."""


def upgrade_sqlite(database: Path) -> None:
    """Run what is missing, all of it in one transaction, so that a crash leaves the store as it
    was.

    Raises StoreError when the store was written by a newer version than this one.
    """
    engine = create_engine(f"sqlite:///{database}", poolclass=NullPool)
    # SQLite's driver commits before DDL of its own accord; these two make the transaction ours.
    event.listen(
        engine, "connect", lambda connection, _: setattr(connection, "isolation_level", None)
    )
    event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN IMMEDIATE"))
    _upgrade(engine, str(database))


def upgrade_postgres(url: str) -> None:
    """As upgrade_sqlite. Servers that start together wait for each other."""
    from ketgate_server.store import postgres_connection

    def connect() -> object:
        connection = postgres_connection.connect(url)
        connection.autocommit = False
        # A migration of a large table takes its time, and who waits for it too.
        connection.execute("SET lock_timeout = 0")
        connection.execute("SELECT pg_advisory_lock(%s)", (MIGRATION_LOCK,))
        return connection

    engine = create_engine("postgresql+psycopg://", creator=connect, poolclass=NullPool)
    _upgrade(engine, postgres_connection.place(url))


def _upgrade(engine: Engine, place: str) -> None:
    config = configuration()
    try:
        with engine.begin() as connection:
            config.attributes["connection"] = connection
            command.upgrade(config, "head")
    except SQLAlchemyError as error:
        raise StoreError(f"cannot bring {place} up to date: {error}") from error
    except CommandError as error:
        raise StoreError(
            f"{place} was written by a newer version of Ketgate ({error}); "
            "start that version, or restore a back-up made by this one"
        ) from error


def configuration() -> Config:
    config = Config()
    # Alembic interpolates %; a path may hold one.
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def head() -> str:
    """The newest revision in versions/."""
    revision: str | None = ScriptDirectory.from_config(configuration()).get_current_head()
    assert revision is not None
    return revision
