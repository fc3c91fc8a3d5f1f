"""`ketgate load`: put a server under load and tell what it makes of it."""

import json
import os
from pathlib import Path
from typing import Annotated

import typer

from ketgate._cli.connection import Server, names_server
from ketgate._connect import is_loopback

_RATE = "Open loop: calls a second, however slowly they are answered."
_CLOSED = "Closed loop: so many callers, each of which waits for its answer."
_IN_FLIGHT = "Open loop: unanswered calls of each process at most; beyond it calls wait."


@names_server
def load(
    server: Server,
    scenario: Annotated[
        str, typer.Option(help="info, small-solve, stream, mix, jobs or heavy.")
    ] = "small-solve",
    rate: Annotated[float, typer.Option(help=_RATE)] = 0.0,
    closed: Annotated[int, typer.Option(help=_CLOSED)] = 0,
    duration: Annotated[float, typer.Option(help="Seconds that are measured.")] = 10.0,
    warm_up: Annotated[float, typer.Option(help="Seconds of the same load before.")] = 1.0,
    arrivals: Annotated[str, typer.Option(help="Open loop: poisson or uniform.")] = "poisson",
    seed: Annotated[int, typer.Option(help="Draws requests and arrivals.")] = 1,
    processes: Annotated[int, typer.Option(help="Processes that send.")] = 1,
    connections: Annotated[int, typer.Option(help="Connections of each process.")] = 1,
    timeout: Annotated[float, typer.Option(help="Deadline of each call in seconds.")] = 10.0,
    in_flight: Annotated[int, typer.Option(help=_IN_FLIGHT)] = 1000,
    json_file: Annotated[
        Path | None, typer.Option("--json", help="Write every figure to this file; - prints it.")
    ] = None,
    yes: Annotated[
        bool, typer.Option("--yes", help="Load a server that is not on this machine.")
    ] = False,
) -> None:
    """Put a server under load: latencies, throughput, failures, and what the server used.

    Give --rate for an open loop or --closed for a closed one. docs/load-testing.md says how to read
    the figures.
    """
    from ketgate._load import report as reports
    from ketgate._load.process import server_pid
    from ketgate._load.run import run, server_version
    from ketgate._load.settings import LoadSettings

    settings = LoadSettings(
        scenario=scenario,
        rate=rate,
        closed=closed,
        duration_s=duration,
        warm_up_s=warm_up,
        arrivals=arrivals,
        seed=seed,
        processes=processes,
        timeout_s=timeout,
        in_flight_max=in_flight,
        connections=connections,
    )
    endpoint = server.endpoint()
    _ask(endpoint.address, yes)
    _check_writable(json_file)
    version = server_version(endpoint)
    pid = server_pid(endpoint, server.ready_file)
    report = run(endpoint, settings, pid=pid, tell=lambda text: typer.echo(text, err=True))
    text = json.dumps(reports.to_json(report, version), indent=2, allow_nan=False)
    if json_file == Path("-"):
        typer.echo(text)
        return
    typer.echo(reports.to_table(report, version))
    if json_file is not None:
        json_file.write_text(text + "\n", encoding="utf-8")


def _ask(address: str, yes: bool) -> None:
    """Load sent to a server of others is an attack: it is never sent by mistake."""
    if is_loopback(address) or yes:
        return
    typer.echo(
        f"{address} is not on this machine. A load test takes a server's capacity from everybody "
        "else who uses it.\nIf it is yours, and nobody minds, repeat the command with --yes.",
        err=True,
    )
    raise typer.Exit(2)


def _check_writable(file: Path | None) -> None:
    """Before the run, as its figures would be lost."""
    if file is None or file == Path("-"):
        return
    folder = file.absolute().parent
    if file.is_dir() or not os.access(folder, os.W_OK):
        raise typer.BadParameter(f"{file} cannot be written", param_hint="--json")
