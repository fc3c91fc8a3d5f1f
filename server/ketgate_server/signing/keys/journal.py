"""Which versions were destroyed, in a file of the data folder beside the store: a back-up that is restored
over it does not bring them back.

One line for each, as JSON, durable before the destruction is. It only grows; a line that a crash cut short
is left out, as its destruction had not begun. Nothing in it is secret.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from ketgate_server.files import make_private_folder, sync_folder
from ketgate_server.signing.keys.due import Destruction

FILE = Path("keys") / "destroyed"
"""In the data folder."""


class Version(NamedTuple):
    """A version that was destroyed, or was about to be."""

    tenant: str
    key_uid: str
    key_id: str
    version: int


class Journal:
    """The file of a data folder. Threads may share it: each line is one write."""

    def __init__(self, data_dir: Path) -> None:
        self._path = data_dir / FILE

    def add(self, *destroyed: Destruction | Version) -> None:
        """Write down what is about to be destroyed. Raises OSError."""
        if not destroyed:
            return
        lines = [
            json.dumps(
                {
                    "tenant": one.tenant,
                    "key_uid": one.key_uid,
                    "key": one.key_id,
                    "version": one.version,
                    "time": int(time.time()),
                }
            )
            for one in destroyed
        ]
        make_private_folder(self._path.parent)
        is_new = not self._path.exists()
        flags = os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
        descriptor = os.open(self._path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            whole = not size or os.pread(descriptor, 1, size - 1) == b"\n"
            begin = "" if whole else "\n"  # after a line that a crash cut short
            os.write(descriptor, (begin + "\n".join(lines) + "\n").encode())
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            sync_folder(self._path.parent)

    def __iter__(self) -> Iterator[Version]:
        """Raises OSError for a file that is there and cannot be read."""
        try:
            content = self._path.read_bytes()
        except FileNotFoundError:
            return
        yield from read(content.splitlines())


def read(lines: Iterable[bytes]) -> Iterator[Version]:
    for line in lines:
        try:
            told = json.loads(line)
            yield Version(
                str(told["tenant"]), str(told["key_uid"]), str(told["key"]), int(told["version"])
            )
        except (ValueError, KeyError, TypeError):
            continue
