"""Which key signs the audit's tree heads: that of the file which the settings name, or one of the key
store. The audit knows neither; it is handed a signer."""

from pathlib import Path

from ketgate_server.audit import keys as audit_keys
from ketgate_server.audit import log
from ketgate_server.audit import signer as files
from ketgate_server.audit.remembered import told_settings
from ketgate_server.audit.signer import Reopen, Signer, SignerError
from ketgate_server.errors import KetgateError
from ketgate_server.settings import Settings
from ketgate_server.signing import audit_key, shared
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store


def open_signer(settings: Settings, store: Store) -> tuple[Signer, Reopen]:
    """The signer of a server's audit, recorded in the log, and how another one is had when a server
    that shares the store rotated meanwhile. The log is made where there is none.

    Raises SignerError and other StoreErrors; each message says what to do.
    """
    store.run(log.create(log.new_salt()))
    on_file = _files(settings)
    if settings.audit_key_file is not None:
        signer = files.open_signer(settings.audit_key_file)
        audit_keys.use(store, signer, _either(settings, store, on_file))
        return signer, on_file
    keys = shared.foundation(settings, store).keys
    try:
        signer = audit_key.open_signer(keys, settings.signing.audit_algorithm, on_file)
    except KetgateError as error:
        raise SignerError(f"the audit has no key to sign with: {error.message}") from error
    return signer, lambda key_id: audit_key.signer_of(keys, key_id)


def rotate(settings: Settings) -> Signer:
    """Have the log signed by a new key of the key store from now on; servers that run take it with
    their next head. Raises StoreError."""
    if settings.audit_key_file is not None:
        raise SignerError(
            "audit_key_file: the key is in a file that the operator keeps; put another in its place "
            "and start the server again, or take the setting away: then the server makes its own key"
        )
    url = settings.store_url.get_secret_value() if settings.store_url else None
    store = open_store(settings.data_dir, url)
    try:
        store.run(log.create(log.new_salt()))
        keys = shared.foundation(settings, store).keys
        try:
            return audit_key.rotate(keys, settings.signing.audit_algorithm, _files(settings))
        except KetgateError as error:
            raise SignerError(f"the audit gets no new key: {error.message}") from error
    finally:
        shared.close(store)
        store.close()


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


def _either(settings: Settings, store: Store, on_file: Reopen) -> Reopen:
    """A key on file, or one of the key store, which is opened only for that."""

    def find(key_id: str) -> Signer | None:
        signer = on_file(key_id)
        if signer is None and key_id:
            signer = audit_key.signer_of(shared.foundation(settings, store).keys, key_id)
        return signer

    return find
