"""Tables for people, by rich: coloured on a terminal, plain elsewhere."""

from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ketgate._events import relative_gap
from ketgate._portfolio_result import FrontierResult, PortfolioResult
from ketgate._result import Result

ROWS_MAX = 40
WIDE = 120
"""Characters a line from which on tables have all their columns."""


def console() -> Console:
    """Standard output; of a fixed width where it is no terminal, so that files and logs are not cut
    at 80 columns.
    """
    made = Console(highlight=False)
    if not made.is_terminal:
        made = Console(highlight=False, width=WIDE)
    return made


def print_table(
    title: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[object]],
    right: Sequence[int] = (),
    whole: Sequence[int] = (),
) -> None:
    """A table; right: the columns of numbers; whole: those that are never wrapped."""
    table = Table(
        box=box.SIMPLE_HEAD,
        pad_edge=False,
        show_edge=not whole,  # what must not be wrapped needs all the room there is
        collapse_padding=bool(whole),
        show_header=any(columns),
    )
    for i, column in enumerate(columns):
        table.add_column(
            column,
            justify="right" if i in right else "left",
            overflow="fold",
            no_wrap=i in whole,
        )
    for row in rows:
        table.add_row(*(escape(str(cell)) for cell in row))
    out = console()
    out.print(f"[bold]{escape(title)}[/bold]")
    out.print(table)


def percent(value: float | None) -> str:
    return "" if value is None else f"{value:.2%}"


def figure(value: float | None, digits: int = 9) -> str:
    return "-" if value is None else f"{value:.{digits}g}"


def proof(result: Result) -> str:
    """What is known of a result, in a few words."""
    if result.proven:
        return "proven optimal"
    gap = result.gap if result.gap is not None else relative_gap(result.objective, result.bound)
    if result.solved and gap is not None:
        return f"within {gap:.2%} of the best"
    return result.status.value.replace("_", " ")


def print_result(result: Result) -> None:
    """Everything a person wants to know of a result."""
    rows: list[tuple[str, str]] = [
        ("status", f"{result.status.value} ({result.stop_reason.value})"),
        ("solver", result.solver or "-"),
        ("objective", figure(result.objective)),
        ("bound", figure(result.bound)),
        ("gap", figure(result.gap, 3)),
        ("time", f"{result.time.total_s:.3f} s"),
        ("seed", "not told" if result.seed is None else str(result.seed)),
    ]
    if isinstance(result, PortfolioResult) and result.solved:
        figures = result.figures
        if figures.expected_return is not None:
            rows.append(("expected return", percent(figures.expected_return)))
        rows.append(("volatility", percent(figures.volatility)))
        if figures.sharpe_ratio is not None:
            rows.append(("Sharpe ratio", figure(figures.sharpe_ratio, 4)))
        if figures.turnover is not None:
            rows.append(("turnover", percent(figures.turnover)))
    print_table(type(result).__name__.removesuffix("Result"), ("", ""), rows)
    for conflict in result.conflict:
        console().print(f"in conflict: {escape(conflict.description or conflict.field)}")
    for warning in result.warnings:
        console().print(f"warning: {escape(warning)}")
    if isinstance(result, FrontierResult) and result.solved:
        print_frontier(result)
    elif isinstance(result, PortfolioResult) and result.solved:
        print_weights(result)
    elif result.solved:
        _print_values(result)


def print_weights(result: PortfolioResult, title: str = "Weights") -> None:
    """Names and weights, the largest first, each with its share of the risk."""
    shares = result.figures.risk_shares
    risk = {} if shares is None else dict(zip(result.by_name, map(float, shares), strict=True))
    lots = (
        {} if result.lots is None else dict(zip(result.by_name, map(int, result.lots), strict=True))
    )
    held = list(result.held.items())
    rows = [
        [name, percent(weight), percent(risk.get(name)), *([lots[name]] if lots else [])]
        for name, weight in held[:ROWS_MAX]
    ]
    if len(held) > ROWS_MAX:
        rows.append([f"and {len(held) - ROWS_MAX} more", "", ""])
    print_table(
        title,
        ["name", "weight", "share of risk", *(["lots"] if lots else [])],
        rows,
        right=(1, 2, 3),
    )


def print_frontier(result: FrontierResult, points_max: int = 11) -> None:
    """Some portfolios along the frontier."""
    points = result.points
    count = len(points.volatilities)
    step = max(1, (count - 1) // max(1, points_max - 1))
    rows = [
        [
            percent(points.expected_returns[i]),
            percent(points.volatilities[i]),
            int((points.weights[i] > 1e-9).sum()),
        ]
        for i in range(0, count, step)
    ]
    print_table(
        "Efficient frontier", ["expected return", "volatility", "names"], rows, right=(0, 1, 2)
    )


def _print_values(result: Result) -> None:
    nonzero = [(name, value) for name, value in result.by_name.items() if value != 0]
    rows = [[name, figure(value)] for name, value in nonzero[:ROWS_MAX]]
    if len(nonzero) > ROWS_MAX:
        rows.append([f"and {len(nonzero) - ROWS_MAX} more", ""])
    print_table("Values other than 0", ["variable", "value"], rows, right=(1,))
