"""Opens the vault of a server: makes the key-encryption key at the first start, tells a wrong one, and
changes one for another."""

import logging
from collections.abc import Sequence
from pathlib import Path

from ketgate_server.audit import log
from ketgate_server.signing.kek import records, sources
from ketgate_server.signing.kek.errors import KeyStoreSealed, SecretMissing
from ketgate_server.signing.kek.kek import Kek
from ketgate_server.signing.kek.records import KekRecord
from ketgate_server.signing.kek.sources import Source
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.settings import SigningSettings
from ketgate_server.store.base import Store, Transaction

CREATED = "signing.kek.created"
"""Action in the audit."""

RACES_MAX = 100
"""Servers that start over one database at once, each of which makes a key before it sees the other's."""

_log = logging.getLogger(__name__)


def open_vault(settings: SigningSettings, data_dir: Path, store: Store) -> Vault:
    """The vault under the key-encryption key that the settings name, with everything that is stored
    rewrapped under it. Raises KeyStoreSealed, which says what to do, and StoreUnavailable."""
    source = sources.current(settings, data_dir)
    for _ in range(RACES_MAX):
        with store.read() as reader:
            found = records.active(reader)
            empty = not records.holds_keys(reader)
        kek = _open(found[-1], source) if found else None
        if kek is not None and len(found) == 1:
            return Vault(kek)
        if found and not empty:
            raise _sealed(found[-1], source)
        made = _make(store, source, found)
        if made is not None:
            return Vault(made)
    raise KeyStoreSealed(
        "other servers change the key-encryption key all the time; stop them first"
    )


def _open(record: KekRecord, source: Source) -> Kek | None:
    """The key of a record, if this source has it."""
    if record.kind != source.kind:
        return None
    try:
        return record.kek(source.open(record.parameters))
    except SecretMissing:
        return None


def _make(store: Store, source: Source, found: Sequence[KekRecord]) -> Kek | None:
    """A new key, made in place of those that nothing is encrypted under; None when another server was
    first."""
    parameters, secret = source.make()
    record, kek = records.new_record(source.kind, parameters, secret)
    begin, salt = log.create(log.new_salt()), log.new_salt()
    expected = [old.id for old in found]

    def operation(tx: Transaction) -> bool:
        if [old.id for old in records.active(tx)] != expected or (
            expected and records.holds_keys(tx)
        ):
            return False
        begin(tx)
        records.insert(tx, record)
        for old in expected:
            records.retire(tx, old)
        facts = {"kek": record.id, "kind": record.kind}
        log.record(tx, actor="server", tenant="", action=CREATED, facts=facts, salt=salt)
        return True

    if store.run(operation):
        return kek
    kek.close()
    return None


def _sealed(record: KekRecord, source: Source) -> KeyStoreSealed:
    return KeyStoreSealed(
        f"stored keys are encrypted under the key-encryption key {record.id} (signing.kek = "
        f'"{record.kind}"), and {source} does not have it: name the right one'
    )
