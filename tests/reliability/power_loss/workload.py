"""python -m tests.reliability.power_loss.workload FOLDER [--bug NAME]

What a server does to its data folder, step by step. Before a step, and after it was acknowledged, it
says so in FOLDER/marks, which record_writes.c takes from the same stream as the writes.
"""

import argparse
import hashlib
import json
import os
import random
import sqlite3
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

from ketgate_server import data_folder, files
from ketgate_server.artifacts import folder as artifact_folder
from ketgate_server.artifacts.folder import FolderBlobs
from ketgate_server.artifacts.index import Asker, Quota, UploadRow
from ketgate_server.artifacts.store import ArtifactStore, Policy
from ketgate_server.audit import log, merkle
from ketgate_server.audit.nodes import StoredNodes
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.signer import open_signer
from ketgate_server.jobs.base import Actor, Claim, Ending, NewJob, Outcome, RequestKey
from ketgate_server.jobs.ids import job_id_of, new_id
from ketgate_server.jobs.store import JobStore
from ketgate_server.store import database, sqlite
from ketgate_server.tokens import TokenStore

CHECKPOINT_PAGES = 24
"""Far fewer than SQLite's 1,000, so that a short history has many checkpoints."""

ACTOR = Actor("red", "ci", "/CreateJob", "call")
LEASE_US = 60_000_000
CHUNK_BYTES = 3000
CALLERS = 6

Step = tuple[str, Callable[[], dict[str, Any]]]


class Workload:
    """The parts of a server that write, over one folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._marks = os.open(folder / "marks", os.O_WRONLY | os.O_CREAT)
        self._random = random.Random(1)
        self._claims: dict[str, Claim] = {}
        self._created: list[str] = []

    def play(self) -> None:
        self.step("server", self.name)
        self.step("open", self.open)
        self.step("key", self.key)
        self.step("blobs", self.blobs)
        for life in range(2):
            for step in self._steps():
                self.step(*step)
            self.step("close", self.close)
            if life == 0:
                self.step("open", self.open)
                self.step("blobs", self.blobs)

    def step(self, name: str, act: Callable[[], dict[str, Any]]) -> None:
        self._mark({"begin": name})
        self._mark({"done": name, **act()})

    def name(self) -> dict[str, Any]:
        return {"name": data_folder.server_name(self.folder)}

    def open(self) -> dict[str, Any]:
        self.store = database.open_store(self.folder)
        self.jobs = JobStore(self.store)
        self.store.run(log.create(log.new_salt()))
        return {}

    def blobs(self) -> dict[str, Any]:
        blobs = FolderBlobs(self.folder / "blobs")
        policy = Policy(1 << 30, Quota(1 << 30, 100), 1 << 40)
        self.artifacts = ArtifactStore(self.store, blobs, policy)
        return {}

    def key(self) -> dict[str, Any]:
        return {"key": open_signer(self.folder / "audit.key").key_id}

    def close(self) -> dict[str, Any]:
        self.store.close()
        return {}

    def create(self) -> dict[str, Any]:
        """Several at once, as callers do: they share a commit."""
        new = [self._new() for _ in range(CALLERS)]
        made: list[str] = []
        threads = [
            threading.Thread(target=lambda job=job: made.append(self.jobs.create(job).name))
            for job in new
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert len(made) == CALLERS
        self._created += made
        return {"created": {f"jobs/{job.id}": job.request.request_id for job in new}}

    def claim(self) -> dict[str, Any]:
        claims = self.jobs.claim("server/1", 2, LEASE_US)
        self._claims |= {f"jobs/{claim.id}": claim for claim in claims}
        return {}

    def finish(self) -> dict[str, Any]:
        name = min(self._claims)
        result = self._random.randbytes(self._random.randrange(10, 9000))
        assert self.jobs.finish(self._claims.pop(name), Ending(Outcome.SUCCEEDED, result))
        return {"finished": name, "result": hashlib.sha256(result).hexdigest()}

    def cancel(self) -> dict[str, Any]:
        name = self._waiting()
        actor = Actor("red", "ci", "/CancelJob", "call")
        self.jobs.cancel(actor, self._request(), job_id_of(name) or "")
        return {"cancelled": name}

    def delete(self) -> dict[str, Any]:
        name = self._waiting()
        actor = Actor("red", "ci", "/DeleteJob", "call")
        self.jobs.cancel(actor, self._request(), job_id_of(name) or "")
        self._mark({"begin": "delete", "deleting": name})
        self.jobs.delete(actor, self._request(), job_id_of(name) or "")
        return {"deleted": name}

    def token(self) -> dict[str, Any]:
        secret, _ = TokenStore(self.store).create(f"token-{self._random.random()}")
        return {"secret": secret}

    def head(self) -> dict[str, Any]:
        size = Sequencer(self.store, "server/1").catch_up(10.0)
        with self.store.read() as reader:
            root = merkle.root(StoredNodes(reader), size)
        return {"size": size, "root": root.hex()}

    def artifact(self) -> dict[str, Any]:
        content = self._random.randbytes(3 * CHUNK_BYTES)
        sha256 = hashlib.sha256(content).hexdigest()
        upload, _ = self.artifacts.begin(self._asker(), sha256, len(content), "")
        assert isinstance(upload, UploadRow)
        for offset in range(0, len(content), CHUNK_BYTES):
            end = self.artifacts.write(
                "red", upload.id, offset, content[offset : offset + CHUNK_BYTES]
            )
            self._mark({"done": "chunk", "upload": upload.id, "end": end})
        self._mark({"begin": "finish upload", "finishing": upload.id})
        self.artifacts.finish(self._asker(), upload.id)
        return {"artifact": sha256}

    def _steps(self) -> list[Step]:
        acts = [
            self.create, self.token, self.claim, self.artifact, self.finish, self.cancel,
            self.head, self.create, self.delete, self.claim, self.finish, self.artifact,
            self.finish, self.create, self.cancel, self.delete, self.head,
        ]  # fmt: skip
        return [(act.__name__, act) for act in acts]

    def _new(self) -> NewJob:
        spec = self._random.randbytes(self._random.randrange(10, 6000))
        job_id = new_id(self.store.now_us())
        return NewJob(ACTOR, self._request(), job_id, "solve", spec, bytes(32))

    def _waiting(self) -> str:
        claimed = self._claims.keys()
        name = next(name for name in reversed(self._created) if name not in claimed)
        self._created.remove(name)
        return name

    def _request(self) -> RequestKey:
        return RequestKey(self._random.randbytes(8).hex(), bytes(32))

    def _asker(self) -> Asker:
        return Asker("red", "ci", "/Upload", "call", self._random.randbytes(8).hex(), bytes(32))

    def _mark(self, content: dict[str, Any]) -> None:
        os.write(self._marks, json.dumps(content).encode())


def plant(bug: str) -> None:
    """Make the code forget something that only a power loss shows."""
    if bug == "synchronous off":
        _settle("PRAGMA synchronous=OFF")
    elif bug == "blobs' folders not synced":
        artifact_folder._sync_folder = lambda folder: None
    elif bug == "blobs not synced":
        artifact_folder.FolderBlobs._sync = lambda self, file, upload: None  # type: ignore[method-assign]
    elif bug == "names not synced":
        files.sync_folder = lambda folder: None
    elif bug:
        raise ValueError(bug)


BUGS = ("synchronous off", "blobs' folders not synced", "blobs not synced", "names not synced")


def _settle(pragma: str) -> None:
    """For every connection from now on."""
    connect = sqlite.connect

    def settled(path: Path) -> sqlite3.Connection:
        connection = connect(path)
        connection.execute(pragma)
        return connection

    sqlite.connect = database.connect = settled


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--bug", default="", choices=["", *BUGS])
    arguments = parser.parse_args()
    _settle(f"PRAGMA wal_autocheckpoint={CHECKPOINT_PAGES}")
    plant(arguments.bug)
    Workload(arguments.folder).play()


if __name__ == "__main__":
    main()
