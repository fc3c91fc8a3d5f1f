"""Files that are written whole or not at all: a draft beside them takes their place at the end.

Links are followed, so that they stay links. Devices and pipes are written to as they are: a draft that took the
place of /dev/null or /dev/stdout would take it away from the whole machine.
"""

import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from secrets import token_hex
from typing import BinaryIO


def place(path: Path) -> Path | None:
    """Where a draft may be put in the place of what is there, links followed; None: it is a device or a pipe."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return Path(os.path.realpath(path))
    if stat.S_ISREG(mode) or stat.S_ISDIR(mode):  # a folder refuses to be replaced
        return Path(os.path.realpath(path))
    return None


@contextmanager
def written_whole(path: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file to write to, which takes the place of path when the block ends without an error. Raises OSError."""
    target = place(path)
    if target is None:
        with path.open("wb") as stream:
            yield stream
        return
    # Not the process's number: two threads have the same, and so has a process after it in a container.
    draft = target.with_name(f".{target.name}.{token_hex(4)}")
    opened = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    try:
        with os.fdopen(opened, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        draft.replace(target)
    finally:
        with suppress(OSError):
            draft.unlink(missing_ok=True)
