"""A client that knows nothing but reflection: the lines of docs/clients-reflection.md, typed."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import ketgate
import pytest

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "clients-reflection.md"


def grpcurl() -> str:
    found = shutil.which("grpcurl") or shutil.which("grpcurl", path=str(ROOT / "build" / "bin"))
    if found is None:
        pytest.skip("grpcurl is not installed")
    return found


def lines() -> dict[str, str]:
    """The shell lines of the page's code blocks, each with its heading."""
    text = PAGE.read_text(encoding="utf-8")
    return {
        heading: block.strip()
        for heading, block in re.findall(
            r"^## ([^\n]+)\n.*?```sh\n(.*?)```", text, re.MULTILINE | re.DOTALL
        )
    }


def run(server: Any, heading: str, folder: Path) -> "subprocess.CompletedProcess[str]":
    """Type a line of the page into a shell, beside a ready file."""
    shutil.copyfile(server.ready_file, folder / "ready.json")
    script = f"set -eu\n{lines()['Once']}\n{lines()[heading]}\n"
    folders = [Path(grpcurl()).parent, Path(sys.executable).parent, "/usr/bin", "/bin"]
    return subprocess.run(
        ["sh", "-c", script],
        cwd=folder,
        env={"PATH": ":".join(map(str, folders)), "READY": str(folder / "ready.json")},
        capture_output=True,
        text=True,
        timeout=200,
    )


def test_the_services_are_listed(server: Any, tmp_path: Path) -> None:
    told = run(server, "What there is", tmp_path)
    assert told.returncode == 0, told.stderr
    services = told.stdout.split()
    assert "ketgate.optimization.v1.OptimizationService" in services
    assert "ketgate.server.v1.ServerService" in services
    assert "grpc.health.v1.Health" in services


def test_services_and_messages_are_described(server: Any, tmp_path: Path) -> None:
    told = run(server, "What a call takes", tmp_path)
    assert told.returncode == 0, told.stderr
    assert "rpc SolveStream" in told.stdout
    assert "repeated string names" in told.stdout


def test_a_portfolio_is_solved_from_typed_json(server: Any, tmp_path: Path) -> None:
    told = run(server, "Solve", tmp_path)
    assert told.returncode == 0, told.stderr
    result = json.loads(told.stdout)["result"]
    assert result["status"] == "SOLVE_STATUS_OPTIMAL"
    # Three uncorrelated names: weights as 1/variance, 25 : 100 : 50.
    assert result["objective"] == pytest.approx(1 / 175, rel=1e-9)


def test_a_stream_ends_with_the_result(server: Any, tmp_path: Path) -> None:
    told = run(server, "Stream", tmp_path)
    assert told.returncode == 0, told.stderr
    assert '"incumbent"' in told.stdout
    assert told.stdout.rindex('"result"') > told.stdout.rindex('"incumbent"')
    assert '"objective": -3' in told.stdout


def test_a_job_is_created_waited_for_and_watched(server: Any, tmp_path: Path) -> None:
    told = run(server, "Jobs", tmp_path)
    assert told.returncode == 0, told.stderr
    decoder = json.JSONDecoder()
    messages, text = [], told.stdout
    while (begin := text.find("{")) >= 0:
        message, end = decoder.raw_decode(text, begin)
        messages.append(message)
        text = text[end:]
    created, waited, *watched = messages
    assert created["job"]["state"] == "JOB_STATE_QUEUED"
    assert waited["job"]["name"] == created["job"]["name"]
    assert waited["job"]["state"] == "JOB_STATE_SUCCEEDED"
    assert waited["job"]["result"]["solve"]["objective"] == -1
    events = [event for message in watched for event in message.get("events", ())]
    assert [event["revision"] for event in events] == sorted(
        {event["revision"] for event in events}, key=int
    )
    assert events[0]["type"] == "JOB_EVENT_TYPE_CREATED"
    assert events[-1]["state"] == "JOB_STATE_SUCCEEDED"
    assert "a watch ends with its caller" in told.stdout
    with ketgate.connect(ready_file=server.ready_file) as client:
        client.jobs.delete(created["job"]["name"])


def test_circuits_are_run_and_back_ends_listed(server: Any, tmp_path: Path) -> None:
    told = run(server, "Circuits", tmp_path)
    assert told.returncode == 0, told.stderr
    decoder = json.JSONDecoder()
    ran, end = decoder.raw_decode(told.stdout)
    listed, _ = decoder.raw_decode(told.stdout[end:].lstrip())
    counts = {key: int(n) for key, n in ran["result"]["circuits"][0]["counts"].items()}
    assert counts.keys() == {"00", "11"}
    assert sum(counts.values()) == 1000
    assert "native" in {backend["name"] for backend in listed["backends"]}


def test_an_error_names_the_field(server: Any, tmp_path: Path) -> None:
    told = run(server, "Errors", tmp_path)
    assert told.returncode != 0
    assert "FIELD_INVALID" in told.stdout + told.stderr
    assert "spec.portfolio" in told.stdout + told.stderr


def test_reflection_needs_a_token(server: Any) -> None:
    refused = subprocess.run(
        [grpcurl(), "-cacert", server.ready["ca_file"], server.address, "list"],
        capture_output=True, text=True, timeout=200,
    )  # fmt: skip
    assert refused.returncode != 0
    assert "token" in refused.stderr.lower()
