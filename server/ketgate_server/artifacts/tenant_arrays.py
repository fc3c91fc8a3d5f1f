"""Arrays by reference: the artifacts of one tenant as its work sees them. Implements
arrays.Arrays."""

import re
from collections.abc import Callable

from ketgate_server.arrays import Content
from ketgate_server.artifacts.blobs import BlobMissing, Blobs
from ketgate_server.artifacts.index import Asker, name_of
from ketgate_server.artifacts.store import ArtifactStore, unreachable
from ketgate_server.errors import FieldError, LimitError, NotFound

MEDIA_TYPE = "application/x-ketgate-array"
"""Elements, little-endian, in C order; their type and shape are in the message that refers to
them."""
REFERENCED_MAX = "artifacts.referenced_bytes_max"

_NAME = re.compile("artifacts/([0-9a-f]{64})")


class TenantArrays:
    """For one piece of work of one tenant: it counts how much that refers to. asker: in whose name
    results are kept."""

    def __init__(self, artifacts: ArtifactStore, asker: Asker, bytes_max: int) -> None:
        self._artifacts = artifacts
        self._asker = asker
        self._contents = _Contents(lambda: artifacts.blobs, bytes_max)

    def read(self, name: str, size_bytes: int, path: str) -> memoryview:
        sha256 = digest_of(name, path)
        try:
            row = self._artifacts.get(self._asker.tenant, sha256)
        except NotFound:
            raise NotFound(name, path) from None
        _check_size(row.size_bytes, size_bytes, path)
        self._artifacts.used(self._asker.tenant, row)
        return self._contents.map(sha256, size_bytes, path)

    def keep(self, content: Content) -> str:
        return name_of(self._artifacts.keep(self._asker, content, MEDIA_TYPE))


class WorkerArrays:
    """For a job that runs where the index is not: that its tenant has what it refers to was checked
    when it was accepted, and the reference keeps it there."""

    def __init__(self, open_blobs: Callable[[], Blobs], bytes_max: int) -> None:
        """open_blobs: called when something is first read."""
        self._contents = _Contents(open_blobs, bytes_max)

    def read(self, name: str, size_bytes: int, path: str) -> memoryview:
        return self._contents.map(digest_of(name, path), size_bytes, path)

    def keep(self, content: Content) -> str:  # noqa: ARG002
        raise RuntimeError("a job's arrays are kept by the server that holds it")


class _Contents:
    """Content in memory, and how much it is together."""

    def __init__(self, open_blobs: Callable[[], Blobs], bytes_max: int) -> None:
        self._open_blobs = open_blobs
        self._bytes_max = bytes_max
        self._mapped: dict[str, memoryview] = {}
        self._bytes = 0

    def map(self, sha256: str, size_bytes: int, path: str) -> memoryview:
        content = self._mapped.get(sha256)
        if content is None:
            total = self._bytes + size_bytes
            if total > self._bytes_max:
                raise LimitError(REFERENCED_MAX, allowed=self._bytes_max, given=total, field=path)
            try:
                content = self._open_blobs().content(sha256)
            except BlobMissing:
                raise unreachable(sha256) from None
            self._mapped[sha256], self._bytes = content, total
        _check_size(len(content), size_bytes, path)
        return content


def digest_of(name: str, path: str) -> str:
    """The SHA-256 in "artifacts/SHA256"."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise FieldError(
            path, expected='"artifacts/SHA256", 64 lower-case hexadecimal digits', given=name
        )
    return match[1]


def _check_size(actual: int, wanted: int, path: str) -> None:
    if actual != wanted:
        raise FieldError(
            path,
            expected=f"an artifact of {wanted} bytes, as dtype and shape have",
            given=f"one of {actual} bytes",
        )
