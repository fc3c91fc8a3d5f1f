"""A PostgreSQL database as one file, by PostgreSQL's own programs."""

import os
import shutil
import subprocess
from pathlib import Path

from psycopg.conninfo import conninfo_to_dict, make_conninfo

from ketgate_server.store.errors import StoreError
from ketgate_server.store.postgres_connection import place, revision


def save(url: str, file: Path) -> None:
    """Write all of a database, as it was at one instant. Raises StoreError."""
    _run("pg_dump", url, "--format=custom", "--no-owner", "--no-privileges", f"--file={file}")


def load(url: str, file: Path) -> None:
    """Fill an empty database, wholly or not at all. Raises StoreError."""
    if revision(url) is not None:
        raise StoreError(f"the database {place(url)} is not empty; name one that is")
    _run("pg_restore", url, "--no-owner", "--no-privileges", "--single-transaction", str(file))


def _run(program: str, url: str, *arguments: str) -> None:
    found = shutil.which(program)
    if found is None:
        raise StoreError(
            f"{program} is not installed, which copies a PostgreSQL database; on Debian: "
            "apt-get install postgresql-client"
        )
    parts = conninfo_to_dict(url)
    environment = dict(os.environ)
    if parts.get("password"):
        environment["PGPASSWORD"] = str(parts.pop("password"))  # not where `ps` shows it
    done = subprocess.run(  # noqa: S603
        [found, f"--dbname={make_conninfo('', **parts)}", "--no-password", *arguments],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise StoreError(f"{program} of {place(url)} failed: {done.stderr.strip()[-1000:]}")
