"""What every kind of blob store does alike."""

import os
import threading

import pytest
from ketgate_server.artifacts import s3
from ketgate_server.artifacts.blobs import Abandoned, BlobMissing, Gap, open_blobs
from ketgate_server.store.errors import StoreError

from .conftest import MIB, content, sha256

UPLOAD = "0" * 32
OTHER = "1" * 32


def publish(blobs, data, upload=UPLOAD):
    if data:
        blobs.stage(upload, 0, data)
    assert blobs.publish(upload, sha256(data), len(data))
    blobs.discard(upload)
    return sha256(data)


def test_what_is_staged_in_pieces_becomes_a_blob(blobs):
    data = content(300_000)
    assert blobs.staged(UPLOAD) == 0
    for start in range(0, len(data), 70_000):
        end = blobs.stage(UPLOAD, start, data[start : start + 70_000])
        assert end == min(start + 70_000, len(data)) == blobs.staged(UPLOAD)
    assert blobs.publish(UPLOAD, sha256(data), len(data))
    assert blobs.staged(UPLOAD) == len(data)  # until the index has it
    blobs.discard(UPLOAD)
    assert blobs.staged(UPLOAD) == 0
    assert blobs.size(sha256(data)) == len(data)
    assert b"".join(blobs.chunks(sha256(data), 0, len(data), 1 << 16)) == data
    assert bytes(blobs.content(sha256(data))) == data


def test_a_range_is_read_in_chunks(blobs):
    data = content(200_000)
    digest = publish(blobs, data)
    pieces = list(blobs.chunks(digest, 1000, 150_000, 1 << 16))
    assert b"".join(pieces) == data[1000:151_000]
    assert max(map(len, pieces)) <= 1 << 16
    assert b"".join(blobs.chunks(digest, 199_999, 50, 1 << 16)) == data[-1:]
    assert list(blobs.chunks(digest, 200_000, 50, 1 << 16)) == []


def test_what_arrived_is_never_written_over(blobs):
    blobs.stage(UPLOAD, 0, b"abcdef")
    assert blobs.stage(UPLOAD, 0, b"XYZ") == 6
    assert blobs.stage(UPLOAD, 4, b"XYZ") == 7  # one byte of it is new
    assert blobs.publish(UPLOAD, sha256(b"abcdefZ"), 7)


def test_a_gap_is_refused_with_the_end(blobs):
    blobs.stage(UPLOAD, 0, b"abc")
    with pytest.raises(Gap) as gap:
        blobs.stage(UPLOAD, 4, b"x")
    assert gap.value.end == 3
    with pytest.raises(Gap) as gap:
        blobs.publish(UPLOAD, sha256(b"abcd"), 4)
    assert gap.value.end == 3
    with pytest.raises(Gap):
        blobs.publish(OTHER, sha256(b"x"), 1)


@pytest.mark.parametrize("size", [4, 3], ids=["digest", "size"])
def test_what_is_not_as_announced_begins_again(blobs, size):
    blobs.stage(UPLOAD, 0, b"abcd")
    assert not blobs.publish(UPLOAD, sha256(b"abc"), size)
    assert blobs.staged(UPLOAD) == 0
    with pytest.raises(BlobMissing):
        blobs.size(sha256(b"abc"))
    assert blobs.stage(UPLOAD, 0, b"abc") == 3
    assert blobs.publish(UPLOAD, sha256(b"abc"), 3)


def test_hashing_ends_when_nobody_waits_for_it_and_can_be_done_again(blobs, monkeypatch):
    monkeypatch.setattr(s3, "PART_BYTES", 5 * MIB)  # the least that S3 takes
    data = content(12 * MIB)
    blobs.stage(UPLOAD, 0, data)
    asked = []

    def is_abandoned():
        asked.append(True)
        return len(asked) == 3

    with pytest.raises(Abandoned):
        blobs.publish(UPLOAD, sha256(data), len(data), is_abandoned)
    assert len(asked) == 3
    assert list(blobs.digests()) == []
    assert blobs.staged(UPLOAD) == len(data)
    assert blobs.publish(UPLOAD, sha256(data), len(data), lambda: False)
    assert bytes(blobs.content(sha256(data))) == data


def test_nothing_at_all_is_a_blob_too(blobs):
    digest = publish(blobs, b"")
    assert blobs.size(digest) == 0
    assert bytes(blobs.content(digest)) == b""
    assert list(blobs.chunks(digest, 0, 10, 10)) == []


def test_a_blob_that_is_not_there(blobs):
    digest = sha256(b"never")
    for ask in (
        lambda: blobs.size(digest),
        lambda: blobs.content(digest),
        lambda: next(blobs.chunks(digest, 0, 1, 1)),
    ):
        with pytest.raises(BlobMissing):
            ask()
    blobs.delete(digest)


def test_a_blob_is_published_again_without_harm(blobs):
    data = content(1000)
    assert publish(blobs, data) == publish(blobs, data, OTHER)
    assert bytes(blobs.content(sha256(data))) == data


def test_content_in_memory_outlives_its_blob(blobs):
    data = content(100_000)
    mapped = blobs.content(publish(blobs, data))
    blobs.delete(sha256(data))
    assert bytes(mapped) == data
    with pytest.raises(TypeError):
        mapped[0] = 1


def test_names_of_all_there_is(blobs):
    digests = {publish(blobs, content(10, seed)) for seed in range(5)}
    blobs.stage(UPLOAD, 0, b"a")
    blobs.stage(OTHER, 0, b"b")
    assert set(blobs.digests()) == digests
    assert set(blobs.uploads()) == {UPLOAD, OTHER}
    blobs.delete(min(digests))
    blobs.discard(OTHER)
    assert set(blobs.digests()) == digests - {min(digests)}
    assert set(blobs.uploads()) == {UPLOAD}


def test_another_server_goes_on_with_an_upload(blobs, blobs_url):
    other = open_blobs(blobs_url)
    blobs.stage(UPLOAD, 0, b"abc")
    assert other.stage(UPLOAD, 3, b"def") == 6
    assert blobs.stage(UPLOAD, 6, b"ghi") == 9  # beyond what it knew of
    assert blobs.stage(UPLOAD, 3, b"def") == 9
    assert other.publish(UPLOAD, sha256(b"abcdefghi"), 9)


def test_many_writers_of_one_upload_make_one_content(blobs):
    data = content(64 * 1000)
    errors = []

    def write(start):
        for offset in range(start, len(data), 1000):
            while True:
                try:
                    blobs.stage(UPLOAD, offset, data[offset : offset + 1000])
                    break
                except Gap as gap:
                    offset = min(offset, gap.end)
                except Exception as error:
                    errors.append(error)
                    return

    threads = [threading.Thread(target=write, args=(0,)) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not errors
    assert blobs.publish(UPLOAD, sha256(data), len(data))


def test_a_blob_of_many_parts(s3_url):
    blobs = open_blobs(s3_url)
    data = content(40 * MIB)
    for start in range(0, len(data), 8 * MIB):
        blobs.stage(UPLOAD, start, data[start : start + 8 * MIB])
    assert not blobs.publish(UPLOAD, sha256(b"else"), len(data))
    for start in range(0, len(data), 8 * MIB):
        blobs.stage(UPLOAD, start, data[start : start + 8 * MIB])
    assert blobs.publish(UPLOAD, sha256(data), len(data))
    assert sha256(bytes(blobs.content(sha256(data)))) == sha256(data)


def test_a_folder_is_for_its_owner_only(folder, tmp_path):
    folder.stage(UPLOAD, 0, b"abc")
    staged = tmp_path / "blobs" / "uploads" / UPLOAD
    assert staged.stat().st_mode & 0o777 == 0o600
    digest = publish(folder, b"abc")
    blob = tmp_path / "blobs" / digest[:2] / digest[2:]
    assert blob.stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "blobs").stat().st_mode & 0o777 == 0o700
    assert [path.name for path in blob.parent.iterdir()] == [blob.name]


def test_a_failed_sync_forgets_what_the_system_may_have_lost(folder, monkeypatch):
    folder.stage(UPLOAD, 0, b"abc")

    def fail(_):
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fdatasync", fail)
    with pytest.raises(StoreError):
        folder.stage(UPLOAD, 3, b"def")
    monkeypatch.undo()
    assert folder.staged(UPLOAD) == 0


def test_a_full_disk_leaves_what_had_arrived(folder, monkeypatch):
    folder.stage(UPLOAD, 0, b"abc")
    real = os.pwrite

    def half(file, data, offset):
        if len(data) == 1:
            raise OSError(28, "No space left on device")
        return real(file, bytes(data[:-1]), offset)

    monkeypatch.setattr(os, "pwrite", half)
    with pytest.raises(StoreError, match="No space"):
        folder.stage(UPLOAD, 3, b"def")
    monkeypatch.undo()
    assert folder.staged(UPLOAD) == 3
    assert folder.stage(UPLOAD, 3, b"def") == 6


def test_a_link_that_a_killed_process_left_is_swept(folder, tmp_path):
    digest = publish(folder, b"abc")
    stray = tmp_path / "blobs" / digest[:2] / f".{digest[2:]}.{OTHER}"
    stray.write_bytes(b"half")
    assert list(folder.digests()) == [digest]
    assert not stray.exists()


@pytest.mark.parametrize("url", ["file://host/x", "s3:///x", "http://x/y", "file:relative"])
def test_a_url_that_is_none(url):
    with pytest.raises(StoreError, match="artifacts_url: expected file:///FOLDER or s3://BUCKET"):
        open_blobs(url)
