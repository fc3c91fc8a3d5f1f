"""What can be uploaded: a file, bytes, or the elements of an array."""

import os
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from ketgate._errors import InvalidArgument


class Source(Protocol):
    """What is uploaded."""

    size: int
    media_type: str

    def read(self, offset: int, count: int) -> bytes: ...
    def close(self) -> None: ...


class FileSource:
    """A file, read piece by piece."""

    def __init__(self, path: str | os.PathLike[str]) -> None:
        try:
            self._file: BinaryIO = Path(path).open("rb")  # noqa: SIM115 - see close
        except OSError as error:
            raise InvalidArgument(
                f"source: {path} cannot be read: {error.strerror}", field="source"
            ) from None
        self.size = os.fstat(self._file.fileno()).st_size
        self.media_type = "application/octet-stream"

    def read(self, offset: int, count: int) -> bytes:
        return os.pread(self._file.fileno(), count, offset)

    def close(self) -> None:
        self._file.close()


class BytesSource:
    """Bytes, or the elements of an array in the contract's order: little-endian, row by row."""

    def __init__(self, content: "bytes | NDArray[Any]") -> None:
        self.media_type = "application/octet-stream"
        if isinstance(content, np.ndarray):
            if content.dtype.hasobject:
                raise InvalidArgument("source: expected an array of numbers", field="source")
            wire = np.ascontiguousarray(content, dtype=content.dtype.newbyteorder("<"))
            self._view = memoryview(wire.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
            self.media_type = "application/x-ketgate-array"
        else:
            self._view = memoryview(content).cast("B")
        self.size = len(self._view)

    def read(self, offset: int, count: int) -> bytes:
        return bytes(self._view[offset : offset + count])

    def close(self) -> None:
        self._view.release()


def open_source(content: Any) -> Source:
    """A path, bytes or an array."""
    if isinstance(content, (bytes, bytearray, memoryview, np.ndarray)):
        return BytesSource(content)  # type: ignore[arg-type]
    if isinstance(content, (str, os.PathLike)):
        return FileSource(content)
    return BytesSource(np.asarray(content))
