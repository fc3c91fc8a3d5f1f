"""A server of one's own for as long as a command runs: a process on loopback with a temporary data
folder.
"""

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from ketgate._cli.serve import require_server
from ketgate._errors import ServerNotFound, Unavailable

START_LIMIT_S = 60.0
STOP_LIMIT_S = 20.0
_POLL_S = 0.02
_LOG_CHARACTERS_SHOWN = 2000


@contextmanager
def local_server(meanwhile: Callable[[], None]) -> Iterator[Path]:
    """The ready file of a server that runs until the block ends; meanwhile is done as it starts.

    Raises ServerNotFound if it does not start, or ends while it is needed.
    """
    require_server()
    with tempfile.TemporaryDirectory(prefix="ketgate-") as folder:
        ready_file, log_file = Path(folder) / "ready.json", Path(folder) / "server.log"
        command = [
            *(sys.executable, "-m", "ketgate", "serve"),
            *("--data-dir", str(Path(folder) / "data")),
            *("--listen", "127.0.0.1:0"),
            *("--ready-file", str(ready_file)),
        ]
        with log_file.open("wb") as log:
            # In a session of its own: Ctrl-C is for the command, which then stops the server.
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )
        try:
            meanwhile()
            _wait_until_ready(process, ready_file, log_file)
            try:
                yield ready_file
            except Unavailable as error:
                if process.poll() is None:
                    raise
                raise _ended(process, log_file, "ended while it was needed") from error
        finally:
            _stop(process)


def _wait_until_ready(process: "subprocess.Popen[bytes]", ready_file: Path, log_file: Path) -> None:
    end = time.monotonic() + START_LIMIT_S
    while time.monotonic() < end:
        if ready_file.exists():
            json.loads(ready_file.read_text(encoding="utf-8"))  # written whole, or not at all
            return
        if process.poll() is not None:
            break
        time.sleep(_POLL_S)
    raise _ended(process, log_file, "did not start")


def _ended(process: "subprocess.Popen[bytes]", log_file: Path, what: str) -> ServerNotFound:
    told = log_file.read_text(encoding="utf-8", errors="replace")[-_LOG_CHARACTERS_SHOWN:]
    return ServerNotFound(
        f"the server {what} (exit status {process.poll()}); the end of its log:\n{told}",
        remedy="See what it says; `ketgate serve` starts it by itself.",
    )


def _environment() -> dict[str, str]:
    """This process's environment without settings that are meant for another server."""
    return {name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")}


def _stop(process: "subprocess.Popen[bytes]") -> None:
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(STOP_LIMIT_S)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
