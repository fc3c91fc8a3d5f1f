"""Pictures of results, by matplotlib, which is imported here and nowhere else.

Figures are made without pyplot, so that drawing works without a display and leaves no global state
behind.
"""

from os import PathLike
from pathlib import PurePath
from typing import Any

import numpy as np

from ketgate._errors import InvalidArgument, NoSolution, PartNotInstalled
from ketgate._portfolio_result import FrontierResult, PortfolioResult
from ketgate._result import Result

INK = "#1b2733"
MUTED = "#7c8a97"
GRID = "#e6eaee"
BLUE = "#1f6feb"
ORANGE = "#e8590c"
GREEN = "#2b8a3e"
PALETTE = (
    "#1f6feb",
    "#e8590c",
    "#2b8a3e",
    "#9c36b5",
    "#f2a900",
    "#0c8599",
    "#c2255c",
    "#5f3dc4",
    "#74b816",
    "#868e96",
)
NAMES_SHOWN_MAX = 30


def new_figure(width: float, height: float) -> Any:
    """An empty figure, in inches; raises PartNotInstalled without matplotlib."""
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise PartNotInstalled(
            "plot() needs matplotlib, which is not installed",
            reason="PART_NOT_INSTALLED",
            remedy="Run: pip install 'ketgate[cli]'",
        ) from None
    return Figure(figsize=(width, height), layout="constrained", facecolor="white")


def finish(figure: Any, path: Any) -> Any:
    """Write it where a path is given, by the ending of its name; without one, as PNG."""
    if path is not None:
        kinds = figure.canvas.get_supported_filetypes()
        ending = PurePath(path).suffix if isinstance(path, (str, PathLike)) else ""
        if ending and ending[1:].lower() not in kinds:
            raise InvalidArgument(
                f"path: expected a name that ends in {', '.join(f'.{kind}' for kind in sorted(kinds))}, "
                f"given {PurePath(path).name!r}",
                field="path",
            )
        figure.savefig(path, dpi=160)
    return figure


def draw(result: Result) -> Any:
    """The picture that fits the kind of result."""
    if isinstance(result, FrontierResult):
        figure = new_figure(8, 5.5)
        draw_frontier(figure.subplots(), result)
    elif isinstance(result, PortfolioResult) and result.solved:
        figure = new_figure(11, 4.8)
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        draw_weights(left, result)
        draw_convergence(right, result)
    else:
        figure = new_figure(8, 4.5)
        draw_convergence(figure.subplots(), result)
    return figure


def style(axes: Any, title: str, xlabel: str = "", ylabel: str = "") -> None:
    """The common look of all panels."""
    axes.set_title(title, loc="left", fontsize=11.5, fontweight="bold", color=INK, pad=10)
    axes.set_xlabel(xlabel, color=INK, fontsize=9.5)
    axes.set_ylabel(ylabel, color=INK, fontsize=9.5)
    axes.grid(True, color=GRID, linewidth=0.8)
    axes.set_axisbelow(True)
    axes.tick_params(colors=INK, labelsize=8.5, length=0)
    for side, spine in axes.spines.items():
        spine.set_visible(side in ("left", "bottom"))
        spine.set_color(GRID)


def draw_weights(axes: Any, result: PortfolioResult, color: str = BLUE) -> None:
    """A bar for each name held, the largest first."""
    from matplotlib.ticker import PercentFormatter

    held = list(result.held.items())[:NAMES_SHOWN_MAX]
    names = [str(name) for name, _ in held]
    weights = np.array([weight for _, weight in held])
    rows = np.arange(len(held))
    axes.barh(rows, weights, color=np.where(weights < 0, ORANGE, color), height=0.72)
    for row, weight in zip(rows, weights, strict=True):
        axes.text(max(weight, 0), row, f" {weight:.1%}", va="center", fontsize=8.5, color=INK)
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    axes.margins(x=0.14)
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    more = len(result.held) - len(held)
    style(axes, "Weights" + (f" (the {len(held)} largest of {len(result.held)})" if more else ""))
    axes.grid(False, axis="y")


def draw_convergence(axes: Any, result: Result) -> None:
    """Best objective and proven bound over time."""
    end = max(result.time.total_s, *(event.time_s for event in result.trace), 1e-6)
    found = [(event.time_s, event.objective) for event in result.trace if event.improved]
    bounds = [(event.time_s, event.bound) for event in result.trace if event.bound is not None]
    if result.bound is not None:
        bounds.append((end, result.bound))
    if not found and result.objective is None:
        raise NoSolution(f"there is nothing to draw: {result.status.value}")
    if result.objective is not None:
        found.append((end, result.objective))
    axes.step(*zip(*found, strict=True), where="post", color=BLUE, linewidth=2, label="best found")
    axes.plot(*zip(*found[:-1] or found, strict=True), "o", color=BLUE, markersize=4)
    if bounds:
        axes.step(
            *zip(*bounds, strict=True),
            where="post",
            color=ORANGE,
            linewidth=2,
            label="proven bound",
        )
    axes.legend(frameon=False, fontsize=8.5)
    style(axes, f"Search by {result.solver}" if result.solver else "Search", "seconds", "objective")


def draw_frontier(axes: Any, result: FrontierResult) -> None:
    """Volatility against expected return, with the corner portfolios."""
    from matplotlib.ticker import PercentFormatter

    points = result.points
    # Between portfolios of few names or whole lots there is nothing to hold: no line joins them.
    joined = points.variance_bounds is None
    axes.plot(
        points.volatilities,
        points.expected_returns,
        linestyle="-" if joined else "none",
        marker="none" if joined else "o",
        markersize=4.5,
        color=BLUE,
        linewidth=2.2,
        label="efficient frontier" if joined else "efficient portfolios",
    )
    if len(points.corner_volatilities):
        axes.plot(
            points.corner_volatilities,
            points.corner_expected_returns,
            "o",
            color=BLUE,
            markersize=3.5,
            markerfacecolor="white",
            label="corner portfolios",
        )
    for axis in (axes.xaxis, axes.yaxis):
        axis.set_major_formatter(PercentFormatter(1.0))
    axes.legend(frameon=False, fontsize=8.5)
    style(axes, "Efficient frontier", "volatility", "expected return")
