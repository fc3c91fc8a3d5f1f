"""The command's own checks, without a process or a server for each."""

import inspect
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import ketgate
import pytest
from ketgate._cli.app import COMMANDS, build
from ketgate._cli.connection import WaitsAloud
from ketgate._cli.optimize import read_prices
from ketgate._progress import PlainDisplay, RichDisplay, describe
from typer.testing import CliRunner

PRICES = "Date,A,B\n2020-01-01,1,2\n2020-01-02,2,3\n2020-01-03,3,4\n"


def invoke(*arguments: str) -> Any:
    return CliRunner().invoke(build(arguments), arguments)


@pytest.fixture
def prices(tmp_path: Path) -> str:
    path = tmp_path / "prices.csv"
    path.write_text(PRICES)
    return str(path)


@pytest.mark.parametrize(
    "arguments",
    [
        ["optimize"],
        ["optimize", "--spec", "/does/not/exist.json"],
        ["optimize", "PRICES", "--k", "many"],
        ["optimize", "PRICES", "--frontier", "5", "--objective", "utility"],
        ["optimize", "--spec", "PRICES", "--k", "3"],
        ["optimize", "--spec", "PRICES", "PRICES"],
        ["optimize", "PRICES", "--nonsense"],
        ["token"],
        ["token", "create"],
        ["fly"],
    ],
)
def test_wrong_usage(arguments: list[str], prices: str) -> None:
    run = invoke(*[prices if argument == "PRICES" else argument for argument in arguments])
    assert run.exit_code == 2
    assert isinstance(run.exception, SystemExit)


@pytest.mark.parametrize(
    ("arguments", "match"),
    [
        (["create", "x", "--role", "king"], "king"),
        (["create", "x", "--expires", "soon"], "30d"),
        (["create", "b b"], "letters"),
        (["revoke", "nobody"], "nobody"),
    ],
)
def test_tokens_that_cannot_be(arguments: list[str], match: str, tmp_path: Path) -> None:
    run = invoke("token", *arguments, "--data-dir", str(tmp_path / "data"))
    assert isinstance(run.exception, ketgate.InvalidArgument)
    assert match in str(run.exception)


def test_a_folder_that_cannot_be(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = invoke("token", "list", "--data-dir", str(tmp_path / "file"))
    assert isinstance(run.exception, ketgate.InvalidArgument)


def test_help_names_every_command() -> None:
    told = invoke("--help").stdout
    for name in COMMANDS:
        assert name in told
        assert invoke(name, "--help").exit_code == 0


def summaries() -> Iterator[tuple[str, str]]:
    """Each command, and the paragraph that a list of commands shows of it."""
    groups = [("", build(["--help"]))]
    for name, group in groups:
        for command in group.registered_commands:
            told = inspect.getdoc(command.callback) or ""
            yield f"{name} {command.name or command.callback.__name__}", told.split("\n\n")[0]
        groups += [
            (g.name or "", g.typer_instance) for g in group.registered_groups if g.typer_instance
        ]


@pytest.mark.parametrize(("command", "summary"), list(summaries()))
def test_a_summary_is_a_whole_sentence_on_a_line(command: str, summary: str) -> None:
    assert summary.endswith("."), command
    assert "\n" not in summary, command


def test_without_a_server_the_options_are_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in os.environ if name.startswith("KETGATE_")]:
        monkeypatch.delenv(name)
    run = invoke("jobs", "list", "--ready-file", str(tmp_path / "none.json"))
    assert isinstance(run.exception, ketgate.ServerNotFound)
    for option in ("ketgate serve", "--address", "--ca-file", "--token-file"):
        assert option in run.exception.remedy


def test_a_long_wait_for_a_server_is_told_once(capsys: pytest.CaptureFixture[str]) -> None:
    retry = WaitsAloud(attempts_max=3)
    gone = ketgate.Unavailable("the server cannot be reached")
    for attempt in range(1, 8):
        assert retry.delay_s(gone, attempt, 0.0, outlast=True) is not None
    assert capsys.readouterr().err.splitlines() == [
        "the server cannot be reached",
        "waiting for it for up to 30 s ...",
    ]
    assert retry.delay_s(gone, 3, 0.0) is None
    assert capsys.readouterr().err == ""


def test_prices_are_read(prices: str) -> None:
    frame = read_prices(Path(prices))
    assert list(frame.columns) == ["A", "B"]
    assert frame.loc["2020-01-02", "B"] == 3


@pytest.mark.parametrize(
    "content", ["no,prices\n", "Date,A\n1,2\n", "\x00\x01", "", "a,b\n1,2,3\n1\n", "x\n1\n2\n3\n"]
)
def test_files_that_hold_no_prices(content: str, tmp_path: Path) -> None:
    path = tmp_path / "odd.csv"
    path.write_text(content)
    with pytest.raises(ketgate.InvalidArgument) as caught:
        read_prices(path)
    assert caught.value.field == "prices"
    assert "odd.csv" in str(caught.value)


EVENT = ketgate.ProgressEvent(0.5, 2.0, 1.0, "tabu", 3, True)


def test_progress_in_plain_lines(capsys: pytest.CaptureFixture[str]) -> None:
    import sys

    display = PlainDisplay(sys.stderr)
    display.show(EVENT)
    display.show(ketgate.ProgressEvent(0.6, 2.0, 1.5, "", 4, False))
    display.close()
    assert capsys.readouterr().err == "   0.500 s  objective 2, bound 1, gap 50.00%  (tabu)\n"
    assert describe(ketgate.ProgressEvent(0.1, None, None, "", 0, False)) == "no solution yet"
    assert describe(ketgate.ProgressEvent(0.1, 1.0, 1.0 - 1e-7, "", 0, False)).endswith(
        "gap 1.0e-07"
    )


def test_progress_with_rich(capsys: pytest.CaptureFixture[str]) -> None:
    display = RichDisplay(10.0)
    display.show(EVENT)
    display.close()
    assert "objective 2, bound 1" in capsys.readouterr().err
