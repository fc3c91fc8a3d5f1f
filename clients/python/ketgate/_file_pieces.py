"""Content that is sent in pieces: of a file, which can be sent again, or of a stream, which is sent once."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, BinaryIO, TypeVar

import google_crc32c

from ketgate._errors import InvalidArgument
from ketgate._whole_file import place

CHUNK_BYTES = 256 * 1024

Request = TypeVar("Request")


class FilePieces:
    """A file's content as requests, with its digest; anew for each attempt. Raises InvalidArgument for one that cannot
    be read, as within the call it would be too late; and for the path of a pipe, which cannot be read anew."""

    repeatable = True

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self.sha256 = hashlib.sha256()
        try:
            if place(self._path) is None:
                raise InvalidArgument(
                    f"path: expected a file, given {self._path}, which is a device or a pipe",
                    field="path",
                    remedy="Open it, and give the stream: it is sent once.",
                )
            with self._path.open("rb") as file:
                file.read(1)
        except OSError as error:
            raise InvalidArgument(
                f"path: {self._path} cannot be read: {error.strerror}", field="path"
            ) from None

    def requests(self, make: Callable[..., Request], start: Any) -> Iterator[Request]:
        with self._path.open("rb") as file:
            yield from self._read(file, make, start)

    def _read(self, file: Any, make: Callable[..., Request], start: Any) -> Iterator[Request]:
        self.sha256 = hashlib.sha256()
        crc32c = 0
        yield make(start=start)
        while chunk := file.read(CHUNK_BYTES):
            self.sha256.update(chunk)
            crc32c = google_crc32c.extend(crc32c, chunk)
            yield make(chunk=chunk)
        yield make(message_crc32c=crc32c)


class StreamPieces(FilePieces):
    """As FilePieces, of a binary stream from where it stands: a call that fails is not made again."""

    repeatable = False

    def __init__(self, stream: BinaryIO) -> None:
        self.sha256 = hashlib.sha256()
        self._stream = stream
        if not isinstance(stream.read(0), bytes):
            raise InvalidArgument(
                "path: expected a stream of bytes, given one of text; open it with 'rb'",
                field="path",
            )

    def requests(self, make: Callable[..., Request], start: Any) -> Iterator[Request]:
        return self._read(self._stream, make, start)


def pieces_of(source: str | Path | BinaryIO) -> FilePieces:
    """Raises InvalidArgument."""
    if isinstance(source, (str, Path)):
        return FilePieces(source)
    if callable(getattr(source, "read", None)):
        return StreamPieces(source)
    raise InvalidArgument(
        f"path: expected a path, or a stream of bytes, given {type(source).__name__}", field="path"
    )
