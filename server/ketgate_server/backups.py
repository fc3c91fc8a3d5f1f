"""Back-ups with their entries in the audit log: who reads a store as a whole, or puts an older state
in its place, leaves a trace of it."""

from pathlib import Path

from ketgate_server.audit import log
from ketgate_server.store import backup
from ketgate_server.store.backup import Manifest
from ketgate_server.store.base import Transaction
from ketgate_server.store.database import open_store
from ketgate_server.tokens import COMMAND

BACKED_UP, RESTORED = "store.backed_up", "store.restored"
"""Actions in the audit."""


def back_up(target: Path, data_dir: Path, url: str | None = None) -> tuple[Path, Manifest]:
    """As store.backup.back_up. There is no back-up without its entry, which the back-up itself does
    not hold."""
    return backup.back_up(
        target, data_dir, url, finish=lambda made: _record(BACKED_UP, made, data_dir, url)
    )


def restore(source: Path, data_dir: Path, url: str | None = None) -> Manifest:
    """As store.backup.restore; what is restored ends with its entry."""
    return backup.restore(
        source, data_dir, url, finish=lambda folder, made: _record(RESTORED, made, folder, url)
    )


def _record(action: str, manifest: Manifest, data_dir: Path, url: str | None) -> None:
    size_bytes = sum(entry["size_bytes"] for entry in manifest.files.values())
    facts = {
        "create_time": manifest.create_time,
        "files": str(len(manifest.files)),
        "size_bytes": str(size_bytes),
    }
    begin, salt = log.create(log.new_salt()), log.new_salt()

    def operation(tx: Transaction) -> None:
        begin(tx)
        log.record(tx, actor=COMMAND, tenant="", action=action, facts=facts, salt=salt)

    store = open_store(data_dir, url)
    try:
        store.run(operation)
    finally:
        store.close()
