"""Uploads and downloads that go on after a cut: what both clients do alike, all but the waiting."""

import hashlib
import os
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Self

import google_crc32c

from ketgate._artifact_asks import Artifact, full_name, method, read_artifact
from ketgate._artifact_source import Source
from ketgate._errors import (
    DataLoss,
    InternalError,
    InvalidArgument,
    KetgateError,
    NotFound,
    OutOfRange,
)
from ketgate._retry import Patience, Retry
from ketgate._whole_file import place
from ketgate.artifacts.v1 import artifact_service_pb2 as pb

IN_FLIGHT_MAX = 6
"""Chunks on their way at once: the server makes each durable before it answers."""
RESTARTS_MAX = 3
"""Times that an upload is begun anew, as another ended it or its content came to harm."""
RESENDS_MAX = 10
"""Times in a row that chunks are sent again without getting any further."""
FINISH_BYTES_PER_S = 20e6
"""The server reads and hashes everything once more at the end, at least so fast."""
STREAM_S = 3600.0
"""One stream of a download may take so long; then it goes on in another."""
BLOCK_BYTES = 1 << 20

OnBytes = Callable[[int, int], None]
"""Told how many bytes are done, and of how many."""


CREATE, WRITE, STATE, FINISH = map(
    method, ("CreateUpload", "WriteUpload", "GetUpload", "FinishUpload")
)
READ = method("ReadArtifact")


class Uploading:
    """Where an upload stands. The caller makes the requests that it is handed, tells what came of
    them, and waits where it is told to."""

    def __init__(self, source: Source, retry: Retry, on_bytes: OnBytes | None) -> None:
        self._source = source
        self._on_bytes = on_bytes
        self._patience = Patience(retry)
        self._sha256 = _digest(source)
        self._media_type = source.media_type
        self._upload = ""
        self._chunk_bytes = 0
        self._sent = self._durable = 0
        self._restarts = self._resends = 0
        self._finish_id = ""
        self.done: Artifact | None = None

    def create(self) -> pb.CreateUploadRequest:
        return pb.CreateUploadRequest(
            sha256=self._sha256,
            size_bytes=self._source.size,
            media_type=self._media_type,
            request_id=uuid.uuid4().hex,
        )

    def created(self, answer: pb.CreateUploadResponse) -> None:
        """done is set where the content is there already."""
        if answer.HasField("artifact"):
            self._tell(self._source.size)
            self.done = read_artifact(answer.artifact)
            return
        self._upload, self._chunk_bytes = answer.upload, answer.chunk_bytes or BLOCK_BYTES // 4
        self._finish_id = uuid.uuid4().hex
        self._from(answer.offset)

    def chunk(self) -> pb.WriteUploadRequest | None:
        """The next to send; None where all are sent."""
        if self._sent >= self._source.size:
            return None
        data = self._source.read(self._sent, min(self._chunk_bytes, self._source.size - self._sent))
        if not data:
            raise InvalidArgument("source: the file became shorter meanwhile", field="source")
        request = pb.WriteUploadRequest(
            upload=self._upload,
            offset=self._sent,
            data=data,
            crc32c=google_crc32c.value(data),
        )
        self._sent += len(data)
        return request

    def wrote(self, answer: pb.WriteUploadResponse) -> None:
        self._patience.heard()
        if answer.offset > self._durable:
            self._resends = 0
            self._durable = answer.offset
            self._tell(self._durable)

    def failed(self, error: KetgateError) -> float:
        """A call failed: seconds to wait before state is asked. Raises where that cannot help."""
        damaged = isinstance(error, DataLoss) and error.field == "crc32c"
        if damaged or error.reason == "OFFSET_MISMATCH":
            self._resends += 1
            if self._resends > RESENDS_MAX:
                raise error
            return 0.0
        return self._patience.after(error)

    def state(self) -> pb.GetUploadRequest:
        return pb.GetUploadRequest(upload=self._upload)

    def stands(self, answer: pb.GetUploadResponse) -> None:
        self._patience.heard()
        self._from(answer.offset)

    def finish(self) -> tuple[pb.FinishUploadRequest, float]:
        """And its deadline beyond the usual, in seconds. The same id each time: an answer that was
        lost is given again."""
        request = pb.FinishUploadRequest(upload=self._upload, request_id=self._finish_id)
        return request, self._source.size / FINISH_BYTES_PER_S

    def finished(self, answer: pb.FinishUploadResponse) -> None:
        self.done = read_artifact(answer.artifact)

    def over(self, error: KetgateError) -> None:
        """The upload is gone, or its content came to harm: it is begun anew, unless that has been
        done often enough."""
        harmed = isinstance(error, (DataLoss, OutOfRange))
        self._restarts += 1
        if not (harmed or isinstance(error, NotFound)) or self._restarts > RESTARTS_MAX:
            raise error
        if harmed and _digest(self._source) != self._sha256:
            raise InvalidArgument("source: it changed while it was sent", field="source") from error

    def _from(self, offset: int) -> None:
        self._sent = self._durable = offset
        self._tell(offset)

    def _tell(self, done: int) -> None:
        if self._on_bytes is not None:
            self._on_bytes(done, self._source.size)


class Downloading:
    """Where a download stands: every chunk is checked, and at the end all of it."""

    def __init__(
        self, name: str, write: Callable[[bytes], Any], retry: Retry, on_bytes: OnBytes | None
    ) -> None:
        self.name = full_name(name)
        self.offset = 0
        self.size: int | None = None
        self._write = write
        self._on_bytes = on_bytes
        self._found = hashlib.sha256()
        self._patience = Patience(retry)

    def resume(self, content: Iterator[bytes]) -> None:
        """So much is here from a download that was cut."""
        for piece in content:
            self._found.update(piece)
            self.offset += len(piece)

    def request(self) -> pb.ReadArtifactRequest:
        return pb.ReadArtifactRequest(name=self.name, offset=self.offset)

    def add(self, message: pb.ReadArtifactResponse) -> None:
        data = message.data
        if message.offset != self.offset or google_crc32c.value(data) != message.crc32c:
            raise DataLoss(
                f"{self.name}: the chunk at {self.offset} arrived damaged", reason="DIGEST_MISMATCH"
            )
        self._patience.heard()
        self.size = message.size_bytes
        self._write(data)
        self._found.update(data)
        self.offset += len(data)
        if self._on_bytes is not None:
            self._on_bytes(self.offset, self.size)

    @property
    def complete(self) -> bool:
        return self.size is not None and self.offset >= self.size

    def after(self, error: KetgateError) -> float:
        """Seconds to wait before the rest is asked for."""
        if isinstance(error, DataLoss):
            error = InternalError(error.message)  # as a cut: it is got again
        return self._patience.after(error)

    def check(self) -> None:
        """Raises DataLoss where all of it is not what its name says."""
        if self._found.hexdigest() != self.name.rpartition("/")[2]:
            raise DataLoss(
                f"{self.name}: what arrived has another SHA-256; get it again",
                reason="DIGEST_MISMATCH",
            )


class Part:
    """The file that a download is written to until it is whole. It stays after a cut, so that the
    next try finds what is there."""

    def __init__(self, target: str | os.PathLike[str], name: str) -> None:
        """Raises InvalidArgument for a device or a pipe: what arrived is read again after a cut."""
        found = place(Path(target))
        if found is None:
            raise InvalidArgument(
                f"path: expected a file, given {target}, which is a device or a pipe", field="path"
            )
        self.target, self._place = Path(target), found
        digest = full_name(name).rpartition("/")[2]
        self._path = found.with_name(f".{found.name}.{digest[:16]}.part")
        self._file = self._path.open("ab")
        self.write = self._file.write

    def blocks(self) -> Iterator[bytes]:
        """What is there already."""
        with self._path.open("rb") as file:
            while block := file.read(BLOCK_BYTES):
                yield block

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: Any, trace: Any) -> None:
        """Put the whole file in its place; after an error keep what is of use."""
        with self._file:
            if isinstance(error, DataLoss):
                self._file.truncate(0)
            self._file.flush()
            os.fsync(self._file.fileno())
            empty = not os.fstat(self._file.fileno()).st_size
        if kind is None:
            self._path.replace(self._place)
        elif empty:
            self._path.unlink(missing_ok=True)


def _digest(source: Source) -> str:
    found = hashlib.sha256()
    for offset in range(0, source.size, BLOCK_BYTES):
        found.update(source.read(offset, min(BLOCK_BYTES, source.size - offset)))
    return found.hexdigest()
