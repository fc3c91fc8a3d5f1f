"""What can be done to versions, when, and what becomes of the primary version."""

from collections.abc import Callable
from dataclasses import replace

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.keys import states
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act

from .conftest import MINUTE_US, Bench

E, D = VersionState.ENABLED, VersionState.DISABLED
S, X = VersionState.DESTROY_SCHEDULED, VersionState.DESTROYED


def refusal(call: Callable[..., object], *arguments: object) -> KetgateError:
    with pytest.raises(KetgateError) as caught:
        call(*arguments)
    return caught.value


def test_nothing_leads_out_of_destroyed() -> None:
    assert not [act for act, state in states.NEXT if state is X]
    assert {act for act, state in states.NEXT.items() if state is X} == {(Act.ELAPSE, S)}


def test_enabling_and_disabling_twice_changes_nothing(bench: Bench) -> None:
    key, _ = bench.create()
    assert bench.act(Act.ENABLE, 1)[0].etag == key.etag
    off, _ = bench.act(Act.DISABLE, 1)
    assert off.etag != key.etag
    assert bench.act(Act.DISABLE, 1)[0] == off


def test_what_is_to_be_destroyed_is_restored_until_the_moment_passes(bench: Bench) -> None:
    bench.create(destroy_delay_us=MINUTE_US)
    _, version = bench.act(Act.DESTROY, 1)
    assert version.state is S
    assert version.destroy_time_us == bench.time.us + MINUTE_US
    bench.time.pass_us(MINUTE_US // 2)
    assert bench.act(Act.DESTROY, 1)[1] == version  # at the time that was set first
    for act in (Act.ENABLE, Act.DISABLE):
        error = refusal(bench.act, act, 1)
        assert error.reason is Reason.KEY_UNUSABLE
        assert "RestoreKeyVersion" in error.message
    bench.time.pass_us(MINUTE_US // 2 - 1)
    _, version = bench.act(Act.RESTORE, 1)
    assert (version.state, version.destroy_time_us) == (D, None)
    assert refusal(bench.act, Act.RESTORE, 1).reason is Reason.KEY_UNUSABLE
    bench.act(Act.DESTROY, 1)
    bench.time.pass_us(MINUTE_US)
    error = refusal(bench.act, Act.RESTORE, 1)  # though nobody destroyed it yet
    assert "passed" in error.message
    assert bench.version(1).envelope is not None


def test_the_newest_usable_version_follows_the_primary_one(bench: Bench) -> None:
    bench.create()
    bench.rotate()
    bench.rotate()
    assert bench.act(Act.DISABLE, 3)[0].primary_version == 2
    assert bench.act(Act.ENABLE, 3)[0].primary_version == 2  # what took its place keeps it
    assert bench.act(Act.DESTROY, 2)[0].primary_version == 3
    assert bench.act(Act.DISABLE, 3)[0].primary_version == 1
    assert bench.act(Act.DISABLE, 1)[0].primary_version == 0
    assert bench.act(Act.RESTORE, 2)[0].primary_version == 0
    assert bench.act(Act.ENABLE, 2)[0].primary_version == 2
    assert bench.rotate()[0].primary_version == 4


def test_a_version_that_there_is_not_is_not_found(bench: Bench) -> None:
    bench.create()
    error = refusal(bench.act, Act.DISABLE, 2)
    assert error.reason is Reason.RESOURCE_NOT_FOUND
    assert "keys/a/versions/2" in error.message


def test_a_version_that_only_verifies_is_primary_where_no_other_can_be(bench: Bench) -> None:
    bench.create()
    bench.rotate()
    bench.rotate()
    public = replace(bench.version(2), envelope=None)
    bench.keys.change(bench.asker(), lambda change: change.put_version(public))
    assert bench.act(Act.DISABLE, 3)[0].primary_version == 1
    assert bench.act(Act.DISABLE, 1)[0].primary_version == 2
    assert bench.act(Act.ENABLE, 1)[0].primary_version == 2
