"""Private keys on their way out: only of keys that were made exportable, only encrypted, and never unseen."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys import material, wrapping
from ketgate_server.signing.keys.access import Access, check_usable
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.names import version_name
from ketgate_server.signing.keys.record import KeyRecord, Use, VersionRecord
from ketgate_server.signing.keys.store import KeyStore
from ketgate_server.signing.keys.wrapping import Wrapping
from ketgate_server.signing.provider import KeyInvalid

_FIELD = "wrapping_public_key"


@dataclass(frozen=True)
class Exported:
    """A private key, encrypted to its receiver."""

    wrapped: bytes
    version: VersionRecord


class Exports:
    """Exports from a key store. Threads share it."""

    def __init__(self, keys: KeyStore, access: Access) -> None:
        self._keys = keys
        self._access = access

    def run(
        self, asker: Asker, key_id: str, number: int, how: Wrapping, receiver: bytes
    ) -> Exported:
        """Export a version. receiver: public key, SubjectPublicKeyInfo in DER. asker: without a request_id, as what
        is answered is not kept.

        Raises FieldError, NotFound, POLICY_DENIED, KEY_UNUSABLE, KEY_NOT_EXPORTABLE, RATE_EXCEEDED.
        """
        wrapping.check_public(how, receiver, _FIELD)
        name = version_name(key_id, number)
        key, version = self._access.find(asker.identity, name, Use.EXPORT, "name")
        _check(key, version)
        self._access.take(key)
        assert version.envelope is not None
        opened = self._keys.vault.open(self._keys.owner(key, version), version.envelope)
        try:
            content = material.write_private(opened)
        except KeyInvalid as error:
            raise _not_exportable(version, f"its private key does not leave: {error}") from None
        wrapped = wrapping.wrap(how, receiver, content, _FIELD)

        def operation(change: Change) -> VersionRecord:
            """The audit has it before the caller; what was allowed before must be so still."""
            now = change.key(key_id, Use.EXPORT, name=name)
            found = change.version(now, number)
            check_usable(now, found)
            _check(now, found)
            change.facts["wrapping_algorithm"] = how.value
            change.facts["receiver_sha256"] = hashlib.sha256(receiver).hexdigest()
            return found

        stored = self._keys.change(asker, operation).value
        return Exported(wrapped, stored or version)


def _check(key: KeyRecord, version: VersionRecord) -> None:
    if not key.exportable:
        raise _not_exportable(version, f"{key.name} was not made exportable, or is not any more")
    if version.envelope is None:
        raise _not_exportable(version, "there is no private key: a public one was imported")


def _not_exportable(version: VersionRecord, why: str) -> KetgateError:
    return KetgateError(
        Reason.KEY_NOT_EXPORTABLE,
        f"{version.name} cannot be exported: {why}",
        metadata={"version": version.name},
    )
