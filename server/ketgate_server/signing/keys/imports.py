"""Keys from elsewhere: private ones encrypted to a wrapping key, and public ones to verify with."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from ketgate_server.errors import FieldError, KetgateError, NotFound
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.kek.vault import Vault
from ketgate_server.signing.kek.wiping import wiped
from ketgate_server.signing.keys import effects, making, policy, rows, wrapping, wrapping_keys
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.change import Change, Done, repeated
from ketgate_server.signing.keys.effects import Moved
from ketgate_server.signing.keys.making import Fresh
from ketgate_server.signing.keys.material import read_private, read_public
from ketgate_server.signing.keys.names import wrapping_key_name
from ketgate_server.signing.keys.record import (
    KeyRecord,
    Origin,
    Use,
    VersionRecord,
    VersionState,
)
from ketgate_server.signing.keys.store import KeyStore, Made, NewKey, Reply, new_record
from ketgate_server.signing.keys.wrapping_keys import WrappingKeys


@dataclass(frozen=True)
class WrappedKey:
    """A private key, encrypted to a wrapping key."""

    wrapping_key: str
    """Its id."""
    content: bytes


@dataclass(frozen=True)
class PublicKey:
    """A public key, in whichever format it is exported in."""

    content: bytes


@dataclass(frozen=True)
class NewImport:
    """What is to be imported."""

    key: NewKey
    """Of an existing key only id and algorithm count."""
    given: frozenset[str]
    """Fields of the request that are for a new key only, and were given."""
    source: WrappedKey | PublicKey


Sealed = Callable[[Vault, KeyRecord, int], VersionRecord]
"""The version of a key, of a number, that an import makes."""


class Imports:
    """Imports into a key store. Threads share it."""

    def __init__(self, keys: KeyStore, wrapping: WrappingKeys) -> None:
        self._keys = keys
        self._wrapping = wrapping

    def run(self, asker: Asker, wanted: NewImport, reply: Reply) -> Done[Made]:
        """Import a key, as the first version of a new one or the next of one that exists.

        Raises FieldError, NotFound for the wrapping key, CIPHERTEXT_INVALID, RESOURCE_EXISTS for a key that is
        there and not for the caller, POLICY_DENIED, QUOTA_EXCEEDED, PART_NOT_INSTALLED.
        """
        known: Done[Made] | None = repeated(self._keys.store, asker)
        if known is not None:
            return known
        # Before the wrapping key is touched; asked again in the transaction.
        _target(self._keys.get(asker.tenant, wanted.key.id), asker, wanted)
        sealed = self._read(asker, wanted)
        while True:
            key = self._keys.get(asker.tenant, wanted.key.id) or new_record(asker, wanted.key)
            newest = self._newest(asker.tenant, key.id)
            version = sealed(self._keys.vault, key, newest + 1)

            def operation(
                change: Change, key: KeyRecord = key, version: VersionRecord = version
            ) -> Made:
                return self._store(change, wanted, key, version)

            try:
                return self._keys.change(asker, operation, reply)
            except Moved:
                continue

    def _read(self, asker: Asker, wanted: NewImport) -> Sealed:
        """The material, read and checked."""
        algorithm = wanted.key.algorithm
        providers = self._keys.providers
        if isinstance(wanted.source, PublicKey):
            found = read_public(providers, algorithm, wanted.source.content, "public_key")
            return lambda _vault, key, number: _public_version(key, number, *found)
        fresh = self._unwrap(asker, wanted.source, algorithm)

        def sealed(vault: Vault, key: KeyRecord, number: int) -> VersionRecord:
            return replace(making.sealed(vault, key, number, fresh), origin=Origin.IMPORTED)

        return sealed

    def _unwrap(self, asker: Asker, source: WrappedKey, algorithm: Algorithm) -> Fresh:
        field = "wrapped.wrapped_key"
        if not 0 < len(source.content) <= wrapping.WRAPPED_BYTES_MAX:
            raise FieldError(
                field,
                expected=f"1 to {wrapping.WRAPPED_BYTES_MAX:,} bytes",
                given=source.content,
            )
        how, private = self._wrapping.open(
            asker.tenant, source.wrapping_key, "wrapped.wrapping_key"
        )
        with wiped(private):
            try:
                content = wrapping.unwrap(how, private, source.content, field)
            except KetgateError:
                self._wrapping.spend(asker, source.wrapping_key)
                raise
        return read_private(self._keys.providers, algorithm, content, field)

    def _newest(self, tenant: str, key_id: str) -> int:
        with self._keys.store.read() as reader:
            return rows.newest_version(reader, tenant, key_id)

    def _store(
        self, change: Change, wanted: NewImport, key: KeyRecord, version: VersionRecord
    ) -> Made:
        tenant, source = change.asker.tenant, wanted.source
        found = rows.read_key(change.tx, change.vault, tenant, key.id)
        _target(found, change.asker, wanted)
        if (found and found.uid) != (key.uid if version.version > 1 else None):
            raise Moved  # made or gone since it was looked at: the version is sealed for another key
        if isinstance(source, WrappedKey) and not wrapping_keys.is_there(
            change.tx, tenant, source.wrapping_key, change.now_us
        ):
            raise NotFound(wrapping_key_name(source.wrapping_key), "wrapped.wrapping_key")
        bounds = self._keys.bounds
        if found is None:
            made = effects.add_key(change, key, version, bounds)
        else:
            primary = version.envelope is not None
            made = effects.add_version(change, found, version, bounds, primary=primary)
        if isinstance(source, WrappedKey):
            wrapping_keys.take(self._keys.store, change.tx, tenant, source.wrapping_key)
        change.resource = made[1].name
        change.facts["origin"] = Origin.IMPORTED.value
        return made


def _target(found: KeyRecord | None, asker: Asker, wanted: NewImport) -> None:
    """Whether what is there under the id, if anything, can have the import as its next version. That the id is
    taken is no secret, as no key can be made under it."""
    if found is None:
        return
    if not policy.names(found.policy, asker.identity):
        raise effects.exists(found.id)
    policy.require(found, asker.identity, Use.MANAGE, found.name, "key_id")
    if found.algorithm != wanted.key.algorithm:
        raise FieldError(
            "algorithm",
            expected=f"that of {found.name}, {found.algorithm.id}",
            given=wanted.key.algorithm.id,
        )
    for field in sorted(wanted.given):
        raise FieldError(
            field,
            expected=f"nothing, as {found.name} is there already",
            given="a value",
            hint="it is for new keys; UpdateKey and SetKeyPolicy change those that exist",
        )


def _public_version(
    key: KeyRecord, number: int, public_key: bytes, fingerprint: str, provider: str
) -> VersionRecord:
    return VersionRecord(
        tenant=key.tenant,
        key_id=key.id,
        version=number,
        state=VersionState.ENABLED,
        algorithm=key.algorithm,
        provider=provider,
        origin=Origin.IMPORTED,
        public_key=public_key,
        fingerprint=fingerprint,
        create_time_us=0,
        envelope=None,
    )
