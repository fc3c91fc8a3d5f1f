"""Uploads, tenants and quotas, on both databases."""

import dataclasses
import threading

import pytest
from ketgate_server.artifacts import store as module
from ketgate_server.artifacts.collector import Collector
from ketgate_server.artifacts.index import NOBODY, Quota, UploadRow, mark, tenant_bytes, unmark
from ketgate_server.artifacts.store import ArtifactStore
from ketgate_server.errors import FieldError, KetgateError, LimitError, NotFound, Reason

from .conftest import MIB, POLICY, asker, content, read, sha256, upload

DATA = content(150_000)


def begin(artifacts, data=DATA, tenant="desk", **fields):
    return artifacts.begin(asker(tenant, **fields), sha256(data), len(data), "x/y")


def audited(store):
    from ketgate.audit.v1 import audit_service_pb2

    with store.read() as reader:
        rows = reader.rows("SELECT payload FROM audit_entries ORDER BY idx")
    found = [audit_service_pb2.AuditPayload.FromString(bytes(payload)) for (payload,) in rows]
    return [(p.actor, p.action, p.resource) for p in found]


def test_what_was_uploaded_is_read(artifacts):
    made = upload(artifacts, DATA)
    assert (made.sha256, made.size_bytes, made.media_type) == (sha256(DATA), len(DATA), "x/y")
    assert made.references == 0
    assert artifacts.get("desk", sha256(DATA)) == made
    assert read(artifacts, made) == DATA
    assert read(artifacts, made, 1000, 5) == DATA[1000:1005]


def test_an_upload_goes_on_where_it_was_cut(artifacts, store, folder):
    row, offset = begin(artifacts)
    assert offset == 0
    artifacts.write("desk", row.id, 0, DATA[:50_000])
    after = ArtifactStore(store, folder, POLICY)  # the server was started again
    again, offset = begin(after)
    assert (again.id, offset) == (row.id, 50_000)
    assert after.progress("desk", row.id) == (50_000, len(DATA))
    after.write("desk", row.id, offset, DATA[offset:])
    assert read(after, after.finish(asker(), row.id)) == DATA


def test_content_that_is_here_needs_no_upload(artifacts):
    made = upload(artifacts, DATA)
    found, offset = begin(artifacts)
    assert found.sha256 == made.sha256
    assert offset == len(DATA)


def test_a_tenant_gets_nothing_for_what_another_has(artifacts):
    upload(artifacts, DATA, "desk")
    with pytest.raises(NotFound):
        artifacts.get("rival", sha256(DATA))
    assert artifacts.page("rival", None, 10) == []
    row, offset = begin(artifacts, tenant="rival")
    assert isinstance(row, UploadRow)
    assert offset == 0  # as if nobody had it
    with pytest.raises(KetgateError) as refused:
        artifacts.finish(asker("rival"), row.id)
    assert refused.value.reason is Reason.OFFSET_MISMATCH
    for ask in (
        lambda: artifacts.write("desk", row.id, 0, b"x"),
        lambda: artifacts.progress("desk", row.id),
        lambda: artifacts.finish(asker("desk"), row.id),
        lambda: artifacts.delete(asker("other"), sha256(DATA)),
    ):
        with pytest.raises(NotFound):
            ask()
    assert upload(artifacts, DATA, "rival").size_bytes == len(DATA)


def test_what_one_tenant_deletes_stays_for_the_other(artifacts):
    upload(artifacts, DATA, "desk")
    theirs = upload(artifacts, DATA, "rival")
    artifacts.delete(asker("desk"), sha256(DATA))
    assert read(artifacts, theirs) == DATA
    artifacts.delete(asker("rival"), sha256(DATA))
    assert list(artifacts.blobs.digests()) == []


def test_a_gap_and_what_is_beyond_the_end(artifacts):
    row, _ = begin(artifacts)
    artifacts.write("desk", row.id, 0, DATA[:100])
    for offset, data, told in [(101, b"x", "100"), (len(DATA) - 1, b"xy", str(len(DATA)))]:
        with pytest.raises(KetgateError) as refused:
            artifacts.write("desk", row.id, offset, data)
        assert refused.value.reason is Reason.OFFSET_MISMATCH
        assert refused.value.metadata == {"offset": told}
    assert artifacts.write("desk", row.id, 50, DATA[50:200]) == 200


def test_a_chunk_waits_for_those_before_it(artifacts, monkeypatch):
    monkeypatch.setattr(module, "CATCH_UP_S", 60.0)
    row, _ = begin(artifacts)
    ends = []
    late = threading.Thread(
        target=lambda: ends.append(artifacts.write("desk", row.id, 100, DATA[100:200]))
    )
    late.start()
    artifacts.write("desk", row.id, 0, DATA[:100])
    late.join()
    assert ends == [200]


def test_content_that_is_not_as_announced_begins_again(artifacts):
    row, _ = begin(artifacts)
    artifacts.write("desk", row.id, 0, bytes(len(DATA)))
    with pytest.raises(KetgateError) as refused:
        artifacts.finish(asker(), row.id)
    assert refused.value.reason is Reason.DIGEST_MISMATCH
    assert artifacts.progress("desk", row.id) == (0, len(DATA))
    assert upload(artifacts, DATA).size_bytes == len(DATA)


def test_two_that_upload_one_content_make_one(artifacts):
    first, _ = begin(artifacts)
    second, _ = begin(artifacts)
    assert first.id == second.id
    made = []

    def put():
        try:
            made.append(upload(artifacts, DATA))
        except NotFound:  # the other was quicker, and the upload is over
            pass

    threads = [threading.Thread(target=put) for _ in range(2)]
    artifacts.write("desk", first.id, 0, DATA[:1000])
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made
    assert read(artifacts, artifacts.get("desk", sha256(DATA))) == DATA
    with artifacts.store.read() as reader:
        assert tenant_bytes(reader, "desk") == len(DATA)


@pytest.mark.parametrize("offset", [1000, len(DATA)])
def test_an_upload_that_another_ends_amid_a_chunk_is_over(artifacts, monkeypatch, offset):
    """And does not begin at 0 again."""
    row, _ = begin(artifacts)
    artifacts.write("desk", row.id, 0, DATA[:1000])
    stage = artifacts.blobs.stage

    def overtaken(upload_id, offset, content):
        monkeypatch.setattr(artifacts.blobs, "stage", stage)
        upload(artifacts, DATA)
        return stage(upload_id, offset, content)

    monkeypatch.setattr(artifacts.blobs, "stage", overtaken)
    with pytest.raises(NotFound, match=row.id):
        artifacts.write("desk", row.id, offset, DATA[offset:])
    assert read(artifacts, artifacts.get("desk", sha256(DATA))) == DATA


def test_an_upload_that_another_finishes_just_before_is_over(artifacts, monkeypatch):
    row, _ = begin(artifacts)
    artifacts.write("desk", row.id, 0, DATA)
    publish = artifacts.blobs.publish

    def overtaken(*arguments):
        monkeypatch.setattr(artifacts.blobs, "publish", publish)
        artifacts.finish(asker(), row.id)
        return publish(*arguments)

    monkeypatch.setattr(artifacts.blobs, "publish", overtaken)
    with pytest.raises(NotFound, match=row.id):
        artifacts.finish(asker(), row.id)


def test_nothing_is_hashed_to_the_end_that_nobody_waits_for(artifacts):
    row, _ = begin(artifacts)
    artifacts.write("desk", row.id, 0, DATA)
    with pytest.raises(KetgateError) as ended:
        artifacts.finish(asker(), row.id, is_abandoned=lambda: True)
    assert ended.value.reason is Reason.CANCELLED
    assert artifacts.progress("desk", row.id) == (len(DATA), len(DATA))  # for the next try
    assert artifacts.finish(asker(), row.id).size_bytes == len(DATA)


def test_an_upload_of_another_size_takes_the_place(artifacts):
    wrong, _ = artifacts.begin(asker(), sha256(DATA), 7, "")
    right, offset = begin(artifacts)
    assert right.id != wrong.id
    assert offset == 0
    assert upload(artifacts, DATA).size_bytes == len(DATA)
    with pytest.raises(FieldError, match="size_bytes: expected 150000"):
        artifacts.begin(asker(), sha256(DATA), 7, "")


def test_a_repeat_is_harmless_and_an_id_is_used_once(artifacts):
    first, _ = begin(artifacts, request_id="a")
    assert begin(artifacts, request_id="a")[0].id == first.id
    with pytest.raises(KetgateError) as refused:
        begin(artifacts, request_id="a", digest=b"other")
    assert refused.value.reason is Reason.REQUEST_ID_REUSED
    artifacts.write("desk", first.id, 0, DATA[:100_000])
    artifacts.write("desk", first.id, 100_000, DATA[100_000:])
    made = artifacts.finish(asker(request_id="f", method="/f"), first.id)
    assert artifacts.finish(asker(request_id="f", method="/f"), first.id) == made
    with pytest.raises(NotFound):
        artifacts.finish(asker(request_id="g", method="/f"), first.id)
    artifacts.delete(asker(request_id="d", method="/d"), made.sha256)
    artifacts.delete(asker(request_id="d", method="/d"), made.sha256)
    with pytest.raises(KetgateError) as refused:
        artifacts.finish(asker(request_id="f", method="/f"), first.id)
    assert refused.value.reason is Reason.REPLY_EXPIRED
    actions = [
        (action, resource.partition("/")[0]) for _, action, resource in audited(artifacts.store)
    ]
    assert actions == [("/m", "uploads"), ("/f", "artifacts"), ("/d", "artifacts")]


def test_a_repeat_that_begins_anew_is_in_the_audit(artifacts):
    """What the request began was finished and deleted since."""
    first, _ = begin(artifacts, request_id="a")
    artifacts.write("desk", first.id, 0, DATA[:100_000])
    artifacts.write("desk", first.id, 100_000, DATA[100_000:])
    made = artifacts.finish(asker(request_id="f", method="/f"), first.id)
    artifacts.delete(asker(request_id="d", method="/d"), made.sha256)
    again, offset = begin(artifacts, request_id="a")
    assert (again.id != first.id, offset) == (True, 0)
    assert audited(artifacts.store)[-1] == ("token", "/m", f"uploads/{again.id}")


def test_limits_and_quotas(store, folder):
    policy = dataclasses.replace(POLICY, bytes_max=1000, quota=Quota(2000, uploads_max=2))
    artifacts = ArtifactStore(store, folder, policy)
    with pytest.raises(LimitError) as over:
        begin(artifacts, content(1001))
    assert (over.value.limit, over.value.field) == ("artifacts.bytes_max", "size_bytes")
    upload(artifacts, content(900))
    begin(artifacts, content(800, 1))
    with pytest.raises(KetgateError) as refused:
        begin(artifacts, content(301, 2))
    assert refused.value.reason is Reason.QUOTA_EXCEEDED
    assert refused.value.limit == "artifacts.tenant_bytes_max"
    begin(artifacts, content(300, 2))
    begin(artifacts, content(800, 1))  # the one under way
    with pytest.raises(KetgateError) as refused:
        begin(artifacts, b"")
    assert refused.value.limit == "artifacts.uploads_max"
    begin(artifacts, content(1000, 3), tenant="rival")
    artifacts.delete(asker(), sha256(content(900)))
    with store.read() as reader:
        assert tenant_bytes(reader, "desk") == 0


def test_pages_from_the_newest_on(artifacts):
    made = [upload(artifacts, content(10, seed)) for seed in range(5)]
    upload(artifacts, b"theirs", "rival")
    first = artifacts.page("desk", None, 2)
    rest = artifacts.page("desk", (first[-1].create_time_us, first[-1].sha256), 10)
    found = [row.sha256 for row in first + rest]
    assert found[0] == made[-1].sha256
    assert sorted(found) == sorted(row.sha256 for row in made)


def test_what_a_job_refers_to_is_not_deleted(artifacts, store):
    row = upload(artifacts, DATA)
    insert = "INSERT INTO artifact_references (tenant, sha256, seq) VALUES (?, ?, ?)"
    store.run(lambda tx: tx.execute(insert, ("desk", row.sha256, 7)))
    assert artifacts.get("desk", row.sha256).references == 1
    with pytest.raises(KetgateError) as refused:
        artifacts.delete(asker(), row.sha256)
    assert refused.value.reason is Reason.ARTIFACT_IN_USE
    store.run(lambda tx: tx.execute("DELETE FROM artifact_references"))
    artifacts.delete(asker(), row.sha256)


def test_no_upload_begins_while_its_content_is_deleted(artifacts, store):
    assert store.run(lambda tx: mark(tx, sha256(DATA), "server"))
    with pytest.raises(KetgateError) as refused:
        begin(artifacts)
    assert refused.value.reason is Reason.SERVER_BUSY
    store.run(lambda tx: unmark(tx, sha256(DATA)))
    upload(artifacts, DATA)


def test_an_upload_waits_for_a_deletion_of_a_moment(artifacts, store, monkeypatch):
    monkeypatch.setattr(module, "CATCH_UP_S", 60.0)
    store.run(lambda tx: mark(tx, sha256(DATA), "server"))
    begun = []
    waiting = threading.Thread(target=lambda: begun.append(begin(artifacts)))
    waiting.start()
    store.run(lambda tx: unmark(tx, sha256(DATA)))
    waiting.join()
    assert isinstance(begun[0][0], UploadRow)


def test_no_content_is_marked_that_somebody_puts_or_has(artifacts, store):
    row, _ = begin(artifacts)
    assert not store.run(lambda tx: mark(tx, sha256(DATA), "server"))
    artifacts.write("desk", row.id, 0, DATA)
    artifacts.finish(asker(), row.id)
    assert not store.run(lambda tx: mark(tx, sha256(DATA), "server"))
    assert artifacts.page(NOBODY, None, 10) == []


def test_what_the_server_keeps_by_itself(artifacts):
    data = content(5 * MIB)
    digest = artifacts.keep(asker(), memoryview(data), "x/y")
    assert artifacts.keep(asker(), data, "x/y") == digest == sha256(data)
    assert read(artifacts, artifacts.get("desk", digest)) == data


def test_a_whole_life_in_every_kind_of_place(store, blobs, clock):
    artifacts = ArtifactStore(store, blobs, POLICY)
    row = upload(artifacts, DATA)
    assert read(artifacts, row) == DATA
    assert bytes(blobs.content(row.sha256)) == DATA
    upload(artifacts, b"other")
    artifacts.delete(asker(), row.sha256)
    clock.pass_hours(25)
    Collector(artifacts, "one").run_once()
    assert list(blobs.digests()) == []
    assert list(blobs.uploads()) == []
