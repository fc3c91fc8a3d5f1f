"""The command's parts, put together."""

from importlib import import_module
from importlib.util import find_spec

import typer

from ketgate._cli.demo import demo
from ketgate._cli.listing import info, solvers
from ketgate._cli.optimize import optimize
from ketgate._cli.serve import serve
from ketgate._cli.token import token
from ketgate._version import VERSION

app = typer.Typer(
    help="Ketgate: one typed gRPC door to hybrid classical-quantum compute.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(VERSION)
        raise typer.Exit


@app.callback()
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


app.command()(serve)
app.command()(demo)
app.command()(optimize)
app.command()(solvers)
app.command()(info)
if find_spec("ketgate._cli.load") is not None:
    app.command()(import_module("ketgate._cli.load").load)
app.add_typer(token, name="token")
