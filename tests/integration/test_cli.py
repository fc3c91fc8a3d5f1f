"""The `ketgate` command as a user types it, against a real server over TLS."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import ketgate
import numpy as np
import pandas as pd
import pytest
from ketgate._cli.app import build
from ketgate.demo import sp500_prices
from typer.testing import CliRunner

TIMEOUT_S = 200


@pytest.fixture(scope="module")
def prices_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("prices") / "prices.csv"
    sp500_prices().tail(300).to_csv(path)
    return path


def environment(server: Any | None, **extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith("KETGATE_")}
    if server is not None:
        kept["KETGATE_READY_FILE"] = str(server.ready_file)
    return kept | {"COLUMNS": "120"} | extra


def ketgate_command(
    server: Any | None, *arguments: object, **extra: str
) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "ketgate", *map(str, arguments)],
        env=environment(server, **extra), capture_output=True, text=True, timeout=TIMEOUT_S, check=False,
    )  # fmt: skip


def succeeded(run: "subprocess.CompletedProcess[str]") -> str:
    assert run.returncode == 0, run.stdout + run.stderr
    return run.stdout


def test_version_and_help(server: Any) -> None:
    assert succeeded(ketgate_command(None, "--version")).strip() == ketgate.__version__
    told = succeeded(ketgate_command(None, "--help"))
    for name in ("serve", "demo", "optimize", "solvers", "info", "load", "token"):
        assert name in told
    nothing = ketgate_command(None)
    assert nothing.returncode == 2


def test_info(server: Any) -> None:
    assert server.address in succeeded(ketgate_command(server, "info"))
    document = json.loads(succeeded(ketgate_command(server, "info", "--json")))
    assert document["version"] == ketgate.__version__
    assert document["limits"]["optimization.pool_size_max"]["value"] > 0


def test_solvers(server: Any) -> None:
    table = succeeded(ketgate_command(server, "solvers", "--parameters", COLUMNS="250"))
    assert "branch-and-bound" in table
    assert "work unit" in table
    assert any("branch-and-bound" in line and "nodes" in line for line in table.splitlines())
    found = json.loads(
        succeeded(ketgate_command(server, "solvers", "--problem", "linear", "--json"))
    )
    assert "highs" in {solver["name"] for solver in found}
    wrong = ketgate_command(server, "solvers", "--problem", "sudoku")
    assert wrong.returncode == 1
    assert "portfolio_discrete" in wrong.stderr


def test_optimize_prices_to_a_table_and_a_picture(
    server: Any, prices_file: Path, tmp_path: Path
) -> None:
    picture = tmp_path / "out.png"
    run = ketgate_command(
        server, "optimize", prices_file, "--k", 4, "--min-position", 0.05, "--plot", picture
    )
    told = succeeded(run)
    assert "optimal (" in told
    assert "branch-and-bound" in told
    assert "share of risk" in told
    assert "objective" in run.stderr, "progress belongs to standard error"
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_optimize_to_json(server: Any, prices_file: Path) -> None:
    arguments = (
        "optimize",
        prices_file,
        "-k",
        3,
        "--objective",
        "maximum_sharpe",
        "--json",
        "--seed",
        4,
    )
    run = ketgate_command(server, *arguments)
    document = json.loads(succeeded(run))
    assert document["seed"] == 4
    assert sum(document["weights"].values()) == pytest.approx(1.0)
    assert sum(weight > 0 for weight in document["weights"].values()) <= 3
    assert run.stderr == ""


def test_the_covariance_is_estimated_as_everywhere(server: Any, prices_file: Path) -> None:
    """The contract's own default, the sample covariance, is the command's and the SDK's."""
    command = ("optimize", prices_file, "--json")
    told = json.loads(succeeded(ketgate_command(server, *command)))["weights"]
    with ketgate.connect(ready_file=server.ready_file) as client:
        prices = pd.read_csv(prices_file, index_col=0)
        assert told == pytest.approx(client.optimize.portfolio(prices).by_name)
        assert told == pytest.approx(client.optimize.portfolio(prices, estimator="sample").by_name)
    shrunk = succeeded(ketgate_command(server, *command, "--estimator", "ledoit_wolf"))
    assert json.loads(shrunk)["weights"] != pytest.approx(told)


def test_insecure_beside_a_server_with_tls_is_refused(server: Any) -> None:
    run = ketgate_command(server, "info", "--insecure")
    assert run.returncode == 1
    assert "speaks TLS" in run.stderr
    assert "leave it out" in run.stderr


def test_a_refused_handshake_is_told_once(server: Any) -> None:
    run = ketgate_command(None, "info", "--address", server.address)
    assert run.returncode == 1
    assert run.stderr.startswith("error: the certificate of the server"), "no log of gRPC before it"


def test_frontier(server: Any, prices_file: Path) -> None:
    document = json.loads(
        succeeded(ketgate_command(server, "optimize", prices_file, "--frontier", 5, "--json"))
    )
    assert len(document["frontier"]["volatilities"]) == 5


def test_spec_from_a_file(server: Any, tmp_path: Path) -> None:
    path = tmp_path / "spec.json"
    path.write_text('{"qubo": {"num_variables": 2, "linear": {"doubles": {"values": [-1, 2]}}}}')
    document = json.loads(
        succeeded(ketgate_command(server, "optimize", "--spec", path, "--json", "--seed", 3))
    )
    assert document["values"] == {"0": 1, "1": 0}
    assert document["seed"] == 3
    assert "Values other than 0" in succeeded(ketgate_command(server, "optimize", "--spec", path))


def test_no_solution_is_status_3(server: Any, prices_file: Path) -> None:
    run = ketgate_command(server, "optimize", prices_file, "--k", 2, "--upper", 0.3)
    assert run.returncode == 3
    assert "in conflict: at most 2 names" in run.stdout


def test_wrong_usage_is_status_2(server: Any) -> None:
    run = ketgate_command(server, "optimize", "/does/not/exist.csv")
    assert run.returncode == 2
    assert "does not exist" in run.stderr
    assert "Traceback" not in run.stderr


def test_errors_are_status_1_with_what_to_do(
    server: Any, prices_file: Path, tmp_path: Path
) -> None:
    run = ketgate_command(server, "optimize", prices_file, "--solver", "astrology")
    assert run.returncode == 1
    assert "spec.solvers[0].name" in run.stderr
    assert "what to do" not in run.stderr, "the message says it all"
    as_json = ketgate_command(server, "optimize", prices_file, "--solver", "astrology", "--json")
    assert as_json.returncode == 1
    assert json.loads(as_json.stdout)["error"]["reason"] == "FIELD_INVALID"
    nowhere = ketgate_command(None, "info", HOME=str(tmp_path), XDG_DATA_HOME=str(tmp_path))
    assert nowhere.returncode == 1
    assert "ketgate serve" in nowhere.stderr


def hear_interrupts() -> None:
    """In a child: undo what a shell does to jobs in the background, which is to ignore SIGINT."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_shows_the_best_so_far(server: Any, tmp_path: Path) -> None:
    couplings = np.random.default_rng(1).normal(size=(300, 300))
    row, column = np.triu_indices(300, 1)
    spec = {
        "ising": {
            "num_spins": 300,
            "quadratic": {
                "row": {"integers": {"values": row.tolist()}},
                "column": {"integers": {"values": column.tolist()}},
                "value": {"doubles": {"values": couplings[row, column].tolist()}},
            },
        }
    }
    path = tmp_path / "spec.json"
    path.write_text(json.dumps(spec))
    process = subprocess.Popen(
        [sys.executable, "-m", "ketgate", "optimize", "--spec", str(path), "--time-limit", "100"],
        env=environment(server), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        preexec_fn=hear_interrupts,
    )  # fmt: skip
    try:
        assert process.stderr is not None
        assert "objective" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
        told, errors = process.communicate(timeout=TIMEOUT_S)
    finally:
        process.kill()
        process.wait()
    assert process.returncode == 0, errors
    assert "feasible (cancelled)" in told


def test_tokens_are_made_renewed_listed_and_revoked(start_server: Any) -> None:
    server = start_server()

    def token(*arguments: str) -> str:
        """In this process, beside the server's: the store is shared by processes anyhow."""
        line = ["token", *arguments, "--data-dir", str(server.data_dir)]
        run = CliRunner().invoke(build(line), line, catch_exceptions=False)
        assert run.exit_code == 0
        return str(run.stdout)

    made = json.loads(token("create", "ci", "--expires", "2h", "--json"))
    assert made["roles"] == ["optimization.user", "quantum.user", "jobs.user", "artifacts.user"]
    assert made["expire_time"] is not None
    with ketgate.connect(
        server.address, ca_file=server.ready["ca_file"], token=made["secret"]
    ) as client:
        assert set(client.info().roles) == set(made["roles"])
    secret = token("create", "b", "--role", "server.reader").strip()
    assert secret.startswith("kg_")
    assert {record["name"] for record in json.loads(token("list", "--json"))} == {
        "admin",
        "ci",
        "b",
    }
    table = token("list")
    assert "server.reader" in table
    assert secret not in table
    anew = token("renew", "b").strip()
    assert anew.startswith("kg_")
    assert anew != secret
    with ketgate.connect(server.address, ca_file=server.ready["ca_file"], token=anew) as client:
        assert client.info().roles == ("server.reader",)
    assert "revoked ci" in token("revoke", "ci")
    refused = ketgate_command(None, "token", "create", "b", "--data-dir", server.data_dir)
    assert refused.returncode == 1
    assert refused.stderr.startswith("error: there is a token named 'b' already")


def test_serve_and_stop(tmp_path: Path) -> None:
    ready_file = tmp_path / "ready.json"
    process = subprocess.Popen(
        [sys.executable, "-m", "ketgate", "serve", "--data-dir", str(tmp_path / "data"), "--listen", "127.0.0.1:0",
         "--ready-file", str(ready_file), "--set", "limits.rpc.calls_max=200"],
        env=environment(None), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    assert process.stderr is not None
    try:
        for line in process.stderr:  # its log ends the wait, one way or the other
            if '"event":"serving"' in line:
                break
        with ketgate.connect(ready_file=ready_file) as client:
            assert client.info().limits["rpc.calls_max"].value == 200
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=TIMEOUT_S)
        assert process.returncode == 0
    finally:
        process.kill()
        process.communicate()


def test_serve_refuses_wrong_settings(tmp_path: Path) -> None:
    run = ketgate_command(None, "serve", "--data-dir", tmp_path, "--set", "no_equals_sign")
    assert run.returncode == 1
    assert "KEY=VALUE" in run.stderr
    unknown = ketgate_command(None, "serve", "--data-dir", tmp_path, "--set", "listn=127.0.0.1:0")
    assert unknown.returncode == 2
    assert "listen" in unknown.stderr


WITHOUT = """
import importlib.abc, sys

class Absent(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in {names!r}:
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, Absent())
import importlib.util
find = importlib.util.find_spec
importlib.util.find_spec = lambda name, package=None: None if name in {names!r} else find(name, package)
sys.argv = ["ketgate", *{arguments!r}]
from ketgate._cli.main import main
main()
"""


@pytest.mark.parametrize(
    ("names", "arguments", "remedy"),
    [
        (["typer"], ["info"], "pip install 'ketgate[cli]'"),
        (["ketgate_server"], ["serve"], "pip install ketgate-server"),
        (["ketgate_server"], ["token", "list"], "pip install ketgate-server"),
        (["matplotlib"], ["demo"], "pip install 'ketgate[cli]'"),
    ],
)
def test_what_is_not_installed_is_said(names: list[str], arguments: list[str], remedy: str) -> None:
    code = WITHOUT.format(names=names, arguments=arguments)
    run = subprocess.run(
        [sys.executable, "-c", code], env=environment(None), capture_output=True, text=True, timeout=TIMEOUT_S,
        check=False,
    )  # fmt: skip
    assert run.returncode == 1
    assert remedy in run.stderr
    assert "Traceback" not in run.stderr
