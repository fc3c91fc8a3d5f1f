"""Back-ups: made under load, restored elsewhere, refused when they are not whole."""

import io
import json
import os
import stat
import tarfile
import threading

import pytest
from ketgate_server.store import dump
from ketgate_server.store.backup import MANIFEST_FILE, back_up, restore
from ketgate_server.store.database import open_store
from ketgate_server.store.errors import StoreError
from ketgate_server.tokens import TokenStore

from .test_operations import add_event, counter, revisions

BLOB = f"artifacts/ab/{'c' * 62}"


@pytest.fixture
def other_url(store_url, request):
    """Where to restore to: another empty database, if the store is one."""
    if store_url is None:
        return None
    return request.getfixturevalue("postgres_server").new_database(empty=True)


def fill(folder):
    """What a data folder holds beside the database."""
    for name, content in {
        "tls/ca.key": b"key",
        "keys/audit.pem": b"another",
        "admin.token": b"kg_x\n",
        BLOB: b"blob" * 1000,
        "artifacts/uploads/1": b"half",
        "server.lock": b"1",
        "ready.json": b"{}",
        ".admin.token.7": b"being written",
    }.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)
    os.chmod(folder / "tls/ca.key", 0o600)


def small_backup(tmp_path):
    """A back-up of a SQLite store."""
    open_store(tmp_path / "data").close()
    fill(tmp_path / "data")
    return back_up(tmp_path / "b.tar", tmp_path / "data")[0]


def test_a_backup_under_load_holds_one_state(store, store_url, other_url, tmp_path):
    data = tmp_path / "data"
    data.mkdir(exist_ok=True)
    fill(data)
    stop = threading.Event()
    started = threading.Barrier(5)

    def write():
        store.run(add_event)
        started.wait()
        while not stop.is_set():
            store.run(add_event)

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    started.wait()
    least = len(revisions(store))
    file, manifest = back_up(tmp_path / "b.tar", data, store_url)
    stop.set()
    for thread in threads:
        thread.join()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert manifest == restore(file, tmp_path / "new", other_url)
    restored = open_store(tmp_path / "new", other_url)
    kept = revisions(restored)
    assert kept == list(range(1, len(kept) + 1))
    assert least <= len(kept) <= len(revisions(store))
    assert counter(restored) == len(kept)
    assert restored.run(add_event) == len(kept) + 1
    restored.close()


def test_the_files_of_the_data_folder_come_along(tmp_path):
    secret, _ = (tokens := TokenStore.open(tmp_path / "data")).create("ci")
    fill(tmp_path / "data")
    file, manifest = back_up(tmp_path / "b.tar", tmp_path / "data")
    tokens.close()
    expected = {"tls/ca.key", "keys/audit.pem", "admin.token", BLOB, "artifacts/uploads/1"}
    assert set(manifest.files) == expected | {"ketgate.db"}
    with tarfile.open(file) as tar:
        names = tar.getnames()
    assert names.index(BLOB) < names.index("ketgate.db") < names.index("artifacts/uploads/1")
    (tmp_path / "new").mkdir()  # an empty folder will do
    restore(file, tmp_path / "new")
    for name in expected:
        assert (tmp_path / "new" / name).read_bytes() == (tmp_path / "data" / name).read_bytes()
        assert stat.S_IMODE((tmp_path / "new" / name).stat().st_mode) == 0o600
    assert stat.S_IMODE((tmp_path / "new").stat().st_mode) == 0o700
    restored = TokenStore.open(tmp_path / "new")
    assert restored.lookup(secret).name == "ci"
    restored.close()


def test_into_a_folder(tmp_path):
    open_store(tmp_path / "data").close()
    (tmp_path / "many").mkdir()
    file, _ = back_up(tmp_path / "many", tmp_path / "data")
    assert file.parent == tmp_path / "many"
    assert [path.name for path in (tmp_path / "many").iterdir()] == [file.name]


def test_what_is_there_is_not_overwritten(tmp_path):
    file = small_backup(tmp_path)
    with pytest.raises(StoreError, match="is there already"):
        back_up(file, tmp_path / "data")
    with pytest.raises(StoreError, match="is not empty"):
        restore(file, tmp_path / "data")
    with pytest.raises(StoreError, match="there is no data folder"):
        back_up(tmp_path / "c.tar", tmp_path / "nothing")


def rewritten(file, change):
    """A copy of a back-up whose members went through change(name, content)."""
    copy = file.with_name("changed.tar")
    with tarfile.open(file) as source, tarfile.open(copy, "w") as target:
        for member in source:
            changed = change(member.name, source.extractfile(member).read())
            if changed is not None:
                member.name, content = changed
                member.size = len(content)
                target.addfile(member, io.BytesIO(content))
    return copy


def manifest_with(**fields):
    def change(name, content):
        if name == MANIFEST_FILE:
            content = json.dumps(json.loads(content) | fields).encode()
        return name, content

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda n, c: (n, c + b"x" if n == BLOB else c), "damaged: 'artifacts/ab"),
        (lambda n, c: None if n == "tls/ca.key" else (n, c), "damaged: 'tls/ca.key'"),
        (lambda n, c: None if n == MANIFEST_FILE else (n, c), "no manifest"),
        (lambda n, c: ("../out" if n == BLOB else n, c), "no back-up: it holds '../out'"),
        (lambda n, c: ("/tmp/out" if n == BLOB else n, c), "no back-up: it holds '/tmp/out'"),
        (lambda n, c: (n, b"{" if n == MANIFEST_FILE else c), "manifest cannot be read"),
        (manifest_with(format=2), "newer version"),
        (manifest_with(schema_revision="9999"), "newer version"),
        (manifest_with(dialect="postgresql"), "KETGATE_STORE_URL"),
    ],
)
def test_a_damaged_backup_changes_nothing(tmp_path, change, message):
    copy = rewritten(small_backup(tmp_path), change)
    with pytest.raises(StoreError, match=message):
        restore(copy, tmp_path / "new")
    assert not (tmp_path / "new").exists()
    assert not (tmp_path / "out").exists()
    assert not list(tmp_path.glob(".ketgate-*"))


@pytest.mark.parametrize("fraction", [0.0, 0.3, 0.9])
def test_a_backup_that_was_cut_off(tmp_path, fraction):
    file = small_backup(tmp_path)
    os.truncate(file, int(file.stat().st_size * fraction))
    with pytest.raises(StoreError, match=r"damaged|cut off"):
        restore(file, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_store_that_is_damaged_is_not_backed_up(tmp_path):
    store = open_store(tmp_path / "data")
    for _ in range(50):
        store.run(lambda tx: [add_event(tx) for _ in range(50)])
    store.close()
    with (tmp_path / "data" / "ketgate.db").open("r+b") as file:
        file.seek(40 * 4096)
        file.write(b"\xff" * 4096 * 10)
    with pytest.raises(StoreError, match=r"damaged|malformed"):
        back_up(tmp_path / "b.tar", tmp_path / "data")
    assert not (tmp_path / "b.tar").exists()


def test_kinds_of_databases_do_not_mix(tmp_path, postgres_server):
    file = small_backup(tmp_path)
    with pytest.raises(StoreError, match="restore it without store_url"):
        restore(file, tmp_path / "new", postgres_server.new_database(empty=True))


def test_a_database_that_is_not_empty_is_left_alone(tmp_path, postgres_server):
    url = postgres_server.new_database()
    open_store(tmp_path, url).close()
    file, _ = back_up(tmp_path / "b.tar", tmp_path, url)
    with pytest.raises(StoreError, match="is not empty; name one that is"):
        restore(file, tmp_path / "new", url)
    assert not (tmp_path / "new").exists()


def test_without_postgresqls_programs_it_says_what_to_install(
    tmp_path, postgres_server, monkeypatch
):
    monkeypatch.setattr(dump.shutil, "which", lambda name: None)
    with pytest.raises(StoreError, match="apt-get install postgresql-client"):
        back_up(tmp_path / "b.tar", tmp_path, postgres_server.new_database())
    assert not (tmp_path / "b.tar").exists()


def test_a_dump_does_not_show_the_password_to_others(tmp_path, postgres_server, monkeypatch):
    seen = {}

    def run(command, *, env, **_):
        seen.update(command=command, password=env.get("PGPASSWORD"))
        raise StoreError("enough")

    monkeypatch.setattr(dump.subprocess, "run", run)
    with pytest.raises(StoreError, match="enough"):
        dump.save("postgresql://me:hunter2@db.example/jobs", tmp_path / "x")
    assert seen["password"] == "hunter2"
    assert "hunter2" not in " ".join(seen["command"])
