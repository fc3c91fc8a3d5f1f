"""One key-encryption key takes the place of another: everything is rewrapped, and nothing is lost on the
way."""

import logging
import os
from concurrent.futures import ThreadPoolExecutor
from itertools import permutations
from pathlib import Path
from typing import Any

import pytest
from ketgate.audit.v1 import audit_service_pb2 as pb
from ketgate_server.errors import KetgateError, Reason
from ketgate_server.signing.kek import start
from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.rewrap import Rewrap
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.signing.keys import rows
from ketgate_server.store.base import Store

from .conftest import check_filled, fill, new_vault, settings, write_secret

pytestmark = pytest.mark.usefixtures("quick_passphrases")


def active(store: Store) -> list[str]:
    with store.read() as reader:
        return [
            row[0]
            for row in reader.rows("SELECT id FROM signing_keks WHERE retire_time_us IS NULL")
        ]


def said(store: Store) -> list[tuple[str, dict[str, str]]]:
    """Action and facts of the audit's entries."""
    with store.read() as reader:
        found = reader.rows("SELECT payload FROM audit_entries ORDER BY idx")
    entries = [pb.AuditPayload.FromString(bytes(row[0])) for row in found]
    return [(entry.action, dict(entry.facts)) for entry in entries]


def places(folder: Path) -> dict[str, dict[str, Any]]:
    """Settings of several key-encryption keys, with what names each as the previous."""
    folder.mkdir(exist_ok=True)
    first, second = folder / "first.key", folder / "second.key"
    secret = write_secret(folder / "passphrase", "the second passphrase")
    return {
        "file": {"kek_file": first, "previous_kek_file": first},
        "another file": {"kek_file": second, "previous_kek_file": second},
        "passphrase": {
            "kek": "passphrase",
            "passphrase": "the first passphrase",
            "previous_passphrase": "the first passphrase",
        },
        "another passphrase": {
            "kek": "passphrase",
            "passphrase_file": secret,
            "previous_passphrase_file": secret,
        },
    }


def only(place: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in place.items() if not name.startswith("previous")}


def until_now(place: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in place.items() if name.startswith("previous")}


NAMES = ("file", "another file", "passphrase", "another passphrase")


@pytest.mark.parametrize(("before", "after"), list(permutations(NAMES, 2)))
def test_any_key_is_changed_for_any_other(
    store: Store, tmp_path: Path, before: str, after: str
) -> None:
    named = places(tmp_path / "secrets")
    first = open_vault(settings(**only(named[before])), tmp_path, store)
    fill(store, first)
    new = only(named[after])
    with pytest.raises(KeyStoreSealed, match=r"name the one until now with signing\.previous"):
        open_vault(settings(**new), tmp_path, store)
    second = open_vault(settings(**new, **until_now(named[before])), tmp_path, store)
    check_filled(store, second)
    assert active(store) == [second.kek_id]
    # From then on without the previous one; and the one until now opens nothing any more.
    check_filled(store, open_vault(settings(**new), tmp_path, store))
    with pytest.raises(KeyStoreSealed):
        open_vault(settings(**only(named[before])), tmp_path, store)
    with store.read() as reader, pytest.raises(KetgateError) as caught:
        rows.read_key(reader, first, "default", "key-0")
    assert caught.value.reason is Reason.KEY_STORE_SEALED


def test_the_audit_tells_of_the_change(store: Store, tmp_path: Path) -> None:
    named = places(tmp_path / "secrets")
    first = open_vault(settings(**only(named["file"])), tmp_path, store)
    fill(store, first)
    second = open_vault(
        settings(**only(named["passphrase"]), **until_now(named["file"])), tmp_path, store
    )
    assert said(store) == [
        ("log.created", {}),
        ("signing.kek.created", {"kek": first.kek_id, "kind": "file"}),
        ("signing.kek.created", {"kek": second.kek_id, "kind": "passphrase"}),
        # 6 keys of 2 versions each, a change and a wrapping key.
        (
            "signing.kek.changed",
            {"from": first.kek_id, "to": second.kek_id, "rows": "20", "corrupt": "0"},
        ),
    ]


def test_a_wrong_previous_key_changes_nothing(store: Store, tmp_path: Path) -> None:
    named = places(tmp_path / "secrets")
    first = open_vault(settings(**only(named["file"])), tmp_path, store)
    fill(store, first)
    other = write_secret(tmp_path / "other.key", os.urandom(32))
    new = only(named["another file"])
    with pytest.raises(KeyStoreSealed):
        open_vault(settings(**new, previous_kek_file=other), tmp_path, store)
    with pytest.raises(KeyStoreSealed):
        open_vault(settings(**new, previous_passphrase="the first passphrase"), tmp_path, store)
    assert active(store) == [first.kek_id]
    check_filled(store, open_vault(settings(**only(named["file"])), tmp_path, store))


@pytest.mark.parametrize("name", ["previous_kek_file", "previous_passphrase_file"])
def test_a_previous_key_that_is_still_named_does_nothing(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str
) -> None:
    """It may be gone already."""
    given = {"kek_file": tmp_path / "own.key", name: tmp_path / "gone"}
    first = open_vault(settings(**given), tmp_path, store)
    fill(store, first)
    with caplog.at_level(logging.WARNING):
        assert open_vault(settings(**given), tmp_path, store).kek_id == first.kek_id
    assert f"signing.{name} is not needed any more" in caplog.text
    assert active(store) == [first.kek_id]


def test_several_servers_may_make_the_change_at_once(store: Store, tmp_path: Path) -> None:
    named = places(tmp_path / "secrets")
    fill(store, open_vault(settings(**only(named["file"])), tmp_path, store), keys=30)
    new = settings(**only(named["another file"]), **until_now(named["file"]))
    with ThreadPoolExecutor(3) as pool:
        vaults = list(pool.map(lambda _: open_vault(new, tmp_path, store), range(3)))
    assert active(store) == [vaults[0].kek_id]
    assert {vault.kek_id for vault in vaults} == {vaults[0].kek_id}
    check_filled(store, vaults[0], keys=30)
    assert [action for action, _ in said(store)].count("signing.kek.changed") == 1


class Stopped(Exception):  # noqa: N818 - what happened
    """In place of a kill."""


@pytest.mark.parametrize("steps", range(0, 24, 3))
def test_a_change_that_was_broken_off_is_finished(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    named = places(tmp_path / "secrets")
    fill(store, open_vault(settings(**only(named["file"])), tmp_path, store))
    run, left = Rewrap.run, [steps]

    def stopping(self: Rewrap) -> object:
        def counted(operation: Any) -> object:
            if left[0] == 0:
                raise Stopped
            left[0] -= 1
            return store_run(operation)

        store_run = store.run
        monkeypatch.setattr(store, "run", counted)
        try:
            return run(self, rows_per_step=1)
        finally:
            monkeypatch.setattr(store, "run", store_run)

    new, previous = only(named["passphrase"]), until_now(named["file"])
    with monkeypatch.context() as patch:
        patch.setattr(Rewrap, "run", stopping)
        with pytest.raises(Stopped):
            open_vault(settings(**new, **previous), tmp_path, store)
    assert len(active(store)) == 2
    # Both are needed until it is over; neither alone opens the store.
    for alone in (new, only(named["file"])):
        with pytest.raises(KeyStoreSealed):
            open_vault(settings(**alone), tmp_path, store)
    check_filled(store, open_vault(settings(**new, **previous), tmp_path, store))
    assert len(active(store)) == 1
    assert said(store)[-1][1]["rows"] == "20"


def test_a_change_that_was_broken_off_is_taken_back(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    named = places(tmp_path / "secrets")
    fill(store, open_vault(settings(**only(named["file"])), tmp_path, store))

    def half(self: Rewrap) -> object:
        raise Stopped

    new = only(named["passphrase"])
    with monkeypatch.context() as patch:
        patch.setattr(start.Rewrap, "run", half)
        with pytest.raises(Stopped):
            open_vault(settings(**new, **until_now(named["file"])), tmp_path, store)
    back = settings(**only(named["file"]), **until_now(named["passphrase"]))
    check_filled(store, open_vault(back, tmp_path, store))
    assert len(active(store)) == 1


def test_a_server_that_still_has_the_key_until_now_writes_nothing(
    store: Store, tmp_path: Path
) -> None:
    named = places(tmp_path / "secrets")
    first = open_vault(settings(**only(named["file"])), tmp_path, store)
    store.run(first.check_current)
    fill(store, first)
    second = open_vault(
        settings(**only(named["another file"]), **until_now(named["file"])), tmp_path, store
    )
    store.run(second.check_current)
    with pytest.raises(KetgateError, match="restart it with the new one") as caught:
        store.run(first.check_current)
    assert caught.value.reason is Reason.KEY_STORE_SEALED


def test_what_was_corrupt_stays_so_and_keeps_nothing_else(
    store: Store, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    named = places(tmp_path / "secrets")
    first = open_vault(settings(**only(named["file"])), tmp_path, store)
    fill(store, first)
    store.run(
        lambda tx: tx.execute(
            "UPDATE signing_versions SET state = 'DESTROYED' WHERE key_id = 'key-1' AND version = 1"
        )
    )
    with caplog.at_level(logging.ERROR):
        second = open_vault(
            settings(**only(named["another file"]), **until_now(named["file"])), tmp_path, store
        )
    assert said(store)[-1][1] | {"from": "", "to": ""} == {
        "rows": "18",
        "corrupt": "2",
        "from": "",
        "to": "",
    }
    assert "keys/key-1/versions/1 is corrupt" in caplog.text
    with store.read() as reader:
        assert rows.read_versions(reader, second, "default", "key-0")
        with pytest.raises(KetgateError) as caught:
            rows.read_versions(reader, second, "default", "key-1")
    assert caught.value.reason is Reason.KEY_CORRUPT


def test_steps_of_any_length_go_through_everything(store: Store) -> None:
    for length in (1, 2, 3, 5, 100):
        store.run(lambda tx: [tx.execute(f"DELETE FROM {table}") for table in TABLES])
        before, after = new_vault(), new_vault()
        fill(store, before)
        counts = Rewrap(store, [before], after).run(length)
        assert (counts.rows, counts.corrupt) == (20, 0)
        check_filled(store, after)


TABLES = ("signing_versions", "signing_keys", "signing_changes", "signing_wrapping_keys")
