"""The options by which every client command finds its server, and the client that they make."""

import inspect
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from ketgate._client import Client, connect
from ketgate._connect import Endpoint, resolve
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


@dataclass(frozen=True)
class Server:
    """The server that a command line names. A token itself comes by $KETGATE_TOKEN only: a command
    line can be read by every user of the machine.
    """

    address: Address = None
    ca_file: CaFile = None
    token_file: TokenFile = None
    ready_file: ReadyFile = None
    insecure: Insecure = None

    def connect(self) -> Client:
        try:
            return connect(**self._given(), retry=WaitsAloud())
        except ServerNotFound as error:
            error.remedy = _REMEDY
            raise

    def endpoint(self) -> Endpoint:
        return resolve(**self._given())

    def _given(self) -> dict[str, Any]:
        return asdict(self) | {"insecure": self.insecure or None}


def names_server(command: Callable[..., None]) -> Callable[..., None]:
    """Give a command the options of a Server in the place of its parameter `server`."""
    signature = inspect.signature(command)
    annotations = get_type_hints(Server, include_extras=True)
    options = [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=annotation)
        for name, annotation in annotations.items()
    ]
    own = [
        parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
        for name, parameter in signature.parameters.items()
        if name != "server"
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        server = Server(**{name: given.pop(name) for name in annotations})
        command(server=server, **given)

    parameters = [*own, *options]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {parameter.name: parameter.annotation for parameter in parameters}
    return run
