"""What is fetched once and used again, and how much of it is kept."""

import errno
import threading
from pathlib import Path

import pytest
from ketgate_server.artifacts.blobs import BlobMissing, open_blobs
from ketgate_server.artifacts.content_cache import ContentCache, mapped
from ketgate_server.store.base import StoreFull, StoreUnavailable

from .conftest import content, sha256


class Far:
    """Fetches, and counts."""

    def __init__(self) -> None:
        self.fetched: list[str] = []

    def of(self, name: str, size: int = 10):
        def fetch() -> memoryview:
            self.fetched.append(name)
            return memoryview(bytes(size))

        return fetch


@pytest.fixture
def far():
    return Far()


def test_content_is_fetched_once(far):
    cache = ContentCache(100)
    for _ in range(3):
        assert len(cache.get("a", far.of("a"))) == 10
    assert far.fetched == ["a"]


def test_what_was_not_used_for_longest_makes_room(far):
    cache = ContentCache(25)
    for name in ("a", "b", "a", "c", "a", "b"):
        cache.get(name, far.of(name))
    assert far.fetched == ["a", "b", "c", "b"]


def test_what_is_too_large_is_not_kept_and_takes_nothing_with_it(far):
    cache = ContentCache(25)
    for name, size in (("a", 10), ("large", 26), ("large", 26), ("a", 10)):
        assert len(cache.get(name, far.of(name, size))) == size
    assert far.fetched == ["a", "large", "large"]


def test_what_makes_room_stays_with_who_uses_it(far):
    cache = ContentCache(10)
    used = cache.get("a", far.of("a"))
    cache.get("b", far.of("b"))
    assert bytes(used) == bytes(10)


def test_what_is_forgotten_is_fetched_again_and_gives_its_room_back(far):
    cache = ContentCache(20)
    for name in ("a", "b"):
        cache.get(name, far.of(name))
    cache.forget("a")
    cache.forget("never")
    for name in ("c", "b", "a"):
        cache.get(name, far.of(name))
    assert far.fetched == ["a", "b", "c", "a"]


def test_who_ask_at_the_same_time_wait_for_one(far):
    cache = ContentCache(100)
    begun, go_on = threading.Event(), threading.Event()

    def slow() -> memoryview:
        begun.set()
        assert go_on.wait(60)
        return far.of("a")()

    found: list[memoryview] = []
    threads = [
        threading.Thread(target=lambda: found.append(cache.get("a", slow))) for _ in range(5)
    ]
    for thread in threads:
        thread.start()
    assert begun.wait(60)
    go_on.set()
    for thread in threads:
        thread.join()
    assert far.fetched == ["a"]
    assert len(found) == 5


def test_a_failure_is_not_kept(far):
    cache = ContentCache(100)

    def fail() -> memoryview:
        raise BlobMissing("a")

    with pytest.raises(BlobMissing):
        cache.get("a", fail)
    assert len(cache.get("a", far.of("a"))) == 10


def test_where_there_is_no_room_what_is_kept_goes_first(far):
    cache = ContentCache(100)
    cache.get("a", far.of("a"))
    full = [True]

    def fetch():
        if full:
            full.pop()
            raise StoreFull("no room")
        return far.of("b")()

    assert len(cache.get("b", fetch)) == 10
    cache.get("a", far.of("a"))
    assert far.fetched == ["a", "b", "a"]


def test_where_there_is_no_room_and_nothing_kept_that_is_told(far):
    cache = ContentCache(100)

    def fetch():
        far.fetched.append("tried")
        raise StoreFull("no room")

    with pytest.raises(StoreFull):
        cache.get("a", fetch)
    assert far.fetched == ["tried"]


def test_content_lies_where_tmpdir_says_without_a_name(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    found = mapped([b"ab", b"c"])
    assert bytes(found) == b"abc"
    assert list(tmp_path.iterdir()) == []
    assert f"{tmp_path}/" in Path("/proc/self/maps").read_text()


def test_a_folder_that_cannot_be_written_to_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path / "missing"))
    with pytest.raises(StoreUnavailable, match=r"missing: No such file.*TMPDIR"):
        mapped([b"abc"])


def test_a_full_disk_is_told_from_other_faults(monkeypatch):
    def refuse(**_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(StoreFull, match="No space left"):
        mapped([b"abc"])


DATA = content(100_000)


@pytest.fixture
def bucket(s3_url, monkeypatch):
    """Blobs in a bucket that keep up to 150,000 bytes here, and what was fetched from it."""
    blobs = open_blobs(s3_url, 150_000)
    read: list[str] = []
    chunks = blobs.chunks

    def counted(digest, *arguments):
        read.append(digest)
        return chunks(digest, *arguments)

    monkeypatch.setattr(blobs, "chunks", counted)
    return blobs, read


def put(blobs, data: bytes) -> str:
    upload = sha256(data)[:32]
    blobs.stage(upload, 0, data)
    assert blobs.publish(upload, sha256(data), len(data))
    blobs.discard(upload)
    return sha256(data)


def test_an_array_of_a_bucket_is_fetched_once(bucket):
    blobs, read = bucket
    one, other = put(blobs, DATA), put(blobs, DATA[:90_000])
    for digest in (one, one, other, other):
        assert sha256(bytes(blobs.content(digest))) == digest
    assert read == [one, other]
    blobs.content(one)  # there is no room for both
    assert read == [one, other, one]


def test_what_is_deleted_from_a_bucket_is_not_kept_here(bucket):
    blobs, _ = bucket
    digest = put(blobs, DATA)
    blobs.content(digest)
    blobs.delete(digest)
    with pytest.raises(BlobMissing):
        blobs.content(digest)
