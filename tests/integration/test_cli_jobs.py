"""`ketgate jobs` and `ketgate optimize --durable` as a user types them, against real servers."""

import json
import os
import pty
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pytest
from ketgate.demo import sp500_prices

from .test_cli import environment, hear_interrupts, ketgate_command, succeeded

TIMEOUT_S = 200
ABSENT = "jobs/00000000000000000000000000"


@pytest.fixture(scope="module")
def client(server: Any) -> Iterator[ketgate.Client]:
    with ketgate.connect(ready_file=server.ready_file) as made:
        yield made
        for job in made.jobs.list('labels.suite = "cli"', limit=None):
            job.cancel()
            job.wait(TIMEOUT_S)
            job.delete()


@pytest.fixture(scope="module")
def prices_file() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "prices.csv"
        sp500_prices().tail(300).to_csv(path)
        yield path


def endless(client: ketgate.Client, **options: Any) -> ketgate.DurableJob[Any]:
    matrix = np.triu(np.random.default_rng(1).normal(size=(300, 300)), 1)
    labels = {"suite": "cli"} | options.pop("labels", {})
    return client.optimize.ising(
        None, matrix, time_limit=100, durable=True, labels=labels, **options
    )


def test_from_prices_to_the_result(server: Any, client: Any, prices_file: Path) -> None:
    options = ("--durable", "--label", "suite=cli", "--priority", 5, "--deadline", "1h")
    run = ketgate_command(server, "optimize", prices_file, "-k", 3, *options)
    name = succeeded(run).strip()
    assert name.startswith("jobs/"), "the name alone is on standard output, for scripts"
    assert f"ketgate jobs show {name}" in run.stderr
    waited = ketgate_command(server, "jobs", "wait", name, "--timeout", "60s")
    assert "succeeded" in succeeded(waited)
    told = succeeded(ketgate_command(server, "jobs", "show", name))
    for part in ("succeeded", "suite=cli", "Attempts", "share of risk", "deadline", "priority"):
        assert part in told
    document = json.loads(succeeded(ketgate_command(server, "jobs", "show", name, "--json")))
    assert document["state"] == "succeeded"
    assert document["result"]["status"] == "optimal"
    assert sum(weight > 0 for weight in document["result"]["weights"].values()) <= 3
    assert document["attempts"][0]["outcome"] == "succeeded"


def test_a_spec_becomes_a_job(server: Any, client: Any, tmp_path: Path) -> None:
    spec = tmp_path / "spec.json"
    linear = {"doubles": {"values": [-1, 2]}}
    spec.write_text(json.dumps({"qubo": {"num_variables": 2, "linear": linear}}))
    command = ("optimize", "--spec", spec, "--durable", "--label", "suite=cli", "--json")
    name = json.loads(succeeded(ketgate_command(server, *command)))["job"]
    found = json.loads(
        succeeded(ketgate_command(server, "jobs", "wait", name.removeprefix("jobs/"), "--json"))
    )
    assert found[0]["state"] == "succeeded"
    assert client.jobs.get(name).result().array.tolist() == [1, 0]


def test_jobs_are_listed_cancelled_and_deleted(server: Any, client: Any) -> None:
    job = endless(client, labels={"step": "list"})
    query = ("--filter", 'labels.step = "list" AND state = (QUEUED, RUNNING)')
    table = succeeded(ketgate_command(server, "jobs", "list", *query))
    assert job.name.removeprefix("jobs/") in table
    assert "step=list" in table
    found = json.loads(succeeded(ketgate_command(server, "jobs", "list", *query, "--json")))
    assert [told["name"] for told in found] == [job.name]
    impatient = ketgate_command(server, "jobs", "wait", job.name, "--timeout", "0.01s")
    assert impatient.returncode == 5
    early = ketgate_command(server, "jobs", "delete", job.name)
    assert early.returncode == 1
    assert "over" in early.stderr
    cancelled = ketgate_command(server, "jobs", "cancel", job.name, "--reason", "enough")
    assert job.name in succeeded(cancelled)
    assert ketgate_command(server, "jobs", "wait", job.name).returncode == 4
    shown = succeeded(ketgate_command(server, "jobs", "show", job.name))
    assert "enough" in shown
    assert "cancelled" in shown
    assert "deleted" in succeeded(ketgate_command(server, "jobs", "delete", job.name))
    gone = ketgate_command(server, "jobs", "show", job.name)
    assert gone.returncode == 1
    assert job.name in gone.stderr


def test_changes_are_followed_until_all_are_over(server: Any, client: Any) -> None:
    begin = client.jobs.revision()
    matrix = [[-1.0]]
    jobs = [client.optimize.qubo(matrix, durable=True, labels={"suite": "cli"}) for _ in range(2)]
    names = [job.name for job in jobs]
    for job in jobs:
        job.wait(TIMEOUT_S)
    lines = succeeded(ketgate_command(server, "jobs", "watch", *names, "--from", begin + 1))
    assert lines.count("succeeded") == 2
    assert [name in lines for name in names] == [True, True]
    documents = [
        json.loads(line)
        for line in succeeded(
            ketgate_command(
                server, "jobs", "watch", *names, "--from", begin + 1, "--states-only", "--json"
            )
        ).splitlines()
    ]
    revisions = [document["revision"] for document in documents]
    assert revisions == sorted(set(revisions))
    assert {document["type"] for document in documents} == {"created", "state_changed"}
    ended = succeeded(ketgate_command(server, "jobs", "watch", names[0])).splitlines()
    assert len(ended) == 1, "what is over has nothing more to tell than how it ended"
    assert names[0] in ended[0]
    assert "succeeded" in ended[0]
    last = json.loads(succeeded(ketgate_command(server, "jobs", "watch", names[0], "--json")))
    assert last | {"reason": "", "actor": ""} == documents_of(documents, names[0])[-1] | {
        "reason": "", "actor": "", "progress": last["progress"], "attempt": last["attempt"],
    }  # fmt: skip
    late = succeeded(ketgate_command(server, "jobs", "cancel", names[0]))
    assert "succeeded" in late
    assert "over already" in late


def documents_of(documents: list[dict[str, Any]], name: str) -> list[dict[str, Any]]:
    return [document for document in documents if document["job"] == name]


def test_a_list_of_nothing_is_no_table(server: Any) -> None:
    query = ("--filter", 'labels.step = "none"')
    assert succeeded(ketgate_command(server, "jobs", "list", *query)) == "No jobs\n"


def test_a_terminal_has_a_live_table(server: Any, client: Any) -> None:
    job = endless(client, labels={"step": "live"})
    own, other = pty.openpty()
    command = [sys.executable, "-m", "ketgate", "jobs", "list", "--watch"]
    process = subprocess.Popen(
        [*command, "--filter", 'labels.step = "live"'],
        env=environment(server, TERM="xterm", COLUMNS="160"), stdout=other, stderr=other, stdin=other,
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    os.close(other)
    try:
        told = _until(own, b"objective")
        assert job.name.removeprefix("jobs/").encode() in told
        assert b"\x1b[" in told, "it draws in place"
        job.cancel("enough")
        assert b"cancelled" in _until(own, b"cancelled")
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130
    finally:
        process.kill()
        process.wait()
        os.close(own)


def _until(terminal: int, word: bytes) -> bytes:
    """What a terminal shows up to a word. The test's own time limit ends a wait in vain."""
    told = b""
    while word not in told:
        told += os.read(terminal, 65536)
    return told


def test_a_live_table_of_named_jobs_ends_with_them(server: Any, client: Any) -> None:
    job = client.optimize.qubo([[-1.0]], durable=True, labels={"suite": "cli"})
    own, other = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "ketgate", "jobs", "watch", job.name],
        env=environment(server, TERM="xterm", COLUMNS="160"), stdout=other, stderr=other, stdin=other,
    )  # fmt: skip
    os.close(other)
    try:
        assert b"succeeded" in _until(own, b"succeeded")
        assert process.wait(TIMEOUT_S) == 0
    finally:
        process.kill()
        process.wait()
        os.close(own)


def test_a_list_is_followed_in_a_log_as_well(server: Any, client: Any) -> None:
    job = endless(client, labels={"step": "log"})
    process = subprocess.Popen(
        [sys.executable, "-m", "ketgate", "jobs", "list", "--watch", "--json", "--filter", 'labels.step = "log"'],
        env=environment(server), stdout=subprocess.PIPE, text=True, preexec_fn=hear_interrupts,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        assert json.loads(process.stdout.readline())["name"] == job.name
        job.cancel()
        for line in process.stdout:
            if json.loads(line)["state"] == "cancelled":
                break
        process.send_signal(signal.SIGINT)
        assert process.wait(TIMEOUT_S) == 130
    finally:
        process.kill()
        process.communicate()


@pytest.mark.parametrize(
    ("arguments", "status", "told"),
    [
        (["jobs", "show", ABSENT], 1, ABSENT),
        (["jobs", "show", "no-id"], 1, "jobs/"),
        (["jobs", "list", "--filter", "sate = RUNNING"], 1, "sate"),
        (["jobs", "list", "--order-by", "size"], 1, "create_time"),
        (["jobs", "list", "--limit", "0"], 2, "limit"),
        (["jobs", "wait", ABSENT, "--timeout", "soon"], 1, "30d"),
        (["jobs", "wait"], 2, "Missing argument"),
        (["jobs", "fly"], 2, "fly"),
        (["optimize", "PRICES", "--label", "a=b"], 2, "--durable"),
        (["optimize", "PRICES", "--durable", "--label", "a"], 2, "KEY=VALUE"),
        (["optimize", "PRICES", "--durable", "--label", "Desk=b"], 1, "labels"),
        (["optimize", "PRICES", "--durable", "--plot", "x.png"], 2, "jobs show"),
        (["optimize", "PRICES", "--durable", "--deadline", "8"], 1, "--deadline"),
    ],
)
def test_bad_input_is_told(
    server: Any, prices_file: Path, arguments: list[str], status: int, told: str
) -> None:
    typed = [str(prices_file) if argument == "PRICES" else argument for argument in arguments]
    run = ketgate_command(server, *typed)
    assert run.returncode == status
    assert told in run.stderr
    assert "Traceback" not in run.stderr
