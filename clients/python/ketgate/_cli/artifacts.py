"""`ketgate artifacts`: large content that the server keeps under its digest."""

import json
import sys
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._artifact_asks import Artifact
from ketgate._artifact_calls import OnBytes
from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.durations import local
from ketgate._cli.show import WIDE, console, print_table

artifacts = typer.Typer(
    help="Upload, download and delete large content, which problems may refer to.",
    no_args_is_help=True,
)

_LIST_DEFAULT = 50
_COLUMNS_NARROW = 2
"""A digest takes 64 of the 80 characters of a line."""
Name = Annotated[str, typer.Argument(help='"artifacts/SHA256", or the SHA256 alone.')]


@artifacts.command()
@names_server
def put(
    server: Server,
    file: Annotated[Path, typer.Argument(help="What to upload.")],
    as_json: Json = False,
) -> None:
    """Upload a file; one that was cut goes on where it was. Prints its name."""
    with server.connect() as client:
        made = client.artifacts.upload(file, progress=_shown(f"{file.name} up"))
    typer.echo(json.dumps(_document(made), indent=2) if as_json else made.name)


@artifacts.command("get")
@names_server
def get_artifact(
    server: Server,
    name: Name,
    file: Annotated[Path, typer.Argument(help="Where to.")],
) -> None:
    """Download an artifact; one that was cut goes on where it was."""
    with server.connect() as client:
        client.artifacts.download(name, file, progress=_shown(f"{file.name} down"))


@artifacts.command("list")
@names_server
def list_artifacts(
    server: Server,
    count: Annotated[int, typer.Option(min=1, help="At most this many.")] = _LIST_DEFAULT,
    as_json: Json = False,
) -> None:
    """List the artifacts of the token's tenant, the newest first."""
    with server.connect() as client:
        found = client.artifacts.list(limit=count)
    if as_json:
        typer.echo(json.dumps([_document(artifact) for artifact in found], indent=2))
        return
    print_artifacts(found)


@artifacts.command()
@names_server
def delete(
    server: Server,
    name: Name,
) -> None:
    """Delete an artifact; refused while a job refers to it."""
    with server.connect() as client:
        client.artifacts.delete(name)


def print_artifacts(found: Sequence[Artifact]) -> None:
    """A line for each, with its digest whole."""
    if not found:
        console().print("No artifacts")
        return
    columns = ["SHA-256", "bytes", "jobs", "made", "removed unless used by", "type"]
    shown = len(columns) if console().width >= WIDE else _COLUMNS_NARROW
    rows = [
        [
            artifact.name.removeprefix("artifacts/"),
            f"{artifact.size_bytes:,}",
            artifact.reference_count,
            local(artifact.create_time),
            local(artifact.expire_time),
            artifact.media_type,
        ]
        for artifact in found
    ]
    print_table(
        "Artifacts", columns[:shown], [row[:shown] for row in rows], right=(1, 2), whole=(0, 1)
    )


def _shown(what: str) -> OnBytes | None:
    """Shows how far it is, where somebody looks."""
    if not sys.stderr.isatty():
        return None

    def show(done: int, size: int) -> None:
        end = "\n" if done >= size else ""
        share = done / size if size else 1.0
        print(f"\r{what}: {share:7.1%} of {size:,} bytes", end=end, file=sys.stderr, flush=True)

    return show


def _document(artifact: Artifact) -> dict[str, Any]:
    times = {name: getattr(artifact, name) for name in ("create_time", "expire_time")}
    return asdict(artifact) | {
        name: None if time is None else time.isoformat() for name, time in times.items()
    }
