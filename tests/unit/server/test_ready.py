"""Where the ready file may be: it takes the place of what is there, and is removed as the server stops."""

import os
import stat
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.ready import announce

SAID: dict[str, Any] = {
    "address": "127.0.0.1:1",
    "metrics_address": None,
    "ca_file": None,
    "token_file": None,
}


def test_a_pipe_keeps_its_place(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    link = tmp_path / "stdout"  # as /dev/stdout is
    link.symlink_to("pipe")
    for path in (pipe, link):
        with pytest.raises(OSError, match="no regular file"):
            announce(path, **SAID)
    assert link.is_symlink()
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_an_older_file_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "ready.json"
    path.write_text("of a server that was killed")
    announce(path, **SAID)
    assert '"address": "127.0.0.1:1"' in path.read_text()
