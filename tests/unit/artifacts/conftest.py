"""Artifacts on every kind of store and of blob store, with a clock that a test moves."""

import hashlib
import os
import socket
import uuid
from collections.abc import Iterator

import pytest
from ketgate_server.artifacts import store as store_module
from ketgate_server.artifacts.blobs import open_blobs
from ketgate_server.artifacts.index import Asker, Quota, UploadRow
from ketgate_server.artifacts.store import HOUR_US, ArtifactStore, Policy

MIB = 1 << 20
POLICY = Policy(bytes_max=64 * MIB, quota=Quota(80 * MIB, uploads_max=4), unused_us=24 * HOUR_US)


@pytest.fixture(autouse=True)
def no_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store_module, "CATCH_UP_S", 0.0)


def content(size: int, seed: int = 0) -> bytes:
    """The same bytes every time; every page is another."""
    block = hashlib.shake_256(f"{seed}".encode()).digest(min(size, 1 << 16))
    pieces = []
    left = size
    while left > 0:
        head = len(pieces).to_bytes(8, "little")
        pieces.append((head + block)[: min(left, len(block))])
        left -= len(pieces[-1])
    return b"".join(pieces)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def asker(tenant: str = "desk", request_id: str = "", method: str = "/m", digest: bytes = b"d"):
    return Asker(tenant, "token", method, "call", request_id, digest)


def upload(artifacts: ArtifactStore, data: bytes, tenant: str = "desk", chunk: int = 1 << 16):
    """Upload in chunks, from where the store says; the artifact."""
    row, offset = artifacts.begin(asker(tenant), sha256(data), len(data), "x/y")
    if not isinstance(row, UploadRow):
        return row
    while offset < len(data):
        offset = artifacts.write(tenant, row.id, offset, data[offset : offset + chunk])
    return artifacts.finish(asker(tenant), row.id)


def read(artifacts: ArtifactStore, row, offset: int = 0, limit: int = 1 << 40) -> bytes:
    return b"".join(artifacts.chunks(row, offset, limit))


@pytest.fixture(scope="session")
def s3_server() -> Iterator[str]:
    """An S3 service on loopback; its URL."""
    pytest.importorskip("boto3", reason="boto3 is not installed")
    server = pytest.importorskip("moto.server", reason="moto is not installed")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    running = server.ThreadedMotoServer("127.0.0.1", port, verbose=False)
    running.start()
    yield f"http://127.0.0.1:{port}"
    running.stop()


@pytest.fixture
def s3_url(s3_server: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """A bucket of the test's own."""
    import boto3

    for name, value in {
        "AWS_ENDPOINT_URL": s3_server,
        "AWS_ACCESS_KEY_ID": "test",
        "AWS_SECRET_ACCESS_KEY": "test",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_CONFIG_FILE": os.devnull,
    }.items():
        monkeypatch.setenv(name, value)
    bucket = f"ketgate-{uuid.uuid4().hex}"
    boto3.client("s3").create_bucket(Bucket=bucket)
    return f"s3://{bucket}/some/prefix"


@pytest.fixture(params=["folder", "s3"])
def blobs_url(request: pytest.FixtureRequest, tmp_path) -> str:
    if request.param == "folder":
        return (tmp_path / "blobs").as_uri()
    return request.getfixturevalue("s3_url")


@pytest.fixture
def blobs(blobs_url):
    return open_blobs(blobs_url)


@pytest.fixture
def folder(tmp_path):
    """Blobs in a folder."""
    return open_blobs((tmp_path / "blobs").as_uri())


class Clock:
    """A store whose clock is moved by a test: rows are made older instead, as both databases have a
    clock of their own."""

    def __init__(self, store) -> None:
        self._store = store

    def pass_hours(self, hours: float) -> None:
        us = round(hours * HOUR_US)

        def age(tx):
            tx.execute(
                "UPDATE artifacts SET used_time_us = used_time_us - ?, create_time_us = create_time_us - ?",
                (us, us),
            )
            tx.execute("UPDATE uploads SET update_time_us = update_time_us - ?", (us,))
            tx.execute("UPDATE leases SET until_us = until_us - ?", (us,))

        self._store.run(age)


@pytest.fixture
def clock(store) -> Clock:
    return Clock(store)


@pytest.fixture
def artifacts(store, folder) -> ArtifactStore:
    """On every kind of database, with blobs in a folder."""
    return ArtifactStore(store, folder, POLICY)
