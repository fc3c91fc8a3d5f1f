"""The quantum commands as a user types them, against a real server over TLS."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

TIMEOUT_S = 200
HEADER = 'OPENQASM 3.0;\ninclude "stdgates.inc";\n'
TURN = HEADER + "input float theta;\nqubit q;\nbit c;\nry(theta) q;\nc = measure q;\n"


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("programs") / "turn.qasm"
    path.write_text(TURN)
    return path


def ketgate(
    server: Any, *arguments: object, text: str | None = None
) -> "subprocess.CompletedProcess[str]":
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")}
    environment = kept | {"KETGATE_READY_FILE": str(server.ready_file), "COLUMNS": "120"}
    return subprocess.run(
        [sys.executable, "-m", "ketgate", *map(str, arguments)],
        env=environment, input=text, capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def told(run: "subprocess.CompletedProcess[str]") -> str:
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_a_program_is_run_and_its_histogram_drawn(
    server: Any, program: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "histogram.png"
    arguments = ("circuit", "run", program, "-p", "theta=0.5pi", "--seed", 1, "-n", 1000)
    shown = told(ketgate(server, *arguments, "--plot", picture))
    assert "turn: 1 qubits, depth 2" in shown
    assert "█" * 30 in shown
    assert "seed" in shown
    assert picture.read_bytes().startswith(b"\x89PNG")
    document = json.loads(told(ketgate(server, *arguments, "--json")))
    assert sum(document["circuits"][0]["counts"].values()) == 1000
    assert document["evidence"]["seed"] == 1


def test_a_program_comes_by_standard_input(server: Any) -> None:
    run = ketgate(server, "circuit", "run", "-", "-n", 0, "-p", "theta=pi", text=TURN)
    assert "1.0000" in told(run)


def test_a_wrong_program_is_shown_with_a_caret(server: Any) -> None:
    run = ketgate(server, "circuit", "run", "-", text=HEADER + "qubit q; foo q;\n")
    assert run.returncode == 1
    assert run.stderr.endswith("    3 | qubit q; foo q;\n                 ^\n")


def test_expectations_costs_and_compilation(server: Any, program: Path, tmp_path: Path) -> None:
    arguments = ("circuit", "estimate", program, "-o", "Z0", "-o", "0.5*Z0, -1*X0")
    document = json.loads(
        told(ketgate(server, *arguments, "-p", "theta=0", "--gradients", "--json"))
    )
    assert [e["value"] for e in document["expectations"]] == pytest.approx([1.0, 0.5])
    assert document["expectations"][1]["gradient"]["theta"] == pytest.approx(-1.0)
    assert "native" in told(ketgate(server, "circuit", "cost", program, "-p", "theta=1"))
    compiled = tmp_path / "compiled.qasm"
    arguments = ("circuit", "transpile", program, "-p", "theta=1", "--basis", "rz,sx,cx")
    assert "depth" in told(ketgate(server, *arguments, "--output", compiled))
    assert "sx q" in compiled.read_text()


def test_backends_are_listed_and_one_is_shown(server: Any) -> None:
    assert "native" in told(ketgate(server, "backends", "--filter", 'kind = "simulator"'))
    shown = told(ketgate(server, "backends", "emulator/ibm_lima"))
    assert "T1 us" in shown
    document = json.loads(told(ketgate(server, "backends", "emulator/ibm_lima", "--json")))
    assert len(document["calibration"]["qubits"]) == 5


def test_durable_runs_are_shown_by_jobs(server: Any, program: Path) -> None:
    arguments = ("circuit", "run", program, "-p", "theta=0", "--durable")
    name = told(ketgate(server, *arguments)).strip()
    told(ketgate(server, "jobs", "wait", name))
    assert "1.0000" in told(ketgate(server, "jobs", "show", name))
    told(ketgate(server, "jobs", "delete", name))


def test_algorithms_are_shown_beside_the_classical_result(server: Any, tmp_path: Path) -> None:
    problem = tmp_path / "qubo.json"
    problem.write_text(json.dumps({"Q": [[0, 0, -1], [1, 1, -2], [0, 1, 3]]}))
    shown = told(ketgate(server, "algorithm", "qaoa", problem, "--layers", 2, "--seed", 1))
    assert "(proven)" in shown
    document = json.loads(told(ketgate(server, "algorithm", "grover", "101", "--json")))
    assert document["values"] == [1, 0, 1]
    hamiltonian = json.dumps({"Z0": 1.0, "X0": 1.0})
    run = ketgate(server, "algorithm", "vqe", "-", "--json", text=hamiltonian)
    assert json.loads(told(run))["energy"] == pytest.approx(-(2**0.5), abs=1e-6)
    shown = told(ketgate(server, "algorithm", "factor", 15, "--base", 7, "--seed", 1))
    assert "[3, 5]" in shown


@pytest.mark.parametrize(
    ("arguments", "text", "match"),
    [
        (("algorithm", "qaoa", "-"), '{"Q": 3}', "Q: expected a list of [i, j, value], given 3"),
        (("algorithm", "qaoa", "-"), '{"J": [[0, 1, "x"]]}', "J: expected [i, j, value], given"),
        (("circuit", "run", "-", "-p", "theta"), TURN, "expected NAME=VALUE, given 'theta'"),
        (("algorithm", "grover", "10", "101"), None, "expected texts of 2 bits, given '101'"),
    ],
)
def test_wrong_input_is_told_in_a_line(
    server: Any, arguments: tuple[str, ...], text: str | None, match: str
) -> None:
    run = ketgate(server, *arguments, text=text)
    assert run.returncode
    assert match in run.stderr
    assert "Traceback" not in run.stderr


def test_help_keeps_its_brackets(server: Any) -> None:
    assert '{"Q": [[i, j, value], ...]}' in told(ketgate(server, "algorithm", "qaoa", "--help"))
