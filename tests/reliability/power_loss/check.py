"""Whether a folder, as a power loss left it, holds everything that was acknowledged before."""

import hashlib
import sqlite3
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ketgate._merkle import GrowingTree, leaf_hash
from ketgate.jobs.v1 import job_pb2 as pb
from ketgate_server import data_folder
from ketgate_server.artifacts.folder import FolderBlobs
from ketgate_server.audit import merkle
from ketgate_server.audit.nodes import StoredNodes
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.signer import open_signer
from ketgate_server.errors import NotFound
from ketgate_server.jobs.base import NewJob, RequestKey
from ketgate_server.jobs.ids import job_id_of, new_id
from ketgate_server.jobs.store import JobStore
from ketgate_server.store.base import Store
from ketgate_server.store.database import FILE_NAME, open_store
from ketgate_server.tokens import TokenStore

from .workload import ACTOR


@dataclass
class Promises:
    """What was acknowledged so far, and what was begun."""

    jobs: dict[str, str] = field(default_factory=dict)
    """Request ids by job."""
    states: dict[str, int] = field(default_factory=dict)
    results: dict[str, str] = field(default_factory=dict)
    deleting: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)
    secrets: list[str] = field(default_factory=list)
    heads: list[tuple[int, str]] = field(default_factory=list)
    artifacts: list[str] = field(default_factory=list)
    uploads: dict[str, int] = field(default_factory=dict)
    name: str = ""
    key: str = ""

    def add(self, mark: dict[str, Any]) -> None:
        self.jobs |= mark.get("created", {})
        if "finished" in mark:
            self.states[mark["finished"]] = pb.JOB_STATE_SUCCEEDED
            self.results[mark["finished"]] = mark["result"]
        if "cancelled" in mark:
            self.states[mark["cancelled"]] = pb.JOB_STATE_CANCELLED
        self.deleting |= {mark["deleting"]} if "deleting" in mark else set()
        self.deleted |= {mark["deleted"]} if "deleted" in mark else set()
        self.secrets += [mark["secret"]] if "secret" in mark else []
        self.heads += [(mark["size"], mark["root"])] if "size" in mark else []
        self.artifacts += [mark["artifact"]] if "artifact" in mark else []
        if "upload" in mark:
            self.uploads[mark["upload"]] = mark["end"]
        self.uploads.pop(mark.get("finishing", ""), None)
        self.name = mark.get("name", self.name)
        self.key = mark.get("key", self.key)


def check(folder: Path, promises: Promises) -> list[str]:
    """What is broken."""
    wrong = []
    if promises.name and data_folder.server_name(folder) != promises.name:
        wrong.append("the server has another name")
    if promises.key and open_signer(folder / "audit.key").key_id != promises.key:
        wrong.append("the audit has another key")
    try:
        store = open_store(folder)
    except Exception as error:
        return [*wrong, f"the store does not open: {error!r}"]
    try:
        wrong += _integrity(folder)
        wrong += _jobs(JobStore(store), promises)
        wrong += _events(store)
        wrong += _audit(store, promises)
        wrong += _others(folder, store, promises)
        wrong += _goes_on(JobStore(store), promises)
    except Exception as error:
        wrong.append(f"the store cannot be used: {error!r}")
    finally:
        store.close()
    return wrong


def _integrity(folder: Path) -> list[str]:
    connection = sqlite3.connect(folder / FILE_NAME)
    told = connection.execute("PRAGMA quick_check").fetchall()
    connection.close()
    return [] if told == [("ok",)] else [f"the database is damaged: {told[:2]}"]


def _jobs(jobs: JobStore, promises: Promises) -> list[str]:
    wrong = []
    for name in promises.jobs:
        try:
            job = jobs.get("red", job_id_of(name) or "")
        except NotFound:
            if name not in promises.deleting:
                wrong.append(f"{name} is lost")
            continue
        if name in promises.deleted:
            wrong.append(f"{name} was deleted, and is back")
        state = promises.states.get(name)
        if state is not None and job.state != state:
            wrong.append(f"{name} was {state}, and is {job.state}")
        if name in promises.results:
            with jobs.store.read() as reader:
                result = reader.rows(
                    "SELECT b.result FROM jobs j JOIN job_bodies b ON b.seq = j.seq WHERE j.id = ?",
                    (job_id_of(name),),
                )[0][0]
            if hashlib.sha256(result).hexdigest() != promises.results[name]:
                wrong.append(f"{name} has another result")
    return wrong


def _events(store: Store) -> list[str]:
    with store.read() as reader:
        revisions = [row[0] for row in reader.rows("SELECT revision FROM events ORDER BY revision")]
        newest = reader.rows("SELECT value FROM counters WHERE name = 'revision'")[0][0]
    return [] if revisions == list(range(1, newest + 1)) else ["revisions have gaps"]


def _audit(store: Store, promises: Promises) -> list[str]:
    wrong = []
    with store.read() as reader:
        entries = reader.rows(
            "SELECT idx, commitment, salt, payload FROM audit_entries ORDER BY idx"
        )
    roots, tree = {0: GrowingTree().root()}, GrowingTree()
    for number, (index, commitment, salt, payload) in enumerate(entries):
        if index != number or hashlib.sha256(salt + payload).digest() != commitment:
            wrong.append(f"the audit's entry {number} is not what it was")
        tree.append(leaf_hash(commitment))
        roots[tree.size] = tree.root()
    for size, root in promises.heads:
        if size not in roots or roots[size].hex() != root:
            wrong.append(f"the audit's head of size {size} is not one of this log any more")
    size = Sequencer(store, "server/2").catch_up(10.0)
    with store.read() as reader:
        if merkle.root(StoredNodes(reader), size) != tree.root():
            wrong.append("the audit's tree is not that of its entries")
    return wrong


def _others(folder: Path, store: Store, promises: Promises) -> list[str]:
    wrong = []
    tokens = TokenStore(store)
    if any(tokens.lookup(secret) is None for secret in promises.secrets):
        wrong.append("a token is lost")
    blobs = FolderBlobs(folder / "blobs")
    for sha256 in promises.artifacts:
        try:
            content = b"".join(blobs.chunks(sha256, 0, 1 << 30, 1 << 20))
        except Exception as error:
            wrong.append(f"the artifact {sha256} is lost: {error!r}")
            continue
        if hashlib.sha256(content).hexdigest() != sha256:
            wrong.append(f"the artifact {sha256} is not what it was")
    for upload, end in promises.uploads.items():
        if blobs.staged(upload) < end:
            wrong.append(f"of the upload {upload} {end} bytes had arrived")
    return wrong


def _goes_on(jobs: JobStore, promises: Promises) -> list[str]:
    """A repeat is known, and new work is taken."""
    wrong = []
    left = [name for name in promises.jobs if name not in promises.deleting]
    for name in left[-2:]:
        request = RequestKey(promises.jobs[name], bytes(32))
        again = NewJob(ACTOR, request, new_id(jobs.now_us()), "solve", b"", bytes(32))
        if jobs.create(again).name != name:
            wrong.append(f"{name} was made again by the same request")
    fresh = RequestKey("after", bytes(32))
    new = NewJob(ACTOR, fresh, new_id(jobs.now_us()), "solve", b"", bytes(32))
    if jobs.create(new).revision != jobs.revision():
        wrong.append("a new job has not the newest revision")
    return wrong
