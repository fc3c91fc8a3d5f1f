"""Questions about keys: made, changed, listed, destroyed, and what waits for approvals."""

from __future__ import annotations

import uuid
import warnings
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import google_crc32c

from ketgate import _key_types as types
from ketgate import _wire
from ketgate._ask import Ask, AskPages, check_limit
from ketgate._errors import DataLoss, InvalidArgument
from ketgate._key_types import Key, KeyAlgorithm, KeyChange, KeyVersion, Policy, policy_message
from ketgate._signing_arguments import algorithm_number, checked_labels, duration, name_of
from ketgate.signing.v1 import key_service_pb2 as pb

PAGE_SIZE = 200


def method(name: str) -> _wire.Method[Any, Any]:
    return _wire.Method(
        f"/ketgate.signing.v1.KeyService/{name}",
        getattr(pb, f"{name}Request"),
        getattr(pb, f"{name}Response"),
    )


def new_request_id() -> str:
    """Of one question, whatever its attempts: what was done is not done again."""
    return uuid.uuid4().hex


def create_key(
    key_id: str,
    algorithm: str = "ML_DSA_65",
    *,
    labels: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    exportable: bool = False,
    rotation_period: timedelta | None = None,
    destroy_delay: timedelta | None = None,
    provider: str = "",
    request_id: str | None = None,
) -> Ask[Key]:
    """Make a key with its first version.

    algorithm: as `algorithms()` lists them. exportable: whether the private key may leave the server, wrapped; it
    can be taken away later, and never given. rotation_period: a new version is made so often. destroy_delay: how
    long a version that is to be destroyed can be recovered, 30 days unless said. provider: "cryptography",
    "liboqs" or "pkcs11"; default: the fastest. request_id: one of your own makes repeats harmless also after a
    restart of this program. Raises AlreadyExists.
    """
    request = pb.CreateKeyRequest(
        key_id=key_id,
        algorithm=algorithm_number(algorithm),
        labels=checked_labels(labels),
        policy=None if policy is None else policy_message(policy),
        exportable=exportable,
        provider=provider,
        request_id=request_id or new_request_id(),
    )
    if rotation_period is not None:
        request.rotation_period.CopyFrom(duration(rotation_period, "rotation_period"))
    if destroy_delay is not None:
        request.destroy_delay.CopyFrom(duration(destroy_delay, "destroy_delay"))
    return Ask(method("CreateKey"), request, lambda answer: types.read_key(answer.key))


def get_key(name: str | Key) -> Ask[Key]:
    """A key: "keys/ID". Raises NotFound, also for keys whose policy does not name the caller."""
    return Ask(
        method("GetKey"),
        pb.GetKeyRequest(name=name_of(name, "name")),
        lambda answer: types.read_key(answer.key),
    )


def keys(filter: str = "", *, limit: int | None = None) -> AskPages[Key]:  # noqa: A002 - the contract's name
    """The tenant's keys that the caller may read, by name. filter: as 'algorithm = ML_DSA_65 AND
    labels.desk = "fx"'. A RuntimeWarning names each that is corrupt, to tokens with the role `admin`."""
    request = pb.ListKeysRequest(filter=filter, page_size=PAGE_SIZE)
    return AskPages(method("ListKeys"), request, _read_keys, check_limit(limit))


def _read_keys(page: pb.ListKeysResponse) -> list[Key]:
    for name in page.corrupt_keys:
        warnings.warn(
            f"{name} is corrupt, and left out: it is to be put back from a back-up",
            RuntimeWarning,
            stacklevel=2,
        )
    return [types.read_key(key) for key in page.keys]


def update_key(
    name: str | Key,
    *,
    labels: Mapping[str, str] | None = None,
    rotation_period: timedelta | None = None,
    stop_rotation: bool = False,
    min_version: int | None = None,
    primary_version: int | None = None,
    exportable: bool | None = None,
    destroy_delay: timedelta | None = None,
    provider: str | None = None,
    etag: str = "",
    request_id: str | None = None,
) -> Ask[Key]:
    """Change what is given of a key. stop_rotation: no new versions by themselves any more. min_version: older ones
    are refused. exportable: only to False. provider: of new versions. etag: refuse (Aborted) when the key was
    changed since it was read."""
    request = pb.UpdateKeyRequest(request_id=request_id or new_request_id())
    key, paths = request.key, request.update_mask.paths
    key.name, key.etag = name_of(name, "name"), etag
    if labels is not None:
        key.labels.update(checked_labels(labels))
        paths.append("labels")
    if rotation_period is not None:
        key.rotation_period.CopyFrom(duration(rotation_period, "rotation_period"))
    if rotation_period is not None or stop_rotation:
        paths.append("rotation_period")
    if destroy_delay is not None:
        key.destroy_delay.CopyFrom(duration(destroy_delay, "destroy_delay"))
        paths.append("destroy_delay")
    given = {
        "min_version": min_version,
        "primary_version": primary_version,
        "exportable": exportable,
        "provider": provider,
    }
    for field, value in given.items():
        if value is not None:
            setattr(key, field, value)
            paths.append(field)
    if not paths:
        raise InvalidArgument("update_key: expected something to change, given nothing")
    return Ask(method("UpdateKey"), request, lambda answer: types.read_key(answer.key))


def set_policy(
    name: str | Key,
    policy: Policy | None,
    *,
    etag: str = "",
    justification: str = "",
    request_id: str | None = None,
) -> Ask[KeyChange | Key]:
    """Replace a key's policy; None: none. Where the key has a quorum, a KeyChange that waits for approvals;
    otherwise the key as it is now."""
    request = pb.SetKeyPolicyRequest(
        name=name_of(name, "name"),
        policy=None if policy is None else policy_message(policy),
        etag=etag,
        justification=justification,
        request_id=request_id or new_request_id(),
    )

    def read(answer: pb.SetKeyPolicyResponse) -> KeyChange | Key:
        if answer.HasField("change"):
            return types.read_change(answer.change)
        return types.read_key(answer.key)

    return Ask(method("SetKeyPolicy"), request, read)


def rotate(name: str | Key, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Make a new version, which becomes the primary one; older ones still verify and open."""
    request = pb.RotateKeyRequest(
        name=name_of(name, "name"), request_id=request_id or new_request_id()
    )
    return Ask(method("RotateKey"), request, _version)


def version(name: str | KeyVersion) -> Ask[KeyVersion]:
    """A version: "keys/ID/versions/N"."""
    return Ask(
        method("GetKeyVersion"), pb.GetKeyVersionRequest(name=name_of(name, "name")), _version
    )


def versions(key: str | Key, *, limit: int | None = None) -> AskPages[KeyVersion]:
    """The versions of a key, the newest first."""
    return AskPages(
        method("ListKeyVersions"),
        pb.ListKeyVersionsRequest(key=name_of(key), page_size=PAGE_SIZE),
        lambda page: [types.read_version(one) for one in page.versions],
        check_limit(limit),
    )


def enable(name: str | KeyVersion, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Make a disabled version usable: "keys/ID/versions/N"."""
    request = pb.EnableKeyVersionRequest(
        name=name_of(name, "name"), request_id=request_id or new_request_id()
    )
    return Ask(method("EnableKeyVersion"), request, _version)


def disable(name: str | KeyVersion, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Refuse a version for every use until it is enabled."""
    request = pb.DisableKeyVersionRequest(
        name=name_of(name, "name"), request_id=request_id or new_request_id()
    )
    return Ask(method("DisableKeyVersion"), request, _version)


def destroy(
    name: str | KeyVersion, *, justification: str = "", request_id: str | None = None
) -> Ask[KeyVersion | KeyChange]:
    """Schedule the destruction of a version, after the key's destroy_delay. Where the key has a quorum, a KeyChange
    that waits for approvals."""
    request = pb.DestroyKeyVersionRequest(
        name=name_of(name, "name"),
        justification=justification,
        request_id=request_id or new_request_id(),
    )

    def read(answer: pb.DestroyKeyVersionResponse) -> KeyVersion | KeyChange:
        if answer.HasField("change"):
            return types.read_change(answer.change)
        return types.read_version(answer.version)

    return Ask(method("DestroyKeyVersion"), request, read)


def restore(name: str | KeyVersion, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Cancel a scheduled destruction; the version is then disabled."""
    request = pb.RestoreKeyVersionRequest(
        name=name_of(name, "name"), request_id=request_id or new_request_id()
    )
    return Ask(method("RestoreKeyVersion"), request, _version)


def algorithms() -> Ask[list[KeyAlgorithm]]:
    """What keys can be made for, and which providers of this server have it."""
    return Ask(
        method("ListAlgorithms"),
        pb.ListAlgorithmsRequest(),
        lambda answer: [types.read_algorithm(one) for one in answer.algorithms],
    )


def change(name: str | KeyChange) -> Ask[KeyChange]:
    """A change: "keyChanges/ID"."""
    return Ask(
        method("GetKeyChange"),
        pb.GetKeyChangeRequest(name=name_of(name, "name", "keyChanges")),
        _change,
    )


def changes(key: str | Key = "", *, limit: int | None = None) -> AskPages[KeyChange]:
    """Changes that the caller may read, the newest first; key: of this one only."""
    return AskPages(
        method("ListKeyChanges"),
        pb.ListKeyChangesRequest(key=name_of(key) if key else "", page_size=PAGE_SIZE),
        lambda page: [types.read_change(one) for one in page.changes],
        check_limit(limit),
    )


def approve(name: str | KeyChange, *, request_id: str | None = None) -> Ask[KeyChange]:
    """Approve a change; the last approval needed carries it out."""
    request = pb.ApproveKeyChangeRequest(
        name=name_of(name, "name", "keyChanges"), request_id=request_id or new_request_id()
    )
    return Ask(method("ApproveKeyChange"), request, _change)


def reject(name: str | KeyChange, *, request_id: str | None = None) -> Ask[KeyChange]:
    """Reject a change as an approver, or take it back as who asked for it."""
    request = pb.RejectKeyChangeRequest(
        name=name_of(name, "name", "keyChanges"), request_id=request_id or new_request_id()
    )
    return Ask(method("RejectKeyChange"), request, _change)


def checked(content: bytes, crc32c: int, field: str) -> bytes:
    """Bytes of an answer, as they were sent. Raises DataLoss."""
    if google_crc32c.value(content) != crc32c:
        raise DataLoss(
            f"{field}: it was damaged on its way here", reason="DIGEST_MISMATCH", field=field
        )
    return content


def _version(answer: Any) -> KeyVersion:
    return types.read_version(answer.version)


def _change(answer: Any) -> KeyChange:
    return types.read_change(answer.change)
