"""Questions about what keys are made of: public keys, and private ones that travel encrypted."""

# ruff: noqa: A002 - format is the contract's name

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import NamedTuple, TypeVar

import google_crc32c

from ketgate import _key_types as types
from ketgate._ask import Ask
from ketgate._errors import InvalidArgument
from ketgate._key_asks import checked, method, new_request_id
from ketgate._key_types import Key, KeyVersion, Policy, policy_message
from ketgate._signing_arguments import (
    algorithm_number,
    checked_labels,
    content_bytes,
    duration,
    name_of,
)
from ketgate.signing.v1 import key_service_pb2 as pb

R = TypeVar("R")

FORMATS = {"pem": "SPKI_PEM", "der": "SPKI_DER", "raw": "RAW", "jwk": "JWK", "cose": "COSE"}


def export_public_key(name: str | Key | KeyVersion, format: str = "pem") -> Ask[bytes]:
    """The public key of a version, or of a key's primary one. format: "pem", "der", "raw", "jwk" or "cose"."""
    if format not in FORMATS:
        raise InvalidArgument(
            f"format: expected one of {', '.join(FORMATS)}, given {format!r}", field="format"
        )
    return _export(name, format, _public_key)


class Exported(NamedTuple):
    """The public key of a version."""

    public_key: bytes
    """DER."""
    version: KeyVersion
    usable: bool
    """Whether its server still uses it: it is enabled, and not below its key's min_version."""


def public_key_and_version(name: str | Key | KeyVersion) -> Ask[Exported]:
    """The public key of a version, or of a key's primary one; and which version that is."""
    return _export(
        name,
        "der",
        lambda answer: Exported(
            _public_key(answer), types.read_version(answer.version), answer.usable
        ),
    )


def export_wrapped_key(name: str | KeyVersion, algorithm: str, public_key: bytes) -> Ask[bytes]:
    """The private key of a version, encrypted to a public key of yours."""
    request = pb.ExportPrivateKeyRequest(
        name=name_of(name, "name"),
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
        algorithm=algorithm_number(algorithm),
        labels=checked_labels(labels),
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
    public_key: bytes | str,
    *,
    labels: Mapping[str, str] | None = None,
    policy: Policy | None = None,
    request_id: str | None = None,
) -> Ask[Key]:
    """Import a public key to verify with: SubjectPublicKeyInfo, PEM or DER."""
    request = import_request(key_id, algorithm, labels=labels, policy=policy, request_id=request_id)
    request.public_key = content_bytes(public_key, "public_key")
    return import_key(request)


def with_checksum(request: pb.ImportKeyRequest) -> pb.ImportKeyRequest:
    request.wrapped.wrapped_key_crc32c = google_crc32c.value(request.wrapped.wrapped_key)
    return request


def import_key(request: pb.ImportKeyRequest) -> Ask[Key]:
    return Ask(method("ImportKey"), request, lambda answer: types.read_key(answer.key))


def _export(
    name: str | Key | KeyVersion,
    format: str,
    read: Callable[[pb.ExportPublicKeyResponse], R],
) -> Ask[R]:
    request = pb.ExportPublicKeyRequest(
        name=name_of(name, "name"), format=f"PUBLIC_KEY_FORMAT_{FORMATS[format]}"
    )
    return Ask(method("ExportPublicKey"), request, read)


def _public_key(answer: pb.ExportPublicKeyResponse) -> bytes:
    return checked(answer.public_key, answer.public_key_crc32c, "public_key")
