"""Server processes that can be killed at any moment, and the ways to those that live."""

import itertools
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from ketgate.jobs.v1 import job_service_pb2_grpc as services
from ketgate_server.tokens import TokenStore

from tests.conftest import ROOT, START_TIMEOUT_S, server_environment

TENANTS = ("red", "blue")


@dataclass
class Door:
    """The way to one life of a server."""

    ready_file: Path
    channel: grpc.Channel
    jobs: Any
    """A stub of JobService."""


class Fleet:
    """count servers: one over SQLite, or several over the PostgreSQL database at url."""

    def __init__(self, folder: Path, count: int = 1, url: str | None = None) -> None:
        self.folder = folder
        self.count = count
        self._arguments = [
            *("--set", "jobs.workers=2", "--set", "drain_limit_s=5"),
            *("--set", "jobs.lease_s=1", "--set", "limits.jobs.losses_max=1000"),
            *("--log-level", "warning"),
        ]
        if url is not None:
            key = folder / "server-0" / "audit.key"
            self._arguments += ["--set", f"store_url={url}", "--set", f"audit_key_file={key}"]
            self._arguments += ["--set", f"signing.kek_file={folder / 'server-0' / 'kek.key'}"]
            self._arguments += ["--set", f"artifacts_url={(folder / 'artifacts').as_uri()}"]
        self._processes: dict[int, subprocess.Popen[bytes]] = {}
        self._doors: dict[int, Door] = {}
        self._all_channels: list[grpc.Channel] = []
        self._changed = threading.Condition()
        self._lives = itertools.count()
        self.start([0])  # it makes the key and the tables
        self.start(range(1, count))
        self.metadata: dict[str, tuple[tuple[str, str], ...]] = {}
        """Of calls, by tenant."""
        tokens = TokenStore.open(self.data_dir(0), url)
        for tenant in TENANTS:
            secret, _ = tokens.create(f"caller-{tenant}", tenant=tenant)
            self.metadata[tenant] = (("authorization", f"Bearer {secret}"),)
        self.admin, _ = tokens.create("auditor", roles=("admin",))
        tokens.close()

    def data_dir(self, number: int) -> Path:
        return self.folder / f"server-{number}"

    def begin(self, number: int) -> Path:
        """Begin to start a server; returns the file that says when it serves."""
        ready_file = self.folder / f"ready-{next(self._lives)}.json"
        command = [sys.executable, "-m", "ketgate_server", "--data-dir", str(self.data_dir(number))]
        command += ["--listen", "127.0.0.1:0", "--ready-file", str(ready_file), *self._arguments]
        with self.log_file(number).open("ab") as log:
            self._processes[number] = subprocess.Popen(
                command, stderr=log, env=server_environment(), cwd=ROOT
            )
        return ready_file

    def start(self, numbers: Iterable[int]) -> None:
        """Start servers, wait until they serve, and let callers in. Raises AssertionError with the
        log of one that does not."""
        begun = [(number, self.begin(number)) for number in numbers]
        end_s = time.monotonic() + START_TIMEOUT_S
        for number, ready_file in begun:
            while not ready_file.exists():
                assert self._processes[number].poll() is None, self.log_of(number)
                assert time.monotonic() < end_s, self.log_of(number)
                time.sleep(0.02)  # another process's file: there is nothing to wait on
            self._open(number, ready_file)

    def _open(self, number: int, ready_file: Path) -> None:
        ready = json.loads(ready_file.read_text())
        credentials = grpc.ssl_channel_credentials(Path(ready["ca_file"]).read_bytes())
        channel = grpc.secure_channel(
            ready["address"], credentials, [("grpc.use_local_subchannel_pool", 1)]
        )
        with self._changed:
            self._all_channels.append(channel)
            self._doors[number] = Door(ready_file, channel, services.JobServiceStub(channel))
            self._changed.notify_all()

    def kill(self, number: int) -> None:
        """SIGKILL. Raises AssertionError with its log when it had ended by itself."""
        with self._changed:
            self._doors.pop(number, None)
        process = self._processes[number]
        assert process.poll() is None, self.log_of(number)
        process.kill()
        process.wait()

    def door(self, generator: random.Random, timeout_s: float) -> Door | None:
        """The way to any server that lives, as soon as there is one."""
        with self._changed:
            if not self._changed.wait_for(lambda: self._doors, timeout_s):
                return None
            return generator.choice(list(self._doors.values()))

    def log_file(self, number: int) -> Path:
        return self.folder / f"log-{number}.jsonl"

    def log_of(self, number: int) -> str:
        return self.log_file(number).read_text(encoding="utf-8")[-4000:]

    def close(self) -> None:
        for process in self._processes.values():
            if process.poll() is None:
                process.kill()
                process.wait()
        for channel in self._all_channels:
            channel.close()
