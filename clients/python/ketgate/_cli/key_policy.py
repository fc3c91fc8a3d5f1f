"""`ketgate key policy|changes|approve|reject`: who may do what, and what waits for approvals."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.key_app import Justification, Name, key, tell_change
from ketgate._cli.key_view import document, policy_rows, print_changes, read_policy
from ketgate._cli.show import print_table
from ketgate._client import Client
from ketgate._errors import InvalidArgument
from ketgate._key_types import Key, KeyChange

ChangeName = Annotated[str, typer.Argument(help='"keyChanges/ID".')]


@key.command()
@names_server
def policy(
    server: Server,
    name: Name,
    file: Annotated[Path | None, typer.Option(help="Replace the policy by this JSON.")] = None,
    none: Annotated[
        bool, typer.Option("--none", help="Take the policy away: whoever has the role.")
    ] = False,
    justification: Justification = "",
    as_json: Json = False,
) -> None:
    """Show or replace the policy of a key. With a quorum, it waits for approvals."""
    if none and file is not None:
        raise InvalidArgument("--file, --none: expected one of them, given both", field="--file")
    with server.connect() as client:
        if file is None and not none:
            found: Key | KeyChange = client.signing.get_key(name)
        else:
            wanted = None if file is None else read_policy(file, "--file")
            found = client.signing.set_policy(name, wanted, justification=justification)
    if isinstance(found, KeyChange):
        if as_json:
            typer.echo(json.dumps(document(found), indent=2))
        else:
            tell_change(found)
    elif as_json:
        typer.echo(json.dumps(document(found.policy), indent=2))
    else:
        print_table(f"Policy of {found.name}", ["", ""], policy_rows(found.policy))


@key.command()
@names_server
def changes(
    server: Server,
    name: Annotated[str, typer.Argument(help="Of this key only.")] = "",
    count: Annotated[int, typer.Option(min=1, help="At most this many.")] = 50,
    as_json: Json = False,
) -> None:
    """List the changes that waited for approvals, or do, the newest first."""
    with server.connect() as client:
        found = client.signing.changes(name, limit=count)
    if as_json:
        typer.echo(json.dumps([document(one) for one in found], indent=2))
    else:
        print_changes(found)


@key.command()
@names_server
def approve(server: Server, name: ChangeName, as_json: Json = False) -> None:
    """Approve a change; the last approval needed carries it out."""
    _decide(server, as_json, lambda client: client.signing.approve(name))


@key.command()
@names_server
def reject(server: Server, name: ChangeName, as_json: Json = False) -> None:
    """Reject a change, or take back one's own."""
    _decide(server, as_json, lambda client: client.signing.reject(name))


def _decide(server: Server, as_json: bool, decide: Callable[[Client], KeyChange]) -> None:
    with server.connect() as client:
        found = decide(client)
    if as_json:
        typer.echo(json.dumps(document(found), indent=2))
    else:
        tell_change(found)
