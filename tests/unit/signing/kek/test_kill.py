"""kill -9 in the middle of a change of the key-encryption key, again and again, until it is done."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from ketgate_server.signing.kek.start import open_vault
from ketgate_server.store.database import open_store

from ....conftest import server_environment
from .conftest import check_filled, fill, settings

KEYS = 40

CHILD = """
import os, signal, sys
from pathlib import Path
from ketgate_server.signing.kek import rewrap
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.signing.settings import SigningSettings
from ketgate_server.store.database import open_store

folder, left = Path(sys.argv[1]), int(sys.argv[2])
rewrap.Rewrap.run.__defaults__ = (3,)
step = rewrap._run

def counted(*arguments):
    global left
    left -= 1
    found = step(*arguments)  # written, and not committed
    if left < 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return found

rewrap._run = counted
settings = SigningSettings(
    kek_file=folder / "new.key", previous_kek_file=folder / "old.key"
)
open_vault(settings, folder, open_store(folder))
"""


def run(folder: Path, steps: int) -> int:
    """Exit status of a change that is killed at a step, if it comes to that."""
    command = [sys.executable, "-c", CHILD, str(folder), str(steps)]
    return subprocess.run(command, env=server_environment(), timeout=200, check=False).returncode


def test_a_change_survives_being_killed_at_any_step(tmp_path: Path) -> None:
    store = open_store(tmp_path)
    fill(store, open_vault(settings(kek_file=tmp_path / "old.key"), tmp_path, store), KEYS, 3)
    store.close()
    killed = 0
    for steps in (0, 7, 40, 90, 1_000_000):
        status = run(tmp_path, steps)
        if status == 0:
            break
        assert status == -signal.SIGKILL
        killed += 1
    assert killed == 4
    assert status == 0
    os.unlink(tmp_path / "old.key")
    store = open_store(tmp_path)
    check_filled(
        store, open_vault(settings(kek_file=tmp_path / "new.key"), tmp_path, store), KEYS, 3
    )
    store.close()
