"""`ketgate optimize`: a portfolio from a file of prices, or any problem from a file of its spec."""

import json
import sys
from pathlib import Path
from typing import Annotated, Any, cast

import typer

from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.durations import read_seconds
from ketgate._cli.show import print_result
from ketgate._client import Client
from ketgate._errors import InvalidArgument, PartNotInstalled
from ketgate._job_requests import JOB_OPTIONS
from ketgate._jobs import DurableJob
from ketgate._options import SolveOptions, fill_options
from ketgate._result import Result
from ketgate._spec import as_spec

EXIT_NO_SOLUTION = 3
_PANEL = "Durable job"
_OF_JOBS = JOB_OPTIONS | {"durable"}


@names_server
def optimize(
    server: Server,
    prices: Annotated[
        Path | None,
        typer.Argument(
            help="CSV of prices: dates in the first column, then a column for each name.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            help="JSON of a SolveSpec instead: any problem the server takes.",
            exists=True,
            dir_okay=False,
        ),
    ] = None,
    k: Annotated[int | None, typer.Option("--k", "-k", help="At most this many names.")] = None,
    min_position: Annotated[
        float | None, typer.Option(help="A weight is 0 or at least this large.")
    ] = None,
    objective: Annotated[
        str | None,
        typer.Option(
            help="minimum_variance (default), utility, target_return, maximum_sharpe or risk_parity."
        ),
    ] = None,
    risk_aversion: Annotated[float | None, typer.Option(help="Of the utility.")] = None,
    target_return: Annotated[
        float | None, typer.Option(help="Least expected return a year.")
    ] = None,
    risk_free_rate: Annotated[
        float | None, typer.Option(help="Of the Sharpe ratio, a year.")
    ] = None,
    frontier: Annotated[
        int | None, typer.Option(metavar="POINTS", help="The efficient frontier instead.")
    ] = None,
    estimator: Annotated[
        str | None,
        typer.Option(
            help="Of the covariance: sample (default), ledoit_wolf or exponentially_weighted."
        ),
    ] = None,
    half_life: Annotated[
        float | None, typer.Option(help="Of the exponential weights, in periods.")
    ] = None,
    lower: Annotated[
        float | None, typer.Option(help="Least weight of each name; below 0 allows shorts.")
    ] = None,
    upper: Annotated[float | None, typer.Option(help="Greatest weight of each name.")] = None,
    time_limit: Annotated[float | None, typer.Option(help="Seconds; default 10.")] = None,
    solver: Annotated[
        list[str] | None, typer.Option(help="Solver; may be repeated, they race.")
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Seed.")] = None,
    pool_size: Annotated[int | None, typer.Option(help="Distinct solutions at most.")] = None,
    durable: Annotated[
        bool,
        typer.Option(
            "--durable",
            help="As a job: print its name and return; it survives a crash of the server.",
            rich_help_panel=_PANEL,
        ),
    ] = False,
    label: Annotated[
        list[str] | None,
        typer.Option(
            metavar="KEY=VALUE", help="Of the job; may be repeated.", rich_help_panel=_PANEL
        ),
    ] = None,
    priority: Annotated[
        int | None,
        typer.Option(help="-100 to 100; greater ones start first.", rich_help_panel=_PANEL),
    ] = None,
    delay: Annotated[
        str | None,
        typer.Option(help="Not to start before, for example 2h.", rich_help_panel=_PANEL),
    ] = None,
    deadline: Annotated[
        str | None,
        typer.Option(help="To be over by then, for example 8h.", rich_help_panel=_PANEL),
    ] = None,
    progress: Annotated[bool, typer.Option(help="Show how it goes, on standard error.")] = True,
    plot: Annotated[
        Path | None, typer.Option(help="Draw the result to this file (.png, .pdf, .svg).")
    ] = None,
    as_json: Json = False,
) -> None:
    """Optimise a portfolio from prices, or solve a spec.

    Ctrl-C ends the search and shows the best so far. With --durable it becomes a job of the server,
    whose name is printed.

    Exit status: 0 solved, 1 error, 2 wrong usage, 3 no solution.
    """
    if (prices is None) == (spec is None):
        raise typer.BadParameter("give a CSV of prices, or --spec FILE")
    options: dict[str, Any] = _given(
        time_limit=time_limit,
        solver=solver or None,
        seed=seed,
        pool_size=pool_size,
        progress=progress and not as_json and not durable,
    )
    options |= job_options(durable, label, priority, delay, deadline)
    if durable and plot is not None:
        raise typer.BadParameter("--plot draws a result: `ketgate jobs show NAME --plot FILE` does")
    model = _given(
        k=k,
        min_position=min_position,
        objective=objective,
        risk_aversion=risk_aversion,
        target_return=target_return,
        risk_free_rate=risk_free_rate,
        estimator=estimator,
        half_life=half_life,
        points=frontier,
    )
    if spec is not None and (model or lower is not None or upper is not None):
        raise typer.BadParameter(
            "the options of portfolios do not go with --spec: write them into the spec"
        )
    if frontier is not None and set(model) & {
        "objective",
        "risk_aversion",
        "target_return",
        "risk_free_rate",
    }:
        raise typer.BadParameter("--frontier has no objective of its own")
    if lower is not None or upper is not None:
        model["bounds"] = (lower, upper)
    with server.connect() as client:
        if spec is not None:
            result = _solve_spec(client, spec, options)
        else:
            assert prices is not None
            solve = client.optimize.portfolio if frontier is None else client.optimize.frontier
            result = solve(read_prices(prices), **model, **options)
    if isinstance(result, DurableJob):
        _print_job(result, as_json)
        return
    _show(result, plot, as_json)
    if not result.solved:
        raise typer.Exit(EXIT_NO_SOLUTION)


def read_prices(path: Path) -> Any:
    """A DataFrame of the CSV: the first column, dates, becomes the index."""
    try:
        import pandas
    except ImportError:
        raise PartNotInstalled(
            "reading prices needs pandas, which is not installed",
            reason="PART_NOT_INSTALLED",
            remedy="Run: pip install 'ketgate[cli]'",
        ) from None
    try:
        frame = pandas.read_csv(path, index_col=0)
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        raise InvalidArgument(
            f"{path}: expected a CSV of prices: {error}", field="prices"
        ) from None
    if frame.shape[0] < 3 or frame.shape[1] < 1:
        raise InvalidArgument(
            f"{path}: expected dates in the first column, then a column of prices for each name, "
            f"in at least 3 rows, given {frame.shape[0]} rows of {frame.shape[1]} names",
            field="prices",
        )
    return frame


def job_options(
    durable: bool,
    label: list[str] | None,
    priority: int | None,
    delay: str | None,
    deadline: str | None,
) -> dict[str, Any]:
    """Those of the SDK."""
    labels = dict(pair.partition("=")[::2] for pair in label or ())
    if "" in labels or any("=" not in pair for pair in label or ()):
        raise typer.BadParameter(f"--label: expected KEY=VALUE, given {label}")
    options = _given(
        labels=labels or None,
        priority=priority,
        delay=None if delay is None else read_seconds(delay, "--delay"),
        deadline=None if deadline is None else read_seconds(deadline, "--deadline"),
    )
    if options and not durable:
        raise typer.BadParameter("--label, --priority, --delay and --deadline go with --durable")
    return options | {"durable": True} if durable else {}


def _print_job(job: DurableJob[Any], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps({"job": job.name, "state": job.state.value}, indent=2))
        return
    typer.echo(job.name)
    print(
        f"accepted. It goes on without this command:\n"
        f"  ketgate jobs watch {job.name}\n"
        f"  ketgate jobs show {job.name}",
        file=sys.stderr,
    )


def _solve_spec(client: Client, path: Path, options: dict[str, Any]) -> Any:
    """The options of the command line are written over those of the file."""
    message = as_spec(path)
    durable = {name: options.pop(name) for name in _OF_JOBS & options.keys()}
    if "solver" in options:
        message.ClearField("solvers")
    progress = fill_options(message, cast(SolveOptions, options))
    return client.optimize.solve(message, progress=progress, **durable)


def _show(result: Result, plot: Path | None, as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(result.to_dict(), indent=2))
    else:
        print_result(result)
    if plot is not None and result.solved:
        result.plot(plot)
        print(f"drawn to {plot}", file=sys.stderr)


def _given(**values: Any) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
