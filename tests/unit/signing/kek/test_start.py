"""The key-encryption key is made once, and a wrong one is told at the start."""

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from ketgate_server.signing.kek import passphrase_source
from ketgate_server.signing.kek.errors import KeyStoreSealed
from ketgate_server.signing.kek.start import open_vault
from ketgate_server.store.base import Store
from ketgate_server.store.database import open_store

from .conftest import check_filled, fill, settings, write_secret


def keks(store: Store) -> list[tuple[str, bool]]:
    """(kind, whether it is in use), oldest first."""
    with store.read() as reader:
        rows = reader.rows("SELECT kind, retire_time_us FROM signing_keks ORDER BY create_time_us")
    return [(kind, retired is None) for kind, retired in rows]


def test_a_file_is_made_at_the_first_start_and_kept(store: Store, tmp_path: Path) -> None:
    first = open_vault(settings(), tmp_path, store)
    fill(store, first)
    path = tmp_path / "keys" / "kek.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert path.stat().st_size == 32
    assert os.listdir(path.parent) == ["kek.key"]
    second = open_vault(settings(), tmp_path, store)
    assert second.kek_id == first.kek_id
    check_filled(store, second)
    assert keks(store) == [("file", True)]


def test_the_store_does_not_hold_the_key(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data")
    open_vault(settings(), tmp_path, store)
    secret = (tmp_path / "keys" / "kek.key").read_bytes()
    store.close()
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").iterdir())
    assert secret not in stored
    assert secret.hex().encode() not in stored


def test_servers_that_start_at_once_use_one_key(store: Store, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        vaults = list(pool.map(lambda _: open_vault(settings(), tmp_path, store), range(4)))
    assert len({vault.kek_id for vault in vaults}) == 1
    assert keks(store) == [("file", True)]


def test_a_missing_file_is_never_made_anew(store: Store, tmp_path: Path) -> None:
    fill(store, open_vault(settings(), tmp_path, store))
    path = tmp_path / "keys" / "kek.key"
    path.unlink()
    with pytest.raises(KeyStoreSealed, match="is not there; put it back from a copy"):
        open_vault(settings(), tmp_path, store)
    assert not path.exists()


def test_a_store_without_keys_takes_a_new_file(store: Store, tmp_path: Path) -> None:
    first = open_vault(settings(), tmp_path, store)
    (tmp_path / "keys" / "kek.key").unlink()
    second = open_vault(settings(), tmp_path, store)
    assert second.kek_id != first.kek_id
    assert keks(store) == [("file", False), ("file", True)]


def test_another_file_is_told(store: Store, tmp_path: Path) -> None:
    fill(store, open_vault(settings(), tmp_path, store))
    other = write_secret(tmp_path / "other.key", os.urandom(32))
    with pytest.raises(KeyStoreSealed, match="is not the one that stored keys are encrypted under"):
        open_vault(settings(kek_file=other), tmp_path, store)


@pytest.mark.parametrize(
    ("content", "mode", "expected"),
    [
        (b"x" * 31, 0o600, "expected 32 bytes, given 31"),
        (b"x" * 33, 0o600, "expected 32 bytes, given 33"),
        (b"", 0o600, "expected 32 bytes, given 0"),
        (b"x" * 5000, 0o600, "expected at most 4096 bytes"),
        (b"x" * 32, 0o640, r"can be used by others \(mode 0640\); expected 0600: chmod 600"),
        (b"x" * 32, 0o604, "can be used by others"),
        (b"x" * 32, 0o620, "can be used by others"),
    ],
)
def test_a_file_that_does_not_do_is_refused(
    tmp_path: Path, content: bytes, mode: int, expected: str
) -> None:
    store = open_store(tmp_path / "data")
    path = write_secret(tmp_path / "own.key", content)
    path.chmod(mode)
    with pytest.raises(KeyStoreSealed, match=expected):
        open_vault(settings(kek_file=path), tmp_path, store)
    assert path.read_bytes() == content
    store.close()


def test_a_file_of_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(tmp_path / "data")
    path = write_secret(tmp_path / "own.key", b"x" * 32)
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(KeyStoreSealed, match=r"belongs to user .* chown"):
        open_vault(settings(kek_file=path), tmp_path, store)
    store.close()


def test_what_is_no_file_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    store = open_store(tmp_path / "data")
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe, 0o600)
    for path in (pipe, tmp_path):
        with pytest.raises(KeyStoreSealed, match="is no file"):
            open_vault(settings(kek_file=path), tmp_path, store)
    with pytest.raises(KeyStoreSealed, match="cannot be made"):
        open_vault(settings(kek_file=pipe / "below"), tmp_path, store)
    store.close()


@pytest.mark.usefixtures("quick_passphrases")
def test_a_passphrase_opens_what_it_sealed(store: Store, tmp_path: Path) -> None:
    first = open_vault(settings(kek="passphrase", passphrase="correct horse é"), tmp_path, store)
    fill(store, first)
    # The same text, composed otherwise, from a file with the end of a line.
    path = write_secret(tmp_path / "passphrase", "correct horse e\N{COMBINING ACUTE ACCENT}\r\n")
    second = open_vault(settings(kek="passphrase", passphrase_file=path), tmp_path, store)
    check_filled(store, second)


@pytest.mark.usefixtures("quick_passphrases")
@pytest.mark.parametrize("wrong", ["correct horsf", "", "correct horse "])
def test_a_wrong_passphrase_is_told_and_not_shown(store: Store, tmp_path: Path, wrong: str) -> None:
    fill(store, open_vault(settings(kek="passphrase", passphrase="correct horse"), tmp_path, store))
    with pytest.raises(
        KeyStoreSealed, match=r"the passphrase of signing\.passphrase is not"
    ) as caught:
        open_vault(settings(kek="passphrase", passphrase=wrong), tmp_path, store)
    assert "horse" not in str(caught.value)
    assert "horsf" not in str(caught.value)


def test_a_short_passphrase_makes_no_key(store: Store, tmp_path: Path) -> None:
    with pytest.raises(KeyStoreSealed, match="expected at least 12 characters, given 11"):
        open_vault(settings(kek="passphrase", passphrase="x" * 11), tmp_path, store)
    assert keks(store) == []


@pytest.mark.parametrize(
    ("content", "expected"),
    [(None, "is not there"), (b"\xff" * 20, "expected text in UTF-8"), (b"x" * 5000, "4096 bytes")],
)
def test_a_passphrase_file_that_does_not_do_is_refused(
    tmp_path: Path, content: bytes | None, expected: str
) -> None:
    store = open_store(tmp_path / "data")
    path = tmp_path / "passphrase"
    if content is not None:
        write_secret(path, content)
    with pytest.raises(KeyStoreSealed, match=expected):
        open_vault(settings(kek="passphrase", passphrase_file=path), tmp_path, store)
    store.close()


def test_passphrases_cost_what_is_asked_of_them() -> None:
    """OWASP: at least 19 MiB twice; RFC 9106's second choice: 64 MiB three times."""
    assert passphrase_source.MEMORY_KIB >= 64 * 1024
    assert passphrase_source.ITERATIONS >= 3


@pytest.mark.usefixtures("quick_passphrases")
@pytest.mark.parametrize(
    "parameters",
    [
        {},
        {"salt": "zz", "memory_kib": 64, "iterations": 1, "lanes": 1},
        {"salt": "00" * 16, "memory_kib": 1 << 40, "iterations": 1, "lanes": 1},
        {"salt": "00" * 16, "memory_kib": 64, "iterations": 1 << 30, "lanes": 1},
        {"salt": "00" * 16, "memory_kib": 64, "iterations": True, "lanes": 1},
        {"salt": "00" * 16, "memory_kib": 64, "iterations": 1, "lanes": "1"},
        {"salt": "00", "memory_kib": 64, "iterations": 1, "lanes": 1},
    ],
)
def test_parameters_that_another_hand_wrote_are_refused(parameters: dict[str, Any]) -> None:
    source = passphrase_source.PassphraseSource("correct horse", "signing.passphrase")
    with pytest.raises(KeyStoreSealed, match="damaged"):
        source.open(parameters)


def test_records_that_another_hand_wrote_are_told(store: Store, tmp_path: Path) -> None:
    fill(store, open_vault(settings(), tmp_path, store))
    with store.read() as reader:
        ((body,),) = reader.rows("SELECT body FROM signing_keks")
    body = bytes(body)
    for changed, expected in (
        (b"{}", "is damaged"),
        (b"\xff", "is damaged"),
        (body.replace(b'"file"', b'"passphrase"'), "is damaged"),
        (body.replace(b'"format":1', b'"format":2'), "newer version"),
        (body.replace(b'"parameters":{}', b'"parameters":{"x":1}'), "is not the one"),
    ):
        assert changed != body
        store.run(lambda tx, new=changed: tx.execute("UPDATE signing_keks SET body = ?", (new,)))
        with pytest.raises(KeyStoreSealed, match=expected):
            open_vault(settings(), tmp_path, store)
