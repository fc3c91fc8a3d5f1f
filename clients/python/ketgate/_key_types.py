"""Keys, their versions, policies and changes, as the client shows them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from ketgate._errors import InvalidArgument
from ketgate._signing_arguments import algorithm_name, content_bytes, listed
from ketgate.signing.v1 import algorithm_pb2, key_pb2

USES = tuple(name.removeprefix("KEY_USE_").lower() for name in key_pb2.KeyUse.keys()[1:])


@dataclass(frozen=True)
class Grant:
    """Leave to do something with a key. members: names of tokens, or "role:NAME". uses: of "sign", "verify",
    "encrypt", "decrypt", "mac", "export", "manage"."""

    members: Sequence[str]
    uses: Sequence[str]


@dataclass(frozen=True)
class Quorum:
    """approvals_needed of approvers (names of tokens) must approve destruction and changes of the policy."""

    approvals_needed: int
    approvers: Sequence[str]


@dataclass(frozen=True)
class Policy:
    """Who may use a key, for what, and how. The default leaves it to the roles of tokens."""

    grants: Sequence[Grant] = ()
    contexts: Sequence[bytes | str] = ()
    """Contexts that signatures may have; empty: any."""
    uses_per_second: float = 0.0
    """0: no limit."""
    burst: int = 0
    quorum: Quorum | None = None


@dataclass(frozen=True, repr=False)
class Key:
    """A key: a name under which versions follow each other."""

    name: str
    """ "keys/ID"."""
    uid: str
    etag: str
    algorithm: str
    """As "ML_DSA_65"."""
    purpose: str
    """ "sign", "encapsulate", "seal" or "mac"."""
    primary_version: int
    """That signs, seals and makes codes; 0: none is usable."""
    min_version: int
    exportable: bool
    labels: Mapping[str, str]
    policy: Policy
    rotation_period: timedelta | None
    next_rotation_time: datetime | None
    destroy_delay: timedelta
    provider: str
    creator: str
    create_time: datetime

    def __repr__(self) -> str:
        version = self.primary_version or "none usable"
        return f"<Key {self.name}: {self.algorithm}, {self.purpose}, version {version}>"


@dataclass(frozen=True, repr=False)
class KeyVersion:
    """One version of a key."""

    name: str
    """ "keys/ID/versions/N"."""
    version: int
    state: str
    """ "enabled", "disabled", "destroy_scheduled" or "destroyed"."""
    algorithm: str
    provider: str
    origin: str
    """ "generated" or "imported"."""
    fingerprint: str
    """SHA-256 of the public key's SubjectPublicKeyInfo, hexadecimal."""
    has_private_key: bool
    create_time: datetime
    destroy_time: datetime | None
    destroyed_time: datetime | None

    def __repr__(self) -> str:
        until = f" at {self.destroy_time:%Y-%m-%d %H:%M} UTC" if self.destroy_time else ""
        return f"<KeyVersion {self.name}: {self.algorithm}, {self.state}{until}, {self.provider}>"


@dataclass(frozen=True, repr=False)
class KeyChange:
    """A change that waits for approvals, or did."""

    name: str
    """ "keyChanges/ID"."""
    key: str
    what: str
    """ "destroy_version" or "set_policy"."""
    target: str | Policy
    """The version's name, or the policy."""
    state: str
    """ "pending", "applied", "rejected" or "expired"."""
    requester: str
    approvals: tuple[str, ...]
    approvals_needed: int
    justification: str
    create_time: datetime
    expire_time: datetime
    end_time: datetime | None

    def __repr__(self) -> str:
        return (
            f"<KeyChange {self.name}: {self.what} of {self.key}, {self.state}, "
            f"{len(self.approvals)} of {self.approvals_needed} approvals>"
        )


@dataclass(frozen=True)
class KeyAlgorithm:
    """What keys can be made for, and who has it on this server."""

    id: str
    """As "ML_DSA_65"."""
    name: str
    purpose: str
    standard: str
    status: str
    """ "final", "draft" or "experimental"."""
    nist_category: int
    """1 to 5; 0: not safe from quantum computers."""
    classical_bits: int
    public_key_bytes: int
    output_bytes_max: int
    context_bytes_max: int
    external_mu: bool
    prehashes: tuple[str, ...]
    deterministic: bool
    providers: tuple[str, ...]
    install_command: str
    oid: str
    generates: bool


def policy_message(policy: Policy) -> key_pb2.KeyPolicy:
    """Raises InvalidArgument for uses that there are not."""
    if not isinstance(policy, Policy):
        raise InvalidArgument(
            f"policy: expected a ketgate.Policy, given {type(policy).__name__}", field="policy"
        )
    message = key_pb2.KeyPolicy(
        contexts=[
            content_bytes(context, f"policy.contexts[{i}]")
            for i, context in enumerate(listed(policy.contexts, "policy.contexts"))
        ],
        uses_per_second=policy.uses_per_second,
        burst=policy.burst,
    )
    for i, grant in enumerate(policy.grants):
        where = f"policy.grants[{i}]"
        made = message.grants.add(members=listed(grant.members, f"{where}.members"))
        for use in listed(grant.uses, f"{where}.uses"):
            if use.lower() not in USES:
                raise InvalidArgument(
                    f"{where}.uses: expected some of {', '.join(USES)}, given {use!r}",
                    field=f"{where}.uses",
                )
            made.uses.append(key_pb2.KeyUse.Value(f"KEY_USE_{use.upper()}"))  # type: ignore[arg-type]
    if policy.quorum is not None:
        message.quorum.approvals_needed = policy.quorum.approvals_needed
        message.quorum.approvers.extend(listed(policy.quorum.approvers, "policy.quorum.approvers"))
    return message


def read_policy(message: key_pb2.KeyPolicy) -> Policy:
    quorum = None
    if message.HasField("quorum"):
        quorum = Quorum(message.quorum.approvals_needed, tuple(message.quorum.approvers))
    grants = tuple(
        Grant(tuple(grant.members), tuple(word(key_pb2.KeyUse, use) for use in grant.uses))
        for grant in message.grants
    )
    return Policy(grants, tuple(message.contexts), message.uses_per_second, message.burst, quorum)


def read_key(message: key_pb2.Key) -> Key:
    return Key(
        name=message.name,
        uid=message.uid,
        etag=message.etag,
        algorithm=algorithm_name(message.algorithm),
        purpose=word(algorithm_pb2.KeyPurpose, message.purpose),
        primary_version=message.primary_version,
        min_version=message.min_version,
        exportable=message.exportable,
        labels=dict(message.labels),
        policy=read_policy(message.policy),
        rotation_period=_period(message, "rotation_period"),
        next_rotation_time=_time(message, "next_rotation_time"),
        destroy_delay=message.destroy_delay.ToTimedelta(),
        provider=message.provider,
        creator=message.creator,
        create_time=message.create_time.ToDatetime(UTC),
    )


def read_version(message: key_pb2.KeyVersion) -> KeyVersion:
    return KeyVersion(
        name=message.name,
        version=message.version,
        state=word(key_pb2.KeyVersionState, message.state),
        algorithm=algorithm_name(message.algorithm),
        provider=message.provider,
        origin=word(key_pb2.KeyOrigin, message.origin),
        fingerprint=message.fingerprint,
        has_private_key=message.has_private_key,
        create_time=message.create_time.ToDatetime(UTC),
        destroy_time=_time(message, "destroy_time"),
        destroyed_time=_time(message, "destroyed_time"),
    )


def read_change(message: key_pb2.KeyChange) -> KeyChange:
    what = message.WhichOneof("change") or ""
    target = (
        message.destroy_version if what == "destroy_version" else read_policy(message.set_policy)
    )
    return KeyChange(
        name=message.name,
        key=message.key,
        what=what,
        target=target,
        state=word(key_pb2.KeyChangeState, message.state),
        requester=message.requester,
        approvals=tuple(message.approvals),
        approvals_needed=message.approvals_needed,
        justification=message.justification,
        create_time=message.create_time.ToDatetime(UTC),
        expire_time=message.expire_time.ToDatetime(UTC),
        end_time=_time(message, "end_time"),
    )


def read_algorithm(message: algorithm_pb2.AlgorithmDescription) -> KeyAlgorithm:
    return KeyAlgorithm(
        id=algorithm_name(message.algorithm),
        name=message.name,
        purpose=word(algorithm_pb2.KeyPurpose, message.purpose),
        standard=message.standard,
        status=word(algorithm_pb2.AlgorithmStatus, message.status),
        nist_category=message.nist_category,
        classical_bits=message.classical_bits,
        public_key_bytes=message.public_key_bytes,
        output_bytes_max=message.output_bytes_max,
        context_bytes_max=message.context_bytes_max,
        external_mu=message.external_mu,
        prehashes=tuple(message.prehashes),
        deterministic=message.deterministic,
        providers=tuple(message.providers),
        install_command=message.install_command,
        oid=message.oid,
        generates=message.generates,
    )


def word(enum: Any, number: int) -> str:
    """A value's name without what all of its enumeration begin with, in lower case."""
    name: str = next((n for n, value in enum.items() if value == number), str(number))
    prefix = next(iter(enum.keys())).removesuffix("UNSPECIFIED")
    return name.removeprefix(prefix).lower()


def _time(message: Any, name: str) -> datetime | None:
    if not message.HasField(name):
        return None
    found: datetime = getattr(message, name).ToDatetime(UTC)
    return found


def _period(message: Any, name: str) -> timedelta | None:
    if not message.HasField(name):
        return None
    found: timedelta = getattr(message, name).ToTimedelta()
    return found
