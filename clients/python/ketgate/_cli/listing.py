"""`ketgate solvers` and `ketgate info`: what a server can do."""

import json
from dataclasses import asdict
from typing import Annotated

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.show import print_table


@names_server
def solvers(
    server: Server,
    problem: Annotated[
        str | None, typer.Option(help="Only those for this kind, e.g. portfolio_discrete.")
    ] = None,
    parameters: Annotated[
        bool, typer.Option("--parameters", help="Show the parameters as well.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the solvers of the server, what each takes and what it can prove."""
    with server.connect() as client:
        found = client.solvers(problem)
    if as_json:
        typer.echo(json.dumps([asdict(solver) for solver in found], indent=2))
        return
    print_table(
        "Solvers",
        ["name", "takes", "proves", "work unit", "version", "what it does"],
        [
            [
                s.name,
                ", ".join(s.problems),
                ", ".join(s.proofs) or "nothing",
                s.work_unit or "none",
                s.version if s.available else "not installed",
                s.description,
            ]
            for s in found
        ],
    )
    if parameters:
        print_table(
            "Parameters",
            ["solver", "parameter", "default", "from", "to", "what it does"],
            [
                [
                    s.name,
                    p.name,
                    p.default,
                    _end(p.minimum),
                    _end(p.maximum),
                    _choices(p.description, p.choices),
                ]
                for s in found
                for p in s.parameters
            ],
            right=(2, 3, 4),
        )


@names_server
def info(
    server: Server,
    as_json: Json = False,
) -> None:
    """Show version, limits and parts of the server, and who the token is."""
    with server.connect() as client:
        told = client.info()
        where = client.address
    if as_json:
        document = asdict(told) | {"address": where, "start_time": told.start_time.isoformat()}
        typer.echo(json.dumps(document, indent=2))
        return
    print_table(
        f"Ketgate {told.version} at {where}",
        ["", ""],
        [
            ["serving since", told.start_time.isoformat(timespec="seconds")],
            ["processors", told.processors],
            ["instruction set", told.instruction_set],
            ["your tenant", told.tenant],
            ["your roles", ", ".join(told.roles)],
            ["services", ", ".join(told.services)],
        ],
    )
    print_table(
        "Parts",
        ["name", "version", "purpose"],
        [
            [p.name, p.version if p.installed else f"missing: {p.install_command}", p.purpose]
            for p in told.parts.values()
        ],
    )
    print_table(
        "Limits",
        ["name", "value", "unit", "beyond it"],
        [
            [name, f"{limit.value:,}", limit.unit, limit.description]
            for name, limit in told.limits.items()
        ],
        right=(1,),
    )


def _end(value: float | None) -> str:
    return "" if value is None else f"{value:g}"


def _choices(description: str, choices: tuple[str, ...]) -> str:
    return f"{description} One of: {', '.join(choices)}." if choices else description
