"""What the server's process costs, read from outside, where it runs on this machine under Linux."""

import json
import os
import time
from collections.abc import Mapping
from pathlib import Path

from ketgate._connect import Endpoint, default_data_dir, is_loopback


def server_pid(
    endpoint: Endpoint,
    ready_file: str | os.PathLike[str] | None,
    variables: Mapping[str, str] | None = None,
) -> int | None:
    """Process id of the server at a loopback address, if a ready file tells it and it runs here."""
    variables = os.environ if variables is None else variables
    named = (
        ready_file
        or variables.get("KETGATE_READY_FILE")
        or default_data_dir(variables) / "ready.json"
    )
    try:
        ready = json.loads(Path(named).expanduser().read_text(encoding="utf-8"))
        pid = ready["pid"] if ready["address"] == endpoint.address else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not is_loopback(endpoint.address) or not isinstance(pid, int):
        return None
    return pid if Path(f"/proc/{pid}/statm").exists() else None


class Process:
    """A running process. Its figures are 0 once it has ended."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        # The clock of another process, as clock_getcpuclockid(3) of Linux makes it: to the
        # nanosecond, where /proc/PID/stat counts in ticks of 10 ms.
        self._clock = (~pid << 3) | 2

    def cpu_s(self) -> float:
        """Processor time of all its threads since it began."""
        try:
            return time.clock_gettime(self._clock)
        except OSError:
            return 0.0

    def resident_bytes(self) -> int:
        try:
            pages = int(Path(f"/proc/{self.pid}/statm").read_text(encoding="ascii").split()[1])
        except (OSError, IndexError):
            return 0
        return pages * os.sysconf("SC_PAGE_SIZE")
