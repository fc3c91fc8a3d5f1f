"""`ketgate demo`: start a server, solve on real market data, kill it amid a job and start it again,
sign what was found, show tables and a picture, stop the server.
"""

import json
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import asdict, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated, Any

import typer

from ketgate._cli import demo_crash, demo_sign
from ketgate._cli.connection import Json, Server, names_server
from ketgate._cli.local_server import local_server
from ketgate._cli.show import console, figure, percent, print_table, print_weights, proof
from ketgate._client import Client
from ketgate._errors import PartNotInstalled
from ketgate._events import ProgressEvent
from ketgate._portfolio_result import PortfolioResult
from ketgate._result import Result
from ketgate.demo import quantum, sp500_prices, story

PICTURE = "ketgate-demo.png"
EXIT_NO_SOLUTION = 3


@names_server
def demo(
    server: Server,
    output: Annotated[Path, typer.Option(help="Folder for the picture.")] = Path("demo-output"),
    as_json: Json = False,
) -> None:
    """Solve portfolios on real market data and draw them.

    On a server of its own, unless one is named.
    """
    _require_libraries()
    say = _Silent() if as_json else _Aloud()
    begin = time.monotonic()
    with ExitStack() as stack:
        own = None
        if server.address is None and server.ready_file is None:
            own = stack.enter_context(local_server(_import_libraries))
            server = replace(server, ready_file=own.ready_file)
            say.line(f"Started a Ketgate server of our own in {time.monotonic() - begin:.1f} s.")
        client = stack.enter_context(server.connect())
        told = _tell(client, say)
        title = f"the best {story.NIKKEI_NAMES} of 225 names of the Nikkei"
        signed = demo_sign.sign(client, told.ten, title, output, say.line)
        survived = None if own is None else demo_crash.survive(client, own, told.prices, say.line)
        picture = _draw(told, output)
    document = {
        "picture": str(picture),
        "seconds": round(time.monotonic() - begin, 3),
        "lambda_objective": told.lambda_objective,
        "signed": None if signed is None else asdict(signed),
        "survived": None if survived is None else asdict(survived),
        **{name: getattr(told, name).to_dict() for name in ("ten", "frontier", "sharpe", "five")},
        "quantum": {
            "classical": told.quantum.classical.to_dict(),
            "depths": [result.to_dict() for result in told.quantum.depths],
            "backends": [result.to_dict() for result in told.quantum.backends],
            "absent": told.quantum.absent,
        },
    }
    if as_json:
        typer.echo(json.dumps(document, indent=2))
    else:
        _show_tables(told)
        say.line(
            f"[bold]The picture:[/bold] {picture}   (all of it took {document['seconds']:.1f} s)"
        )
        _say_what_next(say)
    if not all(result.solved for result in (told.ten, told.frontier, told.sharpe, told.five)):
        raise typer.Exit(EXIT_NO_SOLUTION)


def _tell(client: Client, say: "_Aloud | _Silent") -> story.Story:
    server = client.info()
    say.line(
        f"Ketgate {server.version} at {client.address}, {server.processors} processors, "
        f"kernels on {server.instruction_set}, {len(client.solvers())} solvers.\n"
    )
    say.line(
        f"[bold]1. The best {story.NIKKEI_NAMES} of the 225 names of the Nikkei[/bold], each held with at "
        f"least {story.NIKKEI_POSITION_MIN:.0%}.\n"
        f"   Maximise mu'w - {story.RISK_AVERSION:g}/2 w'Cw. The literature minimises lambda w'Cw - "
        f"(1 - lambda) mu'w: this is lambda = {story.NIKKEI_LAMBDA:g}."
    )
    ten = _search(say, lambda progress: story.solve_ten(client, progress))
    prices = sp500_prices()
    say.line(
        f"[bold]2. The best {story.SP500_NAMES_MAX} of 20 names of the S&P 500[/bold], each held with at "
        f"least {story.SP500_POSITION_MIN:.0%}, from {len(prices):,} days of prices.\n"
        "   Maximise the Sharpe ratio, with the covariance by Ledoit and Wolf."
    )
    five = _search(say, lambda progress: story.solve_five(client, prices, progress))
    say.line(
        "[bold]3. All 20 of them[/bold]: the exact efficient frontier, and the greatest Sharpe ratio on it."
    )
    frontier, sharpe = story.solve_frontier(client, prices), story.solve_sharpe(client, prices)
    say.line(f"   {frontier.time.total_s:8.3f} s and {sharpe.time.total_s:.3f} s\n")
    say.line(
        f"[bold]4. {quantum.CHOSEN} of {quantum.NAMES} of them in equal parts, classical and "
        "quantum side by side[/bold]\n"
        "   One qubit a name. The back ends are simulators; minus the utility, so that small is good."
    )
    compared = quantum.compare(client, prices, say.line)
    say.line("")
    return story.Story(
        ten=ten, frontier=frontier, sharpe=sharpe, five=five, prices=prices, quantum=compared
    )


def _search(
    say: "_Aloud | _Silent", solve: Callable[[Callable[[ProgressEvent], None]], PortfolioResult]
) -> PortfolioResult:
    """Solve and tell how it goes, a line for each better solution or bound."""
    say.begin()
    result = solve(say.event)
    say.end(result)
    return result


class _Aloud:
    """Speaks to a person: a line for each event, on a terminal and in a log alike."""

    def __init__(self) -> None:
        self._console = console()
        self._shown = ("", "")

    def line(self, text: str) -> None:
        self._console.print(text, soft_wrap=True)

    def begin(self) -> None:
        self._shown = ("", "")
        self.line(
            f"   {'seconds':>8}  {'objective':>12}  {'proven bound':>12}  {'gap':>9}  found by"
        )

    def event(self, event: ProgressEvent) -> None:
        """Better solutions and better bounds, where seven digits show that they are."""
        shown = (figure(event.objective, 7), figure(event.bound, 7))
        if shown != self._shown:
            self._shown = shown
            self._row(event.time_s, event.objective, event.bound, event.gap, event.solver)

    def end(self, result: Result) -> None:
        known = f"[bold]{proof(result)}[/bold]"
        self._row(result.time.total_s, result.objective, result.bound, result.gap, known)
        self.line("")

    def _row(self, time_s: float, *told: Any) -> None:
        objective, bound, gap, words = told
        self.line(
            f"   {time_s:8.3f}  {figure(objective, 7):>12}  {figure(bound, 7):>12}  "
            f"{percent(gap):>9}  {words}"
        )


class _Silent:
    """Says nothing, for --json."""

    def line(self, text: str) -> None: ...

    def begin(self) -> None: ...

    def event(self, event: ProgressEvent) -> None: ...

    def end(self, result: Result) -> None: ...


def _draw(told: story.Story, output: Path) -> Path:
    from ketgate.demo.picture import draw_story

    output.mkdir(parents=True, exist_ok=True)
    path = output / PICTURE
    draw_story(told).savefig(path, dpi=150)
    return path


def _show_tables(told: story.Story) -> None:
    rows = [
        _row(f"best {story.NIKKEI_NAMES} of 225 (utility)", told.ten),
        _row("efficient frontier (variance)", told.frontier),
        _row("greatest Sharpe ratio", told.sharpe),
        _row(f"best {story.SP500_NAMES_MAX} of 20 (Sharpe ratio)", told.five),
    ]
    columns = ["portfolio", "solver", "objective", "bound", "gap", "seconds", "proof"]
    print_table("What was solved", columns, rows, right=(2, 3, 4, 5))
    if told.ten.solved:
        print_weights(told.ten, f"The {story.NIKKEI_NAMES} of 225")
    _show_chosen(told)


def _row(title: str, result: Result) -> list[str]:
    return [
        title,
        result.solver,
        figure(result.objective, 7),
        figure(result.bound, 7),
        figure(result.gap, 2),
        f"{result.time.total_s:.3f}",
        proof(result),
    ]


def _show_chosen(told: story.Story) -> None:
    """The portfolios of the 20 names side by side."""
    chosen: dict[str, PortfolioResult] = {
        "least variance": told.frontier,
        "greatest Sharpe": told.sharpe,
        "best five": told.five,
    }
    chosen = {title: result for title, result in chosen.items() if result.solved}
    weights = {title: result.by_name for title, result in chosen.items()}
    names = [name for name in told.prices.columns if any(held[name] for held in weights.values())]
    rows: list[list[Any]] = [
        [name, *(percent(held[name]) if held[name] else "" for held in weights.values())]
        for name in names
    ]
    for label, value in (("return a year", "expected_return"), ("volatility", "volatility")):
        rows.append([label, *(percent(getattr(result, value)) for result in chosen.values())])
    rows.append(["Sharpe ratio", *(figure(result.sharpe_ratio, 3) for result in chosen.values())])
    print_table("Twenty names of the S&P 500", ["", *chosen], rows, right=(1, 2, 3))


def _say_what_next(say: "_Aloud | _Silent") -> None:
    say.line(
        "\n[bold]What to try next[/bold]\n"
        "   ketgate serve                                       a server that stays\n"
        "   ketgate optimize prices.csv --k 10 --plot out.png   your own prices: a CSV, dates first\n"
        "   ketgate optimize prices.csv --k 10 --durable        as a job; `ketgate jobs watch` follows it\n"
        "   ketgate backends                                    simulators, emulators and QPUs it reaches\n"
        "   ketgate key create desk && ketgate sign FILE --key desk    sign what is yours; `ketgate verify` checks it\n"
        "   ketgate audit verify                                proves that no record was changed\n"
        "   ketgate solvers --parameters                        what solves what, and can prove it\n"
        "   python -c 'import ketgate; print(ketgate.connect().optimize.qubo([[-1, 2], [0, -1]]))'"
    )


def _import_libraries() -> None:
    """The slow imports, so that they are had while the server starts."""
    import matplotlib.figure  # noqa: F401
    import pandas  # noqa: F401


def _require_libraries() -> None:
    missing = [name for name in ("pandas", "matplotlib") if find_spec(name) is None]
    if missing:
        print(f"the demo draws and reads prices with {' and '.join(missing)}", file=sys.stderr)
        raise PartNotInstalled(
            f"{' and '.join(missing)} not installed",
            reason="PART_NOT_INSTALLED",
            remedy="Run: pip install 'ketgate[cli]'",
        )
