"""`ketgate backup`, `ketgate restore` and `ketgate token`, on either database."""

import json
from pathlib import Path
from typing import Any

import ketgate
import pytest
from ketgate._cli import backup, token
from ketgate.audit.v1.audit_service_pb2 import AuditPayload
from ketgate_server import backups, durable
from ketgate_server.settings import Settings
from ketgate_server.store import elsewhere
from ketgate_server.store.database import open_store, place_of
from ketgate_server.store.errors import StoreError
from ketgate_server.tokens import TokenStore
from typer import Typer
from typer.testing import CliRunner


def invoke(*arguments: str) -> Any:
    app = Typer(pretty_exceptions_enable=False)
    app.command()(backup.backup)
    app.command()(backup.restore)
    app.add_typer(token.token, name="token")
    return CliRunner().invoke(app, arguments)


def actions(data_dir: Path) -> list[str]:
    """Of the audit log."""
    store = open_store(data_dir)
    with store.read() as reader:
        rows = reader.rows("SELECT payload FROM audit_entries ORDER BY idx")
    store.close()
    return [AuditPayload.FromString(payload).action for (payload,) in rows]


def test_an_empty_store_is_backed_up_with_a_log_that_begins_as_every_log(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    file = str(tmp_path / "b.tar")
    assert invoke("backup", file, "--data-dir", str(tmp_path / "data")).exit_code == 0
    assert actions(tmp_path / "data") == ["log.created", "store.backed_up"]


@pytest.mark.parametrize(
    ("url", "elsewhere"),
    [
        ("s3://bucket/prefix", True),
        ("file:///srv/blobs", True),
        ("file://{data}/other", False),
        (None, False),
    ],
)
def test_content_that_is_not_in_the_back_up_is_told_of(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, url: str | None, elsewhere: bool
) -> None:
    data = tmp_path / "data"
    data.mkdir()
    if url is not None:
        url = url.format(data=data)
        monkeypatch.setenv("KETGATE_ARTIFACTS_URL", url)
    run = invoke("backup", str(tmp_path / "a.tar"), "--data-dir", str(data))
    assert ("not in it" in run.stderr) == elsewhere
    assert not elsewhere or str(url) in run.stderr
    told = invoke("backup", str(tmp_path / "b.tar"), "--data-dir", str(data), "--json")
    assert json.loads(told.stdout)["artifacts_elsewhere"] == (url if elsewhere else None)


def test_content_elsewhere_is_told_of_without_the_servers_settings(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    url = (tmp_path / "blobs").as_uri()
    data = tmp_path / "data"
    data.mkdir()
    durable.start(Settings(data_dir=data, artifacts_url=url), []).close()
    file = str(tmp_path / "b.tar")
    assert url in invoke("backup", file, "--data-dir", str(data)).stderr
    assert url in invoke("restore", file, "--data-dir", str(tmp_path / "new")).stderr
    assert not caplog.records
    durable.start(Settings(data_dir=data), []).close()
    [told] = caplog.messages
    assert f"artifacts until now lie in {url}" in told
    assert str(data / "artifacts.place") in told


def test_a_token_tells_whose_it_is_unless_a_configuration_does(tmp_path: Path) -> None:
    config = tmp_path / "server.toml"
    config.write_text(f'data_dir = "{tmp_path / "theirs"}"\n')
    place = f"in the store {tmp_path / 'own' / 'ketgate.db'}"
    for command in (("create", "ci"), ("revoke", "ci")):
        run = invoke("token", *command, "--data-dir", str(tmp_path / "own"))
        assert place in run.stderr.replace("\n", "")
    run = invoke("token", "create", "ci", "--config", str(config))
    assert "store" not in run.stderr
    assert [
        r["name"]
        for r in json.loads(invoke("token", "list", "--config", str(config), "--json").stdout)
    ] == ["ci"]


def test_back_up_and_restore(tmp_path: Path) -> None:
    tokens = TokenStore.open(tmp_path / "data")
    secret, _ = tokens.create("ci")
    tokens.close()
    file = str(tmp_path / "b.tar")
    told = json.loads(invoke("backup", file, "--data-dir", str(tmp_path / "data"), "--json").stdout)
    assert (told["file"], told["files"], told["database"]) == (file, 1, "sqlite")
    run = invoke("restore", file, "--data-dir", str(tmp_path / "new"))
    assert run.exit_code == 0
    assert f"restored {tmp_path / 'new'}: 1 files" in run.stdout.replace("\n", "")
    assert actions(tmp_path / "data")[-1] == "store.backed_up"
    assert actions(tmp_path / "new")[-2:] == ["token.created", "store.restored"]
    tokens = TokenStore.open(tmp_path / "new")
    record = tokens.lookup(secret)
    assert record is not None
    assert record.name == "ci"
    tokens.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backup", "b.tar", "--data-dir", "nothing"), "there is no data folder"),
        (("backup", "nowhere/b.tar"), "there is no folder nowhere for b.tar"),
        (("restore", "nothing.tar", "--data-dir", "new"), "No such file"),
        (("restore", ".", "--data-dir", "new"), "Is a directory"),
        (("backup", "b.tar", "--config", "nothing.toml"), "cannot read the configuration"),
    ],
)
def test_refusals(
    arguments: tuple[str, ...], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    run = invoke(*arguments)
    assert isinstance(run.exception, ketgate.InvalidArgument)
    assert message in str(run.exception)


def test_the_servers_configuration_names_the_database(tmp_path: Path, postgres_server: Any) -> None:
    url = postgres_server.new_database()
    (tmp_path / "ketgate.toml").write_text(f'store_url = "{url}"\n')
    made = invoke("token", "create", "ci", "--data-dir", str(tmp_path))
    assert made.exit_code == 0
    tokens = TokenStore.open(tmp_path / "other", url)
    assert [record.name for record in tokens.list()] == ["ci"]
    tokens.close()
    assert not (tmp_path / "ketgate.db").exists()
    told = json.loads(invoke("backup", str(tmp_path), "--data-dir", str(tmp_path), "--json").stdout)
    assert told["database"] == "postgresql"


@pytest.mark.parametrize(
    "command",
    [("token", "create", "ci"), ("token", "list"), ("token", "revoke", "ci"), ("backup", "b.tar")],
)
def test_without_the_url_of_the_servers_database_no_store_is_made_beside_it(
    command: tuple[str, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    elsewhere.note(data, "postgresql://db.example:5432/ketgate")
    run = invoke(*command, "--data-dir", str(data))
    assert isinstance(run.exception, ketgate.InvalidArgument)
    assert "store_url: expected the database" in str(run.exception)
    assert "postgresql://db.example:5432/ketgate, given none" in str(run.exception)
    assert str(data / "store.place") in str(run.exception)
    assert [path.name for path in data.iterdir()] == ["store.place"]
    (data / "store.place").unlink()  # the way out that the message names
    assert invoke("token", "list", "--data-dir", str(data)).exit_code == 0


def test_a_server_leaves_the_place_of_its_database_and_a_restored_one_too(
    tmp_path: Path, postgres_server: Any
) -> None:
    url = postgres_server.new_database()
    settings = Settings(data_dir=tmp_path / "data", store_url=url)
    settings.data_dir.mkdir()
    durable.start(settings, []).close()
    mark = settings.data_dir / "store.place"
    assert mark.read_text() == place_of(settings.data_dir, url) + "\n"
    with pytest.raises(StoreError, match="given none"):
        durable.start(Settings(data_dir=settings.data_dir), [])

    file, other = tmp_path / "b.tar", postgres_server.new_database(empty=True)
    backups.back_up(file, settings.data_dir, url)
    new = Settings(data_dir=tmp_path / "new", store_url=other)
    backups.restore(file, new)
    assert (tmp_path / "new" / "store.place").read_text() == place_of(new.data_dir, other) + "\n"
