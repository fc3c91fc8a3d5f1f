"""`ketgate backends`: where circuits can run."""

import json
from typing import Annotated

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.quantum_view import print_backend, print_backends


@names_server
def backends(
    server: Server,
    name: Annotated[str | None, typer.Argument(help="Only this one, with its calibration.")] = None,
    query: Annotated[
        str,
        typer.Option(
            "--filter",
            help="For example: 'kind = \"simulator\" AND num_qubits >= 20'; also provider, status, "
            "region, name.",
        ),
    ] = "",
    as_json: Json = False,
) -> None:
    """List the simulators, emulators and QPUs, or show one with its calibration."""
    if name and query:
        raise typer.BadParameter("--filter goes with no name")
    with server.connect() as client:
        if name:
            told = client.quantum.backend(name)
            if as_json:
                typer.echo(json.dumps(told.to_dict(), indent=2))
            else:
                print_backend(told)
            return
        found = client.quantum.backends(query)
    if as_json:
        typer.echo(json.dumps([one.to_dict() for one in found], indent=2))
    else:
        print_backends(found)
