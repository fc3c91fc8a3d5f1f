"""Options that the quantum commands share, and what they all do with a result."""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli.quantum_view import print_quantum
from ketgate._errors import InvalidArgument
from ketgate._jobs import DurableJob

_PANEL = "Where and how"

Backend = Annotated[
    str | None,
    typer.Option(
        "--backend", "-b", help="Name of a back end; default: chosen.", rich_help_panel=_PANEL
    ),
]
Policy = Annotated[
    str | None,
    typer.Option(help="To choose by: latency, fidelity, queue or price.", rich_help_panel=_PANEL),
]
Shots = Annotated[
    int | None,
    typer.Option("--shots", "-n", help="Of each circuit; 0: exact.", rich_help_panel=_PANEL),
]
Seed = Annotated[int | None, typer.Option(help="Repeats a run.", rich_help_panel=_PANEL)]
NoiseName = Annotated[
    str | None,
    typer.Option(
        help="An emulator whose noise is added, or a calibration file (.json).",
        rich_help_panel=_PANEL,
    ),
]
Cost = Annotated[
    str | None, typer.Option(help='Cost at most, for example "5 USD".', rich_help_panel=_PANEL)
]
TimeLimit = Annotated[float | None, typer.Option(help="Seconds.", rich_help_panel=_PANEL)]
Durable = Annotated[
    bool,
    typer.Option("--durable", help="As a job: print its name and return.", rich_help_panel=_PANEL),
]
Values = Annotated[
    list[str] | None,
    typer.Option(
        "--parameter",
        "-p",
        metavar="NAME=VALUE",
        help="Of the program, in radians; may be repeated.",
    ),
]
Plot = Annotated[Path | None, typer.Option(help="Draw it to this file (.png, .pdf, .svg).")]


def execution(
    *,
    cost: str | None = None,
    durable: bool = False,
    **values: Any,
) -> dict[str, Any]:
    """The SDK's options of those that were given."""
    options = {name: value for name, value in values.items() if value is not None}
    if cost is not None:
        options["caps"] = {"cost": cost}
    return options | ({"durable": True} if durable else {})


def parameters(given: list[str] | None) -> dict[str, float] | None:
    """NAME=VALUE, where VALUE may be a multiple of pi: 0.5pi."""
    if not given:
        return None
    values = {}
    for pair in given:
        name, equals, text = pair.partition("=")
        try:
            if not equals or not text.strip():
                raise ValueError
            turned = text.strip().endswith("pi")
            figure = text.strip().removesuffix("pi").removesuffix("*") or "1"
            values[name.strip()] = float(figure) * (3.141592653589793 if turned else 1.0)
        except ValueError:
            raise typer.BadParameter(f"--parameter: expected NAME=VALUE, given {pair!r}") from None
    return values


def program(path: str) -> str:
    """Text of a file, or of the standard input for -."""
    if path == "-":
        return sys.stdin.read()
    try:
        return Path(path).read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        told = getattr(error, "strerror", None) or str(error)
        raise InvalidArgument(f"{path}: the program cannot be read: {told}", field="file") from None


def tell(
    result: Any,
    as_json: bool,
    plot: Path | None = None,
    show: Callable[[Any], None] = print_quantum,
) -> None:
    """Print a result, or the name of the job that makes it."""
    if isinstance(result, DurableJob):
        if plot is not None:
            raise typer.BadParameter(
                "--plot draws a result: `ketgate jobs show NAME --plot FILE` does"
            )
        if as_json:
            typer.echo(json.dumps({"job": result.name, "state": result.state.value}, indent=2))
            return
        typer.echo(result.name)
        print(f"accepted; its result: ketgate jobs show {result.name}", file=sys.stderr)
        return
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=2))
    else:
        show(result)
    if plot is not None:
        result.plot(plot)
        print(f"drawn to {plot}", file=sys.stderr)
