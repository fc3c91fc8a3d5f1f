"""Where content lies: blobs under their SHA-256, and what of uploads has arrived.

A blob is whole or not there, and never changes. Who may read it is not known here: that is the
index, and so is which of them are still wanted.
"""

from collections.abc import Callable, Iterable, Iterator
from functools import lru_cache
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote, urlsplit

from ketgate_server.store.errors import StoreError

CACHE_MAX = "artifacts.cache_bytes_max"


class Gap(Exception):  # noqa: N818 - a state of the upload
    """The chunk begins behind the end of what has arrived, or not all has arrived."""

    def __init__(self, end: int) -> None:
        super().__init__(f"{end} bytes have arrived")
        self.end = end


class Abandoned(Exception):  # noqa: N818 - a state of the call
    """Whoever asked for it is gone."""


class BlobMissing(Exception):  # noqa: N818 - a state of the store
    """There is no blob of this digest."""


def never() -> bool:
    return False


class Blobs(Protocol):
    """Any number of threads and servers may use one at once. Every method may raise
    StoreUnavailable: the disk is full, or the service cannot be reached."""

    def stage(self, upload: str, offset: int, content: bytes) -> int:
        """Add what of content lies behind the end of an upload, and return the new end. Durable when
        it returns. Nothing that arrived is ever written over. Raises Gap."""

    def staged(self, upload: str) -> int:
        """How much of an upload has arrived and is durable."""

    def publish(
        self,
        upload: str,
        sha256: str,
        size_bytes: int,
        is_abandoned: Callable[[], bool] = never,
    ) -> bool:
        """Make an upload a blob, durably, if that is its digest; otherwise drop what has arrived and
        return False. What has arrived stays until discard. is_abandoned: asked again and again.
        Raises Gap where not all has arrived, and Abandoned."""

    def discard(self, upload: str) -> None:
        """Drop what of an upload has arrived."""

    def size(self, sha256: str) -> int:
        """Bytes of a blob. Raises BlobMissing."""

    def chunks(
        self, sha256: str, offset: int, limit_bytes: int, chunk_bytes: int
    ) -> Iterator[bytes]:
        """Content of a blob from offset on, in chunks. Raises BlobMissing with the first."""

    def content(self, sha256: str) -> memoryview:
        """All of a blob, mapped into memory read-only: it takes memory as it is read, and stays when
        the blob is deleted. Raises BlobMissing."""

    def delete(self, sha256: str) -> None:
        """Delete a blob, if it is there."""

    def digests(self) -> Iterable[str]:
        """Every blob, in any order."""

    def uploads(self) -> Iterable[str]:
        """Every upload of which something has arrived, in any order."""


def open_blobs(url: str, cache_bytes_max: int = 0) -> Blobs:
    """Open file:///FOLDER or s3://BUCKET/PREFIX. cache_bytes_max: of content that is kept on this
    machine, where it lies on another. Raises StoreError and PartMissing."""
    parts = urlsplit(url)
    if parts.scheme == "file" and not parts.netloc and parts.path.startswith("/"):
        from ketgate_server.artifacts.folder import FolderBlobs

        return FolderBlobs(Path(unquote(parts.path)))
    if parts.scheme == "s3" and parts.netloc:
        from ketgate_server.artifacts.s3 import S3Blobs

        return S3Blobs(parts.netloc, parts.path.strip("/"), cache_bytes_max)
    raise StoreError(
        f"artifacts_url: expected file:///FOLDER or s3://BUCKET/PREFIX, given {url[:100]}"
    )


@lru_cache(maxsize=4)
def known_blobs(url: str, cache_bytes_max: int) -> Blobs:
    """As open_blobs, once for this process."""
    return open_blobs(url, cache_bytes_max)


def folder_url(folder: Path) -> str:
    """The URL of an absolute folder."""
    return folder.as_uri()
