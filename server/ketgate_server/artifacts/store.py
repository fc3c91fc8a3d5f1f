"""The artifacts of all tenants: all there is to do to them. Every method may be called from any
thread."""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from ketgate_server.arrays import Content
from ketgate_server.artifacts import index
from ketgate_server.artifacts.blobs import Abandoned, BlobMissing, Blobs, Gap, never
from ketgate_server.artifacts.index import NOBODY, ArtifactRow, Asker, Quota, UploadRow
from ketgate_server.artifacts.metrics import ArtifactMetrics
from ketgate_server.audit.log import new_salt
from ketgate_server.errors import KetgateError, LimitError, NotFound, Reason
from ketgate_server.store.base import Store, StoreUnavailable

CHUNK_BYTES_MAX = 256 << 10
"""Of one message."""
HOUR_US = 3_600_000_000
TOUCH_INTERVAL_US = 60_000_000
"""How often it is written down that an upload goes on, or that an artifact is used."""
CATCH_UP_S = 2.0
"""How long a chunk waits for those before it that are on their way, and an upload for a deletion."""
MARK_US = 300_000_000
"""A deletion this old is of a server that died amid it: none is tried for so long."""
AHEAD_BYTES_MAX = 8 * CHUNK_BYTES_MAX
_POLL_S = 0.05
"""How often to look whether another server took those before it."""


@dataclass(frozen=True)
class Policy:
    """What an operator may set."""

    bytes_max: int
    """Of an artifact."""
    quota: Quota
    unused_us: int
    """How long what nothing refers to is kept."""


class ArtifactStore:
    """store: the index; blobs: the content."""

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        policy: Policy,
        *,
        server: str = "",
        new_upload_id: Callable[[], str] = lambda: os.urandom(16).hex(),
    ) -> None:
        self.store = store
        self.blobs = blobs
        self.policy = policy
        self.server = server
        """Its name among those of the store, and that of its own former processes."""
        self.metrics = ArtifactMetrics()
        self._new_upload_id = new_upload_id
        self._arrival = threading.Condition()
        """Notified when a chunk of any upload arrived."""
        self._arrivals = 0

    def begin(
        self, asker: Asker, sha256: str, size_bytes: int, media_type: str
    ) -> tuple[ArtifactRow | UploadRow, int]:
        """The artifact, where the tenant has this content; otherwise the upload of it. And how much
        has arrived.

        That another tenant has the content makes no difference: it cannot be found out, and who does
        not have the bytes does not get them.
        Raises LIMIT_EXCEEDED, QUOTA_EXCEEDED, REQUEST_ID_REUSED, SERVER_BUSY.
        """
        if size_bytes > self.policy.bytes_max:
            raise LimitError(
                "artifacts.bytes_max",
                allowed=self.policy.bytes_max,
                given=size_bytes,
                field="size_bytes",
            )
        wanted = UploadRow(
            self._new_upload_id(), asker.tenant, sha256, size_bytes, media_type, update_time_us=0
        )
        found = self._begin(asker, wanted)
        if isinstance(found, ArtifactRow):
            self.metrics.present.inc()
            return found, found.size_bytes
        if found is wanted:
            self.metrics.begun.inc()
            return found, 0
        self.metrics.resumed.inc()
        return found, self.blobs.staged(found.id)

    def write(self, tenant: str, upload_id: str, offset: int, content: bytes) -> int:
        """Take a chunk, durably; where to go on. Raises RESOURCE_NOT_FOUND, OFFSET_MISMATCH."""
        row = self._upload(tenant, upload_id)
        if offset + len(content) > row.size_bytes:
            raise KetgateError(
                Reason.OFFSET_MISMATCH,
                f"offset: a chunk of {len(content)} bytes at {offset} would end beyond the "
                f"{row.size_bytes} bytes that were announced",
                field="offset",
                metadata={"offset": str(row.size_bytes)},
            )
        end = self._stage(tenant, upload_id, offset, content)
        self.metrics.uploaded_bytes.inc(len(content))
        if self.store.now_us() - row.update_time_us > TOUCH_INTERVAL_US and self.store.has_room:
            self.store.submit(partial(index.touch_upload, upload_id=upload_id, offset=end))
        return end

    def progress(self, tenant: str, upload_id: str) -> tuple[int, int]:
        """How much has arrived, and how much was announced. Raises RESOURCE_NOT_FOUND."""
        row = self._upload(tenant, upload_id)
        return self.blobs.staged(upload_id), row.size_bytes

    def finish(
        self,
        asker: Asker,
        upload_id: str,
        *,
        is_abandoned: Callable[[], bool] = never,
    ) -> ArtifactRow:
        """Check what has arrived and make it an artifact; durable when this returns. is_abandoned:
        whether nobody waits for it any more; what has arrived stays.

        Raises RESOURCE_NOT_FOUND, OFFSET_MISMATCH (not all has arrived), DIGEST_MISMATCH (it begins
        at 0 again), REQUEST_ID_REUSED, CANCELLED.
        """
        with self.store.read() as reader:
            known = index.completed(reader, asker)
        if known is not None:
            return known
        row = self._upload(asker.tenant, upload_id)
        try:
            if not self.blobs.publish(upload_id, row.sha256, row.size_bytes, is_abandoned):
                raise KetgateError(
                    Reason.DIGEST_MISMATCH,
                    f"upload: what arrived has not the SHA-256 {row.sha256} that was announced; "
                    "send it again from 0",
                    field="upload",
                    metadata={"offset": "0"},
                )
        except Abandoned:
            message = "the call ended before all that arrived was hashed; finish it again"
            raise KetgateError(Reason.CANCELLED, message) from None
        except Gap as gap:
            self._upload(asker.tenant, upload_id)  # or another finished it meanwhile
            raise _mismatch(
                "upload", gap.end, f"{gap.end} of {row.size_bytes} bytes have arrived"
            ) from None
        salt = new_salt()
        made = self.store.run(lambda tx: index.complete(tx, asker, upload_id, salt))
        self.blobs.discard(upload_id)
        self.metrics.finished.inc()
        return made

    def get(self, tenant: str, sha256: str) -> ArtifactRow:
        """Raises RESOURCE_NOT_FOUND."""
        with self.store.read() as reader:
            found = index.get(reader, tenant, sha256)
        if found is None:
            raise NotFound(index.name_of(sha256))
        return found

    def page(self, tenant: str, after: tuple[int, str] | None, limit: int) -> list[ArtifactRow]:
        """The newest artifacts, or those that follow the one of this creation time and digest."""
        with self.store.read() as reader:
            return index.page(reader, tenant, after, limit)

    def chunks(self, row: ArtifactRow, offset: int, limit_bytes: int) -> Iterator[bytes]:
        """Content of an artifact. Raises STORE_UNAVAILABLE where this server cannot reach it."""
        try:
            for chunk in self.blobs.chunks(row.sha256, offset, limit_bytes, CHUNK_BYTES_MAX):
                self.metrics.downloaded_bytes.inc(len(chunk))
                yield chunk
        except BlobMissing:
            raise unreachable(row.sha256) from None

    def delete(self, asker: Asker, sha256: str) -> None:
        """Raises RESOURCE_NOT_FOUND, ARTIFACT_IN_USE, REQUEST_ID_REUSED."""
        salt = new_salt()
        if self.store.run(lambda tx: index.delete(tx, asker, sha256, salt, self.server)):
            self.drop(sha256)

    def drop(self, sha256: str) -> None:
        """Delete content that is marked as to be deleted. Done in part, the collector ends it."""
        self.blobs.delete(sha256)
        self.store.run(partial(index.unmark, sha256=sha256))

    def keep(self, asker: Asker, content: Content, media_type: str) -> str:
        """Make content of this server an artifact, unless the tenant has it; its digest.

        Raises LIMIT_EXCEEDED, QUOTA_EXCEEDED, SERVER_BUSY.
        """
        sha256 = hashlib.sha256(content).hexdigest()
        found, offset = self.begin(asker, sha256, len(content), media_type)
        if isinstance(found, UploadRow):
            step = 16 * CHUNK_BYTES_MAX
            while offset < len(content):
                some = bytes(content[offset : offset + step])
                offset = self._stage(asker.tenant, found.id, offset, some)
                self.metrics.kept_bytes.inc(len(some))
            self.finish(asker, found.id)
        return sha256

    def used(self, tenant: str, row: ArtifactRow) -> None:
        """It was read for some work, so it stays for a while. Soon, and not at any price."""
        if self.store.now_us() - row.used_time_us > TOUCH_INTERVAL_US and self.store.has_room:
            self.store.submit(partial(index.touch, tenant=tenant, sha256=row.sha256))

    def _begin(self, asker: Asker, wanted: UploadRow) -> ArtifactRow | UploadRow:
        """Somebody's deletion of just this content is over in a moment, and is not to be noticed; one
        that nobody ends any more is ended here."""
        salt, end_s = new_salt(), time.monotonic() + CATCH_UP_S
        while True:
            try:
                return self.store.run(
                    lambda tx: index.begin(tx, asker, wanted, self.policy.quota, salt)
                )
            except KetgateError as error:
                if error.reason is not Reason.SERVER_BUSY:
                    raise
                if self._end_deletion(wanted.sha256):
                    continue
                if time.monotonic() >= end_s:
                    raise
            time.sleep(_POLL_S)

    def _end_deletion(self, sha256: str) -> bool:
        """End a deletion that was begun so long ago that its server must have died."""
        with self.store.read() as reader:
            mark = index.get(reader, NOBODY, sha256)
        if mark is None or mark.create_time_us > self.store.now_us() - MARK_US:
            return False
        self.drop(sha256)
        return True

    def _upload(self, tenant: str, upload_id: str) -> UploadRow:
        with self.store.read() as reader:
            row = index.upload(reader, tenant, upload_id)
        if row is None:
            raise NotFound(index.upload_name(upload_id), "upload")
        return row

    def _stage(self, tenant: str, upload_id: str, offset: int, content: bytes) -> int:
        """Callers send a few chunks at once, and threads may take them in another order: one that is
        a little ahead waits for those before it. Raises RESOURCE_NOT_FOUND when another who uploads
        the same finished it meanwhile, and so took away what had arrived."""
        end_s = time.monotonic() + CATCH_UP_S
        while True:
            known = self._arrivals
            try:
                end = self.blobs.stage(upload_id, offset, content)
            except Gap as gap:
                self._upload(tenant, upload_id)
                if offset > gap.end + AHEAD_BYTES_MAX or time.monotonic() >= end_s:
                    raise _mismatch(
                        "offset", gap.end, f"a chunk at {offset} would leave a gap"
                    ) from None
            else:
                with self._arrival:
                    self._arrivals += 1
                    self._arrival.notify_all()
                return end
            with self._arrival:
                if self._arrivals == known:
                    self._arrival.wait(_POLL_S)


def unreachable(sha256: str) -> StoreUnavailable:
    """The content of an artifact is not where this server looks."""
    return StoreUnavailable(
        f"the content of {index.name_of(sha256)} is not where artifacts_url says; servers that share "
        "a database must share that too"
    )


def _mismatch(field: str, offset: int, what: str) -> KetgateError:
    return KetgateError(
        Reason.OFFSET_MISMATCH,
        f"{field}: {what}; go on at {offset}",
        field=field,
        metadata={"offset": str(offset)},
    )
