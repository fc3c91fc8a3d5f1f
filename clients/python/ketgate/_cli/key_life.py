"""`ketgate key create` and what changes a key and its versions afterwards."""

import json
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.durations import local, read_seconds
from ketgate._cli.key_app import (
    Justification,
    Labels,
    Name,
    VersionName,
    VersionNumber,
    key,
    labels_of,
    tell_change,
    version_name,
)
from ketgate._cli.key_view import (
    document,
    print_algorithms,
    print_key,
    print_keys,
    print_versions,
    read_policy,
)
from ketgate._client import Client
from ketgate._key_types import KeyChange, KeyVersion


@key.command()
@names_server
def create(
    server: Server,
    name: Name,
    algorithm: Annotated[
        str, typer.Option(help="`ketgate key algorithms` lists them.")
    ] = "ML_DSA_65",
    label: Labels = None,
    policy: Annotated[Path | None, typer.Option(help="JSON of who may do what.")] = None,
    exportable: Annotated[
        bool, typer.Option("--exportable", help="The private key may leave the server, wrapped.")
    ] = False,
    rotate_every: Annotated[
        str | None, typer.Option(help="Make a new version so often, as 90d; default: by hand.")
    ] = None,
    destroy_delay: Annotated[
        str | None, typer.Option(help="How long a destruction can be cancelled, as 30d.")
    ] = None,
    provider: Annotated[
        str, typer.Option(help="cryptography, liboqs or pkcs11; default: the fastest.")
    ] = "",
    as_json: Json = False,
) -> None:
    """Make a key."""
    with server.connect() as client:
        made = client.signing.create_key(
            _id(name),
            algorithm,
            labels=labels_of(label),
            policy=None if policy is None else read_policy(policy, "--policy"),
            exportable=exportable,
            rotation_period=_period(rotate_every, "--rotate-every"),
            destroy_delay=_period(destroy_delay, "--destroy-delay"),
            provider=provider,
        )
    typer.echo(json.dumps(document(made), indent=2) if as_json else made.name)


@key.command("list")
@names_server
def list_keys(
    server: Server,
    where: Annotated[
        str, typer.Option("--filter", help="As 'algorithm = ML_DSA_65 AND labels.desk = \"fx\"'.")
    ] = "",
    count: Annotated[int | None, typer.Option(min=1, help="At most this many.")] = None,
    as_json: Json = False,
) -> None:
    """List the keys that the token may read."""
    with server.connect() as client:
        found = client.signing.keys(where, limit=count)
    if as_json:
        typer.echo(json.dumps([document(one) for one in found], indent=2))
    else:
        print_keys(found)


@key.command()
@names_server
def show(server: Server, name: Name, as_json: Json = False) -> None:
    """Show a key, its policy and its versions."""
    with server.connect() as client:
        found = client.signing.get_key(name)
        versions = client.signing.versions(name)
    if as_json:
        told = document(found) | {"versions": [document(one) for one in versions]}
        typer.echo(json.dumps(told, indent=2))
        return
    print_key(found)
    print_versions(versions)


@key.command()
@names_server
def update(
    server: Server,
    name: Name,
    label: Labels = None,
    rotate_every: Annotated[
        str | None, typer.Option(help="Make a new version so often, as 90d; 'never' ends it.")
    ] = None,
    min_version: Annotated[
        int | None, typer.Option(min=1, help="Refuse older versions for every use.")
    ] = None,
    primary_version: Annotated[
        int | None, typer.Option(min=1, help="The version that signs from now on.")
    ] = None,
    destroy_delay: Annotated[
        str | None, typer.Option(help="How long a destruction can be cancelled, as 30d.")
    ] = None,
    not_exportable: Annotated[bool, typer.Option("--not-exportable", help="For good.")] = False,
    provider: Annotated[str | None, typer.Option(help="Of new versions.")] = None,
    as_json: Json = False,
) -> None:
    """Change a key. Labels replace those that there are."""
    never = rotate_every == "never"
    with server.connect() as client:
        found = client.signing.update_key(
            name,
            labels=None if label is None else labels_of(label),
            rotation_period=None if never else _period(rotate_every, "--rotate-every"),
            stop_rotation=never,
            min_version=min_version,
            primary_version=primary_version,
            exportable=False if not_exportable else None,
            destroy_delay=_period(destroy_delay, "--destroy-delay"),
            provider=provider,
        )
    if as_json:
        typer.echo(json.dumps(document(found), indent=2))
    else:
        print_key(found)


@key.command()
@names_server
def rotate(server: Server, name: Name, as_json: Json = False) -> None:
    """Make a new version, which signs from now on; older ones still verify."""
    _tell(server, as_json, lambda client: client.signing.rotate(name))


@key.command()
@names_server
def enable(
    server: Server, name: VersionName, version: VersionNumber = None, as_json: Json = False
) -> None:
    """Make a disabled version usable again."""
    _tell(server, as_json, lambda client: client.signing.enable(version_name(name, version)))


@key.command()
@names_server
def disable(
    server: Server, name: VersionName, version: VersionNumber = None, as_json: Json = False
) -> None:
    """Refuse a version for every use, until it is enabled."""
    _tell(server, as_json, lambda client: client.signing.disable(version_name(name, version)))


@key.command()
@names_server
def destroy(
    server: Server,
    name: VersionName,
    version: VersionNumber = None,
    justification: Justification = "",
    as_json: Json = False,
) -> None:
    """Schedule the destruction of a version; until it is due, `restore` cancels it."""
    _tell(
        server,
        as_json,
        lambda client: client.signing.destroy(
            version_name(name, version), justification=justification
        ),
    )


@key.command()
@names_server
def restore(
    server: Server, name: VersionName, version: VersionNumber = None, as_json: Json = False
) -> None:
    """Cancel a scheduled destruction; the version is then disabled."""
    _tell(server, as_json, lambda client: client.signing.restore(version_name(name, version)))


@key.command()
@names_server
def algorithms(server: Server, as_json: Json = False) -> None:
    """List the algorithms, and which providers of the server have them."""
    with server.connect() as client:
        found = client.signing.algorithms()
    if as_json:
        typer.echo(json.dumps([document(one) for one in found], indent=2))
    else:
        print_algorithms(found)


def _tell(
    server: Server, as_json: bool, change: Callable[[Client], KeyVersion | KeyChange]
) -> None:
    """Change a version, and tell how it stands."""
    with server.connect() as client:
        found: Any = change(client)
    if as_json:
        typer.echo(json.dumps(document(found), indent=2))
    elif isinstance(found, KeyChange):
        tell_change(found)
    elif found.destroy_time is not None:
        typer.echo(
            f"{found.name} will be destroyed at {local(found.destroy_time)}; until then "
            f"`ketgate key restore {found.name}` cancels it"
        )
    else:
        typer.echo(f"{found.name} is {found.state}")


def _id(name: str) -> str:
    return name.removeprefix("keys/")


def _period(text: str | None, option: str) -> timedelta | None:
    return None if text is None else timedelta(seconds=read_seconds(text, option))
