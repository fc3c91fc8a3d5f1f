"""Questions about keys: made, changed, listed, imported and destroyed."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import timedelta
from typing import Any

import google_crc32c

from ketgate import _signing_types as types
from ketgate import _wire
from ketgate._ask import Ask, AskPages, check_limit
from ketgate._errors import DataLoss, InvalidArgument
from ketgate._signing_types import (
    Key,
    KeyAlgorithm,
    KeyChange,
    KeyVersion,
    Policy,
    algorithm_number,
    duration,
    policy_message,
)
from ketgate.signing.v1 import key_service_pb2 as pb

PAGE_SIZE = 200
FORMATS = {"pem": "SPKI_PEM", "der": "SPKI_DER", "raw": "RAW", "jwk": "JWK", "cose": "COSE"}


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
        algorithm=algorithm_number(algorithm),  # type: ignore[arg-type]
        labels=labels or {},
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


def get_key(name: str) -> Ask[Key]:
    """A key: "keys/ID". Raises NotFound, also for keys whose policy does not name the caller."""
    return Ask(
        method("GetKey"), pb.GetKeyRequest(name=name), lambda answer: types.read_key(answer.key)
    )


def keys(filter: str = "", *, limit: int | None = None) -> AskPages[Key]:  # noqa: A002
    """The tenant's keys that the caller may read, by name. filter: as 'algorithm = ML_DSA_65 AND
    labels.desk = "fx"'."""
    request = pb.ListKeysRequest(filter=filter, page_size=PAGE_SIZE)
    return AskPages(
        method("ListKeys"),
        request,
        lambda page: [types.read_key(key) for key in page.keys],
        check_limit(limit),
    )


def update_key(
    name: str,
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
    key.name, key.etag = name, etag
    if labels is not None:
        key.labels.update(labels)
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
    name: str,
    policy: Policy | None,
    *,
    etag: str = "",
    justification: str = "",
    request_id: str | None = None,
) -> Ask[KeyChange | Key]:
    """Replace a key's policy; None: none. Where the key has a quorum, a KeyChange that waits for approvals;
    otherwise the key as it is now."""
    request = pb.SetKeyPolicyRequest(
        name=name,
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


def rotate(name: str, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Make a new version, which becomes the primary one; older ones still verify and open."""
    request = pb.RotateKeyRequest(name=name, request_id=request_id or new_request_id())
    return Ask(method("RotateKey"), request, _version)


def version(name: str) -> Ask[KeyVersion]:
    """A version: "keys/ID/versions/N"."""
    return Ask(method("GetKeyVersion"), pb.GetKeyVersionRequest(name=name), _version)


def versions(key: str, *, limit: int | None = None) -> AskPages[KeyVersion]:
    """The versions of a key, the newest first."""
    return AskPages(
        method("ListKeyVersions"),
        pb.ListKeyVersionsRequest(key=key, page_size=PAGE_SIZE),
        lambda page: [types.read_version(one) for one in page.versions],
        check_limit(limit),
    )


def enable(name: str, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Make a disabled version usable: "keys/ID/versions/N"."""
    request = pb.EnableKeyVersionRequest(name=name, request_id=request_id or new_request_id())
    return Ask(method("EnableKeyVersion"), request, _version)


def disable(name: str, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Refuse a version for every use until it is enabled."""
    request = pb.DisableKeyVersionRequest(name=name, request_id=request_id or new_request_id())
    return Ask(method("DisableKeyVersion"), request, _version)


def destroy(
    name: str, *, justification: str = "", request_id: str | None = None
) -> Ask[KeyVersion | KeyChange]:
    """Schedule the destruction of a version, after the key's destroy_delay. Where the key has a quorum, a KeyChange
    that waits for approvals."""
    request = pb.DestroyKeyVersionRequest(
        name=name, justification=justification, request_id=request_id or new_request_id()
    )

    def read(answer: pb.DestroyKeyVersionResponse) -> KeyVersion | KeyChange:
        if answer.HasField("change"):
            return types.read_change(answer.change)
        return types.read_version(answer.version)

    return Ask(method("DestroyKeyVersion"), request, read)


def restore(name: str, *, request_id: str | None = None) -> Ask[KeyVersion]:
    """Cancel a scheduled destruction; the version is then disabled."""
    request = pb.RestoreKeyVersionRequest(name=name, request_id=request_id or new_request_id())
    return Ask(method("RestoreKeyVersion"), request, _version)


def export_public_key(name: str, format: str = "pem") -> Ask[bytes]:  # noqa: A002
    """The public key of a version, or of a key's primary one. format: "pem", "der", "raw", "jwk" or "cose"."""
    if format not in FORMATS:
        raise InvalidArgument(
            f"format: expected one of {', '.join(FORMATS)}, given {format!r}", field="format"
        )
    request = pb.ExportPublicKeyRequest(name=name, format=f"PUBLIC_KEY_FORMAT_{FORMATS[format]}")

    def read(answer: pb.ExportPublicKeyResponse) -> bytes:
        return checked(answer.public_key, answer.public_key_crc32c, "public_key")

    return Ask(method("ExportPublicKey"), request, read)


def export_wrapped_key(name: str, algorithm: str, public_key: bytes) -> Ask[bytes]:
    """The private key of a version, encrypted to a public key of yours."""
    request = pb.ExportPrivateKeyRequest(
        name=name,
        wrapping_algorithm=f"WRAPPING_ALGORITHM_{algorithm}",
        wrapping_public_key=public_key,
    )

    def read(answer: pb.ExportPrivateKeyResponse) -> bytes:
        return checked(answer.wrapped_key, answer.wrapped_key_crc32c, "wrapped_key")

    return Ask(method("ExportPrivateKey"), request, read)


def wrapping_key(algorithm: str) -> Ask[pb.WrappingKey]:
    """A key of the server's for one import, good for an hour."""
    request = pb.CreateWrappingKeyRequest(
        wrapping_algorithm=f"WRAPPING_ALGORITHM_{algorithm}", request_id=new_request_id()
    )

    def read(answer: pb.CreateWrappingKeyResponse) -> pb.WrappingKey:
        made = answer.wrapping_key
        checked(made.public_key, made.public_key_crc32c, "wrapping_key.public_key")
        return made

    return Ask(method("CreateWrappingKey"), request, read)


def import_request(
    key_id: str,
    algorithm: str,
    *,
    labels: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    exportable: bool = False,
    destroy_delay: timedelta | None = None,
    request_id: str | None = None,
) -> pb.ImportKeyRequest:
    """All of an import but the material."""
    request = pb.ImportKeyRequest(
        key_id=key_id,
        algorithm=algorithm_number(algorithm),  # type: ignore[arg-type]
        labels=labels or {},
        policy=None if policy is None else policy_message(policy),
        exportable=exportable,
        request_id=request_id or new_request_id(),
    )
    if destroy_delay is not None:
        request.destroy_delay.CopyFrom(duration(destroy_delay, "destroy_delay"))
    return request


def import_public_key(
    key_id: str,
    algorithm: str,
    public_key: bytes,
    *,
    labels: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    request_id: str | None = None,
) -> Ask[Key]:
    """Import a public key to verify with: SubjectPublicKeyInfo, PEM or DER."""
    request = import_request(key_id, algorithm, labels=labels, policy=policy, request_id=request_id)
    request.public_key = public_key
    return import_key(request)


def with_checksum(request: pb.ImportKeyRequest) -> pb.ImportKeyRequest:
    request.wrapped.wrapped_key_crc32c = google_crc32c.value(request.wrapped.wrapped_key)
    return request


def import_key(request: pb.ImportKeyRequest) -> Ask[Key]:
    return Ask(method("ImportKey"), request, lambda answer: types.read_key(answer.key))


def algorithms() -> Ask[list[KeyAlgorithm]]:
    """What keys can be made for, and which providers of this server have it."""
    return Ask(
        method("ListAlgorithms"),
        pb.ListAlgorithmsRequest(),
        lambda answer: [types.read_algorithm(one) for one in answer.algorithms],
    )


def change(name: str) -> Ask[KeyChange]:
    """A change: "keyChanges/ID"."""
    return Ask(method("GetKeyChange"), pb.GetKeyChangeRequest(name=name), _change)


def changes(key: str = "", *, limit: int | None = None) -> AskPages[KeyChange]:
    """Changes that the caller may read, the newest first; key: of this one only."""
    return AskPages(
        method("ListKeyChanges"),
        pb.ListKeyChangesRequest(key=key, page_size=PAGE_SIZE),
        lambda page: [types.read_change(one) for one in page.changes],
        check_limit(limit),
    )


def approve(name: str, *, request_id: str | None = None) -> Ask[KeyChange]:
    """Approve a change; the last approval needed carries it out."""
    request = pb.ApproveKeyChangeRequest(name=name, request_id=request_id or new_request_id())
    return Ask(method("ApproveKeyChange"), request, _change)


def reject(name: str, *, request_id: str | None = None) -> Ask[KeyChange]:
    """Reject a change as an approver, or take it back as who asked for it."""
    request = pb.RejectKeyChangeRequest(name=name, request_id=request_id or new_request_id())
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
