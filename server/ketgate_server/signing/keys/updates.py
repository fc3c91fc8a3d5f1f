"""UpdateKey: which fields of a key can be changed, and to what."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from ketgate_server.errors import FieldError, KetgateError, Reason, echo
from ketgate_server.signing.keys import effects, making, rows
from ketgate_server.signing.keys.access import check_usable
from ketgate_server.signing.keys.change import Change
from ketgate_server.signing.keys.record import KeyRecord
from ketgate_server.signing.provider import Providers


@dataclass(frozen=True)
class Update:
    """New values; None: as it was. Their ranges were checked."""

    etag: str = ""
    """When given, it must be the newest."""
    labels: Mapping[str, str] | None = None
    rotation_period_us: int | None = None
    """0: by hand only."""
    min_version: int | None = None
    primary_version: int | None = None
    exportable: bool | None = None
    destroy_delay_us: int | None = None
    provider: str | None = None


def update(change: Change, key_id: str, wanted: Update, providers: Providers) -> KeyRecord:
    """The key with its new values. Where the primary version falls below the minimum, the newest usable
    one takes its place.

    Raises NotFound, POLICY_DENIED, ETAG_MISMATCH, KEY_UNUSABLE, PART_NOT_INSTALLED, FieldError.
    """
    key = change.key(key_id, field="key.name")
    check_etag(key, wanted.etag, "key.etag")
    new = replace(
        key,
        labels=key.labels if wanted.labels is None else dict(wanted.labels),
        exportable=_exportable(key, wanted),
        destroy_delay_us=_destroy_delay_us(key, wanted),
        provider=_provider(key, wanted, providers),
        min_version=_min_version(change, key, wanted),
    )
    new = _rotation(change, new, wanted)
    new = _primary(change, new, wanted)
    if new == key:
        return key
    changed = [name for name in _FIELDS if getattr(new, name) != getattr(key, name)]
    stored = change.settle(change.put_key(new))
    change.facts["changed"] = ",".join(changed)
    return stored


def check_etag(key: KeyRecord, etag: str, field: str = "etag") -> None:
    """Raises ETAG_MISMATCH when one is given that is not the newest."""
    if etag and etag != key.etag:
        raise KetgateError(
            Reason.ETAG_MISMATCH,
            f"{field}: {key.name} was changed since {echo(etag)} was read; read it again",
            field=field,
        )


_FIELDS = (
    "labels",
    "rotation_period_us",
    "min_version",
    "primary_version",
    "exportable",
    "destroy_delay_us",
    "provider",
)


def _exportable(key: KeyRecord, wanted: Update) -> bool:
    if wanted.exportable and not key.exportable:
        raise FieldError(
            "key.exportable",
            expected="false, as that a key is exportable can only be taken away",
            given="true",
            hint="make another key with CreateKey",
        )
    return key.exportable if wanted.exportable is None else wanted.exportable


def _destroy_delay_us(key: KeyRecord, wanted: Update) -> int:
    delay_us = wanted.destroy_delay_us
    if delay_us is None:
        return key.destroy_delay_us
    if key.policy.quorum is not None and delay_us < key.destroy_delay_us:
        raise FieldError(
            "key.destroy_delay",
            expected=f"at least {key.destroy_delay_us / 1e6:g} s, as it is now: the key has a quorum",
            given=f"{delay_us / 1e6:g} s",
        )
    return delay_us


def _provider(key: KeyRecord, wanted: Update, providers: Providers) -> str:
    if wanted.provider is None or wanted.provider == key.provider:
        return key.provider
    if wanted.provider:
        making.provider_for(providers, key.algorithm, wanted.provider, "key.provider")
    return wanted.provider


def _min_version(change: Change, key: KeyRecord, wanted: Update) -> int:
    if wanted.min_version is None:
        return key.min_version
    newest = rows.newest_version(change.tx, key.tenant, key.id)
    if not 1 <= wanted.min_version <= newest:
        raise FieldError(
            "key.min_version",
            expected=f"1 to {newest}, the number of the newest version",
            given=wanted.min_version,
        )
    return wanted.min_version


def _rotation(change: Change, key: KeyRecord, wanted: Update) -> KeyRecord:
    period_us = wanted.rotation_period_us
    if period_us is None or period_us == key.rotation_period_us:
        return key
    if period_us:
        making.check_generates(key.algorithm, "key.rotation_period")
    key = replace(key, rotation_period_us=period_us)
    return replace(key, next_rotation_us=effects.next_rotation(key, change.now_us))


def _primary(change: Change, key: KeyRecord, wanted: Update) -> KeyRecord:
    number = wanted.primary_version
    if number is None or number == key.primary_version:
        return key
    newest = rows.newest_version(change.tx, key.tenant, key.id)
    if not 1 <= number <= newest:
        raise FieldError(
            "key.primary_version",
            expected=f"1 to {newest}, the number of a version",
            given=number,
        )
    check_usable(key, change.version(key, number, "key.primary_version"))
    return replace(key, primary_version=number)
