"""`ketgate backup`, `ketgate restore` and `ketgate token`, on either database."""

import json
from pathlib import Path
from typing import Any

import ketgate
import pytest
from ketgate._cli import backup, token
from ketgate_server.tokens import TokenStore
from typer import Typer
from typer.testing import CliRunner


def invoke(*arguments: str) -> Any:
    app = Typer(pretty_exceptions_enable=False)
    app.command()(backup.backup)
    app.command()(backup.restore)
    app.add_typer(token.token, name="token")
    return CliRunner().invoke(app, arguments)


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
    tokens = TokenStore.open(tmp_path / "new")
    record = tokens.lookup(secret)
    assert record is not None
    assert record.name == "ci"
    tokens.close()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("backup", "b.tar", "--data-dir", "nothing"), "there is no data folder"),
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
