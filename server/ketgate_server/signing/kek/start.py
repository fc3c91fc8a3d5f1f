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
from ketgate_server.signing.kek.rewrap import Rewrap
from ketgate_server.signing.kek.sources import Source
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.kek.wiping import wipe
from ketgate_server.signing.settings import SigningSettings
from ketgate_server.store.base import Store, Transaction

CREATED, CHANGED = "signing.kek.created", "signing.kek.changed"
"""Actions in the audit."""

RACES_MAX = 100
"""Servers that start over one database at once, each of which makes a key before it sees the other's."""

_log = logging.getLogger(__name__)


def open_vault(settings: SigningSettings, data_dir: Path, store: Store) -> Vault:
    """The vault under the key-encryption key that the settings name. What is stored under another one,
    which the settings name as the previous, is brought under it first.

    Raises KeyStoreSealed, which says what to do, and StoreUnavailable.
    """
    source = sources.current(settings, data_dir)
    for _ in range(RACES_MAX):
        with store.read() as reader:
            found = records.active(reader)
            needed = records.holds_keys(reader)
        newest = _open(found[-1], [source]) if found else None
        if newest is not None:
            vault = Vault(newest)
            if len(found) > 1:
                _finish(store, found[:-1], [source, *sources.previous(settings)], vault)
            elif left := sources.left_over(settings):
                _log.warning("%s is not needed any more: remove it from the settings", left)
            return vault
        if needed:
            # Whether the change can be finished is known before it begins.
            _close(_open_all(found, [source, *sources.previous(settings)], source))
        _make(store, source, found, needed)
    raise KeyStoreSealed(
        "other servers change the key-encryption key all the time; stop them first"
    )


def _open(record: KekRecord, among: Sequence[Source]) -> Kek | None:
    """The key of a record, if one of these sources has it."""
    for source in among:
        if source.kind == record.kind:
            try:
                kek = record.kek(source.open(record.parameters))
            except SecretMissing:
                continue
            if kek is not None:
                return kek
    return None


def _open_all(wanted: Sequence[KekRecord], among: Sequence[Source], source: Source) -> list[Vault]:
    """The vaults of records. source: that which the settings name. Raises KeyStoreSealed."""
    opened: list[Vault] = []
    for record in wanted:
        kek = _open(record, among)
        if kek is None:
            _close(opened)
            raise _sealed(record, source)
        opened.append(Vault(kek))
    return opened


def _close(vaults: Sequence[Vault]) -> None:
    for vault in vaults:
        vault.close()


def _make(store: Store, source: Source, found: Sequence[KekRecord], needed: bool) -> None:
    """Store a new key as the newest, unless another server was first. needed: whether something is
    stored under those that there are; else the new one takes their place at once."""
    parameters, secret = source.make()
    record, kek = records.new_record(source.kind, parameters, secret)
    kek.close()
    begin, salt = log.create(log.new_salt()), log.new_salt()
    expected = [old.id for old in found]

    def operation(tx: Transaction) -> None:
        if [old.id for old in records.active(tx)] != expected:
            return
        if records.holds_keys(tx) != needed:
            return
        begin(tx)
        records.insert(tx, record)
        if not needed:
            for old in expected:
                records.retire(tx, old)
        facts = {"kek": record.id, "kind": record.kind}
        log.record(tx, actor="server", tenant="", action=CREATED, facts=facts, salt=salt)

    store.run(operation)


def _finish(
    store: Store, older: Sequence[KekRecord], among: Sequence[Source], vault: Vault
) -> None:
    """Bring what is stored under older keys under the vault's, and retire them."""
    before = _open_all(older, among, among[0])
    try:
        _log.warning(
            "the key-encryption key is changed to %s: rewrapping what is stored", vault.kek_id
        )
        counts = Rewrap(store, before, vault).run()
    finally:
        _close(before)
    salt = log.new_salt()
    facts = {
        "from": " ".join(old.id for old in older),
        "to": vault.kek_id,
        "rows": str(counts.rows),
        "corrupt": str(counts.corrupt),
    }

    def operation(tx: Transaction) -> None:
        if [records.retire(tx, old.id) for old in older].count(True):  # else another server did
            log.record(tx, actor="server", tenant="", action=CHANGED, facts=facts, salt=salt)

    store.run(operation)
    _log.warning("the key-encryption key was changed: %s", facts)


def _sealed(record: KekRecord, source: Source) -> KeyStoreSealed:
    """What a wrong key is told; which of several things is wrong cannot be known."""
    until_now = {
        "file": "signing.previous_kek_file",
        "passphrase": "signing.previous_passphrase_file",
        "pkcs11": "signing.pkcs11, with the token that has it",
    }.get(record.kind, "an earlier version's settings")
    if record.kind == source.kind:
        wrong = f"{source} is not the one that stored keys are encrypted under"
        try:
            wipe(source.open(record.parameters))
        except SecretMissing as error:
            wrong = str(error)
    else:
        wrong = f'stored keys are encrypted under a key with signing.kek = "{record.kind}", not {source}'
    return KeyStoreSealed(
        f"{wrong} (key-encryption key {record.id}): set the right one, which servers that share a store "
        f"share too; to change it, name the one until now with {until_now} beside the new one"
    )
