"""Which key signs the audit's tree heads: that of the file which the settings name, or one of the key
store. The audit knows neither; it is handed a signer."""

import os
from pathlib import Path

from ketgate_server.audit import keys as audit_keys
from ketgate_server.audit import log
from ketgate_server.audit import signer as files
from ketgate_server.audit.remembered import told_settings
from ketgate_server.audit.signer import Reopen, Signer, SignerError
from ketgate_server.data_folder import FolderInUse, FolderUnusable, lock_folder
from ketgate_server.errors import KetgateError
from ketgate_server.settings import Settings
from ketgate_server.signing import audit_key, rollback, shared
from ketgate_server.signing.keys.journal import Version
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.signing.rollback import Rollback
from ketgate_server.signing.shared import Foundation
from ketgate_server.store.base import Store
from ketgate_server.store.database import FILE_NAME, open_store
from ketgate_server.store.errors import StoreError


def open_signer(settings: Settings, store: Store) -> tuple[Signer, Reopen]:
    """The signer of a server's audit, recorded in the log, and how another one is had when a server
    that shares the store rotated meanwhile. The log is made where there is none.

    Raises SignerError and other StoreErrors; each message says what to do.
    """
    store.run(log.create(log.new_salt()))
    base = shared.foundation(settings, store)
    try:
        if settings.audit_key_file is not None:
            return _of_file(settings, settings.audit_key_file, base)
        return _of_key_store(settings, base)
    except KetgateError as error:
        raise SignerError(f"the audit has no key to sign with: {error.message}") from error


def _of_file(settings: Settings, path: Path, base: Foundation) -> tuple[Signer, Reopen]:
    on_file = _files(settings)
    signer = files.open_signer(path)
    if base.rollback is None:
        audit_keys.use(base.store, signer, _either(base.keys, on_file))
        audit_key.end_others(base.keys, signer.key_id, base.journal.add)
    return signer, on_file


def _of_key_store(settings: Settings, base: Foundation) -> tuple[Signer, Reopen]:
    keys = base.keys
    if base.rollback is not None:
        return _as_it_is(keys, base.store, base.rollback), lambda _: None
    algorithm = settings.signing.audit_algorithm
    signer = audit_key.open_signer(keys, algorithm, _files(settings), base.journal.add)
    return signer, lambda key_id: audit_key.signer_of(keys, key_id)


def _as_it_is(keys: KeyStore, store: Store, older: Rollback) -> Signer:
    """The signer, while no key is made or changed. Raises KetgateError."""
    with store.read() as reader:
        active = audit_keys.active(reader)
    signer = audit_key.signer_of(keys, active)
    if signer is None:
        raise older.refusal()
    return signer


def rotate(settings: Settings) -> Signer:
    """Have the log signed by a new key of the key store from now on; servers that run take it with
    their next head. Raises StoreError."""
    if settings.audit_key_file is not None:
        raise SignerError(
            "audit_key_file: the key is in a file that the operator keeps; put another in its place "
            "and start the server again, or take the setting away: then the server makes its own key"
        )
    store = _open_store(settings)
    try:
        store.run(log.create(log.new_salt()))
        base = shared.foundation(settings, store)
        algorithm = settings.signing.audit_algorithm
        try:
            if base.rollback is not None:
                raise base.rollback.refusal()
            return audit_key.rotate(base.keys, algorithm, _files(settings), base.journal.add)
        except KetgateError as error:
            raise SignerError(f"the audit gets no new key: {error.message}") from error
    finally:
        shared.close(store)
        store.close()


def accept_rollback(settings: Settings) -> tuple[Rollback, list[Version]]:
    """Go on with a key store that is an older copy: what tells that it is one, and the versions that
    were destroyed again. Raises StoreError: where it is none, and while a server runs on the data folder, which would
    not know of it."""
    _check_there(settings)
    try:
        lock = lock_folder(settings.data_dir)
    except (FolderInUse, FolderUnusable) as error:
        raise StoreError(str(error)) from None
    try:
        return _accept_rollback(settings)
    finally:
        os.close(lock)


def _accept_rollback(settings: Settings) -> tuple[Rollback, list[Version]]:
    store = _open_store(settings)
    try:
        base = shared.foundation(settings, store)
        if base.rollback is None:
            raise StoreError("the key store is as the audit log tells: there is nothing to accept")
        try:
            again = rollback.accept(base.keys, settings.data_dir, base.rollback)
        except KetgateError as error:
            raise StoreError(f"it cannot be accepted: {error.message}") from error
        return base.rollback, again
    finally:
        shared.close(store)
        store.close()


def _check_there(settings: Settings) -> None:
    """Raises StoreError where no server has run: a command would make a store of its own, and say that all is done."""
    database = settings.data_dir / FILE_NAME
    if settings.store_url is None and not database.exists():
        raise StoreError(
            f"there is no store {database}: name the server's data folder with --data-dir, or its configuration with "
            "--config"
        )


def _open_store(settings: Settings) -> Store:
    _check_there(settings)
    url = settings.store_url.get_secret_value() if settings.store_url else None
    return open_store(settings.data_dir, url)


def _files(settings: Settings) -> Reopen:
    """Keys in files: where the settings say, where they said at the last start, and where an earlier
    version made one."""
    told = (told_settings(settings.data_dir) or {}).get("audit_key_file")
    named = [settings.audit_key_file, Path(told) if isinstance(told, str) else None]
    paths = [path for path in named if path is not None] + [settings.data_dir / files.KEY_FILE]

    def find(key_id: str) -> Signer | None:
        found = (files.find_signer(path, key_id) for path in paths)
        return next((signer for signer in found if signer is not None), None)

    return find


def _either(keys: KeyStore, on_file: Reopen) -> Reopen:
    """A key on file, or one of the key store."""

    def find(key_id: str) -> Signer | None:
        signer = on_file(key_id)
        return audit_key.signer_of(keys, key_id) if signer is None and key_id else signer

    return find
