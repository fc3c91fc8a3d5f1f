"""The options by which every client command finds its server, and the client that they make."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from ketgate._client import Client, connect
from ketgate._errors import KetgateError, ServerNotFound, Unavailable
from ketgate._retry import Retry

_PANEL = "Server"
_REMEDY = (
    "Start one with `ketgate serve`, or name another by --address, --ca-file and --token-file."
)

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


class WaitsAloud(Retry):
    """Tells on standard error, once a call, that there is no server and that it is waited for: a
    command that is silent for half a minute is taken for a broken one.
    """

    def delay_s(
        self, error: KetgateError, attempt: int, elapsed_s: float, *, outlast: bool = False
    ) -> float | None:
        wait_s = super().delay_s(error, attempt, elapsed_s, outlast=outlast)
        if attempt == self.attempts_max and wait_s is not None and isinstance(error, Unavailable):
            print(
                f"{error.message}\nwaiting for it for up to {self.total_s_max:g} s ...",
                file=sys.stderr,
                flush=True,
            )
        return wait_s


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
    try:
        return connect(
            address,
            ca_file=ca_file,
            token_file=token_file,
            ready_file=ready_file,
            insecure=insecure or None,
            retry=WaitsAloud(),
        )
    except ServerNotFound as error:
        error.remedy = _REMEDY
        raise
