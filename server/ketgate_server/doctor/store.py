"""The store: the file in the data folder, or a database that the settings name."""

import sqlite3
from collections.abc import Iterator

from ketgate_server.doctor.finding import Finding, State
from ketgate_server.parts import PARTS, part_version
from ketgate_server.settings import Settings
from ketgate_server.store.elsewhere import check_here
from ketgate_server.store.errors import StoreError

TOPIC = "store"
CONNECT_S = 5


def findings(settings: Settings) -> Iterator[Finding]:
    if settings.store_url is None:
        try:
            check_here(settings.data_dir)
        except StoreError as error:
            yield Finding(TOPIC, "SQLite", State.FAULT, str(error), "see the setting store_url")
            return
        version = sqlite3.sqlite_version
        yield Finding(TOPIC, "SQLite", State.FINE, f"{version}, a file in the data folder")
        return
    if part_version("postgres") is None:
        part = PARTS["postgres"]
        yield Finding(TOPIC, "PostgreSQL", State.FAULT, part.purpose, part.install_command)
        return
    yield _postgres(settings.store_url.get_secret_value())


def _postgres(url: str) -> Finding:
    import psycopg

    try:
        with psycopg.connect(url, connect_timeout=CONNECT_S) as connection:
            version = connection.info.server_version
    except (psycopg.Error, OSError) as error:
        # Its first line names the host and the user, never the password.
        said = str(error).strip().splitlines() or [type(error).__name__]
        return Finding(TOPIC, "PostgreSQL", State.FAULT, said[0], "see the setting store_url")
    return Finding(TOPIC, "PostgreSQL", State.FINE, f"{version // 10_000}.{version % 10_000}")
