"""Blobs in a folder: FOLDER/ab/cdef..., and what of uploads has arrived in FOLDER/uploads/ID.

A blob is a hard link to what arrived, made when that was hashed. That is safe because what has
arrived is never written over: writers add at the end only, under a lock that holds between
processes, and the caller lets nobody add to what has its full size. Servers may share the folder,
where its file system has flock and hard links.
"""

import errno
import fcntl
import hashlib
import mmap
import os
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ketgate_server.artifacts.blobs import Abandoned, BlobMissing, Gap, never
from ketgate_server.files import make_private_folder
from ketgate_server.store.base import StoreFull, StoreUnavailable
from ketgate_server.store.errors import StoreError

BLOCK_BYTES = 1 << 20
"""Read at once to be hashed."""

_UPLOAD = re.compile("[0-9a-f]{32}")
_FOLDER = re.compile("[0-9a-f]{2}")
_REST = re.compile("[0-9a-f]{62}")


class FolderBlobs:
    """Implements Blobs."""

    def __init__(self, folder: Path) -> None:
        """Raises StoreError where the folder cannot be made."""
        self._folder = folder
        self._uploads = folder / "uploads"
        try:
            if not folder.exists():
                make_private_folder(folder)
                _sync_folder(folder.parent)  # else all of it may be gone after a power loss
            make_private_folder(self._uploads)
            _sync_folder(folder)
        except OSError as error:
            raise StoreError(
                f"artifacts_url: expected a folder that can be made and written to, given {folder}: "
                f"{error.strerror}"
            ) from error

    def stage(self, upload: str, offset: int, content: bytes) -> int:
        with _told(), self._locked(upload, create=True) as file:
            end = os.fstat(file).st_size
            if offset > end:
                raise Gap(end)
            more = memoryview(content)[end - offset :]
            if end == 0:
                _sync_folder(self._uploads)  # else the file itself may be forgotten
            try:
                _write(file, more, end)
            except OSError:
                os.ftruncate(file, end)
                raise
            fcntl.flock(file, fcntl.LOCK_UN)  # so that one sync is for all that is written by then
            self._sync(file, upload)
            return end + len(more)

    def staged(self, upload: str) -> int:
        try:
            with _told(), self._locked(upload) as file:
                self._sync(file, upload)
                return os.fstat(file).st_size
        except BlobMissing:
            return 0

    def publish(
        self,
        upload: str,
        sha256: str,
        size_bytes: int,
        is_abandoned: Callable[[], bool] = never,
    ) -> bool:
        with _told(), self._locked(upload, create=True) as file:
            size = os.fstat(file).st_size
            if size < size_bytes:
                raise Gap(size)
            self._sync(file, upload)
            if size != size_bytes or _digest(file, is_abandoned) != sha256:
                self._staging(upload).unlink(missing_ok=True)
                return False
            blob = self._blob(sha256)
            if not blob.parent.exists():
                make_private_folder(blob.parent)
                _sync_folder(self._folder)
            new = blob.with_name(f".{blob.name}.{upload}")
            new.unlink(missing_ok=True)  # of a process that was killed just here
            os.link(self._staging(upload), new)
            os.replace(new, blob)
            new.unlink(missing_ok=True)  # replacing a link by one to the same file does nothing
            _sync_folder(blob.parent)
            return True

    def discard(self, upload: str) -> None:
        try:
            with _told(), self._locked(upload):  # not while it is published
                self._staging(upload).unlink(missing_ok=True)
        except BlobMissing:
            pass

    def size(self, sha256: str) -> int:
        try:
            with _told():
                return self._blob(sha256).stat().st_size
        except FileNotFoundError:
            raise BlobMissing(sha256) from None

    def chunks(
        self, sha256: str, offset: int, limit_bytes: int, chunk_bytes: int
    ) -> Iterator[bytes]:
        with _told(), self._open(sha256) as file:
            end = min(os.fstat(file).st_size, offset + limit_bytes)
            os.posix_fadvise(file, offset, end - offset, os.POSIX_FADV_SEQUENTIAL)
            while offset < end:
                chunk = os.pread(file, min(chunk_bytes, end - offset), offset)
                if not chunk:
                    raise StoreUnavailable(f"the blob {sha256} is shorter than it was")
                yield chunk
                offset += len(chunk)

    def content(self, sha256: str) -> memoryview:
        with _told(), self._open(sha256) as file:
            return map_file(file)

    def delete(self, sha256: str) -> None:
        with _told():
            self._blob(sha256).unlink(missing_ok=True)

    def digests(self) -> Iterable[str]:
        with _told():
            for folder in sorted(self._folder.iterdir()):
                if _FOLDER.fullmatch(folder.name):
                    for blob in sorted(folder.iterdir()):
                        if _REST.fullmatch(blob.name):
                            yield folder.name + blob.name
                        else:
                            self._drop_stray(blob)

    def uploads(self) -> Iterable[str]:
        with _told():
            for path in sorted(self._uploads.iterdir()):
                if _UPLOAD.fullmatch(path.name):
                    yield path.name

    def _blob(self, sha256: str) -> Path:
        return self._folder / sha256[:2] / sha256[2:]

    def _staging(self, upload: str) -> Path:
        assert _UPLOAD.fullmatch(upload), upload
        return self._uploads / upload

    def _drop_stray(self, path: Path) -> None:
        """A link that a killed process left on its way to be a blob, if its upload is gone too."""
        upload = path.name.rpartition(".")[2]
        if not path.name.startswith(".") or not _UPLOAD.fullmatch(upload):
            return
        if not self._staging(upload).exists():
            path.unlink(missing_ok=True)

    @contextmanager
    def _open(self, sha256: str) -> Iterator[int]:
        try:
            file = os.open(self._blob(sha256), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise BlobMissing(sha256) from None
        try:
            yield file
        finally:
            os.close(file)

    @contextmanager
    def _locked(self, upload: str, *, create: bool = False) -> Iterator[int]:
        """What arrived of an upload, locked against all other processes and threads. Raises
        BlobMissing where that is nothing."""
        path = self._staging(upload)
        flags = os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC | (os.O_CREAT if create else 0)
        while True:
            try:
                file = os.open(path, flags, 0o600)
            except FileNotFoundError:
                raise BlobMissing(upload) from None
            try:
                fcntl.flock(file, fcntl.LOCK_EX)
                if _is_at(file, path):  # it may have been dropped while we waited
                    yield file
                    return
            finally:
                os.close(file)

    def _sync(self, file: int, upload: str) -> None:
        try:
            os.fdatasync(file)
        except OSError:
            # What was not written is forgotten by the system, so the next try would succeed.
            self._staging(upload).unlink(missing_ok=True)
            raise


def map_file(file: int) -> memoryview:
    """A file in memory, read-only."""
    if os.fstat(file).st_size == 0:
        return memoryview(b"")
    return memoryview(mmap.mmap(file, 0, prot=mmap.PROT_READ))


@contextmanager
def _told() -> Iterator[None]:
    """Errors of the system as the store's."""
    try:
        yield
    except FileNotFoundError:
        raise
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (StoreFull if full else StoreUnavailable)(
            f"artifacts cannot be read or written: {error}"
        ) from error


def _is_at(file: int, path: Path) -> bool:
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    own = os.fstat(file)
    return (there.st_dev, there.st_ino) == (own.st_dev, own.st_ino)


def _write(file: int, content: memoryview, offset: int) -> None:
    while content:
        written = os.pwrite(file, content, offset)
        content, offset = content[written:], offset + written


def _digest(file: int, is_abandoned: Callable[[], bool]) -> str:
    found, block = hashlib.sha256(), memoryview(bytearray(BLOCK_BYTES))
    offset = 0
    while count := os.preadv(file, [block], offset):
        if is_abandoned():
            raise Abandoned
        found.update(block[:count])
        offset += count
    return found.hexdigest()


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
