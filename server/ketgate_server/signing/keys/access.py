"""From a name in a request to a key that the caller may use in this way.

A key that is not there, one of another tenant and one whose policy names the caller nowhere are refused with the same
bytes at the same moment (see refusal).
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from ketgate_server.errors import KetgateError, NotFound, Reason
from ketgate_server.rpc.call import Identity
from ketgate_server.signing.keys import policy
from ketgate_server.signing.keys.names import key_name, read_key_or_version, version_name
from ketgate_server.signing.keys.rates import Rates
from ketgate_server.signing.keys.record import KeyRecord, Use, VersionRecord, VersionState
from ketgate_server.signing.keys.refusal import even

_UNUSABLE = {
    VersionState.DISABLED: "is disabled; EnableKeyVersion makes it usable",
    VersionState.DESTROY_SCHEDULED: "is to be destroyed; RestoreKeyVersion cancels that while it is possible",
    VersionState.DESTROYED: "was destroyed",
}


class Keys(Protocol):
    """What is asked of the key store."""

    def get(self, tenant: str, key_id: str) -> KeyRecord | None: ...

    def look(self, tenant: str, key_id: str) -> None:
        """Do what get() does for a key that is not there, where it did less for this one."""

    def version(self, tenant: str, key_id: str, version: int) -> VersionRecord | None: ...

    def versions(self, tenant: str, key_id: str) -> list[VersionRecord]:
        """The newest first."""


class Access:
    """Who may use which key. Threads share it."""

    def __init__(
        self,
        keys: Keys,
        rates: Rates | None = None,
        *,
        now_s: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._keys = keys
        self._rates = rates or Rates()
        self._now_s = now_s
        self._sleep = sleep

    def find_key(
        self,
        identity: Identity,
        key_id: str,
        use: Use = Use.MANAGE,
        field: str = "name",
        *,
        name: str = "",
        for_policy: bool = False,
    ) -> KeyRecord:
        """A key, whatever becomes of its versions. name: as the caller wrote it, when not "keys/ID"; for_policy: to
        read or change its policy, for which the role `admin` is enough.

        Raises NotFound and POLICY_DENIED.
        """
        with even(self._now_s, self._sleep):
            key = self._keys.get(identity.tenant, key_id)
            name = name or key_name(key_id)
            try:
                return policy.require(key, identity, use, name, field, for_policy=for_policy)
            except NotFound:
                if key is not None:
                    self._keys.look(identity.tenant, key_id)
                raise

    def find(
        self,
        identity: Identity,
        name: str,
        use: Use,
        field: str = "key",
        *,
        usable: bool = True,
    ) -> tuple[KeyRecord, VersionRecord]:
        """The version of this name, or the primary one of the key of this name, if the caller may use it so. usable:
        only if it is; otherwise in whatever state.

        Raises FieldError, NotFound, POLICY_DENIED, KEY_UNUSABLE.
        """
        key_id, number = read_key_or_version(name, field)
        key = self.find_key(identity, key_id, use, field, name=name)
        if number is None and not key.primary_version:
            raise no_usable_version(key)
        version = self._keys.version(identity.tenant, key_id, number or key.primary_version)
        if version is None:
            raise NotFound(name, field)
        if usable:
            check_usable(key, version)
        return key, version

    def find_all(
        self, identity: Identity, name: str, use: Use, field: str = "key"
    ) -> tuple[KeyRecord, list[VersionRecord]]:
        """All usable versions of a key, the newest first, or the one that is named.

        Raises as find(); KEY_UNUSABLE when there is none.
        """
        key_id, number = read_key_or_version(name, field)
        if number is not None:
            key, version = self.find(identity, name, use, field)
            return key, [version]
        key = self.find_key(identity, key_id, use, field, name=name)
        versions = [
            version
            for version in self._keys.versions(identity.tenant, key_id)
            if is_usable(key, version)
        ]
        if not versions:
            raise no_usable_version(key)
        return key, versions

    def may_know(self, identity: Identity, key_id: str) -> bool:
        """Whether a caller may know of a key."""
        key = self._keys.get(identity.tenant, key_id)
        return key is not None and policy.names(key.policy, identity)

    def check_context(self, key: KeyRecord, context: bytes, field: str = "options.context") -> None:
        """Raises POLICY_DENIED for a context that the key's policy does not list."""
        if key.policy.contexts and context not in key.policy.contexts:
            given = f"one of {len(context)} bytes" if context else "the empty one"
            raise KetgateError(
                Reason.POLICY_DENIED,
                f"{field}: the policy of {key.name} allows {len(key.policy.contexts)} contexts, and not {given}; "
                "use one that policy.contexts lists",
                field=field,
                metadata={"key": key.name, "rule": "contexts"},
            )

    def take(self, key: KeyRecord, uses: int = 1, taken: dict[str, int] | None = None) -> None:
        """Count uses of a key; an item of a batch is a use. taken: uses by the key's uid that were counted for the
        same request, when it is done anew. Raises RATE_EXCEEDED."""
        before = taken.get(key.uid, 0) if taken else 0
        if uses > before:
            self._rates.take(key, uses - before)
        if taken is not None:
            taken[key.uid] = max(uses, before)


def is_usable(key: KeyRecord, version: VersionRecord) -> bool:
    """Whether a version may be used at all."""
    return version.state is VersionState.ENABLED and version.version >= key.min_version


def check_usable(key: KeyRecord, version: VersionRecord) -> None:
    """Raises KEY_UNUSABLE, and says what would help. To be asked again in the transaction of the use."""
    if is_usable(key, version):
        return
    why = _UNUSABLE.get(version.state) or (
        f"is below the key's min_version, {key.min_version}; use a newer version, or UpdateKey lowers it"
    )
    name = version_name(version.key_id, version.version)
    raise KetgateError(
        Reason.KEY_UNUSABLE,
        f"{name} {why}",
        metadata={"key": key.name, "version": name, "state": version.state.value},
    )


def no_usable_version(key: KeyRecord) -> KetgateError:
    """The refusal of a key without a version that could be used."""
    return KetgateError(
        Reason.KEY_UNUSABLE,
        f"{key.name} has no usable version; rotate it, or enable one",
        metadata={"key": key.name},
    )
