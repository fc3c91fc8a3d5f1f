"""`ketgate load` as a user runs it, against a real server."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import ketgate
import pytest

pytest.importorskip("hdrh", reason="HdrHistogram is not installed: pip install 'ketgate[load]'")
pytest.importorskip("typer", reason="the command is not installed: pip install 'ketgate[cli]'")

COMMAND = [sys.executable, "-c", "from ketgate._cli.main import main; main()", "load"]


def environment() -> dict[str, str]:
    return {name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")}


def load(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [*COMMAND, *arguments], capture_output=True, text=True, timeout=200, env=environment()
    )


def figures(server: Any, *arguments: str) -> Any:
    ended = load("--ready-file", str(server.ready_file), "--json", "-", *arguments)
    assert ended.returncode == 0, ended.stderr
    return json.loads(ended.stdout)


def test_an_open_loop_sends_what_was_asked(server: Any) -> None:
    told = figures(
        server, "--scenario", "info", "--rate", "100", "--arrivals", "uniform", "--duration", "1",
        "--warm-up", "0.2", "--processes", "2",
    )  # fmt: skip
    assert told["calls"]["sent"] == 100
    assert told["calls"]["answered"] == 100
    assert told["failures"] == []
    assert told["latency_ms"]["GetServerInfo"]["count"] == 100
    assert told["latency_ms"]["GetServerInfo"]["p50"] > 0
    assert told["server"]["pid"] == server.ready["pid"]
    assert told["server"]["cpu_s"] > 0
    assert told["server"]["resident_bytes_max"] > 0


def test_a_mix_is_answered_rightly(server: Any) -> None:
    told = figures(server, "--scenario", "mix", "--closed", "2", "--duration", "1.5")
    assert told["failures"] == []
    assert told["calls"]["sent"] == told["calls"]["answered"] > 0
    assert "Solve portfolio n=20" in told["latency_ms"]


def test_jobs_are_created_and_each_is_another(start_server: Any) -> None:
    server = start_server()
    told = figures(server, "--scenario", "jobs", "--closed", "2", "--duration", "0.5")
    assert told["failures"] == []
    assert told["latency_ms"]["CreateJob portfolio n=20"]["count"] == told["calls"]["sent"] > 0
    with ketgate.connect(ready_file=server.ready_file) as client:
        made = client.jobs.list('labels.made-by = "ketgate-load"', limit=None)
    assert len(made) >= told["calls"]["sent"]  # and those of the warm-up


def test_a_stream_tells_of_its_first_event(server: Any) -> None:
    told = figures(server, "--scenario", "stream", "--rate", "20", "--duration", "1")
    assert told["failures"] == []
    whole, first = (
        told["latency_ms"]["SolveStream 5 of 30" + end] for end in ("", ", first event")
    )
    assert whole["count"] == first["count"] > 0
    assert first["max"] <= whole["max"]


def test_failures_are_classed_by_code_and_reason(server: Any) -> None:
    told = figures(
        server, "--scenario", "heavy", "--closed", "1", "--duration", "0.5", "--warm-up", "0",
        "--timeout", "0.001",
    )  # fmt: skip
    classes = {(failure["code"], failure["reason"]) for failure in told["failures"]}
    assert classes == {("DEADLINE_EXCEEDED", "DEADLINE_EXCEEDED")}
    assert told["calls"]["answered"] == 0
    assert told["warnings"]


def test_the_figures_go_to_a_file_and_the_table_to_the_screen(server: Any, tmp_path: Path) -> None:
    file = tmp_path / "figures.json"
    ended = load(
        "--ready-file", str(server.ready_file), "--scenario", "info", "--closed", "1", "--duration",
        "0.3", "--warm-up", "0", "--json", str(file),
    )  # fmt: skip
    assert ended.returncode == 0, ended.stderr
    assert "GetServerInfo" in ended.stdout
    assert "p99" in ended.stdout
    assert json.loads(file.read_text())["schema"] == "ketgate-load/1"


def hear_interrupts() -> None:
    """In a child: undo what a shell does to jobs in the background, which is to ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_ends_the_run_with_what_there_is(server: Any) -> None:
    arguments = ["--ready-file", str(server.ready_file), "--scenario", "info", "--closed", "1"]
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--duration", "3000", "--warm-up", "0", "--json", "-"],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment(),
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("measuring"):
            break
    process.send_signal(signal.SIGINT)
    printed, _ = process.communicate(timeout=200)
    told = json.loads(printed)
    assert process.returncode == 0
    assert told["interrupted"] is True
    assert told["calls"]["failed"] == 0


def test_a_wrong_token_is_told_before_any_load(server: Any, tmp_path: Path) -> None:
    token = tmp_path / "token"
    token.write_text("kg_wrong")
    ended = load("--ready-file", str(server.ready_file), "--token-file", str(token), "--rate", "1")
    assert ended.returncode == 1
    assert "token" in ended.stderr
    assert "warming up" not in ended.stderr


def test_a_server_elsewhere_is_loaded_only_when_asked_twice(tmp_path: Path) -> None:
    # An address for documentation: nothing is sent to it, as the command stops before.
    ended = load("--address", "192.0.2.1:7443", "--rate", "1")
    assert ended.returncode == 2
    assert "--yes" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [[], ["--rate", "5", "--closed", "1"], ["--rate", "5", "--scenario", "none"]],
)
def test_wrong_usage_says_what_is_expected(server: Any, arguments: list[str]) -> None:
    ended = load("--ready-file", str(server.ready_file), *arguments)
    assert ended.returncode != 0
    assert "expected" in ended.stderr


def test_a_file_that_cannot_be_written_is_told_before_the_run(server: Any, tmp_path: Path) -> None:
    missing = tmp_path / "none" / "figures.json"
    ended = load("--ready-file", str(server.ready_file), "--rate", "1", "--json", str(missing))
    assert ended.returncode == 2
    assert "warming up" not in ended.stderr


def test_workers_do_not_outlive_the_command(server: Any) -> None:
    arguments = ["--ready-file", str(server.ready_file), "--scenario", "info", "--closed", "1"]
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--duration", "3000"], stderr=subprocess.PIPE, text=True,
        env=environment(),
    )  # fmt: skip
    assert process.stderr is not None
    for line in process.stderr:
        if line.startswith("measuring"):
            break
    (worker,) = children(process.pid)
    process.kill()
    process.communicate(timeout=200)
    until_s = time.monotonic() + 30
    while running(worker) and time.monotonic() < until_s:
        time.sleep(0.02)  # another's child: there is nothing to wait on
    assert not running(worker)


def running(pid: int) -> bool:
    """Whether it computes; a zombie that nobody has reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def children(pid: int) -> list[int]:
    tasks = Path(f"/proc/{pid}/task")
    return [
        int(child) for task in tasks.iterdir() for child in (task / "children").read_text().split()
    ]
