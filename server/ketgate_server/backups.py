"""Back-ups with their entries in the audit log: who reads a store as a whole, or puts an older state
in its place, leaves a trace of it. Keys that were destroyed since stay destroyed."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ketgate_server.audit import log, seen
from ketgate_server.settings import Settings
from ketgate_server.signing import restoring, rollback
from ketgate_server.signing.keys.journal import Version
from ketgate_server.store import backup, elsewhere
from ketgate_server.store.backup import Manifest
from ketgate_server.store.base import Store, Transaction
from ketgate_server.store.database import open_store, place_of
from ketgate_server.tokens import COMMAND

BACKED_UP, RESTORED = "store.backed_up", "store.restored"
"""Actions in the audit."""


@dataclass(frozen=True)
class Restored:
    """What a restoration did."""

    manifest: Manifest
    destroyed_again: tuple[Version, ...]
    """Versions of keys that the back-up had, and that were destroyed since."""
    unknown: tuple[str, ...]
    """What could not be known of keys, in words."""


def back_up(target: Path, data_dir: Path, url: str | None = None) -> tuple[Path, Manifest]:
    """As store.backup.back_up. There is no back-up without its entry, which the back-up itself does
    not hold."""

    def finish(made: Manifest) -> None:
        store = open_store(data_dir, url)
        try:
            _record(store, BACKED_UP, made, {})
        finally:
            store.close()

    return backup.back_up(target, data_dir, url, finish=finish)


def restore(source: Path, settings: Settings, replaced: Sequence[Path] = ()) -> Restored:
    """As store.backup.restore, into the data folder and the database of the settings; what is restored
    ends with its entry, and without the private keys that were destroyed since.

    replaced: data folders of the servers until now. Raises StoreError: also for one that is none.
    """
    url = settings.store_url.get_secret_value() if settings.store_url else None
    known = restoring.known(replaced)
    again: list[Version] = []
    unknown = list(known.unread)

    def finish(folder: Path, made: Manifest) -> None:
        seen.forget(folder)
        if url is not None:
            elsewhere.note(folder, place_of(folder, url))
        store = open_store(folder, url)
        try:
            if not replaced and restoring.has_keys(store):
                unknown.append(
                    f"keys that were destroyed after {made.create_time} are back, unless the back-up "
                    "told of them: name the data folder until now with --replacing"
                )
            again.extend(restoring.destroy_again(settings, store, folder, known.destroyed))
            facts = {"keys_destroyed_again": str(len(again)), "unknown": "; ".join(unknown)[:1000]}
            _record(store, RESTORED, made, facts)
        finally:
            store.close()

    manifest = backup.restore(source, settings.data_dir, url, finish=finish)
    return Restored(manifest, tuple(again), tuple(unknown))


def _record(store: Store, action: str, manifest: Manifest, more: Mapping[str, str]) -> None:
    size_bytes = sum(entry["size_bytes"] for entry in manifest.files.values())
    facts = {
        "create_time": manifest.create_time,
        "files": str(len(manifest.files)),
        "size_bytes": str(size_bytes),
        **more,
    }
    begin, salt = log.create(log.new_salt()), log.new_salt()

    def operation(tx: Transaction) -> None:
        begin(tx)
        about = facts | dict(rollback.checkpoint(tx)) if action == RESTORED else facts
        log.record(tx, actor=COMMAND, tenant="", action=action, facts=about, salt=salt)

    store.run(operation)
