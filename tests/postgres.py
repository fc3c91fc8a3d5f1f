"""A PostgreSQL server of the tests' own: in a folder, on a Unix socket, without syncs to disk."""

import itertools
import os
import pwd
import shutil
import subprocess
from pathlib import Path

START_TIMEOUT_S = "30"
USERS = ("postgres", "nobody")
"""Whom to run it as where the tests run as root, which PostgreSQL refuses."""


def find_programs() -> Path | None:
    """The folder of initdb and pg_ctl; None where PostgreSQL is not installed."""
    on_path = shutil.which("initdb")
    folders = [Path(on_path).resolve().parent] if on_path else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    for folder in folders:
        if (folder / "initdb").exists() and (folder / "pg_ctl").exists():
            return folder
    return None


class PostgresServer:
    """A running server. Databases of it are empty stores at the newest schema, made by copying."""

    def __init__(self, folder: Path, programs: Path) -> None:
        """folder: an empty one; its path must be short, as those of sockets are."""
        self._programs = programs
        self._folder = folder
        self._user: pwd.struct_passwd | None = None
        if os.geteuid() == 0:
            self._user = next(user for user in pwd.getpwall() if user.pw_name in USERS)
            os.chown(folder, self._user.pw_uid, self._user.pw_gid)
        self._numbers = itertools.count()
        self._run("initdb", "--no-sync", "-A", "trust", "-U", "ketgate", "-E", "UTF8", "--locale=C")
        self.start()
        self.execute("CREATE DATABASE template")
        from ketgate_server.store import migrations

        migrations.upgrade_postgres(self.url("template"))

    def url(self, database: str = "postgres") -> str:
        return f"postgresql://ketgate@/{database}?host={self._folder}"

    def new_database(self, *, empty: bool = False) -> str:
        """URL of a new database: a store without content, or with no tables at all."""
        name = f"store_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name}" + ("" if empty else " TEMPLATE template"))
        return self.url(name)

    def execute(self, statement: str) -> None:
        import psycopg

        with psycopg.connect(self.url(), autocommit=True) as connection:
            connection.execute(statement.encode())

    def break_connections(self, url: str) -> None:
        """End every connection to a database."""
        name = url.split("/")[3].split("?")[0]
        self.execute(
            f"SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE datname = '{name}'"
        )

    def start(self) -> None:
        options = f"-k {self._folder} -c listen_addresses= -c fsync=off -c max_connections=200"
        log = self._folder / "log"
        self._run("pg_ctl", "-w", "-t", START_TIMEOUT_S, "-o", options, "-l", str(log), "start")

    def stop(self) -> None:
        self._run("pg_ctl", "-w", "-m", "immediate", "stop")

    def _run(self, program: str, *arguments: str) -> None:
        command = [str(self._programs / program), "-D", str(self._folder / "cluster"), *arguments]
        as_user = {}
        if self._user is not None:
            as_user = {
                "user": self._user.pw_uid,
                "group": self._user.pw_gid,
                "extra_groups": [],
            }
        done = subprocess.run(
            command,
            cwd=self._folder,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE if program == "initdb" else subprocess.DEVNULL,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
            **as_user,
        )
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {done.stdout}")
