"""A key store that was put back to an older copy: by tables, by rows, by whole files; and the way on."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from ketgate.signing.v1 import signing_service_pb2
from ketgate_server import audit_signer, durable
from ketgate_server.audit import entries, log, told
from ketgate_server.data_folder import lock_folder
from ketgate_server.errors import KetgateError, NotFound, Reason
from ketgate_server.settings import Settings
from ketgate_server.signing import rollback
from ketgate_server.signing.keys import sums
from ketgate_server.signing.keys.journal import Journal, Version
from ketgate_server.signing.keys.record import VersionState
from ketgate_server.signing.keys.states import Act
from ketgate_server.signing.start import create_domain
from ketgate_server.store.base import Row
from ketgate_server.store.database import FILE_NAME
from ketgate_server.store.errors import StoreError

from ..audit.conftest import FakeCall
from .data_folder import EMMA, DataFolder


@pytest.fixture
def bench(store_url: str | None, tmp_path: Path) -> Iterator[DataFolder]:
    made = DataFolder(tmp_path / "data", store_url)
    made.create("a")
    made.create("b")
    yield made
    made.close()


def why(bench: DataFolder) -> str:
    found = bench.base.rollback
    return "" if found is None else str(found)


def test_what_was_only_stopped_is_not_older(bench: DataFolder) -> None:
    for _ in range(2):
        bench.act(Act.DISABLE)
        bench.act(Act.ENABLE)
        bench.restart()
        assert why(bench) == ""
    bench.destroy()
    bench.restart()
    assert why(bench) == ""


def test_the_sum_is_that_of_the_rows(bench: DataFolder) -> None:
    bench.act(Act.DISABLE)
    bench.base.keys.rotate(bench.asker(), "b")
    bench.destroy("b")
    with bench.store.read() as reader:
        assert sums.told(reader) == sums.counted(reader)
        assert sums.told(reader) != sums.NOTHING


def test_tables_that_were_put_back(bench: DataFolder) -> None:
    copied = bench.copy()
    bench.act(Act.DISABLE)
    bench.put_back({name: found for name, found in copied.items() if name != "counters"})
    bench.restart()
    assert "its rows are not those that entry" in why(bench)
    assert "/Change of keys/a/versions/1" in why(bench)


def test_with_the_counter(bench: DataFolder) -> None:
    """The log's own counter is left as it is, as else no entry could be written."""
    copied = bench.copy()
    bench.act(Act.DISABLE)
    now = dict(bench.rows("counters"))
    copied["counters"] = [
        (name, value if name == "signing" else now[name]) for name, value in copied["counters"]
    ]
    bench.put_back(copied)
    bench.restart()
    assert "its newest change is number 3, and the audit log tells of number 4" in why(bench)


@pytest.mark.parametrize("table", ["signing_keys", "signing_versions"])
def test_one_row_that_was_put_back(bench: DataFolder, table: str) -> None:
    """Although others were changed since."""
    copied = {table: bench.rows(table)}
    bench.act(Act.DISABLE, "a")
    after = bench.rows(table)
    bench.act(Act.DISABLE, "b")
    now = {row[:2]: row for row in bench.rows(table)}
    assert after != copied[table]
    bench.put_back({table: [old if old[1] == "a" else now[old[:2]] for old in copied[table]]})
    bench.restart()
    assert "some are older" in why(bench)


@pytest.mark.parametrize("table", ["signing_keys", "signing_versions"])
def test_rows_that_were_taken_out(bench: DataFolder, table: str) -> None:
    bench.put_back({table: [row for row in bench.rows(table) if row[1] != "a"]})
    bench.restart()
    assert "missing" in why(bench)


def test_tables_that_were_emptied(bench: DataFolder) -> None:
    """Of the signing tables, all but the keys that sign the log."""
    kept = {
        "signing_keys": [row for row in bench.rows("signing_keys") if row[0] == ""],
        "signing_versions": [row for row in bench.rows("signing_versions") if row[0] == ""],
        "signing_sums": [],
    }
    bench.put_back(kept)
    bench.restart()
    assert why(bench)


def test_a_destroyed_version_that_is_back_is_named(bench: DataFolder) -> None:
    copied = bench.copy()
    bench.destroy()
    bench.put_back({"signing_versions": copied["signing_versions"]})
    bench.restart()
    assert "it has versions that were destroyed: keys/a/versions/1" in why(bench)
    assert "signing.key_version.destroyed of keys/a/versions/1" in why(bench)


def test_an_entry_that_is_redacted_hides_nothing(bench: DataFolder) -> None:
    copied = bench.copy()
    bench.act(Act.DISABLE)
    with bench.store.read() as reader:
        newest = reader.row("SELECT MAX(idx) FROM audit_entries")
    assert newest is not None

    def redact(tx: Any) -> None:
        fact = log.Fact("root", "", "/Redact")
        entries.redact(tx, newest[0], fact, "", b"", NotFound("x"), rollback.checkpoint)

    bench.store.run(redact)
    bench.restart()
    assert why(bench) == ""
    bench.put_back({name: found for name, found in copied.items() if name != "counters"})
    bench.restart()
    assert "its rows are not those" in why(bench)


def refused(call: Callable[[], object]) -> str:
    with pytest.raises(KetgateError) as caught:
        call()
    assert caught.value.reason is Reason.KEY_STORE_ROLLED_BACK
    return caught.value.message


def test_keys_are_not_used_and_not_changed(bench: DataFolder) -> None:
    copied = bench.copy()
    bench.destroy()
    bench.put_back({"signing_versions": copied["signing_versions"]})
    bench.restart()
    domain = create_domain(bench.settings)
    domain.start(bench.store)
    try:
        for service in domain.services:
            for name, method in service.methods.items():
                call: Any = method.unary or method.upload or method.stream
                assert "accept-rollback" in refused(
                    lambda call=call, method=method: call(None, method.request_type())
                ), name
    finally:
        domain.end()
    with pytest.raises(StoreError, match="older copy"):
        audit_signer.rotate(bench.settings)
    assert bench.state() is VersionState.ENABLED  # as in the copy: nothing was written


def test_a_store_that_is_put_back_while_a_server_runs(bench: DataFolder) -> None:
    copied = bench.copy()
    domain = create_domain(bench.settings)
    domain.start(bench.store)
    method = next(s for s in domain.services if s.name.endswith("SigningService"))
    sign: Any = method.methods["Sign"].unary
    call = FakeCall(EMMA, "/ketgate.signing.v1.SigningService/Sign")
    request = signing_service_pb2.SignRequest(key="keys/a", message=b"m")
    try:
        assert sign(call, request)
        bench.act(Act.DISABLE, "b")
        assert sign(call, request)
        now = dict(bench.rows("counters"))
        copied["counters"] = [
            (name, value if name == "signing" else now[name]) for name, value in copied["counters"]
        ]
        bench.put_back(copied)
        for _ in range(2):
            assert "while the server runs" in refused(lambda: sign(call, request))
    finally:
        domain.end()


def test_the_refusal_names_nobodys_keys(bench: DataFolder) -> None:
    """It goes to callers of every tenant; which keys are back stands in the server's log."""
    with bench.store.read() as reader:
        row = reader.row("SELECT uid FROM signing_keys WHERE id = 'a'")
    assert row is not None
    bench.base.journal.add(Version("red", row[0], "a", 1))
    bench.restart()
    assert "keys/a/versions/1" in why(bench)
    assert bench.base.rollback is not None
    error = bench.base.rollback.refusal()
    assert "it has versions that were destroyed; " in error.message
    assert "keys/" not in error.message


def test_a_reader_that_is_late_is_no_rollback(bench: DataFolder) -> None:
    watch = rollback.Watch(bench.store, None)
    watch.look()
    bench.act(Act.DISABLE)
    watch.look()
    watch.look()
    assert watch.found is None


def test_an_older_copy_is_accepted_without_what_was_destroyed(bench: DataFolder) -> None:
    copied = bench.copy()
    bench.destroy()
    bench.act(Act.DISABLE, "b")
    bench.put_back({name: found for name, found in copied.items() if name != "counters"})
    bench.restart()
    assert bench.state() is VersionState.ENABLED
    bench.stop()
    found, again = audit_signer.accept_rollback(bench.settings)
    assert [(one.tenant, one.key_id, one.version) for one in again] == [("red", "a", 1)]
    assert "keys/a/versions/1" in str(found)
    bench.start()
    assert why(bench) == ""
    assert bench.state("a") is VersionState.DESTROYED
    assert bench.state("b") is VersionState.ENABLED
    with bench.store.read() as reader:
        newest = next(iter(told.backwards(reader, "why"))).fact
    assert newest.action == rollback.ACCEPTED
    assert (newest.facts or {})["destroyed_again"] == "1"
    bench.stop()
    with pytest.raises(StoreError, match="nothing to accept"):
        audit_signer.accept_rollback(bench.settings)
    bench.start()


def test_it_is_not_accepted_while_a_server_runs(bench: DataFolder) -> None:
    """The server went on refusing all keys, and the command had said that all is done."""
    copied = bench.copy()
    bench.destroy()
    bench.put_back({"signing_versions": copied["signing_versions"]})
    bench.restart()
    lock = lock_folder(bench.folder)
    with pytest.raises(StoreError, match="stop it"):
        audit_signer.accept_rollback(bench.settings)
    os.close(lock)
    assert bench.state() is VersionState.ENABLED


@pytest.mark.parametrize("command", [audit_signer.rotate, audit_signer.accept_rollback])
def test_commands_make_no_store(command: Callable[[Settings], object], tmp_path: Path) -> None:
    """With a folder that was mistyped a key was made and rotated there, and the server's went on signing."""
    with pytest.raises(StoreError, match=r"there is no store .*--data-dir"):
        command(Settings(data_dir=tmp_path / "mistyped"))
    assert not (tmp_path / "mistyped").exists()


def test_without_the_journal_the_log_tells_what_was_destroyed(bench: DataFolder) -> None:
    copied = bench.copy()
    bench.destroy()
    bench.put_back({"signing_versions": copied["signing_versions"]})
    bench.stop()
    (bench.folder / "keys" / "destroyed").unlink()
    _, again = audit_signer.accept_rollback(bench.settings)
    assert [one.key_id for one in again] == ["a"]
    bench.start()
    assert bench.state() is VersionState.DESTROYED


def test_a_key_of_the_same_name_is_not_the_one_that_was_destroyed(bench: DataFolder) -> None:
    """The log told names: after a copy from before a key was accepted, and the key was made anew, a second copy that
    was accepted ended the new one."""

    def put_back_and_accept(copied: dict[str, list[Row]]) -> list[Version]:
        bench.put_back({name: found for name, found in copied.items() if name != "counters"})
        bench.stop()
        _, again = audit_signer.accept_rollback(bench.settings)
        bench.start()
        return again

    before = bench.copy()
    bench.create("c")
    bench.destroy("c")
    assert put_back_and_accept(before) == []
    bench.create("c")
    copied = bench.copy()
    bench.act(Act.DISABLE, "b")
    assert put_back_and_accept(copied) == []
    assert bench.state("c") is VersionState.ENABLED


def test_a_database_file_that_was_put_back(tmp_path: Path) -> None:
    """With its log, which shrinks by that; what was seen of it lies beside it."""
    bench = DataFolder(tmp_path / "data", None)
    bench.create("a")
    bench.stop()
    shutil.copy(tmp_path / "data" / FILE_NAME, tmp_path / "copy.db")
    bench.start()
    bench.act(Act.DISABLE)
    bench.stop()
    for name in tmp_path.glob(f"data/{FILE_NAME}*"):
        name.unlink()
    shutil.copy(tmp_path / "copy.db", tmp_path / "data" / FILE_NAME)
    bench.start()
    assert "when this server last saw it" in why(bench)
    bench.restart()
    assert "when this server last saw it" in why(bench)
    bench.close()
    audit_signer.accept_rollback(bench.settings)
    bench.start()
    assert why(bench) == ""
    bench.close()


def test_a_log_that_goes_on_otherwise_is_noticed(tmp_path: Path) -> None:
    """The old copy was used and has grown beyond what was seen."""
    bench = DataFolder(tmp_path / "data", None)
    bench.stop()
    shutil.copytree(tmp_path / "data", tmp_path / "copy")
    bench.start()
    bench.create("a")
    bench.stop()
    other = DataFolder(tmp_path / "copy", None)
    other.create("b")
    other.create("c")
    other.stop()
    for name in tmp_path.glob(f"data/{FILE_NAME}*"):
        name.unlink()
    shutil.copy(tmp_path / "copy" / FILE_NAME, tmp_path / "data" / FILE_NAME)
    bench.start()
    assert "are not those that this server saw" in why(bench)
    bench.close()


def test_a_server_that_starts_says_what_is_missing(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    bench = DataFolder(tmp_path / "data", None)
    bench.create("a")
    copied = bench.rows("signing_versions")
    bench.act(Act.DISABLE)
    bench.put_back({"signing_versions": copied})
    bench.stop()
    for _ in range(2):  # its own entries do not hide it from the next start
        caplog.clear()
        running = durable.start(bench.settings, [])
        running.close()
        [record] = [r for r in caplog.records if "older copy" in r.getMessage()]
        assert "/Change of keys/a/versions/1" in record.getMessage()


def test_the_journal_keeps_what_was_whole(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    assert list(journal) == []
    one, two = Version("red", "u", "a", 1), Version("", "v", "b", 12)
    journal.add(one)
    path = tmp_path / "keys" / "destroyed"
    assert path.stat().st_mode & 0o777 == 0o600
    with path.open("ab") as file:
        file.write(b'{"tenant": "red", "key_')  # a crash
    assert list(journal) == [one]
    journal.add(two, one)
    assert list(journal) == [one, two, one]
    path.write_bytes(b"\xff\n[]\n{}\nnull\n" + path.read_bytes())
    assert list(journal) == [one, two, one]
