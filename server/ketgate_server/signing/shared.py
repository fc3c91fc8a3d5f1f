"""What all of signing in a process stands on: the vault, the providers, the key store. The audit, which is
signed by one of its keys, needs it before any domain starts; so whoever is first opens it."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass

from ketgate_server.settings import Settings
from ketgate_server.signing import rollback
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.keys.journal import Journal
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.signing.provider import Providers
from ketgate_server.signing.providers.registry import load_providers
from ketgate_server.signing.rollback import Rollback
from ketgate_server.store.base import Store


@dataclass(frozen=True)
class Foundation:
    """Open until close()."""

    store: Store
    vault: Vault
    providers: Providers
    keys: KeyStore
    journal: Journal
    rollback: Rollback | None
    """Why keys are neither used nor changed: the store is an older copy."""


_log = logging.getLogger(__name__)
_lock = threading.Lock()
_open: dict[int, Foundation] = {}
"""By the store, as tests have several servers in a process."""


def foundation(settings: Settings, store: Store) -> Foundation:
    """Opened by the first call for a store. The audit log must exist, as a first start is an entry in it.

    Raises KeyStoreSealed, which says what to do, and StoreUnavailable.
    """
    with _lock:
        found = _open.get(id(store))
        if found is None:
            vault = open_vault(settings.signing, settings.data_dir, store)
            providers = load_providers(settings.signing)
            keys = KeyStore(store, vault, providers, settings.limit_values)
            journal, older = Journal(settings.data_dir), rollback.find(store, settings.data_dir)
            if older is not None:
                _log.error("the key store is an older copy, keys are not used: %s", older)
            else:
                journal.add(*rollback.untold(store, journal))
            found = Foundation(store, vault, providers, keys, journal, older)
            _open[id(store)] = found
        return found


def close(store: Store) -> None:
    """Forget the key-encryption key. Closing twice does nothing."""
    with _lock:
        found = _open.pop(id(store), None)
    if found is not None:
        found.vault.close()
