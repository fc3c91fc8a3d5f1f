"""The options by which every client command finds its server, and the client that they make."""

from pathlib import Path
from typing import Annotated

import typer

from ketgate._client import Client, connect

_PANEL = "Server"

Address = Annotated[
    str | None,
    typer.Option(
        help="host:port; default: $KETGATE_ADDRESS, or the local server.", rich_help_panel=_PANEL
    ),
]
CaFile = Annotated[
    Path | None,
    typer.Option(help="Certificate of the authority to trust (PEM).", rich_help_panel=_PANEL),
]
TokenFile = Annotated[
    Path | None, typer.Option(help="File that holds the token.", rich_help_panel=_PANEL)
]
ReadyFile = Annotated[
    Path | None,
    typer.Option(help="Ready file of a local server: tells all of this.", rich_help_panel=_PANEL),
]
Insecure = Annotated[
    bool | None,
    typer.Option("--insecure", help="Plaintext, on loopback only.", rich_help_panel=_PANEL),
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def open_client(
    address: str | None,
    ca_file: Path | None,
    token_file: Path | None,
    ready_file: Path | None,
    insecure: bool | None,
) -> Client:
    """A token itself comes by $KETGATE_TOKEN only: a command line can be read by every user of the
    machine.
    """
    return connect(
        address,
        ca_file=ca_file,
        token_file=token_file,
        ready_file=ready_file,
        insecure=insecure or None,
    )
