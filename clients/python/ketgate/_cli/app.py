"""The command's parts, put together: only the one that was asked for is imported, so that it starts quickly."""

from collections.abc import Sequence
from importlib import import_module

import typer

from ketgate._version import VERSION

# In the order of the help.
COMMANDS = (
    "serve",
    "demo",
    "optimize",
    "backends",
    "circuit",
    "algorithm",
    "jobs",
    "artifacts",
    "solvers",
    "info",
    "load",
    "key",
    "sign",
    "verify",
    "seal",
    "open",
    "random",
    "certificate",
    "audit",
    "doctor",
    "token",
    "backup",
    "restore",
)
_MODULES = {
    "solvers": "listing",
    "info": "listing",
    "restore": "backup",
    "open": "seal",
    "random": "seal",
}


def build(arguments: Sequence[str]) -> typer.Typer:
    """The command for these arguments: with the one part that they name, or with all where none is named."""
    app = typer.Typer(
        help="Ketgate: one typed gRPC door to hybrid classical-quantum compute.",
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
    )
    app.callback()(_options)
    named = arguments[0] if arguments else ""
    for name in (named,) if named in COMMANDS else COMMANDS:
        part = getattr(import_module(f"ketgate._cli.{_MODULES.get(name, name)}"), name)
        if isinstance(part, typer.Typer):
            app.add_typer(part, name=name)
        else:
            app.command(name)(part)
    return app


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


def _options(
    version: bool = typer.Option(
        False,
        "--version",
        callback=_print_version,
        is_eager=True,
        help="Print the version and exit.",
    ),
) -> None:
    """Ketgate: one typed gRPC door to hybrid classical-quantum compute."""
