"""Content that was fetched from far away and is likely to be used again: the matrix of every day's
solve. Each is a file of this machine's disk that has no name, mapped into memory, so that nothing is
left behind when the process ends, however it ends.

Content never changes, so what is here is right for ever; who may have it is asked elsewhere, before.
"""

import errno
import os
import tempfile
from collections import OrderedDict
from collections.abc import Callable, Iterable
from concurrent.futures import Future
from threading import Lock

from ketgate_server.artifacts.folder import map_file
from ketgate_server.store.base import StoreFull, StoreUnavailable

DISK = "/var/tmp"  # noqa: S108 - files there have no names
"""Where TMPDIR says nothing: /tmp is often memory, which is what is to be spared."""


def mapped(chunks: Iterable[bytes]) -> memoryview:
    """Content as a file without a name, mapped into memory. Raises StoreFull, StoreUnavailable and
    what chunks does."""
    folder = os.environ.get("TMPDIR") or DISK
    iterator = iter(chunks)
    try:
        with tempfile.TemporaryFile(prefix="ketgate-", dir=folder) as file:
            while (chunk := next(iterator, None)) is not None:
                file.write(chunk)
            file.flush()
            return map_file(file.fileno())
    except OSError as error:
        full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        raise (StoreFull if full else StoreUnavailable)(
            f"content of artifacts cannot be kept in {folder}: {error.strerror}; TMPDIR names another"
        ) from error


class ContentCache:
    """By SHA-256; what was not used for longest makes room. Any number of threads may use it."""

    def __init__(self, bytes_max: int) -> None:
        """bytes_max: of all that is kept. What somebody still uses takes its place on the disk beyond
        that, until he does not."""
        self._bytes_max = bytes_max
        self._kept: OrderedDict[str, memoryview] = OrderedDict()
        self._bytes = 0
        self._fetching: dict[str, Future[memoryview]] = {}
        self._lock = Lock()

    def get(self, sha256: str, fetch: Callable[[], memoryview]) -> memoryview:
        """The content, fetched unless it is here; once, where several ask for it at the same time.
        Raises what fetch raises; where there was no room for it, what is kept goes first."""
        with self._lock:
            found = self._find(sha256)
            if found is not None:
                return found
            begun = self._fetching.get(sha256)
            if begun is None:
                own: Future[memoryview] = Future()
                self._fetching[sha256] = own
        if begun is not None:
            return begun.result()
        try:
            fetched = self._fetched(fetch)
        except BaseException as error:
            with self._lock:
                del self._fetching[sha256]
            own.set_exception(error)
            raise
        with self._lock:
            del self._fetching[sha256]
            self._keep(sha256, fetched)
        own.set_result(fetched)
        return fetched

    def _fetched(self, fetch: Callable[[], memoryview]) -> memoryview:
        try:
            return fetch()
        except StoreFull:
            with self._lock:
                if not self._kept:
                    raise
                self._kept.clear()
                self._bytes = 0
        return fetch()

    def forget(self, sha256: str) -> None:
        with self._lock:
            self._drop(sha256)

    def _find(self, sha256: str) -> memoryview | None:
        found = self._kept.get(sha256)
        if found is not None:
            self._kept.move_to_end(sha256)
        return found

    def _keep(self, sha256: str, content: memoryview) -> None:
        if len(content) > self._bytes_max:
            return
        self._drop(sha256)
        self._kept[sha256] = content
        self._bytes += len(content)
        while self._bytes > self._bytes_max:
            self._drop(next(iter(self._kept)))

    def _drop(self, sha256: str) -> None:
        dropped = self._kept.pop(sha256, None)
        if dropped is not None:
            self._bytes -= len(dropped)
