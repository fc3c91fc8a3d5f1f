"""A process that is killed while it destroys keys: what is destroyed stays so, what was restored in time opens,
and nothing is in between."""

import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.signing.keys import rows
from ketgate_server.signing.keys.record import VersionRecord, VersionState
from ketgate_server.signing.settings import SigningSettings
from ketgate_server.store.database import open_store

from ..conftest import server_environment
from ..postgres import PostgresServer

KILLED = -signal.SIGKILL

DESTROYER = """
import sys, time
from pathlib import Path
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.algorithms import ALGORITHMS
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.store import KeyStore, NewKey
from ketgate_server.signing.keys.timers import Timers
from ketgate_server.signing.provider import Providers
from ketgate_server.signing.providers.cryptography_provider import CryptographyProvider
from ketgate_server.signing.settings import SigningSettings
from ketgate_server.store.database import open_store

class Clock:
    ahead_us = int(sys.argv[3])
    def __call__(self):
        return time.time_ns() // 1000 + self.ahead_us

folder, url, clock = Path(sys.argv[1]), sys.argv[2] or None, Clock()
store = open_store(folder, url, clock=clock)
vault = open_vault(SigningSettings(), folder, store)
limits = {"signing.keys_max": 100_000, "signing.versions_max": 1_000}
keys = KeyStore(store, vault, Providers([CryptographyProvider()]), limits)
timers = Timers(keys, lambda due: print("due", due.key_id, flush=True))
asker = Asker(Identity("emma", "red", frozenset()), "call", "/x")
print("started", flush=True)
step = 0
while True:
    timers.run_once()
    key_id = f"k-{time.time_ns():x}"
    keys.create(asker, NewKey(key_id, ALGORITHMS["ED25519"], destroy_delay_us=60_000_000))
    keys.act(asker, key_id, 1, Act.DESTROY)
    print("doomed", key_id, flush=True)
    if step % 3 == 2:
        keys.act(asker, key_id, 1, Act.RESTORE)
        print("restored", key_id, flush=True)
    step += 1
    if step % 5 == 0:
        clock.ahead_us += 61_000_000
        print("ahead", clock.ahead_us, flush=True)
"""


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_a_process_that_is_killed_amid_destructions(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url = ""
    if kind == "postgresql":
        server: PostgresServer = request.getfixturevalue("postgres_server")
        url = server.new_database()
    told: list[list[str]] = []
    ahead_us, gone = "0", set[str]()
    for number in range(6):
        command = [sys.executable, "-c", DESTROYER, str(tmp_path / "keys"), url, ahead_us]
        with subprocess.Popen(
            command, stdout=subprocess.PIPE, text=True, env=server_environment()
        ) as process:
            assert process.stdout is not None
            for count, line in enumerate(process.stdout):
                told.append(line.split())
                if count > 60 + 7 * number:
                    process.kill()
            assert process.wait() == KILLED
        ahead_us = str(max((int(w[1]) for w in told if w[0] == "ahead"), default=0))
        gone = destroyed_stay_so(tmp_path / "keys", url, told, gone)
    assert len(gone) > 20


def destroyed_stay_so(folder: Path, url: str, told: list[list[str]], before: set[str]) -> set[str]:
    """Which keys are destroyed: those before, and none that were restored; the others open."""
    words = {
        kind: {rest[0] for word, *rest in told if word == kind}
        for kind in ("due", "doomed", "restored")
    }
    store = open_store(folder, url or None)
    try:
        vault = open_vault(SigningSettings(), folder, store)
        gone = set()
        with store.read() as reader:
            for _, key in rows.read_keys(reader, vault, "red", "", 100_000):
                assert key is not None
                (version,) = rows.read_versions(reader, vault, "red", key.id)
                if version.state is VersionState.DESTROYED:
                    gone.add(key.id)
                    assert version.envelope is None
                    assert key.primary_version == 0
                else:
                    opens(vault, key, version)
                    assert key.id not in before, "a destroyed key came back"
            assert words["doomed"] <= {
                key_id for key_id, _ in rows.read_keys(reader, vault, "red", "", 100_000)
            }
        assert not gone & words["restored"]
        assert gone <= words["due"]
        return gone
    finally:
        store.close()


def opens(vault: Any, key: Any, version: VersionRecord) -> None:
    assert version.envelope is not None
    assert vault.open(rows.owner(key, version.version), version.envelope)
