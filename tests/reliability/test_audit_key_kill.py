"""kill -9 while the audit's key is rotated: the log goes on with one key, which the first leads to."""

import subprocess
import sys
from pathlib import Path

import pytest
from ketgate._audit_rotation import follow
from ketgate_server import audit_signer
from ketgate_server.audit.sequencer import Sequencer
from ketgate_server.audit.service import create_service
from ketgate_server.settings import Settings
from ketgate_server.signing import shared
from ketgate_server.store.database import open_store

from tests.conftest import server_environment
from tests.unit.audit.test_client import LoopClient

KILLS = 4
ROTATE = """
import sys
from pathlib import Path
from ketgate_server import audit_signer
from ketgate_server.settings import Settings

settings = Settings(data_dir=Path(sys.argv[1]))
while True:
    print(audit_signer.rotate(settings).key_id, flush=True)
"""


def state(folder: Path) -> tuple[str, int, list[tuple[int, str, bool]]]:
    """The key that signs, how many rotations lead to it from the first, and the versions."""
    from ketgate._audit import Audit
    from ketgate._audit_log import newest
    from ketgate._flow import run

    settings = Settings(data_dir=folder)
    store = open_store(folder)
    try:
        signer, reopen = audit_signer.open_signer(settings, store)
        assert shared.foundation(settings, store).rollback is None
        client = LoopClient(create_service(store, Sequencer(store, "test"), signer, reopen))
        head = run(newest(""), Audit(client)._do)  # type: ignore[arg-type]
        with store.read() as reader:
            first = reader.row("SELECT key_id FROM audit_keys WHERE number = 1")
            rows = reader.rows(
                "SELECT version, state, envelope IS NOT NULL FROM signing_versions ORDER BY version"
            )
        assert first is not None
        followed = follow(head, first[0])
        return head.key_id, len(followed), [(n, name, bool(has)) for n, name, has in rows]
    finally:
        shared.close(store)
        store.close()


def test_a_rotation_is_whole_or_not_at_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    folder = tmp_path / "data"
    state(folder)
    for kill in range(KILLS):
        process = subprocess.Popen(
            [sys.executable, "-c", ROTATE, str(folder)],
            stdout=subprocess.PIPE,
            env=server_environment(),
            text=True,
        )
        assert process.stdout is not None
        told = [process.stdout.readline().strip() for _ in range(kill + 1)]
        process.kill()
        told += [line.strip() for line in process.stdout]
        process.wait()
        process.stdout.close()
        key_id, followed, versions = state(folder)
        *ended, (newest, name, has_key) = versions
        assert (name, has_key, followed) == ("ENABLED", True, newest - 1)
        assert {(name, has) for _, name, has in ended} == {("DESTROYED", False)}
        # What was told is done; one more may be, of which nobody was told.
        assert newest - 1 >= len(told)
        assert key_id not in told[:-1]
