"""Files that commands read and write, with errors that name the option."""

import sys
from pathlib import Path

from ketgate._errors import InvalidArgument
from ketgate._whole_file import written_whole


def read_file(path: Path, option: str, bytes_max: int | None = None) -> bytes:
    """Raises InvalidArgument for a file that cannot be read, or is larger than bytes_max."""
    try:
        with path.open("rb") as file:
            content = file.read() if bytes_max is None else file.read(bytes_max + 1)
    except OSError as error:
        raise InvalidArgument(
            f"{option}: {path} cannot be read: {error.strerror}", field=option
        ) from None
    if bytes_max is not None and len(content) > bytes_max:
        raise InvalidArgument(
            f"{option}: expected a file of at most {bytes_max:,} bytes, given {path}, which has more",
            field=option,
        )
    return content


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


def write_output(content: bytes, output: Path | None, *, text: bool, secret: bool = False) -> bool:
    """Write to a file, or, without one or to "-", to the standard output. Returns whether it was a file. Raises
    InvalidArgument rather than spoil a terminal."""
    if output is not None and str(output) != "-":
        write_file(output, content, secret=secret)
        return True
    if sys.stdout.isatty() and (secret or not text):
        what = "a secret" if secret else "binary"
        raise InvalidArgument(
            f"--output: expected a file, or a pipe to write to: this is {what}", field="--output"
        )
    sys.stdout.buffer.write(content)
    if text and not content.endswith(b"\n"):
        sys.stdout.buffer.write(b"\n")
    sys.stdout.buffer.flush()
    return False
