"""Restoring a back-up does not bring destroyed keys back."""

import json
import os
from pathlib import Path

import pytest
from click.testing import Result
from ketgate._cli.app import build
from ketgate_server import audit_signer, backups
from ketgate_server.audit import told
from ketgate_server.settings import Settings
from ketgate_server.signing import shared
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.store.database import FILE_NAME, open_store
from ketgate_server.store.errors import StoreError
from typer.testing import CliRunner

from ...postgres import PostgresServer
from .data_folder import DataFolder


@pytest.fixture
def until_now(tmp_path: Path) -> DataFolder:
    """With a key that was destroyed, and one that was disabled, after the back-up."""
    made = DataFolder(tmp_path / "old", None)
    made.create("a")
    made.create("b")
    backups.back_up(tmp_path / "backup.tar", made.folder)
    made.destroy("a")
    made.act(Act.DISABLE, "b")
    made.stop()
    return made


def restore(folder: Path, *replaced: Path, **signing: object) -> backups.Restored:
    settings = Settings(data_dir=folder / "new", signing=signing)  # type: ignore[arg-type]
    return backups.restore(folder / "backup.tar", settings, replaced)


def states(folder: Path) -> tuple[dict[str, VersionState], dict[str, str]]:
    """States by key, and the facts of the entry about the restoration; of a server that starts."""
    settings = Settings(data_dir=folder)
    store = open_store(folder)
    try:
        audit_signer.open_signer(settings, store)
        base = shared.foundation(settings, store)
        assert base.rollback is None
        with store.read() as reader:
            fact = next(one.fact for one in told.backwards(reader, "keys_destroyed_again"))
        assert fact.action == backups.RESTORED
        found = {key: base.keys.version("red", key, 1) for key in ("a", "b")}
        return {k: v.state for k, v in found.items() if v is not None}, dict(fact.facts or {})
    finally:
        shared.close(store)
        store.close()


def test_what_was_destroyed_is_destroyed_again(until_now: DataFolder, tmp_path: Path) -> None:
    restored = restore(tmp_path, until_now.folder)
    assert [(v.key_id, v.version) for v in restored.destroyed_again] == [("a", 1)]
    assert restored.unknown == ()
    found, facts = states(tmp_path / "new")
    assert found == {"a": VersionState.DESTROYED, "b": VersionState.ENABLED}
    assert facts["keys_destroyed_again"] == "1"


@pytest.mark.parametrize("lost", ["journal", "database", "damaged"])
def test_either_of_journal_and_database_is_enough(
    until_now: DataFolder, tmp_path: Path, lost: str
) -> None:
    if lost == "journal":
        (until_now.folder / "keys" / "destroyed").unlink()
    else:
        for name in until_now.folder.glob(f"{FILE_NAME}*"):
            name.unlink()
        if lost == "damaged":
            (until_now.folder / FILE_NAME).write_bytes(b"no database" * 1000)
    restored = restore(tmp_path, until_now.folder)
    assert [v.key_id for v in restored.destroyed_again] == ["a"]
    assert bool(restored.unknown) == (lost == "damaged")
    assert states(tmp_path / "new")[0]["a"] is VersionState.DESTROYED


def test_without_the_store_until_now_it_says_what_it_does_not_know(
    until_now: DataFolder, tmp_path: Path
) -> None:
    restored = restore(tmp_path)
    assert restored.destroyed_again == ()
    assert "--replacing" in restored.unknown[0]
    found, facts = states(tmp_path / "new")
    assert found["a"] is VersionState.ENABLED
    assert "--replacing" in facts["unknown"]


def test_the_private_key_is_in_no_file(until_now: DataFolder, tmp_path: Path) -> None:
    """The envelope that the back-up brought is not left in a page of the database."""
    restore(tmp_path)
    store = open_store(tmp_path / "new")
    with store.read() as reader:
        row = reader.row("SELECT envelope FROM signing_versions WHERE key_id = 'a'")
    store.close()
    assert row is not None
    os.rename(tmp_path / "new", tmp_path / "without")
    restore(tmp_path, until_now.folder)
    states(tmp_path / "new")
    for file in (tmp_path / "new").rglob("*"):
        assert not file.is_file() or bytes(row[0]) not in file.read_bytes(), file


def test_without_the_key_encryption_key_nothing_is_restored(
    until_now: DataFolder, tmp_path: Path
) -> None:
    wrong = tmp_path / "kek"
    wrong.write_bytes(os.urandom(32))
    wrong.chmod(0o600)
    with pytest.raises(StoreError):
        restore(tmp_path, until_now.folder, kek_file=wrong)
    assert not (tmp_path / "new").exists()


def test_a_folder_that_is_none_is_refused(until_now: DataFolder, tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="is no data folder"):
        restore(tmp_path, tmp_path / "nowhere")
    assert not (tmp_path / "new").exists()


def test_a_restored_store_is_no_rollback(until_now: DataFolder, tmp_path: Path) -> None:
    """What the server saw of the log is in the back-up as well, and later than the database's copy."""
    until_now.start()
    until_now.create("c")
    until_now.stop()
    until_now.start()
    backups.back_up(tmp_path / "later.tar", until_now.folder)
    until_now.close()
    settings = Settings(data_dir=tmp_path / "new")
    backups.restore(tmp_path / "later.tar", settings, ())
    states(tmp_path / "new")


def test_commands(until_now: DataFolder, tmp_path: Path) -> None:
    def run(*words: object) -> Result:
        arguments = list(map(str, words))
        return CliRunner().invoke(build(arguments), arguments)

    new = tmp_path / "new"
    restored = run(
        *("restore", tmp_path / "backup.tar", "--data-dir", new),
        *("--replacing", until_now.folder, "--json"),
    )
    assert restored.exit_code == 0, restored.output
    told = json.loads(restored.stdout)
    assert (told["keys_destroyed_again"], told["unknown"]) == (["keys/a/versions/1"], [])
    assert "`ketgate audit head --accept`" in told["afterwards"]
    nothing = run("audit", "accept-rollback", "--data-dir", new)
    assert "there is nothing to accept" in str(nothing.exception)
    bare = run("restore", tmp_path / "backup.tar", "--data-dir", tmp_path / "bare")
    assert "--replacing" in bare.stderr
    assert "`ketgate audit head --accept`" in bare.stdout


def test_accepting_an_older_copy_says_what_its_clients_see(tmp_path: Path) -> None:
    old = DataFolder(tmp_path / "data", None)
    old.create("a")
    copied = old.copy()
    old.destroy("a")
    old.put_back({"signing_versions": copied["signing_versions"]})
    old.close()
    words = ["audit", "accept-rollback", "--data-dir", str(old.folder)]
    accepted = CliRunner().invoke(build(words), words)
    assert accepted.exit_code == 0, accepted.output
    assert "destroyed again: keys/a/versions/1" in accepted.stdout
    assert "`ketgate audit head --accept`" in accepted.stdout


def test_on_postgresql_the_journals_tell(tmp_path: Path, postgres_server: PostgresServer) -> None:
    """Of servers that share a database, each has its own."""
    until_now = DataFolder(tmp_path / "old", postgres_server.new_database())
    until_now.create("a")
    backups.back_up(tmp_path / "backup.tar", until_now.folder, until_now.url)
    until_now.destroy("a")
    until_now.close()
    (tmp_path / "other").mkdir()
    url = postgres_server.new_database(empty=True)
    settings = Settings(data_dir=tmp_path / "new", store_url=url)  # type: ignore[arg-type]
    restored = backups.restore(
        tmp_path / "backup.tar", settings, [until_now.folder, tmp_path / "other"]
    )
    assert [one.key_id for one in restored.destroyed_again] == ["a"]
    again = DataFolder(tmp_path / "new", url)
    assert (again.base.rollback, again.state("a")) == (None, VersionState.DESTROYED)
    again.close()
