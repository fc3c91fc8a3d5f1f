"""Files that commands read and write, with errors that name the option. "-" is standard input, or standard output."""

import errno
import os
import sys
from pathlib import Path
from typing import BinaryIO, cast

from ketgate._errors import InvalidArgument
from ketgate._whole_file import place, written_whole

STANDARD = "-"
_CHUNK_BYTES = 1 << 20


def is_standard(path: Path | None) -> bool:
    """Whether it is "-"."""
    return path is not None and str(path) == STANDARD


def input_name(path: Path) -> str:
    """As messages say it."""
    return "standard input" if is_standard(path) else str(path)


def read_file(path: Path, option: str, bytes_max: int | None = None, remedy: str = "") -> bytes:
    """The content of a file, or of standard input. Raises InvalidArgument for one that cannot be read, or, with the
    remedy, is larger than bytes_max."""
    content = _read(path, option, bytes_max)
    if not isinstance(content, bytes):
        content.close()
        raise InvalidArgument(
            f"{option}: expected at most {bytes_max:,} bytes, given {input_name(path)}, which has more",
            field=option,
            remedy=remedy,
        )
    return content


def read_or_stream(path: Path, option: str, bytes_max: int) -> bytes | Path | BinaryIO:
    """The content of a file, or of standard input, where it is of at most bytes_max; of what is larger its path, or,
    where it can be read but once, a stream of the whole. Raises InvalidArgument."""
    found = _read(path, option, bytes_max)
    if isinstance(found, bytes) or is_standard(path) or place(path) is None:
        return cast("bytes | BinaryIO", found)
    found.close()
    return path


def once_standard(**inputs: Path | None) -> None:
    """Raises InvalidArgument where more than one is to be read from standard input."""
    named = [
        name if name == "FILE" else f"--{name.replace('_', '-')}"
        for name, path in inputs.items()
        if is_standard(path)
    ]
    if len(named) > 1:
        raise InvalidArgument(
            f"{named[1]}: expected a file, as standard input is {named[0]}, given -", field=named[1]
        )


class _Continued:
    """A stream whose beginning was read already."""

    def __init__(self, beginning: bytes, rest: BinaryIO) -> None:
        self._beginning = memoryview(beginning)
        self._rest = rest

    def read(self, size: int) -> bytes:
        begun = bytes(self._beginning[:size])
        self._beginning = self._beginning[size:]
        return begun if begun or not size else self._rest.read(size)

    def close(self) -> None:
        self._rest.close()


def _read(path: Path, option: str, bytes_max: int | None) -> "bytes | _Continued":
    """All that is there; where that is more than bytes_max, a stream of it."""
    try:
        file = _standard_input() if is_standard(path) else _open(path)
        found = bytearray()
        while chunk := file.read(_CHUNK_BYTES):
            found += chunk
            if bytes_max is not None and len(found) > bytes_max:
                return _Continued(bytes(found), file)
        if not is_standard(path):
            file.close()
        return bytes(found)
    except OSError as error:
        raise InvalidArgument(
            f"{option}: {input_name(path)} cannot be read: {error.strerror}", field=option
        ) from None


def _open(path: Path) -> BinaryIO:
    return cast(BinaryIO, path.open("rb", buffering=0))


def _standard_input() -> BinaryIO:
    """Without its buffer: a thread that waits in that for more makes Python end with a fatal error. Waiting for what
    is to come: content that is not there yet would be taken for the end."""
    if sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed")
    buffer = sys.stdin.buffer
    raw = getattr(buffer, "raw", None)
    if raw is None:
        return buffer
    os.set_blocking(raw.fileno(), True)
    return cast(BinaryIO, raw)


def write_file(
    path: Path, content: bytes, option: str = "--output", *, secret: bool = False
) -> None:
    """Write a file, whole or not at all. secret: readable by this user only. Raises InvalidArgument."""
    try:
        with written_whole(path, 0o600 if secret else 0o666) as file:
            file.write(content)
    except OSError as error:
        raise InvalidArgument(
            f"{option}: {path} cannot be written: {error.strerror}", field=option
        ) from None


def write_output(
    content: bytes,
    output: Path | None,
    *,
    text: bool,
    secret: bool = False,
    option: str = "--output",
) -> bool:
    """Write to a file, or, without one or to "-", to the standard output. Returns whether it was a file. Raises
    InvalidArgument rather than spoil a terminal."""
    if output is not None and not is_standard(output):
        write_file(output, content, option, secret=secret)
        return True
    if sys.stdout.isatty() and (secret or not text):
        what = "a secret" if secret else "binary content"
        raise InvalidArgument(
            f"{option}: expected a file, or a pipe to write to, given a terminal for {what}",
            field=option,
        )
    sys.stdout.buffer.write(content)
    if text and not content.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    return False
