"""What tests share: a real server process over TLS, and channels to it."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from hypothesis import settings
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store

from .postgres import PostgresServer, find_programs

ROOT = Path(__file__).parent.parent
START_TIMEOUT_S = 200.0
STOP_TIMEOUT_S = 100.0

# Same examples every time, and no deadline: the machine may be busy.
settings.register_profile(
    "ketgate", derandomize=True, deadline=None, max_examples=50, database=None
)
settings.load_profile("ketgate")


def server_environment() -> dict[str, str]:
    """The environment of a server under test: this one's Python path, and none of this user's
    settings."""
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")
    }
    paths = [str(ROOT / "server"), str(ROOT / "native"), str(ROOT / "clients" / "python")]
    environment["PYTHONPATH"] = os.pathsep.join([*paths, environment.get("PYTHONPATH", "")])
    return environment


@dataclass
class ServerProcess:
    """A running server."""

    process: "subprocess.Popen[bytes]"
    data_dir: Path
    ready_file: Path
    log_file: Path
    ready: dict[str, Any]

    @property
    def address(self) -> str:
        return str(self.ready["address"])

    @property
    def ca(self) -> bytes:
        return Path(self.ready["ca_file"]).read_bytes()

    @property
    def token(self) -> str:
        """The administrator's."""
        return Path(self.ready["token_file"]).read_text().strip()

    @property
    def metadata(self) -> tuple[tuple[str, str], ...]:
        """Call metadata with the administrator's token."""
        return (("authorization", f"Bearer {self.token}"),)

    def channel(self, **options: Any) -> grpc.Channel:
        """A new channel: TLS where the server has it. Close it. options: grpc.NAME with _ for the
        dots."""
        pairs = [(f"grpc.{name}", value) for name, value in options.items()]
        pairs += [("grpc.use_local_subchannel_pool", 1)]  # so that closing it closes its connection
        if self.ready["ca_file"] is None:
            return grpc.insecure_channel(self.address, pairs)
        return grpc.secure_channel(self.address, grpc.ssl_channel_credentials(self.ca), pairs)

    def log(self) -> list[dict[str, Any]]:
        """What it logged so far, as far as it was JSON."""
        lines = self.log_file.read_text(encoding="utf-8").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def stop(self) -> int:
        """SIGTERM, and the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        return self.process.wait(STOP_TIMEOUT_S)


StartServer = Callable[..., ServerProcess]


def launch(
    folder: Path, *arguments: str, data_dir: Path | None = None, stderr: int | None = None
) -> ServerProcess:
    """Start a server in folder and wait until it serves. Raises AssertionError with its log when it
    does not."""
    data_dir = data_dir or folder / "store"
    ready_file, log_file = folder / "ready.json", folder / "log.jsonl"
    ready_file.unlink(missing_ok=True)
    command = [sys.executable, "-m", "ketgate_server", "--data-dir", str(data_dir)]
    command += ["--listen", "127.0.0.1:0", "--ready-file", str(ready_file)]
    command += ["--set", "quantum.warm=never", *arguments]  # frameworks start where a test has them
    with log_file.open("wb") as log:
        output = log if stderr is None else stderr
        process = subprocess.Popen(command, stderr=output, env=server_environment(), cwd=ROOT)
    end_s = time.monotonic() + START_TIMEOUT_S
    while not ready_file.exists():
        if process.poll() is not None or time.monotonic() > end_s:
            process.kill()
            process.wait()
            raise AssertionError(
                f"the server did not start:\n{log_file.read_text(encoding='utf-8')}"
            )
        time.sleep(0.02)  # another process's file: there is nothing to wait on
    return ServerProcess(
        process, data_dir, ready_file, log_file, json.loads(ready_file.read_text())
    )


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[PostgresServer]:
    """A PostgreSQL server for the whole run; skips what needs one where it is not installed."""
    pytest.importorskip("psycopg", reason="psycopg is not installed")
    programs = find_programs()
    if programs is None:
        pytest.skip("PostgreSQL is not installed")
    with tempfile.TemporaryDirectory(prefix="ketgate-pg-") as folder:
        running = PostgresServer(Path(folder), programs)
        try:
            yield running
        finally:
            running.stop()


@pytest.fixture(params=["sqlite", "postgresql"])
def store_url(request: pytest.FixtureRequest) -> str | None:
    """Where the store of a test is: None for SQLite, or a new PostgreSQL database."""
    if request.param == "sqlite":
        return None
    running: PostgresServer = request.getfixturevalue("postgres_server")
    return running.new_database()


@pytest.fixture
def store(store_url: str | None, tmp_path: Path) -> Iterator[Store]:
    """An empty store, once for each kind of database."""
    opened = open_store(tmp_path / "data", store_url)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def server() -> Iterator[ServerProcess]:
    """One server for the whole run. Tests must leave it as they found it."""
    with tempfile.TemporaryDirectory(prefix="ketgate-test-") as folder:
        running = launch(Path(folder))
        try:
            yield running
        finally:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def start_server(tmp_path: Path) -> Iterator[StartServer]:
    """Starts servers of a test's own, with arguments, and ends them."""
    started: list[ServerProcess] = []

    def start(*arguments: str, **options: Any) -> ServerProcess:
        folder = tmp_path / f"server-{len(started)}"
        folder.mkdir()
        started.append(launch(folder, *arguments, **options))
        return started[-1]

    yield start
    for running in started:
        if running.process.poll() is None:
            running.process.kill()
            running.process.wait()


@pytest.fixture
def run_server() -> Callable[..., "subprocess.CompletedProcess[str]"]:
    """Runs a server that is expected to end by itself."""

    def run(
        *arguments: str, environment: dict[str, str] | None = None
    ) -> "subprocess.CompletedProcess[str]":
        return subprocess.run(
            [sys.executable, "-m", "ketgate_server", *arguments],
            env=server_environment() | (environment or {}),
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )

    return run


@pytest.fixture
def channel(server: ServerProcess) -> Iterator[grpc.Channel]:
    """A channel to the shared server. Calls need its metadata."""
    with server.channel() as open_channel:
        yield open_channel


@pytest.fixture
def metadata(server: ServerProcess) -> tuple[tuple[str, str], ...]:
    """Call metadata with the administrator's token."""
    return server.metadata
