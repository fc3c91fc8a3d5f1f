"""The ready file: where a server is, said once it truly serves."""

import errno
import json
import os
from pathlib import Path

from ketgate_server.files import write_whole


def announce(
    path: Path,
    *,
    address: str,
    metrics_address: str | None,
    ca_file: Path | None,
    token_file: Path | None,
) -> dict[str, object]:
    """Write the file, atomically and durably; return what it says. Raises OSError.

    Not to a device or a pipe: a file would take the place of /dev/stdout, and be removed as the server stops.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "no regular file", str(path))
    ready: dict[str, object] = {
        "address": address,
        "metrics_address": metrics_address,
        "ca_file": str(ca_file) if ca_file else None,
        "token_file": str(token_file) if token_file else None,
        "pid": os.getpid(),
    }
    write_whole(path, json.dumps(ready).encode() + b"\n", mode=0o644)
    return ready
