"""The demo's picture: one page that shows the frontier, the portfolios chosen on it and the search
that proved one.
"""

from collections.abc import Callable
from typing import Any

import numpy as np

from ketgate._plot import BLUE, GREEN, INK, MUTED, ORANGE, PALETTE, new_figure, style
from ketgate._portfolio_result import FrontierResult, PortfolioResult
from ketgate.demo import story
from ketgate.demo.picture_quantum import draw_backends, draw_depths, draw_words
from ketgate.demo.story import Story

_COMPOSITION_NAMES_MAX = 9
_NEAREST = 1e-10
"""Distances below this are drawn as this: they are no more than rounding."""


def draw_story(told: Story) -> Any:
    """A matplotlib Figure. What has no solution is left blank."""
    figure = new_figure(16, 13.6)
    figure.suptitle(
        "Ketgate: portfolios on real market data, classical and quantum, over gRPC",
        x=0.012,
        ha="left",
        fontsize=17,
        fontweight="bold",
        color=INK,
    )
    layout: Any = figure.get_layout_engine()
    layout.set(w_pad=0.12, h_pad=0.12, wspace=0.03, hspace=0.05)
    grid = figure.add_gridspec(3, 6, height_ratios=(1.25, 1, 0.9))
    panels: list[tuple[Any, Callable[[Any], None], bool]] = [
        (grid[0, :4], lambda axes: _frontier(axes, told), told.frontier.solved),
        (grid[0, 4:], lambda axes: _ten(axes, told.ten), told.ten.solved),
        (grid[1, :2], lambda axes: _composition(axes, told.frontier), told.frontier.solved),
        (grid[1, 2:4], lambda axes: _chosen(axes, told), told.sharpe.solved and told.five.solved),
        (grid[1, 4:], lambda axes: _search(axes, told), told.ten.solved),
        (grid[2, :2], lambda axes: draw_depths(axes, told.quantum), True),
        (grid[2, 2:4], lambda axes: draw_backends(axes, told.quantum), True),
        (grid[2, 4:], lambda axes: draw_words(axes, told.quantum), True),
    ]
    for place, draw, solved in panels:
        axes = figure.add_subplot(place)
        if solved:
            draw(axes)
        else:
            axes.set_axis_off()
    return figure


def _frontier(axes: Any, told: Story) -> None:
    """The frontier, each single name, and the portfolios chosen."""
    points = told.frontier.points
    returns, volatilities = _single_names(told)
    axes.scatter(volatilities, returns, s=26, color=MUTED, alpha=0.75, linewidths=0, zorder=2)
    _label_points(axes, told.prices.columns, volatilities, returns)
    axes.plot(
        points.volatilities,
        points.expected_returns,
        color=BLUE,
        linewidth=3,
        zorder=3,
        label="efficient frontier",
    )
    axes.plot(
        points.corner_volatilities,
        points.corner_expected_returns,
        "o",
        color=BLUE,
        markersize=5,
        markerfacecolor="white",
        zorder=4,
        label=f"its {len(points.corner_volatilities)} corner portfolios",
    )
    if told.sharpe.solved and told.sharpe.sharpe_ratio is not None:
        reach = np.array([0.0, 1.0]) * volatilities.max()
        axes.plot(
            reach,
            reach * told.sharpe.sharpe_ratio,
            color=ORANGE,
            linewidth=1.2,
            linestyle=(0, (5, 4)),
            zorder=1,
            label="line of the greatest Sharpe ratio",
        )
        _star(
            axes,
            told.sharpe,
            ORANGE,
            "*",
            330,
            f"greatest Sharpe\nratio, {told.sharpe.sharpe_ratio:.2f}",
            (-12, 12),
            "right",
        )
    if told.five.solved and told.five.sharpe_ratio is not None:
        _star(
            axes,
            told.five,
            GREEN,
            "D",
            95,
            f"best {story.SP500_NAMES_MAX} of 20,\nratio {told.five.sharpe_ratio:.2f}",
            (6, -36),
            "left",
        )
    _percent_axes(axes)
    axes.set_xlim(points.volatilities.min() * 0.5, volatilities.max() * 1.04)
    axes.set_ylim(min(returns.min(), points.expected_returns.min()) - 0.015, returns.max() + 0.03)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    style(
        axes,
        "Efficient frontier of 20 names of the S&P 500, daily prices 1990-2022",
        "volatility a year",
        "expected return a year",
    )


def _star(
    axes: Any,
    result: PortfolioResult,
    color: str,
    marker: str,
    size: float,
    text: str,
    offset: tuple[int, int],
    align: str,
) -> None:
    x, y = result.volatility, result.expected_return
    axes.scatter(
        [x], [y], s=size, marker=marker, color=color, edgecolors="white", linewidths=1.4, zorder=6
    )
    axes.annotate(
        text,
        (x, y),
        xytext=offset,
        textcoords="offset points",
        fontsize=10,
        fontweight="bold",
        color=color,
        ha=align,
        zorder=7,
    )


def _label_points(axes: Any, names: Any, x: Any, y: Any) -> None:
    """Names beside their points, each on the side that is farthest from points and other names."""
    sides = (
        (6, 3, "left"),
        (6, -9, "left"),
        (-6, 3, "right"),
        (-6, -9, "right"),
        (0, 8, "center"),
        (0, -14, "center"),
    )
    spread = np.array([np.ptp(x), np.ptp(y)])
    taken = [np.array([a, b]) / spread for a, b in zip(x, y, strict=True)]
    for i in np.argsort(x):
        here = np.array([x[i], y[i]]) / spread
        # The panel is about 700 by 330 points, and a name 24 points wide.
        middles = [
            here
            + np.array([dx + {"left": 14, "right": -14, "center": 0}[align], dy + 4]) / (700, 330)
            for dx, dy, align in sides
        ]
        room = [min(float(np.linalg.norm(middle - other)) for other in taken) for middle in middles]
        best = int(np.argmax(room))
        taken.append(middles[best])
        dx, dy, align = sides[best]
        axes.annotate(
            names[i],
            (x[i], y[i]),
            xytext=(dx, dy),
            textcoords="offset points",
            ha=align,
            fontsize=8.5,
            color=MUTED,
        )


def _single_names(told: Story) -> tuple[Any, Any]:
    """Return and volatility a year of each name held alone, as the frontier's own estimates have
    them.

    The frontier's far end is a single name, and the sample's figures of that name are the
    estimator's but for the shrinkage, which is too small to see here.
    """
    prices = told.prices.to_numpy()
    daily = prices[1:] / prices[:-1] - 1
    return daily.mean(axis=0) * 252, daily.std(axis=0, ddof=1) * np.sqrt(252)


def _composition(axes: Any, frontier: FrontierResult) -> None:
    """What the frontier holds, from the least variance to the greatest return."""
    points = frontier.points
    largest = np.argsort(-points.weights.max(axis=0))[:_COMPOSITION_NAMES_MAX]
    largest = largest[points.weights[:, largest].max(axis=0) > 1e-6]
    order = largest[np.argsort(np.argmax(points.weights[:, largest], axis=0), kind="stable")]
    names = list(frontier.by_name)
    rest = 1 - points.weights[:, order].sum(axis=1)
    bands = [*points.weights[:, order].T, rest]
    colors = [*PALETTE[: len(order)], "#ced4da"]
    labels = [*(str(names[i]) for i in order), "others"]
    axes.stackplot(points.expected_returns, bands, colors=colors, labels=labels, linewidth=0)
    axes.set_xlim(points.expected_returns[0], points.expected_returns[-1])
    axes.set_ylim(0, 1)
    _percent_axes(axes)
    axes.legend(
        ncols=5,
        fontsize=8,
        frameon=False,
        loc="upper center",
        bbox_to_anchor=(0.5, -0.17),
        handlelength=1,
        handleheight=1,
        columnspacing=1.2,
        borderpad=0,
    )
    style(axes, "What the frontier holds", "expected return a year", "weight")
    axes.grid(False)


def _chosen(axes: Any, told: Story) -> None:
    """Weights of the greatest Sharpe ratio and of the best five, side by side."""
    sharpe, five = told.sharpe.by_name, told.five.by_name
    names = [name for name in sharpe if sharpe[name] > 5e-3 or five[name] > 0]
    names.sort(key=lambda name: -max(sharpe[name], five[name]))
    rows = np.arange(len(names))
    for shift, weights, color, label in (
        (-0.19, sharpe, ORANGE, "greatest Sharpe ratio"),
        (
            0.19,
            five,
            GREEN,
            f"best {story.SP500_NAMES_MAX}, each at least {story.SP500_POSITION_MIN:.0%}",
        ),
    ):
        axes.barh(
            rows + shift, [weights[name] for name in names], height=0.36, color=color, label=label
        )
    axes.set_yticks(rows, names)
    axes.invert_yaxis()
    _percent_axes(axes, vertical=False)
    axes.legend(frameon=False, fontsize=9, loc="lower right")
    style(axes, "The portfolios chosen", "weight")
    axes.grid(False, axis="y")


def _ten(axes: Any, ten: PortfolioResult) -> None:
    held = list(ten.held.items())
    rows = np.arange(len(held))
    weights = np.array([weight for _, weight in held])
    axes.barh(rows, weights, color=BLUE, height=0.7)
    for row, weight in zip(rows, weights, strict=True):
        axes.text(weight, row, f" {weight:.1%}", va="center", fontsize=9, color=INK)
    axes.set_yticks(rows, [str(name) for name, _ in held])
    axes.invert_yaxis()
    axes.margins(x=0.15)
    _percent_axes(axes, vertical=False)
    figures = ten.figures
    told = [f"utility {ten.objective:.7g}"]
    if ten.proven:
        told.append(f"proven best in {_proof_s(ten) * 1e3:.0f} ms")
    told += [f"{figures.expected_return:.2%} a week", f"volatility {figures.volatility:.2%} a week"]
    axes.text(
        0.97,
        0.06,
        "\n".join(told),
        transform=axes.transAxes,
        ha="right",
        va="bottom",
        fontsize=10,
        color=INK,
        linespacing=1.6,
    )
    known = "proven best" if ten.proven else "best found"
    style(axes, f"The {known} {story.NIKKEI_NAMES} of the Nikkei's 225", "weight")
    axes.grid(False, axis="y")


def _search(axes: Any, told: Story) -> None:
    """How far the best found was from the proven best, over time."""
    searches = (
        (told.ten, BLUE, f"best {story.NIKKEI_NAMES} of 225, utility"),
        (told.five, GREEN, f"best {story.SP500_NAMES_MAX} of 20, Sharpe ratio"),
    )
    for result, color, label in searches:
        if result.objective is None or not result.incumbents:
            continue
        first_s, end_s = result.incumbents[0].time_s, _proof_s(result)
        found = [
            (i.time_s - first_s, _distance(i.objective, result.objective))
            for i in result.incumbents
        ]
        x, y = np.array([*found, (end_s - first_s, found[-1][1])]).T
        axes.step(x * 1e3, y, where="post", color=color, linewidth=2.2, label=label)
        axes.plot(x[:-1] * 1e3, y[:-1], "o", color=color, markersize=4.5)
        if result.proven:
            last = x[-1] * 1e3
            axes.plot([last], [_NEAREST], "*", color=color, markersize=16, zorder=5, clip_on=False)
            axes.annotate(
                "proven",
                (last, _NEAREST),
                xytext=(0, 12),
                textcoords="offset points",
                ha="center",
                fontsize=9,
                fontweight="bold",
                color=color,
            )
    axes.set_yscale("log")
    axes.set_ylim(_NEAREST, 2)
    axes.margins(x=0.12)
    axes.legend(frameon=False, fontsize=9, loc="upper right")
    style(
        axes,
        "The searches: distance from the proven best",
        "milliseconds after the first solution",
        "relative distance",
    )


def _proof_s(result: PortfolioResult) -> float:
    """When the bound met the objective; the end, if it was not told before."""
    met = (event.time_s for event in result.trace if event.gap is not None and event.gap <= 1e-9)
    return next(met, result.time.total_s)


def _distance(value: float, best: float) -> float:
    return max(abs(value - best) / max(abs(best), 1e-10), _NEAREST)


def _percent_axes(axes: Any, *, vertical: bool = True) -> None:
    from matplotlib.ticker import PercentFormatter

    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
    if vertical:
        axes.yaxis.set_major_formatter(PercentFormatter(1.0, decimals=0))
