"""`ketgate jobs`: what the server does that nobody has to wait for."""

import json
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli import job_view
from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.durations import read_seconds
from ketgate._cli.quantum_view import print_quantum
from ketgate._cli.show import console, print_result
from ketgate._client import Client
from ketgate._errors import KetgateError
from ketgate._job import JobEvent, JobRecord, JobState
from ketgate._jobs import DurableJob
from ketgate._result import Result

EXIT_FAILED = 1
EXIT_ENDED_EARLY = 4
EXIT_NOT_OVER = 5
ROWS = 20
REDRAW_S = 0.3
"""Changes that come closer together are drawn together."""

jobs = typer.Typer(help="List, watch, cancel and delete jobs.", no_args_is_help=True)

Names = Annotated[list[str], typer.Argument(help="Names of jobs: jobs/ID, or the ID alone.")]
Name = Annotated[str, typer.Argument(help="Name of the job: jobs/ID, or the ID alone.")]


@jobs.command("list")
@names_server
def list_jobs(
    server: Server,
    query: Annotated[
        str,
        typer.Option(
            "--filter",
            help="For example: 'state = (QUEUED, RUNNING) AND labels.desk = \"fx\"'; also kind, "
            "creator, create_time, end_time.",
        ),
    ] = "",
    order_by: Annotated[str, typer.Option(help="create_time or end_time, also with desc.")] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many.")] = ROWS,
    watch: Annotated[bool, typer.Option("--watch", "-w", help="Follow the changes.")] = False,
    as_json: Json = False,
) -> None:
    """List jobs, the newest first."""
    with server.connect() as client:
        look = partial(client.jobs.list, query, order_by=order_by, limit=limit)
        if watch and _is_live(as_json):
            _draw(client, look)
        elif watch:
            _follow(client, look, as_json)
        found = look()
    if as_json:
        typer.echo(json.dumps(job_view.documents(found), indent=2))
        return
    if not found:
        console().print("No jobs")
        return
    console().print(job_view.table(found, "Jobs", console().width))
    if not found.complete:
        console().print(f"and more: --limit shows more than {limit}")


@jobs.command()
@names_server
def show(
    server: Server,
    name: Name,
    plot: Annotated[Path | None, typer.Option(help="Draw the result to this file.")] = None,
    as_json: Json = False,
) -> None:
    """Show a job, its attempts and, when it is over, its result."""
    with server.connect() as client:
        job = client.jobs.get(name)
        result = _result(job)
    if as_json:
        told = job_view.document(job)
        told["result"] = None if result is None else result.to_dict()
        typer.echo(json.dumps(told, indent=2))
    else:
        job_view.print_job(job)
        if isinstance(result, Result):
            print_result(result)
        elif result is not None:
            print_quantum(result)
    if plot is not None and result is not None and getattr(result, "solved", True):
        if not hasattr(result, "plot"):
            raise typer.BadParameter(f"--plot: there is no picture of {type(result).__name__}")
        result.plot(plot)


@jobs.command()
@names_server
def watch(
    server: Server,
    names: Annotated[
        list[str] | None,
        typer.Argument(help="Only these, until all are over; default: all, for ever."),
    ] = None,
    start: Annotated[
        int | None,
        typer.Option("--from", min=1, help="Revision to begin at; default: from now on."),
    ] = None,
    states_only: Annotated[bool, typer.Option("--states-only", help="Leave out progress.")] = False,
    as_json: Json = False,
) -> None:
    """Follow the changes of jobs.

    A live table on a terminal; a line for each change elsewhere, and with --from or --states-only.
    A job that is over already is told in one line. A server that is restarted is waited for; nothing
    is missed. --json prints a document a line.

    Exit status, with names: as that of `wait`.
    """
    with server.connect() as client:
        now = client.jobs.revision()
        watched = [client.jobs.get(name) for name in names or ()]
        if start is None and not states_only and _is_live(as_json):
            _draw(client, lambda: _refreshed(client, watched), names or ())
        else:
            _tell_all(client, watched, start or now + 1, states_only, as_json)
        states = [job.refresh().state for job in watched]
    if states:
        raise typer.Exit(_exit_status(states))


@jobs.command()
@names_server
def wait(
    server: Server,
    names: Names,
    timeout: Annotated[
        str | None, typer.Option(help="At most so long, for example 90s or 2h; default: for ever.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Wait until jobs are over.

    Exit status: 0 all succeeded, 1 one failed, 4 one was cancelled or has expired, 5 not over in time.
    """
    end_s = None if timeout is None else time.monotonic() + read_seconds(timeout, "--timeout")
    found: list[JobRecord] = []
    with server.connect() as client:
        for name in names:
            left_s = None if end_s is None else max(0.0, end_s - time.monotonic())
            job = client.jobs.wait(name, left_s)
            found.append(job)
            if not as_json:
                typer.echo(repr(job))
    if as_json:
        typer.echo(json.dumps(job_view.documents(found), indent=2))
    raise typer.Exit(_exit_status([job.state for job in found]))


@jobs.command()
@names_server
def cancel(
    server: Server,
    names: Names,
    reason: Annotated[str, typer.Option(help="In words; kept with the job.")] = "",
    as_json: Json = False,
) -> None:
    """Tell jobs to stop; they keep their best so far. What is over stays as it is."""
    found: list[JobRecord] = []
    with server.connect() as client:
        for name in names:
            known = client.jobs.get(name)
            found.append(known if known.over else client.jobs.cancel(name, reason))
            if not as_json:
                typer.echo(f"{found[-1]!r}{' (it was over already)' if known.over else ''}")
    if as_json:
        typer.echo(json.dumps(job_view.documents(found), indent=2))


@jobs.command()
@names_server
def delete(
    server: Server,
    names: Names,
    as_json: Json = False,
) -> None:
    """Delete jobs that are over, with their specs and results."""
    with server.connect() as client:
        for name in names:
            client.jobs.delete(name)
            if not as_json:
                typer.echo(f"deleted {name}")
    if as_json:
        typer.echo(json.dumps({"deleted": names}))


def _draw(
    client: Client, look: Callable[[], Sequence[JobRecord]], names: Sequence[str] = ()
) -> None:
    """A table on the terminal, drawn again after every change, until all that are named are over."""
    from rich.live import Live

    with Live(console=console(), auto_refresh=False) as shown:
        for found in _looks(client, look, names):
            title = "Jobs (Ctrl-C ends)" if found else "No jobs yet (Ctrl-C ends)"
            shown.update(job_view.table(found, title, shown.console.width), refresh=True)
            if names and all(job.over for job in found):
                return


def _follow(client: Client, look: Callable[[], Sequence[JobRecord]], as_json: bool) -> None:
    """A line for each job of a list that has changed, for ever."""
    known: dict[str, int] = {}
    for found in _looks(client, look):
        for job in found:
            if known.get(job.name) != job.revision:
                told = json.dumps(job_view.document(job)) if as_json else job_view.job_line(job)
                print(told, flush=True)
        known = {job.name: job.revision for job in found}


def _looks(
    client: Client, look: Callable[[], Sequence[JobRecord]], names: Sequence[str] = ()
) -> Iterator[Sequence[JobRecord]]:
    """What look finds, now and after every change."""
    while True:
        revision = client.jobs.revision()
        yield look()
        next(client.jobs.watch(revision + 1, names=names))
        time.sleep(REDRAW_S)


def _result(job: DurableJob[Any]) -> Any:
    """What there is of a result: also the best before a failure, which is shown with the job."""
    try:
        return job.result() if job.over else None
    except KetgateError as error:
        if job.error is None:
            raise
        return error.best


def _refreshed(client: Client, watched: list[DurableJob[Any]]) -> Sequence[JobRecord]:
    """Those jobs as they are now; the newest ones where none is named."""
    return [job.refresh() for job in watched] or client.jobs.list(limit=ROWS)


def _tell_all(
    client: Client, watched: list[DurableJob[Any]], start: int, states_only: bool, as_json: bool
) -> None:
    """A line for each change from start on; with names, until all of them are over. What was over
    before start has no change left to tell: its last one stands for it.
    """
    pending = {job.name for job in watched if not job.over or job.revision >= start}
    for job in watched:
        if job.name not in pending:
            _tell(job_view.last_event(job), as_json)
    if watched and not pending:
        return
    names = [job.name for job in watched]
    for event in client.jobs.watch(start, names=names, states_only=states_only):
        _tell(event, as_json)
        if event.last:
            pending.discard(event.job)
            if watched and not pending:
                return


def _is_live(as_json: bool) -> bool:
    return console().is_terminal and not as_json


def _tell(event: JobEvent, as_json: bool) -> None:
    told = json.dumps(job_view.event_document(event)) if as_json else job_view.line(event)
    print(told, flush=True)


def _exit_status(states: list[JobState]) -> int:
    if JobState.FAILED in states:
        return EXIT_FAILED
    if {JobState.CANCELLED, JobState.EXPIRED} & set(states):
        return EXIT_ENDED_EARLY
    return 0 if all(state.over for state in states) else EXIT_NOT_OVER
