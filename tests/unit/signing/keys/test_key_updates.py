"""UpdateKey: what can be changed, to what, and what follows from it."""

from typing import Any

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys.record import KeyRecord, Policy, Quorum
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.updates import Update

from .conftest import MINUTE_US, Bench

HOUR_US = 60 * MINUTE_US


def update(bench: Bench, **fields: Any) -> KeyRecord:
    done = bench.keys.update(bench.asker("/Update"), "a", Update(**fields), lambda _: b"")
    assert done.value is not None
    assert bench.key() == done.value
    return done.value


def refusal(bench: Bench, **fields: Any) -> KetgateError:
    before = bench.key()
    with pytest.raises(KetgateError) as caught:
        update(bench, **fields)
    assert bench.key() == before
    return caught.value


def test_each_field_changes_alone(bench: Bench) -> None:
    before, _ = bench.create(labels={"desk": "fx"}, exportable=True)
    assert update(bench, labels={}).labels == {}
    assert update(bench, exportable=False).exportable is False
    assert update(bench, destroy_delay_us=MINUTE_US).destroy_delay_us == MINUTE_US
    assert update(bench, provider="cryptography").provider == "cryptography"
    key = update(bench, rotation_period_us=HOUR_US)
    assert key.next_rotation_us == bench.time.us + HOUR_US
    assert update(bench, rotation_period_us=0).next_rotation_us is None
    assert (key.uid, key.create_time_us) == (before.uid, before.create_time_us)


def test_an_update_to_what_is_there_keeps_the_etag(bench: Bench) -> None:
    key, _ = bench.create()
    assert update(bench, labels={}, min_version=1, etag=key.etag) == key
    changed = update(bench, labels={"a": "b"}, etag=key.etag)
    assert changed.etag != key.etag
    assert refusal(bench, labels={}, etag=key.etag).reason is Reason.ETAG_MISMATCH


def test_exportable_is_never_given(bench: Bench) -> None:
    bench.create()
    assert refusal(bench, exportable=True).field == "key.exportable"


def test_the_minimum_moves_the_primary_version(bench: Bench) -> None:
    bench.create()
    bench.rotate()
    bench.rotate()
    assert update(bench, primary_version=1).primary_version == 1
    key = update(bench, min_version=2)
    assert (key.min_version, key.primary_version) == (2, 3)
    assert refusal(bench, primary_version=1).reason is Reason.KEY_UNUSABLE
    assert update(bench, min_version=1, primary_version=1).primary_version == 1
    assert refusal(bench, min_version=4).field == "key.min_version"
    assert refusal(bench, min_version=0).field == "key.min_version"
    assert refusal(bench, primary_version=4).field == "key.primary_version"
    assert refusal(bench, primary_version=0).field == "key.primary_version"


def test_the_primary_version_is_a_usable_one(bench: Bench) -> None:
    bench.create()
    bench.rotate()
    bench.act(Act.DISABLE, 1)
    assert refusal(bench, primary_version=1).reason is Reason.KEY_UNUSABLE


def test_under_a_quorum_the_delay_of_destruction_grows_only(bench: Bench) -> None:
    bench.create(policy=Policy(quorum=Quorum(1, ("ann",))), destroy_delay_us=HOUR_US)
    assert refusal(bench, destroy_delay_us=HOUR_US - 1).field == "key.destroy_delay"
    assert update(bench, destroy_delay_us=HOUR_US + 1).destroy_delay_us == HOUR_US + 1


def test_a_provider_must_make_such_keys(bench: Bench) -> None:
    bench.create()
    assert refusal(bench, provider="liboqs").reason is Reason.PART_NOT_INSTALLED
    assert refusal(bench, provider="cloud").field == "key.provider"


def test_a_key_that_there_is_not(bench: Bench) -> None:
    with pytest.raises(KetgateError) as caught:
        bench.keys.update(bench.asker(), "a", Update(labels={}), lambda _: b"")
    assert (caught.value.reason, caught.value.field) == (Reason.RESOURCE_NOT_FOUND, "key.name")
