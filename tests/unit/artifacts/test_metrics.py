"""What an operator reads of artifacts."""

import google_crc32c
import pytest
from ketgate.artifacts.v1 import artifact_service_pb2 as pb
from ketgate_server.artifacts.collector import Collector
from ketgate_server.artifacts.service import create_service
from ketgate_server.errors import KetgateError
from prometheus_client import CollectorRegistry

from ...specs import LocalCall
from .conftest import asker, content, sha256

DATA = content(150_000)
HALF = len(DATA) // 2


@pytest.fixture
def counted(artifacts):
    """Reads a counter by its name and labels."""
    registry = CollectorRegistry()
    artifacts.metrics.show(registry)
    return lambda name, **labels: registry.get_sample_value(f"ketgate_{name}_total", labels)


@pytest.fixture
def call(artifacts):
    """Calls a method; the answer, or all of them."""
    methods = create_service(artifacts).methods

    def call(method_name, /, **fields):
        method, request = methods[method_name], getattr(pb, f"{method_name}Request")(**fields)
        if method.unary is not None:
            return method.unary(LocalCall(), request)
        return list(method.stream(LocalCall(), request))

    return call


def write(call, upload, offset, data):
    return call(
        "WriteUpload", upload=upload, offset=offset, data=data, crc32c=google_crc32c.value(data)
    )


def test_uploads_and_bytes_are_counted(call, counted):
    assert counted("artifact_uploads", event="finished") == 0
    announced = {"sha256": sha256(DATA), "size_bytes": len(DATA)}
    upload = call("CreateUpload", **announced).upload
    write(call, upload, 0, DATA[:HALF])
    assert call("CreateUpload", **announced).offset == HALF
    write(call, upload, HALF, DATA[HALF:])
    name = call("FinishUpload", upload=upload).artifact.name
    call("CreateUpload", **announced)
    call("ReadArtifact", name=name, offset=HALF)
    for event in ("begun", "resumed", "finished", "present"):
        assert counted("artifact_uploads", event=event) == 1
    assert counted("artifact_transferred_bytes", direction="uploaded") == len(DATA)
    assert counted("artifact_transferred_bytes", direction="downloaded") == len(DATA) - HALF


def test_a_repeated_finish_is_no_second_upload(call, counted):
    upload = call("CreateUpload", sha256=sha256(b""), size_bytes=0).upload
    for _ in range(2):
        call("FinishUpload", upload=upload, request_id="once")
    assert counted("artifact_uploads", event="finished") == 1


def test_results_that_the_server_keeps_are_counted_apart(artifacts, counted):
    for _ in range(2):
        artifacts.keep(asker(), DATA, "x/y")
    assert counted("artifact_transferred_bytes", direction="kept") == len(DATA)
    assert counted("artifact_transferred_bytes", direction="uploaded") == 0


@pytest.mark.parametrize(
    ("method", "fields", "reason"),
    [
        ("CreateUpload", {"sha256": "0" * 64, "size_bytes": 1 << 40}, "LIMIT_EXCEEDED"),
        ("WriteUpload", {"upload": f"uploads/{'0' * 32}", "data": b"x"}, "DIGEST_MISMATCH"),
        ("ReadArtifact", {"name": f"artifacts/{'0' * 64}"}, "RESOURCE_NOT_FOUND"),
    ],
)
def test_refusals_are_counted_by_reason(call, counted, method, fields, reason):
    with pytest.raises(KetgateError):
        call(method, **fields)
    assert counted("artifact_refusals", reason=reason) == 1


def test_what_is_removed_as_nothing_uses_it_is_counted(artifacts, clock, counted):
    artifacts.keep(asker(), DATA, "x/y")
    artifacts.keep(asker("rival"), DATA, "x/y")
    clock.pass_hours(25)
    Collector(artifacts, "one").run_once()
    assert counted("artifacts_removed") == 2
