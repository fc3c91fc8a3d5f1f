"""ArtifactService over TLS, arrays by reference in solves and jobs, and what a crash leaves."""

import hashlib
import os
import signal
from pathlib import Path

import google_crc32c
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from ketgate.artifacts.v1 import artifact_service_pb2 as pb
from ketgate.artifacts.v1 import artifact_service_pb2_grpc as services
from ketgate.jobs.v1 import job_pb2
from ketgate.jobs.v1 import job_service_pb2 as jobs_pb
from ketgate.jobs.v1 import job_service_pb2_grpc as jobs_services
from ketgate.optimization.v1 import optimization_service_pb2 as optimization_pb
from ketgate.optimization.v1 import optimization_service_pb2_grpc as optimization_services

from ..specs import ising, random_couplings

CHUNK = 256 << 10
TIMEOUT_S = 200.0


def content(size: int, seed: int = 0) -> bytes:
    return np.random.default_rng(seed).bytes(size)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


class Caller:
    """Calls of one server, as its administrator."""

    def __init__(self, server) -> None:
        self.channel = server.channel()
        self._metadata = server.metadata
        self._stubs = [
            services.ArtifactServiceStub(self.channel),
            jobs_services.JobServiceStub(self.channel),
            optimization_services.OptimizationServiceStub(self.channel),
        ]

    def __call__(self, method: str, request):
        stub = next(stub for stub in self._stubs if hasattr(stub, method))
        return getattr(stub, method)(request, metadata=self._metadata, timeout=TIMEOUT_S)

    def begin(self, data: bytes):
        return self(
            "CreateUpload", pb.CreateUploadRequest(sha256=sha256(data), size_bytes=len(data))
        )

    def write(self, upload: str, offset: int, data: bytes) -> int:
        request = pb.WriteUploadRequest(
            upload=upload, offset=offset, data=data, crc32c=google_crc32c.value(data)
        )
        return self("WriteUpload", request).offset

    def upload(self, data: bytes) -> str:
        begun = self.begin(data)
        if begun.HasField("artifact"):
            return begun.artifact.name
        offset = begun.offset
        while offset < len(data):
            offset = self.write(begun.upload, offset, data[offset : offset + CHUNK])
        return self("FinishUpload", pb.FinishUploadRequest(upload=begun.upload)).artifact.name

    def read(self, name: str, offset: int = 0, limit_bytes: int = 0) -> bytes:
        request = pb.ReadArtifactRequest(name=name, offset=offset, limit_bytes=limit_bytes)
        found = []
        for message in self("ReadArtifact", request):
            assert message.offset == offset
            assert message.crc32c == google_crc32c.value(message.data)
            assert len(message.data) <= CHUNK
            offset += len(message.data)
            found.append(message.data)
        return b"".join(found)

    def delete(self, name: str) -> None:
        self("DeleteArtifact", pb.DeleteArtifactRequest(name=name))


@pytest.fixture
def call(server):
    caller = Caller(server)
    with caller.channel:
        yield caller


def test_content_goes_up_and_comes_down(call):
    data = content(600_000)
    begun = call.begin(data)
    assert (begun.offset, begun.chunk_bytes, begun.HasField("artifact")) == (0, CHUNK, False)
    assert call.write(begun.upload, 0, data[:CHUNK]) == CHUNK
    assert call.write(begun.upload, 0, data[:CHUNK]) == CHUNK  # a repeat
    state = call("GetUpload", pb.GetUploadRequest(upload=begun.upload))
    assert (state.offset, state.size_bytes) == (CHUNK, len(data))
    name = call.upload(data)
    assert name == f"artifacts/{sha256(data)}"
    found = call("GetArtifact", pb.GetArtifactRequest(name=name)).artifact
    assert (found.size_bytes, found.reference_count) == (len(data), 0)
    assert found.media_type == "application/octet-stream"
    assert found.expire_time.seconds - found.create_time.seconds == 24 * 3600
    assert call.begin(data).artifact.name == name
    assert call.read(name) == data
    assert call.read(name, 100, 300_000) == data[100:300_100]
    assert call.read(name, len(data)) == b""
    call.delete(name)


def test_lists_go_from_the_newest_on(call):
    names = [call.upload(content(10, seed)) for seed in range(5)]
    listed, token = [], ""
    while True:
        page = call("ListArtifacts", pb.ListArtifactsRequest(page_size=2, page_token=token))
        listed += [artifact.name for artifact in page.artifacts]
        token = page.next_page_token
        if not token:
            break
    assert [name for name in listed if name in names] == names[::-1]
    for name in names:
        call.delete(name)


D = content(1000, 7)
UNKNOWN = f"uploads/{'0' * 32}"
MOST = (1 << 63) - 1
X = {"data": b"x", "crc32c": google_crc32c.value(b"x")}
NONE = f"artifacts/{'0' * 64}"
REFUSALS = {
    "digest of letters": ("CreateUpload", {"sha256": "x" * 64}, "FIELD_INVALID", "sha256"),
    "no digest": ("CreateUpload", {}, "FIELD_INVALID", "sha256"),
    "negative size": ("CreateUpload", {"sha256": "0" * 64, "size_bytes": -1}, "FIELD_INVALID", "size_bytes"),
    "size beyond": ("CreateUpload", {"sha256": "0" * 64, "size_bytes": 1 << 62}, "LIMIT_EXCEEDED", "size_bytes"),
    "long media type": ("CreateUpload", {"sha256": "0" * 64, "media_type": "x" * 101}, "FIELD_INVALID", "media_type"),
    "request id": ("CreateUpload", {"sha256": "0" * 64, "request_id": "\u00e9"}, "FIELD_INVALID", "request_id"),
    "no upload": ("WriteUpload", X, "FIELD_INVALID", "upload"),
    "a path": ("WriteUpload", {"upload": "uploads/../../x"}, "FIELD_INVALID", "upload"),
    "unknown upload": ("WriteUpload", {"upload": UNKNOWN} | X, "RESOURCE_NOT_FOUND", "upload"),
    "no data": ("WriteUpload", {"upload": "", "data": b""}, "FIELD_INVALID", "data"),
    "large data": ("WriteUpload", {"upload": "", "data": bytes(CHUNK + 1)}, "FIELD_INVALID", "data"),
    "negative offset": ("WriteUpload", {"upload": "", "offset": -1, "data": b"x"}, "FIELD_INVALID", "offset"),
    "beyond the end": ("WriteUpload", {"upload": "", "offset": 1000} | X, "OFFSET_MISMATCH", "offset"),
    "overflowing offset": ("WriteUpload", {"upload": "", "offset": MOST} | X, "OFFSET_MISMATCH", "offset"),
    "wrong checksum": ("WriteUpload", {"upload": "", "data": b"x", "crc32c": 1}, "DIGEST_MISMATCH", "crc32c"),
    "not all is here": ("FinishUpload", {"upload": ""}, "OFFSET_MISMATCH", "upload"),
    "a name of another kind": ("GetArtifact", {"name": "jobs/x"}, "FIELD_INVALID", "name"),
    "upper case": ("GetArtifact", {"name": f"artifacts/{'A' * 64}"}, "FIELD_INVALID", "name"),
    "unknown": ("GetArtifact", {"name": NONE}, "RESOURCE_NOT_FOUND", "name"),
    "unknown to read": ("ReadArtifact", {"name": NONE}, "RESOURCE_NOT_FOUND", "name"),
    "unknown to delete": ("DeleteArtifact", {"name": NONE}, "RESOURCE_NOT_FOUND", "name"),
    "negative page": ("ListArtifacts", {"page_size": -1}, "FIELD_INVALID", "page_size"),
    "a token of nobody": ("ListArtifacts", {"page_token": "eA=="}, "FIELD_INVALID", "page_token"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_is_refused_and_how(call, refused, case):
    method, fields, reason, field = REFUSALS[case]
    if fields.get("upload") == "" and method != "CreateUpload":
        fields = fields | {"upload": call.begin(D).upload}
    request = getattr(pb, f"{method}Request")(**fields)
    refusal = refused(lambda: call(method, request))
    assert refusal.reason == reason
    assert refusal.info.metadata["field"] == field
    assert refusal.message.startswith(f"{field}: ")


def test_a_role_is_needed(server, refused, run_command_token):
    metadata = run_command_token("optimization.user")
    with server.channel() as channel:
        stub = services.ArtifactServiceStub(channel)
        refusal = refused(
            lambda: stub.ListArtifacts(pb.ListArtifactsRequest(), metadata=metadata, timeout=200)
        )
    assert refusal.reason == "ROLE_MISSING"


@pytest.fixture
def run_command_token(server):
    """Makes tokens of the server, by its store, with the roles named."""
    from ketgate_server.store.database import open_store
    from ketgate_server.tokens import TokenStore

    store = open_store(server.data_dir, None)
    tokens = TokenStore(store)
    made = []

    def make(*roles: str):
        made.append(f"test-artifacts-{len(made)}")
        secret, _ = tokens.create(made[-1], roles=roles)
        return (("authorization", f"Bearer {secret}"),)

    yield make
    for name in made:
        tokens.revoke(name)
    store.close()


# Arrays by reference.


def by_reference(call, spec):
    """The spec with its values uploaded, and the name of that."""
    made = type(spec).FromString(spec.SerializeToString())
    tensor = made.ising.quadratic.value
    name = call.upload(tensor.data)
    tensor.artifact = name
    return made, name


def glass(seed: int = 3):
    spec = ising(random_couplings(30, 0.5, seed))
    spec.seed = 5
    spec.work_limit = 1
    return spec


def test_a_solve_by_reference_is_as_one_by_value(call):
    spec = glass()
    inline = call("Solve", optimization_pb.SolveRequest(spec=spec)).result
    referring, name = by_reference(call, spec)
    found = call("Solve", optimization_pb.SolveRequest(spec=referring)).result
    assert found.solutions == inline.solutions
    *_, last = call("SolveStream", optimization_pb.SolveStreamRequest(spec=referring))
    assert last.result.solutions == inline.solutions
    assert found.spec_digest != inline.spec_digest
    call.delete(name)


@pytest.mark.parametrize("method", ["Solve", "SolveStream", "CreateJob"])
def test_references_that_are_wrong(call, refused, method):
    def send(spec):
        if method == "CreateJob":
            call(method, jobs_pb.CreateJobRequest(spec=job_pb2.JobSpec(solve=spec)))
        elif method == "Solve":
            call(method, optimization_pb.SolveRequest(spec=spec))
        else:
            list(call(method, optimization_pb.SolveStreamRequest(spec=spec)))

    prefix = "spec.solve" if method == "CreateJob" else "spec"
    path = f"{prefix}.ising.quadratic.value.artifact"
    spec, name = by_reference(call, glass())
    tensor = spec.ising.quadratic.value
    cases = [
        (NONE, "RESOURCE_NOT_FOUND", "there is no"),
        ("../../etc/passwd", "FIELD_INVALID", "expected \"artifacts/SHA256\""),
    ]  # fmt: skip
    for given, reason, text in cases:
        tensor.artifact = given
        refusal = refused(lambda: send(spec))
        assert (refusal.reason, refusal.info.metadata["field"]) == (reason, path)
        assert text in refusal.message
    tensor.artifact = name
    tensor.shape[0] += 1
    refusal = refused(lambda: send(spec))
    assert refusal.info.metadata["field"] == path
    size = 8 * tensor.shape[0]
    assert f"expected an artifact of {size} bytes" in refusal.message
    tensor.shape[0] = 1 << 62
    assert refused(lambda: send(spec)).reason == "FIELD_INVALID"
    call.delete(name)


def test_what_one_spec_may_refer_to_is_bounded(start_server, refused):
    server = start_server("--set", "limits.artifacts.referenced_bytes_max=100")
    caller = Caller(server)
    with caller.channel:
        spec, _ = by_reference(caller, glass())
        refusal = refused(lambda: caller("Solve", optimization_pb.SolveRequest(spec=spec)))
    assert refusal.reason == "LIMIT_EXCEEDED"
    assert refusal.info.metadata["limit"] == "artifacts.referenced_bytes_max"


@pytest.mark.parametrize("isolation", ["thread", "process"])
def test_jobs_refer_to_artifacts_and_their_results_do(start_server, refused, tmp_path, isolation):
    config = tmp_path / "ketgate.toml"
    config.write_text(
        f'[jobs]\nisolation = "{isolation}"\n[limits.artifacts]\ninline_bytes_max = 20\n'
    )
    call = Caller(start_server("--config", str(config)))
    with call.channel:
        inline = call("Solve", optimization_pb.SolveRequest(spec=glass())).result
        spec, name = by_reference(call, glass())
        job = call("CreateJob", jobs_pb.CreateJobRequest(spec=job_pb2.JobSpec(solve=spec))).job
        call("WaitJob", jobs_pb.WaitJobRequest(name=job.name, timeout=Duration(seconds=150)))
        done = call("GetJob", jobs_pb.GetJobRequest(name=job.name, view=jobs_pb.JOB_VIEW_FULL)).job
        assert done.state == job_pb2.JOB_STATE_SUCCEEDED
        values = done.result.solve.solutions[0].values
        assert call.read(values.artifact) == inline.solutions[0].values.data
        for used in (name, values.artifact):
            found = call("GetArtifact", pb.GetArtifactRequest(name=used)).artifact
            assert found.reference_count == 1
            assert not found.HasField("expire_time")
            assert refused(lambda used=used: call.delete(used)).reason == "ARTIFACT_IN_USE"
        call("DeleteJob", jobs_pb.DeleteJobRequest(name=job.name))
        call.delete(name)
        call.delete(values.artifact)
        asked = glass()
        asked.reference_arrays = True
        answer = call("Solve", optimization_pb.SolveRequest(spec=asked)).result
        assert call.read(answer.solutions[0].values.artifact) == inline.solutions[0].values.data


# Crashes and memory.


def test_an_upload_outlives_the_kill_of_its_server(start_server, tmp_path):
    data = content(1_000_000, 3)
    first = start_server(data_dir=tmp_path / "store")
    call = Caller(first)
    with call.channel:
        begun = call.begin(data)
        call.write(begun.upload, 0, data[:CHUNK])
        first.process.send_signal(signal.SIGKILL)
        first.process.wait()
    call = Caller(start_server(data_dir=tmp_path / "store"))
    with call.channel:
        again = call.begin(data)
        assert (again.upload, again.offset) == (begun.upload, CHUNK)
        assert call.read(call.upload(data)) == data


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had since its peak was forgotten."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024
    raise AssertionError


def forget_peak(pid: int) -> None:
    Path(f"/proc/{pid}/clear_refs").write_text("5")


def test_200_mb_up_and_down_take_no_memory(start_server):
    server = start_server()
    call = Caller(server)
    size = 200_000_000
    pid = server.process.pid
    block = content(CHUNK)

    def piece(offset: int) -> bytes:
        return (offset.to_bytes(8, "little") + block)[: min(CHUNK, size - offset)]

    digest = hashlib.sha256()
    for offset in range(0, size, CHUNK):
        digest.update(piece(offset))
    with call.channel:
        call.read(call.upload(content(8 << 20)))  # whatever a first call loads
        forget_peak(pid)
        before = peak_bytes(pid)
        begun = call(
            "CreateUpload", pb.CreateUploadRequest(sha256=digest.hexdigest(), size_bytes=size)
        )
        for offset in range(0, size, CHUNK):
            call.write(begun.upload, offset, piece(offset))
        name = call("FinishUpload", pb.FinishUploadRequest(upload=begun.upload)).artifact.name
        found = hashlib.sha256()
        for message in call("ReadArtifact", pb.ReadArtifactRequest(name=name)):
            found.update(message.data)
        assert found.digest() == digest.digest()
        assert peak_bytes(pid) - before < 24 << 20
    assert os.path.getsize(server.data_dir / "blobs" / name[10:12] / name[12:]) == size
