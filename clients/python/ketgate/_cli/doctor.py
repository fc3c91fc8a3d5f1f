"""`ketgate doctor`: what is installed, what is missing and how to have it."""

import json
import platform
from collections.abc import Iterator
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json
from ketgate._cli.main import EXIT_ERROR
from ketgate._cli.serve import settings_of
from ketgate._cli.show import console, print_table
from ketgate._errors import InvalidArgument
from ketgate._version import VERSION

FINE, ABSENT, FAULT = "fine", "absent", "fault"
NEEDED = ("grpcio", "protobuf", "numpy", "googleapis-common-protos", "google-crc32c")
WORDS = {FINE: "", ABSENT: "not there", FAULT: "wrong"}
DO = {FINE: "", ABSENT: "to have it", FAULT: "to mend it"}


def doctor(
    data_dir: Annotated[
        Path | None, typer.Option(help="The data folder to examine; default: that of `serve`.")
    ] = None,
    config: Annotated[Path | None, typer.Option(help="Configuration file (TOML).")] = None,
    as_json: Json = False,
) -> None:
    """Say what is installed, what is missing and how to have it; exit status 1 if something is wrong."""
    findings = [*_client(), *_server(data_dir, config)]
    fine = all(one["state"] != FAULT for one in findings)
    if as_json:
        typer.echo(json.dumps({"version": VERSION, "fine": fine, "findings": findings}, indent=2))
    else:
        _show(findings, fine)
    if not fine:
        raise typer.Exit(EXIT_ERROR)


def _finding(topic: str, name: str, state: str, detail: str, remedy: str = "") -> dict[str, str]:
    return {"topic": topic, "name": name, "state": state, "detail": detail, "remedy": remedy}


def _client() -> Iterator[dict[str, str]]:
    yield _finding("client", "ketgate", FINE, VERSION)
    yield _finding("client", "Python", FINE, platform.python_version())
    for name in NEEDED:
        try:
            yield _finding("client", name, FINE, metadata.version(name))
        except metadata.PackageNotFoundError:
            yield _finding("client", name, FAULT, "not installed", f"pip install {name}")


def _server(data_dir: Path | None, config: Path | None) -> Iterator[dict[str, str]]:
    """What the server's own doctor says, where it is installed."""
    if find_spec("ketgate_server") is None:
        told = "a client needs none of it"
        yield _finding("server", "ketgate-server", ABSENT, told, "pip install ketgate-server")
        return
    from ketgate_server.doctor import examine

    try:
        settings = settings_of(data_dir, config)
    except InvalidArgument as error:
        yield _finding("server", "settings", FAULT, error.message, "mend the configuration")
        return
    for found in examine(settings):
        yield _finding(found.topic, found.name, found.state.value, found.detail, found.remedy)


def _show(findings: list[dict[str, Any]], fine: bool) -> None:
    for topic in dict.fromkeys(one["topic"] for one in findings):
        rows = [
            (
                one["name"],
                WORDS[one["state"]],
                one["detail"] + (f"; {DO[one['state']]}: {one['remedy']}" if one["remedy"] else ""),
            )
            for one in findings
            if one["topic"] == topic
        ]
        print_table(topic, ("", "", ""), rows)
    faults = sum(one["state"] == FAULT for one in findings)
    console().print("Nothing is wrong." if fine else f"Wrong above: {faults}.")
