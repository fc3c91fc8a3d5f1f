"""Keys and what they make, as the client shows them. Secrets are shown by their length only."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from ketgate._errors import InvalidArgument
from ketgate.signing.v1 import algorithm_pb2, key_pb2, signature_pb2

USES = tuple(name.removeprefix("KEY_USE_").lower() for name in key_pb2.KeyUse.keys()[1:])
ALGORITHMS = tuple(name.removeprefix("ALGORITHM_") for name in algorithm_pb2.Algorithm.keys()[1:])


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
    contexts: Sequence[bytes] = ()
    """Contexts that signatures may have; empty: any."""
    uses_per_second: float = 0.0
    """0: no limit."""
    burst: int = 0
    quorum: Quorum | None = None


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Signature:
    """A signature, and what made it."""

    signature: bytes = field(repr=False)
    content_sha256: bytes = field(repr=False)
    algorithm: str
    standard: str
    key_version: str
    provider: str
    format: str
    """ "raw", "jws" or "cose_sign1"."""

    def __bytes__(self) -> bytes:
        return self.signature


@dataclass(frozen=True)
class Verdict:
    """Whether a signature holds: `if client.signing.verify(...)`."""

    valid: bool
    failure: str
    """ "", "mismatch", "length", "malformed", "context" or "version"."""
    detail: str
    algorithm: str
    key_version: str
    provider: str

    def __bool__(self) -> bool:
        return self.valid


@dataclass(frozen=True)
class ItemError:
    """Why there is nothing for an item of a batch. False, so that `if result` tells."""

    reason: str
    message: str

    def __bool__(self) -> bool:
        return False


@dataclass(frozen=True)
class Encapsulated:
    """A shared secret, and the ciphertext that its receiver makes it from."""

    ciphertext: bytes = field(repr=False)
    shared_secret: bytes = field(repr=False)
    algorithm: str
    key_version: str
    provider: str


@dataclass(frozen=True)
class Certificate:
    """A certificate or a request for one."""

    der: bytes = field(repr=False)
    pem: str = field(repr=False)
    key_version: str


def algorithm_number(name: str, argument: str = "algorithm") -> int:
    """ "ML_DSA_65", "ml-dsa-65" and "ML-DSA-65" alike. Raises InvalidArgument."""
    wanted = name.upper().replace("-", "_")
    if wanted in ALGORITHMS:
        return algorithm_pb2.Algorithm.Value(f"ALGORITHM_{wanted}")
    raise InvalidArgument(
        f"{argument}: expected one of {', '.join(ALGORITHMS)}, given {name[:100]!r}", field=argument
    )


def algorithm_name(number: int) -> str:
    try:
        return algorithm_pb2.Algorithm.Name(number).removeprefix("ALGORITHM_")
    except ValueError:
        return f"algorithm {number}"  # of a newer server


def policy_message(policy: Policy) -> key_pb2.KeyPolicy:
    """Raises InvalidArgument for uses that there are not."""
    message = key_pb2.KeyPolicy(
        contexts=policy.contexts, uses_per_second=policy.uses_per_second, burst=policy.burst
    )
    for i, grant in enumerate(policy.grants):
        made = message.grants.add(members=grant.members)
        for use in grant.uses:
            if use.lower() not in USES:
                raise InvalidArgument(
                    f"policy.grants[{i}].uses: expected some of {', '.join(USES)}, given {use!r}",
                    field=f"policy.grants[{i}].uses",
                )
            made.uses.append(key_pb2.KeyUse.Value(f"KEY_USE_{use.upper()}"))  # type: ignore[arg-type]
    if policy.quorum is not None:
        message.quorum.approvals_needed = policy.quorum.approvals_needed
        message.quorum.approvers.extend(policy.quorum.approvers)
    return message


def read_policy(message: key_pb2.KeyPolicy) -> Policy:
    quorum = None
    if message.HasField("quorum"):
        quorum = Quorum(message.quorum.approvals_needed, tuple(message.quorum.approvers))
    grants = tuple(
        Grant(tuple(grant.members), tuple(_word(key_pb2.KeyUse, use) for use in grant.uses))
        for grant in message.grants
    )
    return Policy(grants, tuple(message.contexts), message.uses_per_second, message.burst, quorum)


def read_key(message: key_pb2.Key) -> Key:
    return Key(
        name=message.name,
        uid=message.uid,
        etag=message.etag,
        algorithm=algorithm_name(message.algorithm),
        purpose=_word(algorithm_pb2.KeyPurpose, message.purpose),
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
        state=_word(key_pb2.KeyVersionState, message.state),
        algorithm=algorithm_name(message.algorithm),
        provider=message.provider,
        origin=_word(key_pb2.KeyOrigin, message.origin),
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
        state=_word(key_pb2.KeyChangeState, message.state),
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
        purpose=_word(algorithm_pb2.KeyPurpose, message.purpose),
        standard=message.standard,
        status=_word(algorithm_pb2.AlgorithmStatus, message.status),
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


def read_verdict(message: signature_pb2.Verdict) -> Verdict:
    failure = _word(signature_pb2.VerifyFailure, message.failure)
    return Verdict(
        valid=message.valid,
        failure="" if failure == "unspecified" else failure,
        detail=message.detail,
        algorithm=algorithm_name(message.algorithm),
        key_version=message.key_version,
        provider=message.provider,
    )


def duration(given: timedelta, argument: str) -> Duration:
    if not isinstance(given, timedelta):
        raise InvalidArgument(
            f"{argument}: expected a datetime.timedelta, given {type(given).__name__}",
            field=argument,
        )
    message = Duration()
    message.FromTimedelta(given)
    return message


def _word(enum: Any, number: int) -> str:
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
