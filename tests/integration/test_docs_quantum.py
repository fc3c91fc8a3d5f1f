"""The Python and the commands of docs/quantum.md, run as they stand there, in their order."""

import os
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "quantum.md"
TIMEOUT_S = 200


def blocks(language: str) -> list[str]:
    text = PAGE.read_text(encoding="utf-8")
    return re.findall(rf"^```{language}\n(.*?)^```", text, re.MULTILINE | re.DOTALL)


def test_the_python_runs(
    server: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    monkeypatch.setenv("KETGATE_READY_FILE", str(server.ready_file))
    monkeypatch.chdir(tmp_path)
    space: dict[str, Any] = {}
    try:
        for block in blocks("python"):
            exec(compile(block, str(PAGE), "exec"), space)
    finally:
        if "client" in space:
            space["client"].close()
    assert "RunResult by native" in capsys.readouterr().out
    assert space["told"].gradient["theta"] == pytest.approx(-0.29552020666)
    assert space["cut"].best.objective == -4
    assert space["ground"].energy == pytest.approx(-(2**0.5), abs=1e-6)


def test_the_commands_run(server: Any, tmp_path: Path) -> None:
    bell = blocks("python")[0].partition('"""\n')[2].partition('"""')[0]
    (tmp_path / "bell.qasm").write_text(bell)
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")}
    folders = os.pathsep.join([str(Path(sys.executable).parent), kept.get("PATH", "")])
    environment = kept | {"KETGATE_READY_FILE": str(server.ready_file), "PATH": folders}
    for block in blocks("sh"):
        ran = subprocess.run(
            ["sh", "-euc", block], cwd=tmp_path, env=environment, capture_output=True, text=True,
            timeout=TIMEOUT_S, check=False,
        )  # fmt: skip
        assert ran.returncode == 0, ran.stdout + ran.stderr


def test_the_calibration_file_is_one(server: Any, tmp_path: Path) -> None:
    import ketgate

    (calibration,) = blocks("json")
    (tmp_path / "chip.json").write_text(calibration)
    program = 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; bit[2] c; h q[0]; cx q[0], q[1]; c = measure q;'
    with ketgate.connect(ready_file=server.ready_file) as client:
        told = client.quantum.run(program, 200, noise=tmp_path / "chip.json", seed=1)
    assert "my-chip" in told.evidence.noise_model
