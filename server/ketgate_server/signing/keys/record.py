"""Keys, versions and changes as the store has them. Times are microseconds since 1970."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ketgate_server.signing.algorithms import Algorithm

SYSTEM_TENANT = ""
"""Tenant of the server's own keys, as that which signs the audit: no caller has it."""


class Use(StrEnum):
    """What can be done with a key; names as the contract's KeyUse."""

    SIGN = "SIGN"
    VERIFY = "VERIFY"
    ENCRYPT = "ENCRYPT"
    DECRYPT = "DECRYPT"
    MAC = "MAC"
    EXPORT = "EXPORT"
    MANAGE = "MANAGE"


class VersionState(StrEnum):
    """Where a version stands; names as the contract's KeyVersionState."""

    ENABLED = "ENABLED"
    DISABLED = "DISABLED"
    DESTROY_SCHEDULED = "DESTROY_SCHEDULED"
    DESTROYED = "DESTROYED"


class Origin(StrEnum):
    """How a version came to be."""

    GENERATED = "GENERATED"
    IMPORTED = "IMPORTED"


class ChangeState(StrEnum):
    """Where a change that waits for approvals stands; names as the contract's KeyChangeState."""

    PENDING = "PENDING"
    APPLIED = "APPLIED"
    REJECTED = "REJECTED"
    EXPIRED = "EXPIRED"


@dataclass(frozen=True)
class Grant:
    """Leave to do something."""

    members: frozenset[str]
    """Names of tokens, and "role:NAME"."""
    uses: frozenset[Use]


@dataclass(frozen=True)
class Quorum:
    """approvals_needed of approvers."""

    approvals_needed: int
    approvers: tuple[str, ...]


@dataclass(frozen=True)
class Policy:
    """Who may use a key, for what, and how. The default allows everything to whoever has the role."""

    grants: tuple[Grant, ...] = ()
    contexts: tuple[bytes, ...] = ()
    """Empty: any."""
    uses_per_second: float = 0.0
    """0: no limit."""
    burst: int = 0
    quorum: Quorum | None = None


@dataclass(frozen=True)
class KeyRecord:
    """A key."""

    tenant: str
    id: str
    uid: str
    algorithm: Algorithm
    create_time_us: int
    creator: str
    etag: str
    labels: Mapping[str, str] = field(default_factory=dict)
    policy: Policy = Policy()
    primary_version: int = 1
    """0: none is usable."""
    min_version: int = 1
    exportable: bool = False
    rotation_period_us: int = 0
    """0: by hand only."""
    next_rotation_us: int | None = None
    destroy_delay_us: int = 30 * 86_400_000_000
    provider: str = ""
    """Of new versions; empty: the service's choice."""

    @property
    def name(self) -> str:
        return f"keys/{self.id}"


@dataclass(frozen=True)
class VersionRecord:
    """A version of a key."""

    tenant: str
    key_id: str
    version: int
    state: VersionState
    algorithm: Algorithm
    provider: str
    """That made it; for "pkcs11" the private key lies there."""
    origin: Origin
    public_key: bytes
    """Raw; for RSA SubjectPublicKeyInfo in DER; empty for MACs."""
    fingerprint: str
    """SHA-256 of SubjectPublicKeyInfo, hexadecimal; empty without a public key."""
    create_time_us: int
    envelope: bytes | None
    """The private key, encrypted (kek.envelope); None: there is none, or it was destroyed."""
    destroy_time_us: int | None = None
    destroyed_time_us: int | None = None

    @property
    def name(self) -> str:
        return f"keys/{self.key_id}/versions/{self.version}"
