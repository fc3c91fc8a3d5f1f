"""What is due by its time: done once, by whoever comes first, and caught up with."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.algorithms import Algorithm
from ketgate_server.signing.keys import due, rows
from ketgate_server.signing.keys.access import Access
from ketgate_server.signing.keys.due import Destruction, NotDue
from ketgate_server.signing.keys.record import Use, VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.keys.timers import BACKOFF_US, Timers
from ketgate_server.signing.provider import Abilities, Form, Material, OperationFailed, Providers
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store
from ketgate_server.store.erasure import cut_log

from .conftest import EMMA, MINUTE_US, Bench, FakeTime

HOUR_US = 60 * MINUTE_US


def test_a_version_is_destroyed_when_its_moment_comes(bench: Bench) -> None:
    key, _ = bench.create(destroy_delay_us=MINUTE_US)
    told: list[Destruction] = []
    timers = Timers(bench.keys, told.append)
    bench.act(Act.DESTROY, 1)
    bench.time.pass_us(MINUTE_US - 1)
    timers.run_once()
    assert bench.version(1).state is VersionState.DESTROY_SCHEDULED
    bench.time.pass_us(1)
    timers.run_once()
    version = bench.version(1)
    assert (version.state, version.envelope) == (VersionState.DESTROYED, None)
    assert version.destroyed_time_us == bench.time.us
    assert version.destroy_time_us is None
    exported = Access(bench.keys).find(EMMA, version.name, Use.VERIFY, usable=False)
    assert exported == (bench.key(), version)
    assert len(version.public_key) == 32
    assert told == [Destruction("red", key.uid, "a", 1)]
    with bench.store.read() as reader:
        assert list(rows.destroyed(reader)) == [("red", key.uid, "a", 1)]
    for act in Act:
        with pytest.raises(KetgateError) as caught:
            bench.act(act, 1)
        assert caught.value.reason is Reason.KEY_UNUSABLE
    timers.run_once()
    assert len(told) == 1


def test_what_cannot_be_undone_waits_for_the_time_of_transactions(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the clock of reads alone, which may be ahead of theirs, a key was deleted from its token and entered in the
    journal while its version could still be restored."""
    bench.create(destroy_delay_us=MINUTE_US)
    told: list[Destruction] = []
    timers = Timers(bench.keys, told.append)
    bench.act(Act.DESTROY, 1)
    monkeypatch.setattr(bench.store, "now_us", lambda: bench.time.us + MINUTE_US)
    timers.run_once()
    assert told == []
    bench.act(Act.RESTORE, 1)
    timers.run_once()
    assert told == []


def test_nothing_is_done_while_the_look_says_no(bench: Bench) -> None:
    bench.create(destroy_delay_us=MINUTE_US)
    bench.act(Act.DESTROY, 1)
    bench.time.pass_us(MINUTE_US)
    answers = [False, True]
    timers = Timers(bench.keys, look=lambda: answers.pop(0))
    timers.run_once()
    assert bench.version(1).state is VersionState.DESTROY_SCHEDULED
    timers.run_once()
    assert bench.version(1).state is VersionState.DESTROYED


def test_what_was_restored_meanwhile_is_not_destroyed(bench: Bench) -> None:
    """Another server may have found it due just before, by a clock that is ahead."""
    key, _ = bench.create(destroy_delay_us=MINUTE_US)
    bench.act(Act.DESTROY, 1)
    bench.act(Act.RESTORE, 1)
    with pytest.raises(NotDue):
        due.destroy(bench.keys, Destruction("red", key.uid, "a", 1))
    assert bench.version(1).envelope is not None


def test_one_rotation_makes_up_for_all_that_were_missed(bench: Bench) -> None:
    bench.create(rotation_period_us=HOUR_US)
    timers = Timers(bench.keys)
    bench.time.pass_us(HOUR_US - 1)
    timers.run_once()
    assert bench.key().primary_version == 1
    bench.time.pass_us(5 * HOUR_US)
    timers.run_once()
    key = bench.key()
    assert key.primary_version == 2
    assert key.next_rotation_us == bench.time.us + HOUR_US
    with pytest.raises(NotDue):  # a second server, which found it due as well
        due.rotate(bench.keys, "red", "a")
    bench.time.us -= 3 * HOUR_US
    timers.run_once()
    assert bench.key().primary_version == 2


def test_a_rotation_by_hand_starts_the_period_anew(bench: Bench) -> None:
    bench.create(rotation_period_us=HOUR_US)
    bench.time.pass_us(HOUR_US // 2)
    bench.rotate()
    assert bench.key().next_rotation_us == bench.time.us + HOUR_US


def test_a_key_without_a_usable_version_waits_with_its_rotation(bench: Bench) -> None:
    bench.create(rotation_period_us=HOUR_US)
    bench.act(Act.DISABLE, 1)
    bench.time.pass_us(HOUR_US)
    timers = Timers(bench.keys)
    timers.run_once()
    assert len(bench.keys.versions("red", "a")) == 1
    bench.act(Act.ENABLE, 1)
    timers.run_once()
    assert bench.key().primary_version == 2


def test_what_fails_for_one_key_is_tried_later_and_stops_no_other(
    bench: Bench, caplog: pytest.LogCaptureFixture
) -> None:
    for name in "ab":
        bench.create(name, rotation_period_us=HOUR_US)
    bench.create("c", "ML_DSA_44", rotation_period_us=HOUR_US)
    provider = bench.keys.providers.all[0]
    tried: list[str] = []

    class Broken:
        name = provider.name
        version = provider.version
        abilities = staticmethod(provider.abilities)
        public_key = staticmethod(provider.public_key)

        def generate(self, algorithm: object) -> object:
            tried.append(str(algorithm))
            if str(algorithm) == "ML-DSA-44":
                raise OperationFailed("the token is not there")
            return provider.generate(algorithm)  # type: ignore[arg-type]

    bench.keys.providers = Providers([Broken()])  # type: ignore[list-item]
    bench.time.pass_us(HOUR_US)
    timers = Timers(bench.keys)
    timers.run_once()
    timers.run_once()
    assert [bench.key(name).primary_version for name in "abc"] == [2, 2, 1]
    assert tried.count("ML-DSA-44") == 1
    assert "the token is not there" in caplog.text
    bench.time.pass_us(BACKOFF_US)
    bench.keys.providers = Providers([provider])
    timers.run_once()
    assert bench.key("c").primary_version == 2


def test_expired_wrapping_keys_are_dropped(bench: Bench) -> None:
    insert = """INSERT INTO signing_wrapping_keys (tenant, id, creator, algorithm, public_key,
        envelope, kek, expire_time_us) VALUES ('red', ?, 'emma', 'x', ?, ?, 'kek', ?)"""
    for name, lives_us in (("short", MINUTE_US), ("long", HOUR_US)):
        row = (name, b"p", b"e", bench.time.us + lives_us)
        bench.store.run(lambda tx, row=row: tx.execute(insert, row))
    bench.time.pass_us(MINUTE_US)
    Timers(bench.keys).run_once()
    with bench.store.read() as reader:
        assert reader.rows("SELECT id FROM signing_wrapping_keys") == [("long",)]


def test_the_thread_ends_with_what_it_does(bench: Bench) -> None:
    timers = Timers(bench.keys)
    timers.start()
    timers.close()
    timers.close()


@pytest.fixture
def file_store(tmp_path: Path, time: FakeTime) -> Iterator[Store]:
    store = open_store(tmp_path / "files", None, clock=time)
    yield store
    store.close()


def content(folder: Path) -> bytes:
    return b"".join((folder / name).read_bytes() for name in os.listdir(folder))


def test_a_destroyed_key_is_in_no_file_of_sqlite(
    file_store: Store, time: FakeTime, tmp_path: Path
) -> None:
    """Large ones too, which lie on pages of their own."""
    bench = Bench(file_store, time)
    envelopes = []
    for name, algorithm in (("a", "ED25519"), ("b", "ML_DSA_87"), ("c", "ED25519")):
        _, version = bench.create(name, algorithm, destroy_delay_us=MINUTE_US)
        if name == "c":
            large = os.urandom(9_000)
            bench.keys.change(
                bench.asker(),
                lambda change, v=version, e=large: change.put_version(
                    type(v)(**{**vars(v), "envelope": e})
                ),
            )
            envelopes.append(large)
        else:
            assert version.envelope is not None
            envelopes.append(version.envelope)
    assert cut_log(file_store)
    found = content(tmp_path / "files")
    assert all(envelope[-40:] in found for envelope in envelopes)
    for name in "abc":
        bench.act(Act.DESTROY, 1, name)
    time.pass_us(MINUTE_US)
    Timers(bench.keys).run_once()
    found = content(tmp_path / "files")
    assert not [n for n, envelope in zip("abc", envelopes, strict=True) if envelope[-40:] in found]
    assert not any(envelopes[2][i : i + 16] in found for i in range(0, 9_000, 16))


class TokenProvider:
    """Keys that lie elsewhere; the store has their identifiers."""

    name = "pkcs11"
    version = "1"

    def __init__(self) -> None:
        self.there: set[bytes] = set()

    def abilities(self) -> dict[str, Abilities]:
        return {"ED25519": Abilities()}

    def generate(self, algorithm: Algorithm) -> Material:
        content = os.urandom(16)
        self.there.add(content)
        return Material(algorithm, Form.TOKEN, content, bytes(32))

    def public_key(self, material: Material) -> bytes:
        return material.public

    def destroy(self, material: Material) -> None:
        self.there.discard(material.content)


def test_a_key_in_a_token_that_was_not_stored_does_not_stay_there(bench: Bench) -> None:
    token = TokenProvider()
    bench.keys.providers = Providers([token])  # type: ignore[list-item]
    for name in "abcde":
        bench.create(name)
    with pytest.raises(KetgateError):
        bench.create("f")
    with pytest.raises(KetgateError):
        bench.create("a")
    assert len(token.there) == 5
