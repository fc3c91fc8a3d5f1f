"""The Python, the commands and the policy of docs/signing.md, run as they stand there, in their order."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from ketgate._cli.key_view import read_policy

from ..conftest import StartServer

PAGE = Path(__file__).parents[2] / "docs" / "signing.md"
TIMEOUT_S = 200


def blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_python_runs(
    start_server: StartServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    """On a server of its own, whose keys have the names of the page."""
    monkeypatch.setenv("KETGATE_READY_FILE", str(start_server().ready_file))
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    try:
        for block in blocks("python"):
            exec(compile(block, str(PAGE), "exec"), space)
    finally:
        if "client" in space:
            space["client"].close()
    told = capsys.readouterr().out
    assert "<Signature ML_DSA_65 by keys/desk/versions/1: 3309 bytes, raw, " in told
    assert "destroy_scheduled" in told
    assert "POLICY_DENIED" in told
    assert "pending, 0 of 2 approvals" in told


def test_the_commands_run(start_server: StartServer, tmp_path: Path) -> None:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")}
    folders = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    environment = kept | {
        "KETGATE_READY_FILE": str(start_server().ready_file),
        "XDG_STATE_HOME": str(tmp_path),
        "PATH": folders,
    }
    for block in blocks("sh"):
        ran = subprocess.run(
            ["sh", "-euc", block], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_policy_is_one(tmp_path: Path) -> None:
    (block,) = blocks("json")
    (tmp_path / "policy.json").write_text(block)
    policy = read_policy(tmp_path / "policy.json", "--policy")
    given = json.loads(block)
    assert policy.uses_per_second == given["uses_per_second"]
    assert policy.quorum is not None
    assert policy.quorum.approvals_needed == 2
    assert policy.contexts == [b"orders"]
