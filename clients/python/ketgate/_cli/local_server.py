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


class LocalServer:
    """A server process on a folder of its own, which may be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self.ready_file = folder / "ready.json"
        self.log_file = folder / "server.log"
        self._data_dir = folder / "data"
        self._process = self._launch("127.0.0.1:0")

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Raises ServerNotFound if it does not start."""
        _wait_until_ready(self._process, self.ready_file, self.log_file)

    def kill(self) -> None:
        """SIGKILL: it has no moment left to tidy up."""
        self._process.kill()
        self._process.wait()

    def start_again(self) -> None:
        """On the same folder and address, after a kill."""
        address = json.loads(self.ready_file.read_text(encoding="utf-8"))["address"]
        self.ready_file.unlink()
        self._process = self._launch(address)
        self.wait_until_ready()

    def stop(self) -> None:
        _stop(self._process)

    def ended(self) -> ServerNotFound:
        """The error of one that ended while it was needed."""
        return _ended(self._process, self.log_file, "ended while it was needed")

    def _launch(self, listen: str) -> "subprocess.Popen[bytes]":
        command = [
            *(sys.executable, "-m", "ketgate", "serve"),
            *("--data-dir", str(self._data_dir)),
            *("--listen", listen),
            *("--ready-file", str(self.ready_file)),
        ]
        with self.log_file.open("ab") as log:
            # In a session of its own: Ctrl-C is for the command, which then stops the server.
            return subprocess.Popen(  # noqa: S603 - our own interpreter and module
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=_environment(),
                start_new_session=True,
            )


@contextmanager
def local_server(meanwhile: Callable[[], None]) -> Iterator[LocalServer]:
    """A server that runs until the block ends; meanwhile is done as it starts.

    Raises ServerNotFound if it does not start, or ends while it is needed.
    """
    require_server()
    with tempfile.TemporaryDirectory(prefix="ketgate-") as folder:
        server = LocalServer(Path(folder))
        try:
            meanwhile()
            server.wait_until_ready()
            try:
                yield server
            except Unavailable as error:
                if server.is_running:
                    raise
                raise server.ended() from error
        finally:
            server.stop()


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
