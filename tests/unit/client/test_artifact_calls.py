"""Where an upload and a download stand after whatever may come between."""

import hashlib

import google_crc32c
import numpy as np
import pytest
from ketgate import _references
from ketgate._artifact_calls import (
    RESENDS_MAX,
    RESTARTS_MAX,
    Downloading,
    Uploading,
)
from ketgate._artifact_source import BytesSource, open_source
from ketgate._errors import DataLoss, InvalidArgument, NotFound, OutOfRange, Unavailable
from ketgate._retry import Retry
from ketgate._tensor import to_tensor
from ketgate.artifacts.v1 import artifact_service_pb2 as pb
from ketgate.optimization.v1 import optimization_service_pb2

DATA = bytes(range(256)) * 40
SIZE = len(DATA)


def uploading(offset=0, chunk_bytes=1000):
    made = Uploading(BytesSource(DATA), Retry(), None)
    made.created(
        pb.CreateUploadResponse(upload="uploads/x", offset=offset, chunk_bytes=chunk_bytes)
    )
    return made


def gap():
    return OutOfRange("gap", reason="OFFSET_MISMATCH", field="offset")


def test_chunks_are_sent_in_order_with_their_checksums():
    upload, sent = uploading(), b""
    while chunk := upload.chunk():
        assert (chunk.offset, chunk.upload) == (len(sent), "uploads/x")
        assert chunk.crc32c == google_crc32c.value(chunk.data)
        sent += chunk.data
    assert sent == DATA


def test_after_a_gap_it_goes_on_where_the_server_is():
    upload = uploading()
    for _ in range(3):
        upload.chunk()
    assert upload.failed(gap()) == 0.0
    upload.stands(pb.GetUploadResponse(offset=1000, size_bytes=len(DATA)))
    assert upload.chunk().offset == 1000


def test_what_gets_no_further_is_given_up():
    upload = uploading()
    for _ in range(RESENDS_MAX):
        upload.failed(gap())
    with pytest.raises(OutOfRange):
        upload.failed(gap())
    upload.wrote(pb.WriteUploadResponse(offset=500))  # it does get further
    upload.failed(gap())


def test_a_damaged_chunk_is_sent_again_but_damaged_content_is_not():
    upload = uploading()
    damaged = DataLoss("crc", reason="DIGEST_MISMATCH", field="crc32c")
    assert upload.failed(damaged) == 0.0
    whole = DataLoss("sha", reason="DIGEST_MISMATCH", field="upload")
    with pytest.raises(DataLoss):
        upload.failed(whole)
    upload.over(whole)  # the source is as it was, so it is sent anew


def test_a_source_that_changes_is_not_sent_for_ever(tmp_path):
    path = tmp_path / "x"
    path.write_bytes(DATA)
    source = open_source(path)
    upload = Uploading(source, Retry(), None)
    path.write_bytes(bytes(len(DATA)))
    with pytest.raises(InvalidArgument, match="it changed while it was sent"):
        upload.over(DataLoss("sha", reason="DIGEST_MISMATCH", field="upload"))
    source.close()


def test_an_upload_that_is_gone_is_begun_anew_but_not_for_ever():
    upload = uploading()
    for _ in range(RESTARTS_MAX):
        upload.over(NotFound("gone"))
    with pytest.raises(NotFound):
        upload.over(NotFound("gone"))


def test_a_cut_is_waited_for_as_the_policy_says():
    assert uploading().failed(Unavailable("cut")) > 0.0
    never = Uploading(BytesSource(DATA), Retry(attempts_max=1), None)
    with pytest.raises(Unavailable):
        never.failed(Unavailable("cut"))


def test_an_answer_that_was_lost_is_asked_for_with_the_same_id():
    upload = uploading()
    assert upload.finish()[0] == upload.finish()[0]


def reply(offset, data, size=SIZE):
    return pb.ReadArtifactResponse(
        offset=offset, data=data, crc32c=google_crc32c.value(data), size_bytes=size
    )


def test_a_download_goes_on_behind_what_it_has():
    got = bytearray()
    name = hashlib.sha256(DATA).hexdigest()
    download = Downloading(name, got.extend, Retry(), None)
    assert download.request().name == f"artifacts/{name}"
    download.add(reply(0, DATA[:100]))
    damaged = reply(100, DATA[100:200])
    damaged.crc32c ^= 1
    with pytest.raises(DataLoss) as error:
        download.add(damaged)
    assert download.after(error.value) > 0.0
    assert download.request().offset == 100
    assert not download.complete
    download.add(reply(100, DATA[100:]))
    assert download.complete
    download.check()
    assert bytes(got) == DATA


def test_a_chunk_of_another_place_is_refused():
    download = Downloading("0" * 64, lambda _: None, Retry(), None)
    with pytest.raises(DataLoss):
        download.add(reply(5, b"x"))


def test_content_of_another_digest_is_refused():
    download = Downloading("0" * 64, lambda _: None, Retry(), None)
    download.add(reply(0, b"x", 1))
    with pytest.raises(DataLoss, match="another SHA-256"):
        download.check()


def test_large_arrays_are_referred_to_and_the_message_stays_as_it_was(monkeypatch):
    monkeypatch.setattr(_references, "ARRAY_BYTES_MAX", 16)
    spec = optimization_service_pb2.SolveSpec(seed=0, work_limit=7)
    spec.portfolio.names.extend(["a", "b"])
    spec.portfolio.moments.covariance.CopyFrom(to_tensor(np.eye(2)))
    spec.portfolio.moments.expected_returns.CopyFrom(to_tensor(np.ones(2)))
    spec.solvers.add(name="x").parameters["p"].text = "kept"
    before = spec.SerializeToString(deterministic=True)
    assert _references.large(spec) == [spec.portfolio.moments.covariance]
    made = _references.referring(spec, iter(["artifacts/abc"]))
    assert spec.SerializeToString(deterministic=True) == before
    covariance = made.portfolio.moments.covariance
    assert (covariance.artifact, list(covariance.shape)) == ("artifacts/abc", [2, 2])
    assert _references.referred(made) == [covariance]
    covariance.data = np.eye(2).tobytes()
    assert made.SerializeToString(deterministic=True) == before
