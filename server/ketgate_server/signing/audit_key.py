"""The key that signs the audit's tree heads, as a key of this service: tenant "", made and rotated by the
server alone.

A new one comes with the entry in which the one before signs for it, and with the end of that one, in one
transaction: nobody can sign as the old key once clients follow the new.
"""

from __future__ import annotations

import os
from collections.abc import Callable

from ketgate_server.audit import keys as audit_keys
from ketgate_server.audit.signer import Reopen, Signer
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm
from ketgate_server.signing.formats import spki
from ketgate_server.signing.keys import effects, making, rows
from ketgate_server.signing.keys.asker import SERVER, server_asker
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.due import DESTROYED, Destruction
from ketgate_server.signing.keys.effects import Moved
from ketgate_server.signing.keys.record import (
    SYSTEM_TENANT,
    KeyRecord,
    VersionRecord,
    VersionState,
)
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.signing.provider import KeyInvalid, Material, Options, Providers, SigningKey

_BY_FINGERPRINT = (
    "SELECT key_id, version FROM signing_versions WHERE tenant = ? AND fingerprint = ?"
)
_WITH_KEYS = """SELECT key_id, version, fingerprint FROM signing_versions
    WHERE tenant = ? AND envelope IS NOT NULL"""
_ID_PREFIX = "audit-"

Journal = Callable[[Destruction], object]
"""Is told of a version when it was destroyed, and not before: it is in use until then. What a server that was
killed did not tell, its next start does (see shared)."""


class _Overtaken(Exception):  # noqa: N818
    """Another server changed the key that signs meanwhile."""


class KeySigner:
    """A Signer with its key in the key store."""

    def __init__(self, algorithm: Algorithm, public_key: bytes, key: SigningKey) -> None:
        """public_key: raw."""
        self.algorithm = algorithm.name
        self.public_key = spki.write(algorithm, public_key)
        self.key_id = spki.fingerprint(algorithm, public_key)
        self._key = key

    def sign(self, content: bytes) -> bytes:
        return self._key.sign(content, Options())


def signer_of(keys: KeyStore, key_id: str) -> Signer | None:
    """The signer whose public key has this SHA-256; None where there is none that is enabled.

    Raises KEY_CORRUPT, KEY_STORE_SEALED.
    """
    found = _find(keys, key_id)
    if found is None or found[1].envelope is None or found[1].state is not VersionState.ENABLED:
        return None
    key, version = found
    material = keys.vault.open(rows.owner(key, version.version), found[1].envelope)
    return KeySigner(key.algorithm, version.public_key, _open(keys.providers, material))


def open_signer(
    keys: KeyStore, algorithm_id: str, previous: Reopen, journal: Journal = lambda _: None
) -> Signer:
    """The signer of the log, made where there is none of this algorithm. previous: keys from elsewhere
    that may have signed until now; of an empty id, that of a log from before its keys were recorded.

    Raises KetgateError: PART_NOT_INSTALLED, PROVIDER_FAILED, KEY_CORRUPT, KEY_STORE_SEALED.
    """
    algorithm = ALGORITHMS[algorithm_id]
    while True:
        until_now = _active(keys)
        signer = signer_of(keys, until_now) if until_now else None
        if signer is not None and signer.algorithm == algorithm.name:
            return signer
        try:
            return _succeed(keys, algorithm, until_now, signer or previous(until_now), journal)
        except (_Overtaken, Moved):
            continue


def rotate(
    keys: KeyStore, algorithm_id: str, previous: Reopen, journal: Journal = lambda _: None
) -> Signer:
    """A new key, which signs from now on. Raises as open_signer()."""
    while True:
        until_now = _active(keys)
        before = (signer_of(keys, until_now) if until_now else None) or previous(until_now)
        try:
            return _succeed(keys, ALGORITHMS[algorithm_id], until_now, before, journal)
        except (_Overtaken, Moved):
            continue


def end_others(keys: KeyStore, key_id: str, journal: Journal) -> None:
    """Destroy the versions that signed before a key from elsewhere took over: none but that is to sign.
    Raises KEY_CORRUPT."""
    with keys.store.read() as reader:
        found = [
            row
            for row in reader.rows(_WITH_KEYS, (SYSTEM_TENANT,))
            if row[0].startswith(_ID_PREFIX) and row[2] != key_id
        ]
    for name, number, fingerprint in found:
        old = _find(keys, fingerprint)
        if old is None:
            continue

        def operation(change: Change, old: tuple[KeyRecord, VersionRecord] = old) -> None:
            _end(change, old)

        keys.change(server_asker(SYSTEM_TENANT, DESTROYED), operation)
        journal(Destruction(SYSTEM_TENANT, old[0].uid, name, number))


def key_name(algorithm: Algorithm) -> str:
    """Id of the key of an algorithm."""
    return f"{_ID_PREFIX}{algorithm.name.lower()}"


def _succeed(
    keys: KeyStore, algorithm: Algorithm, until_now: str, before: Signer | None, journal: Journal
) -> Signer:
    """Raises _Overtaken and Moved: try again."""
    provider = making.provider_for(keys.providers, algorithm, "")
    fresh = making.make(provider, algorithm)
    signer = KeySigner(algorithm, fresh.public_key, _open(keys.providers, fresh.material))
    key = keys.get(SYSTEM_TENANT, key_name(algorithm))
    with keys.store.read() as reader:
        newest = rows.newest_version(reader, SYSTEM_TENANT, key_name(algorithm))
        known = until_now or ("" if before is None else before.key_id)
        new = audit_keys.succession(reader, signer, known, before)
    record = key or _record(algorithm)
    version = making.sealed(keys.vault, record, newest + 1, fresh)
    old = _find(keys, until_now) if until_now else None

    def operation(change: Change) -> None:
        if audit_keys.active(change.tx) != until_now:
            raise _Overtaken
        if rows.newest_version(change.tx, SYSTEM_TENANT, record.id) != newest:
            raise Moved
        if old is not None:
            _end(change, old)
        if key is None:
            effects.add_key(change, record, version, keys.bounds)
        else:
            effects.add_version(change, change.key(record.id), version, keys.bounds)
        change.facts |= new.facts
        audit_keys.enter(change.tx, new, until_now)

    keys.change(server_asker(SYSTEM_TENANT, new.action), operation)
    if old is not None and old[1].envelope is not None:
        journal(Destruction(SYSTEM_TENANT, old[0].uid, old[0].id, old[1].version))
    return signer


def _end(change: Change, old: tuple[KeyRecord, VersionRecord]) -> None:
    """Destroy a version that signed until now."""
    key = change.key(old[0].id)
    version = change.version(key, old[1].version)
    if version.state is VersionState.DESTROYED:
        return
    effects.end(change, key, version)
    change.facts.pop("primary_version", None)  # none for a moment: the new one follows
    change.facts |= {"ended": version.name, "ended_uid": key.uid}


def _find(keys: KeyStore, key_id: str) -> tuple[KeyRecord, VersionRecord] | None:
    with keys.store.read() as reader:
        row = reader.row(_BY_FINGERPRINT, (SYSTEM_TENANT, key_id))
        if row is None:
            return None
        key = rows.read_key(reader, keys.vault, SYSTEM_TENANT, row[0])
        version = rows.read_version(reader, keys.vault, SYSTEM_TENANT, row[0], row[1])
    return None if key is None or version is None else (key, version)


def _active(keys: KeyStore) -> str:
    with keys.store.read() as reader:
        return audit_keys.active(reader)


def _open(providers: Providers, material: Material) -> SigningKey:
    provider = providers.to_sign(material, Options())
    if provider is None:
        raise KetgateError(
            Reason.PART_NOT_INSTALLED,
            f"no provider here signs the audit with {material.algorithm}: set "
            "signing.audit_algorithm to one that `ketgate doctor` shows",
        )
    try:
        return provider.open_private(material)  # type: ignore[return-value]
    except KeyInvalid as error:
        raise KetgateError(Reason.KEY_CORRUPT, f"the audit's key does not open: {error}") from None


def _record(algorithm: Algorithm) -> KeyRecord:
    return KeyRecord(
        tenant=SYSTEM_TENANT,
        id=key_name(algorithm),
        uid=os.urandom(16).hex(),
        algorithm=algorithm,
        create_time_us=0,
        creator=SERVER,
        etag="",
    )
