"""`ketgate token`: tokens of a server's data folder, also while it runs."""

import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.connection import Json
from ketgate._cli.serve import require_server
from ketgate._cli.show import print_table
from ketgate._connect import default_data_dir
from ketgate._errors import InvalidArgument

token = typer.Typer(
    help="Make, list and revoke the tokens of a server's data folder.", no_args_is_help=True
)

DataDir = Annotated[
    Path | None, typer.Option(help="The server's data folder; default: that of `ketgate serve`.")
]
_UNITS = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


@token.command()
def create(
    name: Annotated[str, typer.Argument(help="Name of the token, for logs and for revoking it.")],
    role: Annotated[
        list[str] | None, typer.Option(help="Role; may be repeated. Default: those for ordinary work.")
    ] = None,
    tenant: Annotated[str, typer.Option(help="Tenant.")] = "default",
    expires: Annotated[
        str | None, typer.Option(help="Life, for example 12h or 30d; default: for ever.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a token and print it: it is shown once and kept as a hash."""
    expires_in_s = None if expires is None else _seconds(expires)
    with _tokens(data_dir) as tokens:
        secret, record = tokens.create(
            name,
            tenant=tenant,
            expires_in_s=expires_in_s,
            **({"roles": tuple(role)} if role else {}),
        )
    if as_json:
        typer.echo(json.dumps({"secret": secret} | _record(record), indent=2))
    else:
        typer.echo(secret)


@token.command("list")
def list_tokens(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the tokens, without their secrets."""
    with _tokens(data_dir) as tokens:
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
    as_json: Json = False,
) -> None:
    """Revoke a token; a running server refuses it within a second."""
    with _tokens(data_dir) as tokens:
        record = tokens.revoke(name)
    typer.echo(json.dumps(_record(record), indent=2) if as_json else f"revoked {record.name}")


@contextmanager
def _tokens(data_dir: Path | None) -> Iterator[Any]:
    """The store of a data folder; its refusals are the user's to hear."""
    require_server()
    from ketgate_server.store.errors import StoreError
    from ketgate_server.store.tokens import TokenStore

    folder = data_dir or default_data_dir(os.environ)
    try:
        store = TokenStore.open(folder)
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


def _seconds(text: str) -> float:
    found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhd])", text)
    if found is None:
        raise InvalidArgument(
            f"--expires: expected a number with s, m, h or d, for example 30d, given {text!r}",
            field="--expires",
        )
    return float(found[1]) * _UNITS[found[2]]


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
