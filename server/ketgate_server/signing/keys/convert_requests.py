"""Requests of the key service to what the key store takes. Every refusal names the field."""

from __future__ import annotations

import re
from collections.abc import Mapping

import google_crc32c
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from ketgate.signing.v1 import algorithm_pb2, key_pb2
from ketgate.signing.v1 import key_service_pb2 as pb

from ketgate_server.errors import FieldError, KetgateError, Reason
from ketgate_server.rpc.call import Call
from ketgate_server.signing.algorithms import ALGORITHMS, Algorithm
from ketgate_server.signing.formats.export import PublicKeyFormat
from ketgate_server.signing.keys import convert_policy, names
from ketgate_server.signing.keys.asker import Asker
from ketgate_server.signing.keys.imports import NewImport, PublicKey, WrappedKey
from ketgate_server.signing.keys.making import check_generates
from ketgate_server.signing.keys.store import DESTROY_DELAY_US, NewKey
from ketgate_server.signing.keys.updates import Update
from ketgate_server.signing.keys.wrapping import Wrapping
from ketgate_server.store.requests import read_request_id, request_digest

SECOND_US = 1_000_000
DAY_US = 86_400 * SECOND_US
ROTATION_US = (3_600 * SECOND_US, 3_650 * DAY_US)
DESTROY_US = (60 * SECOND_US, 120 * DAY_US)
LABELS_MAX = 64
LABEL_VALUE_CHARACTERS_MAX = 63
ETAG_CHARACTERS_MAX = 100

_LABEL_KEY = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_ALGORITHMS: dict[int, Algorithm] = {
    algorithm_pb2.Algorithm.Value(f"ALGORITHM_{name}"): algorithm
    for name, algorithm in ALGORITHMS.items()
}
_FORMATS: dict[int, PublicKeyFormat] = {
    pb.PublicKeyFormat.Value(f"PUBLIC_KEY_FORMAT_{form.value}"): form for form in PublicKeyFormat
} | {int(pb.PUBLIC_KEY_FORMAT_UNSPECIFIED): PublicKeyFormat.SPKI_PEM}
_WRAPPINGS: dict[int, Wrapping] = {
    pb.WrappingAlgorithm.Value(f"WRAPPING_ALGORITHM_{how.value}"): how for how in Wrapping
}
_UPDATED = (
    "labels",
    "rotation_period",
    "min_version",
    "primary_version",
    "exportable",
    "destroy_delay",
    "provider",
)


def asker(call: Call, request: Message) -> Asker:
    """Who asks. request: with or without a request_id in the contract."""
    request_id, digest = read_request_id(request), request_digest(request)
    return Asker(call.identity, call.request_id, call.method, request_id, digest)


def new_key(request: pb.CreateKeyRequest) -> NewKey:
    algorithm = read_algorithm(request.algorithm)
    check_generates(algorithm)
    return NewKey(
        id=names.read_key_id(request.key_id),
        algorithm=algorithm,
        labels=read_labels(request.labels, "labels"),
        policy=convert_policy.read_policy(request.policy),
        exportable=request.exportable,
        rotation_period_us=_optional(request, "rotation_period", ROTATION_US, 0),
        destroy_delay_us=_optional(request, "destroy_delay", DESTROY_US, DESTROY_DELAY_US),
        provider=request.provider,
    )


def update(request: pb.UpdateKeyRequest) -> Update:
    """New values of the fields that the mask names."""
    paths = set(request.update_mask.paths)
    if not paths:
        raise FieldError("update_mask", expected="at least one field", given="none")
    for path in sorted(paths):
        if path not in _UPDATED:
            raise FieldError(
                "update_mask",
                expected="of " + ", ".join(_UPDATED),
                given=path,
                hint="SetKeyPolicy changes the policy" if path.startswith("policy") else "",
            )
    key = request.key
    period = "rotation_period" in paths
    delay = "destroy_delay" in paths
    return Update(
        etag=read_etag(key.etag, "key.etag"),
        labels=read_labels(key.labels, "key.labels") if "labels" in paths else None,
        rotation_period_us=_optional(key, "rotation_period", ROTATION_US, 0, "key.")
        if period
        else None,
        min_version=key.min_version if "min_version" in paths else None,
        primary_version=key.primary_version if "primary_version" in paths else None,
        exportable=key.exportable if "exportable" in paths else None,
        destroy_delay_us=_optional(key, "destroy_delay", DESTROY_US, DESTROY_DELAY_US, "key.")
        if delay
        else None,
        provider=key.provider if "provider" in paths else None,
    )


def new_import(request: pb.ImportKeyRequest) -> NewImport:
    given = {field for field in ("labels", "policy", "destroy_delay") if _is_given(request, field)}
    if request.exportable:
        given.add("exportable")
    key = NewKey(
        id=names.read_key_id(request.key_id),
        algorithm=read_algorithm(request.algorithm),
        labels=read_labels(request.labels, "labels"),
        policy=convert_policy.read_policy(request.policy),
        exportable=request.exportable,
        destroy_delay_us=_optional(request, "destroy_delay", DESTROY_US, DESTROY_DELAY_US),
    )
    return NewImport(key, frozenset(given), _source(request))


def read_algorithm(number: int, field: str = "algorithm") -> Algorithm:
    found = _ALGORITHMS.get(number)
    if found is None:
        given = "nothing" if not number else f"the number {number}"
        raise FieldError(field, expected="an Algorithm of the contract", given=given)
    return found


def read_format(number: int) -> PublicKeyFormat:
    found = _FORMATS.get(number)
    if found is None:
        raise FieldError(
            "format",
            expected="one of " + ", ".join(PublicKeyFormat),
            given=f"the number {number}",
        )
    return found


def read_wrapping(number: int) -> Wrapping:
    found = _WRAPPINGS.get(number)
    if found is None:
        given = "nothing" if not number else f"the number {number}"
        raise FieldError(
            "wrapping_algorithm", expected="one of " + ", ".join(Wrapping), given=given
        )
    return found


def read_etag(etag: str, field: str = "etag") -> str:
    if len(etag) > ETAG_CHARACTERS_MAX:
        raise FieldError(field, expected="the etag of the key", given=etag)
    return etag


def read_labels(labels: Mapping[str, str], field: str) -> dict[str, str]:
    if len(labels) > LABELS_MAX:
        raise FieldError(
            field, expected=f"at most {LABELS_MAX} labels", given=f"{len(labels)} labels"
        )
    for key, value in sorted(labels.items()):
        if not _LABEL_KEY.fullmatch(key):
            raise FieldError(
                field,
                expected="keys of 1 to 63 of a-z 0-9 _ -, starting with a letter",
                given=key or "an empty one",
            )
        if len(value) > LABEL_VALUE_CHARACTERS_MAX or not value.isprintable():
            raise FieldError(
                f"{field}[{key}]",
                expected=f"at most {LABEL_VALUE_CHARACTERS_MAX} printable characters",
                given=value,
            )
    return dict(labels)


def _source(request: pb.ImportKeyRequest) -> WrappedKey | PublicKey:
    which = request.WhichOneof("material")
    if which is None:
        raise FieldError("material", expected="wrapped or public_key", given="neither")
    if which == "public_key":
        return PublicKey(request.public_key)
    wrapped = request.wrapped
    found = google_crc32c.value(wrapped.wrapped_key)
    if wrapped.HasField("wrapped_key_crc32c") and wrapped.wrapped_key_crc32c != found:
        raise KetgateError(
            Reason.CHECKSUM_MISMATCH,
            f"wrapped.wrapped_key_crc32c: expected {found}, that of wrapped_key, given "
            f"{wrapped.wrapped_key_crc32c}; send it again",
            field="wrapped.wrapped_key_crc32c",
        )
    key_id = names.read_wrapping_key(wrapped.wrapping_key)
    return WrappedKey(key_id, wrapped.wrapped_key)


def _is_given(request: pb.ImportKeyRequest, field: str) -> bool:
    return bool(request.labels) if field == "labels" else request.HasField(field)


def _optional(
    message: pb.CreateKeyRequest | pb.ImportKeyRequest | key_pb2.Key,
    field: str,
    bounds: tuple[int, int],
    default: int,
    prefix: str = "",
) -> int:
    """Microseconds of a duration; the default where it is absent."""
    if not message.HasField(field):
        return default
    return _duration_us(getattr(message, field), prefix + field, bounds)


def _duration_us(duration: Duration, field: str, bounds: tuple[int, int]) -> int:
    found = duration.seconds * SECOND_US + duration.nanos // 1_000
    least, most = bounds
    if not least <= found <= most or not 0 <= duration.nanos < 1_000_000_000:
        raise FieldError(
            field,
            expected=f"{least // SECOND_US} s to {most // DAY_US} days",
            given=f"{duration.seconds + duration.nanos / 1e9:g} s",
        )
    return found
