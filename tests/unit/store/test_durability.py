"""What was acknowledged is there after the process was killed, and nothing is there by half."""

import os
import signal
import subprocess
import sys

from ketgate_server.store.database import open_store

from .test_operations import counter, revisions

WRITER = """
import os, sys, threading
from pathlib import Path
from ketgate_server.store.database import open_store

store = open_store(Path(sys.argv[1]), sys.argv[2] or None)

def pair(tx):
    first = tx.take("revision", 2)
    for revision in (first, first + 1):
        tx.execute("INSERT INTO events (revision, tenant, seq, time_us, event)"
                   " VALUES (?, 'desk', ?, ?, ?)", (revision, first, tx.now_us, b"x" * 500))
    return first

def work():
    while True:
        os.write(1, f"{store.run(pair)}\\n".encode())

for _ in range(8):
    threading.Thread(target=work).start()
"""


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path, store_url):
    open_store(tmp_path / "data", store_url).close()
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = [sys.executable, "-c", WRITER, str(tmp_path / "data"), store_url or ""]
    with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as process:
        assert process.stdout is not None
        lines = [process.stdout.readline() for _ in range(300)]
        process.send_signal(signal.SIGKILL)
        # What it wrote before it died was acknowledged too. The last line may be cut.
        rest = process.stdout.read()
    acknowledged = [int(line) for line in [*lines, *rest.split(b"\n")[:-1]]]
    store = open_store(tmp_path / "data", store_url)
    kept = revisions(store)
    assert kept == list(range(1, len(kept) + 1))
    assert len(kept) % 2 == 0
    assert len(kept) >= 600
    assert set(acknowledged) <= set(kept)
    assert counter(store) == len(kept)
    store.close()
