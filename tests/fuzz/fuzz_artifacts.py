"""Fuzz uploads and artifacts: python tests/fuzz/fuzz_artifacts.py --seconds 10 [--seed N].

Two tenants make calls in any order, with right fields, with wrong ones and with anything, while the
server is started anew and collects what nobody uses. Whatever comes, the answer is a message or an
error with a path that exists in the request; an artifact reads as the content whose SHA-256 it is
named by; and each tenant lists what it finished and did not delete, and nothing else.
"""

# ruff: noqa: E402 - imported from this checkout, whose folders are put into the path first

import argparse
import hashlib
import os
import random
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import google_crc32c

ROOT = Path(__file__).parent.parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "server"), str(ROOT / "native")]

from ketgate.artifacts.v1 import artifact_service_pb2 as pb
from ketgate_server.artifacts import store as store_module
from ketgate_server.artifacts.blobs import open_blobs
from ketgate_server.artifacts.collector import Collector
from ketgate_server.artifacts.index import Quota
from ketgate_server.artifacts.service import create_service
from ketgate_server.artifacts.store import (
    CHUNK_BYTES_MAX,
    HOUR_US,
    ArtifactStore,
    Policy,
)
from ketgate_server.errors import CATALOGUE, KetgateError
from ketgate_server.rpc.call import Identity
from ketgate_server.store.database import open_store

from tests.specs import LocalCall

SIZES = (0, 1, 300, 70_000, CHUNK_BYTES_MAX, CHUNK_BYTES_MAX + 1)
CONTENTS = {
    hashlib.sha256(content).hexdigest(): content
    for content in (random.Random(size).randbytes(size) for size in SIZES)
}
TENANTS = ("desk", "rival")
POLICY = Policy(CHUNK_BYTES_MAX + 1, Quota(700_000, uploads_max=3), unused_us=24 * HOUR_US)
"""Not all contents fit into a tenant at once."""
INTEGERS = (0, 1, -1, 299, 300, CHUNK_BYTES_MAX, 1 << 31, (1 << 63) - 1, -(1 << 63))
TEXTS = ("", "a", "\x00", "x" * 300, "artifacts/", "uploads/../../x", "\U0001f600", "eA==")
SLOW_S = 5.0

store_module.CATCH_UP_S = 0.0  # nobody else sends what is missing


@dataclass
class Upload:
    """One that was begun."""

    tenant: str
    sha256: str


class World:
    """A server's artifacts, and what is known of them. Seeds its own choices."""

    def __init__(self, folder: Path, seed: str) -> None:
        self.rng = random.Random(seed)
        self._folder = folder
        self._store = open_store(folder)
        self._start()
        self.uploads: dict[str, Upload] = {}
        self.has: dict[str, set[str]] = {tenant: set() for tenant in TENANTS}
        self.last: Any = None
        """The request that is being tried, for a finding."""

    def close(self) -> None:
        self._store.close()

    def _start(self) -> None:
        blobs = open_blobs((self._folder / "blobs").as_uri())
        self._artifacts = ArtifactStore(self._store, blobs, POLICY, server="fuzz")
        self._methods = create_service(self._artifacts).methods

    def step(self) -> str:
        """One call, or one thing that happens to the server; in a word, what came of it."""
        kinds = [self._create, self._write, self._finish, self._read, self._delete, self._list]
        chosen = self.rng.choices(
            [*kinds, self._anything, self._restart, self._collect],
            [6, 12, 6, 4, 1, 2, 6, 1, 1],
        )[0]
        return chosen()

    def _send(self, tenant: str, request: Any, hurt: float = 0.1) -> list[Any] | str:
        """The answers, or the reason of a refusal. hurt: how likely a field is made wrong first."""
        if self.rng.random() < hurt:
            self._hurt(request)
        self.last = request
        name = type(request).__name__.removesuffix("Request")
        call = LocalCall()
        call.identity = Identity("fuzz", tenant, frozenset({"admin"}))
        call.method = f"/ketgate.artifacts.v1.ArtifactService/{name}"
        method = self._methods[name]
        try:
            if method.unary is not None:
                return [method.unary(call, request)]
            assert method.stream is not None
            return list(method.stream(call, request))
        except KetgateError as error:
            refused = error
        code = CATALOGUE[refused.reason].code
        assert code not in ("INTERNAL", "UNAVAILABLE"), refused.message
        if code == "INVALID_ARGUMENT":
            assert refused.field in request.DESCRIPTOR.fields_by_name, refused.field
        return str(refused.reason)

    def _hurt(self, request: Any) -> None:
        chosen = self.rng.choice(request.DESCRIPTOR.fields)
        value: Any
        if chosen.type == chosen.TYPE_STRING:
            digests = [*CONTENTS, *map(str.upper, CONTENTS)]
            names = [f"artifacts/{digest}" for digest in digests]
            value = self.rng.choice([*TEXTS, *self.uploads, *digests, *names])
        elif chosen.type == chosen.TYPE_BYTES:
            value = self.rng.randbytes(self.rng.choice([0, 1, 300, CHUNK_BYTES_MAX + 1]))
        elif chosen.cpp_type == chosen.CPPTYPE_UINT32:
            value = self.rng.getrandbits(32)
        elif chosen.cpp_type == chosen.CPPTYPE_INT32:
            value = self.rng.choice([0, 1, -1, (1 << 31) - 1])
        else:
            value = self.rng.choice(INTEGERS)
        setattr(request, chosen.name, value)

    def _create(self) -> str:
        tenant = self.rng.choice(TENANTS)
        sha256, content = self.rng.choice(list(CONTENTS.items()))
        request = pb.CreateUploadRequest(sha256=sha256, size_bytes=len(content))
        answer = self._send(tenant, request)
        if isinstance(answer, str):
            return answer
        if answer[0].HasField("artifact"):
            assert request.sha256.lower() in self.has[tenant], "another tenant's content"
            return "known"
        assert request.sha256.lower() not in self.has[tenant], "an upload of what is there"
        self.uploads[answer[0].upload] = Upload(tenant, request.sha256.lower())
        return "begun"

    def _write(self) -> str:
        if not self.uploads:
            return "nothing to write to"
        name, upload = self.rng.choice(list(self.uploads.items()))
        state = self._send(upload.tenant, pb.GetUploadRequest(upload=name), hurt=0)
        if isinstance(state, str):
            assert state == "RESOURCE_NOT_FOUND", state
            del self.uploads[name]
            return "an upload that is over"
        content = CONTENTS.get(upload.sha256, b"")
        offset = state[0].offset if self.rng.random() < 0.8 else self.rng.randrange(80_000)
        piece = content[offset : offset + self.rng.choice([1, 300, 40_000, CHUNK_BYTES_MAX])]
        if self.rng.random() < 0.05:
            piece = self.rng.randbytes(len(piece))  # its digest will not be what was announced
        request = pb.WriteUploadRequest(
            upload=name, offset=offset, data=piece, crc32c=google_crc32c.value(piece)
        )
        answer = self._send(upload.tenant, request)
        return answer if isinstance(answer, str) else "written"

    def _finish(self) -> str:
        if not self.uploads:
            return "nothing to finish"
        name, upload = self.rng.choice(list(self.uploads.items()))
        tenant = upload.tenant if self.rng.random() < 0.9 else self.rng.choice(TENANTS)
        request_id = self.rng.choice(["", "", "once"])
        answer = self._send(tenant, pb.FinishUploadRequest(upload=name, request_id=request_id))
        if isinstance(answer, str):
            return answer
        digest = answer[0].artifact.name.removeprefix("artifacts/")
        assert request_id or tenant == upload.tenant, "another tenant's upload"
        self.has[tenant].add(digest)
        return "finished"

    def _read(self) -> str:
        tenant = self.rng.choice(TENANTS)
        sha256, content = self.rng.choice(list(CONTENTS.items()))
        offset = self.rng.choice([0, 0, 1, len(content)])
        limit = self.rng.choice([0, 0, 1, 1000])
        request = pb.ReadArtifactRequest(
            name=f"artifacts/{sha256}", offset=offset, limit_bytes=limit
        )
        answers = self._send(tenant, request)
        if isinstance(answers, str):
            return answers
        digest = request.name.removeprefix("artifacts/")
        assert digest in self.has[tenant], "an artifact that the tenant has not"
        rest = CONTENTS[digest][request.offset :]
        read = b"".join(answer.data for answer in answers)
        assert read == (rest[: request.limit_bytes] if request.limit_bytes else rest)
        assert all(google_crc32c.value(answer.data) == answer.crc32c for answer in answers)
        return "read"

    def _delete(self) -> str:
        tenant = self.rng.choice(TENANTS)
        request = pb.DeleteArtifactRequest(name=f"artifacts/{self.rng.choice(list(CONTENTS))}")
        answer = self._send(tenant, request)
        if isinstance(answer, str):
            return answer
        if not request.request_id:
            self.has[tenant].remove(request.name.removeprefix("artifacts/"))
        else:
            self.has[tenant] = self._listed(tenant)  # a repeat does nothing
        return "deleted"

    def _list(self) -> str:
        tenant = self.rng.choice(TENANTS)
        assert self._listed(tenant) == self.has[tenant]
        return "listed"

    def _listed(self, tenant: str) -> set[str]:
        names: list[str] = []
        token = ""
        while True:
            page = self._send(
                tenant, pb.ListArtifactsRequest(page_size=2, page_token=token), hurt=0
            )
            assert not isinstance(page, str), page
            names += [one.name.removeprefix("artifacts/") for one in page[0].artifacts]
            token = page[0].next_page_token
            if not token:
                assert len(names) == len(set(names)), "listed twice"
                return set(names)

    def _anything(self) -> str:
        """Every field of a request that must not change anything, with whatever comes."""
        kind = self.rng.choice(
            [
                pb.GetUploadRequest,
                pb.GetArtifactRequest,
                pb.ReadArtifactRequest,
                pb.ListArtifactsRequest,
            ]
        )
        request = kind()
        for _ in range(self.rng.randint(1, 3)):
            self._hurt(request)
        answer = self._send(self.rng.choice(TENANTS), request, hurt=0)
        return answer if isinstance(answer, str) else "answered"

    def _restart(self) -> str:
        self._start()
        return "restarted"

    def _collect(self) -> str:
        """Nothing is old enough to go, but what has no row."""
        assert Collector(self._artifacts, "fuzz").run_once()
        wanted = {upload.sha256 for upload in self.uploads.values()}.union(*self.has.values())
        assert wanted.issuperset(self._artifacts.blobs.digests()), "content of nobody stays"
        return "collected"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(4), "little"))
    arguments = parser.parse_args()
    end_s = time.monotonic() + arguments.seconds
    counts: dict[str, int] = {}
    number = 0
    with tempfile.TemporaryDirectory(prefix="ketgate-fuzz-") as folder:
        world = World(Path(folder), str(arguments.seed))
        while time.monotonic() < end_s:
            number += 1
            started_s = time.thread_time()  # the machine may be busy
            try:
                outcome = world.step()
                taken_s = time.thread_time() - started_s
                assert taken_s < SLOW_S, f"{taken_s:.1f} s"
            except Exception as error:
                print(f"FINDING with --seed {arguments.seed}, step {number}: {error!r}")
                print(type(world.last).__name__, str(world.last)[:2000])
                raise
            counts[outcome] = counts.get(outcome, 0) + 1
        world.close()
    print(f"seed {arguments.seed}: {number} steps, {counts}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
