"""`ketgate token`: tokens of a server's data folder, also while it runs."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json
from ketgate._cli.durations import read_seconds
from ketgate._cli.serve import require_server, store_of
from ketgate._cli.show import print_table
from ketgate._errors import InvalidArgument

token = typer.Typer(
    help="Make, renew, list and revoke the tokens of a server's data folder.", no_args_is_help=True
)

DataDir = Annotated[
    Path | None, typer.Option(help="The server's data folder; default: that of `ketgate serve`.")
]


Config = Annotated[Path | None, typer.Option(help="Configuration file (TOML) of the server.")]


@token.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the token, for logs and for revoking it.")],
    role: Annotated[
        list[str] | None,
        typer.Option(help="Role; may be repeated. Default: those for ordinary work."),
    ] = None,
    tenant: Annotated[str, typer.Option(help="Tenant.")] = "default",
    expires: Annotated[
        str | None, typer.Option(help="Life, for example 12h or 30d; default: for ever.")
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it: it is shown once and kept as a hash."""
    expires_in_s = None if expires is None else read_seconds(expires, "--expires")
    with _tokens(data_dir, config) as tokens:
        secret, record = tokens.create(
            name,
            tenant=tenant,
            expires_in_s=expires_in_s,
            **({"roles": tuple(role)} if role else {}),
        )
    _show_new(secret, record, as_json)
    _tell_where(data_dir, config)


@token.command()
def renew(
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    expires: Annotated[
        str | None,
        typer.Option(help="Life, for example 12h or 30d; default: as long as it was made for."),
    ] = None,
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Make a new secret for the holder of a token and print it; the one until now is revoked."""
    expires_in_s = None if expires is None else read_seconds(expires, "--expires")
    with _tokens(data_dir, config) as tokens:
        secret, record = tokens.renew(name, expires_in_s=expires_in_s)
    _show_new(secret, record, as_json)
    _tell_where(data_dir, config)


@token.command("list")
def list_tokens(data_dir: DataDir = None, config: Config = None, as_json: Json = False) -> None:
    """List the tokens, without their secrets."""
    with _tokens(data_dir, config) as tokens:
        records = [_record(record) for record in tokens.list()]
    if as_json:
        typer.echo(json.dumps(records, indent=2))
        return
    print_table(
        "Tokens",
        ["name", "tenant", "roles", "created", "expires", "revoked"],
        [
            [
                r["name"],
                r["tenant"],
                ", ".join(r["roles"]),
                r["create_time"],
                r["expire_time"] or "never",
                r["revoke_time"] or "",
            ]
            for r in records
        ],
    )


@token.command()
def revoke(
    name: Annotated[str, typer.Argument(help="Name of the token.")],
    data_dir: DataDir = None,
    config: Config = None,
    as_json: Json = False,
) -> None:
    """Revoke a token; a running server refuses it within a second."""
    with _tokens(data_dir, config) as tokens:
        record = tokens.revoke(name)
    typer.echo(json.dumps(_record(record), indent=2) if as_json else f"revoked {record.name}")
    _tell_where(data_dir, config)


def _show_new(secret: str, record: Any, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"secret": secret} | _record(record), indent=2))
    else:
        typer.echo(secret)


def _tell_where(data_dir: Path | None, config: Path | None) -> None:
    """Whose tokens they are, where no configuration was named that says it: a server with another
    one knows nothing of them."""
    if config is None:
        from ketgate_server.store.database import place_of

        folder, url = store_of(data_dir)
        typer.echo(f"in the store {place_of(folder, url)}", err=True)


@contextmanager
def _tokens(data_dir: Path | None, config: Path | None) -> Iterator[Any]:
    """The tokens of a server that has these settings; its refusals are the user's to hear."""
    require_server()
    from ketgate_server.store.errors import StoreError
    from ketgate_server.tokens import TokenStore

    folder, url = store_of(data_dir, config)
    try:
        store = TokenStore.open(folder, url)
        try:
            yield store
        finally:
            store.close()
    except StoreError as error:
        raise InvalidArgument(str(error), field="token", reason="") from None
    except OSError as error:
        raise InvalidArgument(
            f"{folder} cannot be used: {error.strerror}", field="--data-dir"
        ) from None


def _record(record: Any) -> dict[str, Any]:
    return {
        "name": record.name,
        "tenant": record.tenant,
        "roles": list(record.roles),
        **{
            name: None
            if getattr(record, name) is None
            else getattr(record, name).isoformat(timespec="seconds")
            for name in ("create_time", "expire_time", "revoke_time")
        },
    }
